//! UPDATE and DELETE (<https://www.postgresql.org/docs/15/sql-update.html>, <https://www.postgresql.org/docs/15/sql-delete.html>).

use datafusion::sql::sqlparser::ast::{self, FromTable, Statement, TableFactor, TableWithJoins, UpdateTableFromKind};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Body, depth, precedence, tokens};

/// One of both.
#[derive(Clone, Debug)]
pub struct Change {
    /// Queries of a WITH in front.
    pub with: Option<ast::With>,
    pub target: ast::ObjectName,
    /// What the target goes by, if not by its name.
    pub alias: Option<ast::TableAlias>,
    /// What UPDATE sets; none for DELETE.
    pub assignments: Option<Vec<ast::Assignment>>,
    /// Relations of FROM or USING.
    pub from: Vec<TableWithJoins>,
    pub selection: Option<ast::Expr>,
    pub returning: Option<Vec<ast::SelectItem>>,
}

impl Change {
    /// `UPDATE` or `DELETE`.
    pub fn command(&self) -> &'static str {
        if self.assignments.is_some() { "UPDATE" } else { "DELETE" }
    }
}

/// Reads a statement that begins with UPDATE or DELETE.
pub(super) fn change(p: &mut Parser) -> Result<Body, ParserError> {
    if tokens::is_word(p, 0, "DELETE") && !tokens::is_word(p, 1, "FROM") {
        p.next_token();
        return p.expected("FROM", p.peek_token());
    }
    let statement = p.parse_statement()?;
    of_statement(statement, None, p)
}

/// What the parser of the library read.
pub(super) fn of_statement(statement: Statement, with: Option<ast::With>, p: &mut Parser) -> Result<Body, ParserError> {
    let change = match statement {
        Statement::Update(update) => of_update(update, with),
        Statement::Delete(delete) => of_delete(delete, with),
        _ => None,
    };
    match change {
        Some(mut change) => {
            for expr in change.selection.iter_mut().chain(change.assignments.iter_mut().flatten().map(|a| &mut a.value))
            {
                precedence::mended(expr);
                depth::balance(expr);
            }
            Ok(Body::Change(Box::new(change)))
        }
        None => p.expected("a statement", p.peek_token()),
    }
}

fn of_update(update: ast::Update, with: Option<ast::With>) -> Option<Change> {
    if update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some() || update.output.is_some() {
        return None;
    }
    let (target, alias) = target(update.table)?;
    let from = match update.from {
        None => Vec::new(),
        Some(UpdateTableFromKind::AfterSet(from)) => from,
        Some(UpdateTableFromKind::BeforeSet(_)) => return None,
    };
    let assignments = Some(update.assignments);
    Some(Change { with, target, alias, assignments, from, selection: update.selection, returning: update.returning })
}

fn of_delete(delete: ast::Delete, with: Option<ast::With>) -> Option<Change> {
    let FromTable::WithFromKeyword(mut from) = delete.from else { return None };
    if !delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some() || from.len() != 1 {
        return None;
    }
    let (target, alias) = target(from.pop()?)?;
    let from = delete.using.unwrap_or_default();
    Some(Change {
        with,
        target,
        alias,
        assignments: None,
        from,
        selection: delete.selection,
        returning: delete.returning,
    })
}

fn target(table: TableWithJoins) -> Option<(ast::ObjectName, Option<ast::TableAlias>)> {
    match table.relation {
        TableFactor::Table { name, alias, args: None, .. } if table.joins.is_empty() => Some((name, alias)),
        _ => None,
    }
}

/// `WHERE CURRENT OF cursor`, which the library does not read.
pub(super) fn current_of(p: &Parser) -> bool {
    (0..)
        .map_while(|n| match p.peek_nth_token(n).token {
            Token::EOF => None,
            _ => Some(n),
        })
        .any(|n| {
            tokens::is_word(p, n, "WHERE") && tokens::is_word(p, n + 1, "CURRENT") && tokens::is_word(p, n + 2, "OF")
        })
}
