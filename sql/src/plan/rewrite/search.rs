//! `SEARCH` and `CYCLE` of WITH RECURSIVE as columns that each step carries along, by the rules of the manual
//! (<https://www.postgresql.org/docs/15/queries-with.html#QUERIES-WITH-RECURSIVE>): an array of the rows that led here, the
//! depth and the row, or whether the row led here before.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CaseWhen, Cte, Expr, Ident, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, TableAliasColumnDef, TableFactor, Value, VisitMut,
    VisitorMut, With,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::calls::{call, quoted_call};
use super::recursion::references;
use super::relations::{series_query, table_alias};
use super::whole_rows::leave_out_columns;
use crate::analysis::Meanings;
use crate::parser::{Clauses, clauses};
use crate::plan::composites::FIELD_OF;
use crate::plan::names::fold;
use crate::plan::records::{AMONG, APPEND, ROW};
use crate::plan::user_types::cast_to;

/// What the terms are called inside.
const TERM: &str = "\u{1}term";

/// Rewrites all WITH queries that have such clauses.
///
/// # Errors
/// As [`plain`].
pub(super) fn rewritten(query: &mut Query, meanings: &Meanings) -> Result<()> {
    struct Pass<'a>(&'a Meanings);
    impl VisitorMut for Pass<'_> {
        type Break = Error;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
            match query.with.as_mut().map(|with| plain(with, &self.0.searched)) {
                Some(Err(error)) => ControlFlow::Break(error),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Pass(meanings)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Rewrites the queries of a WITH that have such clauses. `columns` are those of the queries, by the places of their names.
///
/// # Errors
/// 42601, 42701, 0A000 for what PostgreSQL refuses as well.
fn plain(with: &mut With, columns: &HashMap<Location, Vec<String>>) -> Result<()> {
    for cte in &mut with.cte_tables {
        let Some(clauses) = clauses(cte) else { continue };
        cte.alias.columns.pop();
        let name = fold(&cte.alias.name);
        if !with.recursive || references(cte.query.as_ref(), &name) == 0 {
            return Err(syntax("WITH query is not recursive"));
        }
        let columns = match columns.get(&cte.alias.name.span.start) {
            Some(columns) => columns.clone(),
            None => cte.alias.columns.iter().map(|c| fold(&c.name)).collect(),
        };
        check(&clauses, &columns)?;
        terms(cte, &name, &clauses, &columns)?;
        let names = columns.iter().cloned().chain(clauses.added());
        cte.alias.columns = names.map(|n| column(&n)).collect();
    }
    Ok(())
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn column(name: &str) -> TableAliasColumnDef {
    TableAliasColumnDef { name: quoted(name), data_type: None }
}

fn syntax(text: impl Into<String>) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, text)
}

/// Whether the columns that the clauses name are there, each once, and those that they add are not.
fn check(clauses: &Clauses, columns: &[String]) -> Result<()> {
    let known = |what: &str, named: &[String]| {
        for (n, name) in named.iter().enumerate() {
            if !columns.contains(name) {
                return Err(syntax(format!("{what} column \"{name}\" not in WITH query column list")));
            }
            if named[..n].contains(name) {
                let text = format!("{what} column \"{name}\" specified more than once");
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
            }
        }
        Ok(())
    };
    let new = |what: &str, name: &String| match columns.contains(name) {
        true => Err(syntax(format!("{what} column name \"{name}\" already used in WITH query column list"))),
        false => Ok(()),
    };
    if let Some(search) = &clauses.search {
        known("search", &search.columns)?;
        new("search sequence", &search.sequence)?;
    }
    if let Some(cycle) = &clauses.cycle {
        known("cycle", &cycle.columns)?;
        new("cycle mark", &cycle.mark)?;
        new("cycle path", &cycle.path)?;
        if cycle.mark == cycle.path {
            return Err(syntax("cycle mark column name and cycle path column name are the same"));
        }
        if let Some(search) = &clauses.search {
            for (what, name) in [("mark", &cycle.mark), ("path", &cycle.path)] {
                if search.sequence == *name {
                    return Err(syntax(format!(
                        "search sequence column name and cycle {what} column name are the same"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Gives both terms the new columns.
fn terms(cte: &mut Cte, name: &str, clauses: &Clauses, columns: &[String]) -> Result<()> {
    let unsupported = |text: &str| Err(Error::unsupported(format!("with a SEARCH or CYCLE clause, {text}")));
    let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = cte.query.body.as_mut() else {
        let text =
            format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term");
        return Err(Error::new(SqlState::new("42P19"), text));
    };
    if !matches!(left.as_ref(), SetExpr::Select(_) | SetExpr::Values(_)) {
        return unsupported("the left side of the UNION must be a SELECT");
    }
    let SetExpr::Select(step) = right.as_mut() else {
        return unsupported("the right side of the UNION must be a SELECT");
    };
    let own = Expr::CompoundIdentifier;
    let of = |table: &str, column: &str| own(vec![quoted(table), quoted(column)]);
    let row = |columns: &[String]| call(ROW, columns.iter().map(|c| of(TERM, c)).collect());

    let Some(reference) = reference(step, name) else {
        let text = format!(
            "the recursive reference to WITH query \"{name}\" must be at the top level of its right-hand SELECT"
        );
        return unsupported(&text);
    };
    // The columns that the step before has made go through the step.
    let added = clauses.added();
    for item in &mut step.projection {
        match item {
            SelectItem::Wildcard(options) => leave_out_columns(options, added.iter()),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), options)
                if of.0.last().and_then(|p| p.as_ident()).is_some_and(|i| fold(i) == reference) =>
            {
                leave_out_columns(options, added.iter());
            }
            _ => {}
        }
    }
    for column in &added {
        step.projection.push(SelectItem::ExprWithAlias { expr: of(&reference, column), alias: quoted(column) });
    }

    let (mut first, mut next) = (Vec::new(), Vec::new());
    if let Some(search) = &clauses.search {
        let (one, more) = match search.breadth {
            true => {
                let with = |depth: Expr| {
                    let fields = std::iter::once(depth).chain(search.columns.iter().map(|c| of(TERM, c)));
                    call(ROW, fields.collect())
                };
                let number =
                    |digits: &str| cast_to(Expr::value(Value::Number(digits.to_string(), false)), &SqlType::BigInt);
                let depth = call(
                    FIELD_OF,
                    vec![of(TERM, &search.sequence), Expr::value(Value::SingleQuotedString("f1".to_string()))],
                );
                let deeper =
                    Expr::BinaryOp { left: Box::new(depth), op: BinaryOperator::Plus, right: Box::new(number("1")) };
                (with(number("0")), with(deeper))
            }
            false => path(&search.sequence, &search.columns, &of, &row),
        };
        first.push((one, search.sequence.clone()));
        next.push((more, search.sequence.clone()));
    }
    if let Some(cycle) = &clauses.cycle {
        let (value, default) = match &cycle.values {
            Some((value, default)) => (expression(value)?, expression(default)?),
            None => (Expr::value(Value::Boolean(true)), Expr::value(Value::Boolean(false))),
        };
        // Both are of the type that they have in common.
        let either = |condition: Expr| Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition, result: value.clone() }],
            else_result: Some(Box::new(default.clone())),
        };
        let among = quoted_call(AMONG, vec![row(&cycle.columns), of(TERM, &cycle.path)]);
        first.push((either(Expr::value(Value::Boolean(false))), cycle.mark.clone()));
        next.push((either(among), cycle.mark.clone()));
        let (one, more) = path(&cycle.path, &cycle.columns, &of, &row);
        first.push((one, cycle.path.clone()));
        next.push((more, cycle.path.clone()));
        // No step goes on from a row that led here before.
        let goes_on = Expr::BinaryOp {
            left: Box::new(of(&reference, &cycle.mark)),
            op: BinaryOperator::NotEq,
            right: Box::new(either(Expr::value(Value::Boolean(true)))),
        };
        step.selection = Some(match step.selection.take() {
            Some(condition) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(condition))),
                op: BinaryOperator::And,
                right: Box::new(goes_on),
            },
            None => goes_on,
        });
    }
    **left = around(left, columns, &[], first)?;
    **right = around(right, columns, &added, next)?;
    Ok(())
}

/// An array of the rows up to here: the first, and one more.
fn path(
    name: &str,
    columns: &[String],
    of: &dyn Fn(&str, &str) -> Expr,
    row: &dyn Fn(&[String]) -> Expr,
) -> (Expr, Expr) {
    let first = Expr::Array(ast::Array { elem: vec![row(columns)], named: true });
    (first, quoted_call(APPEND, vec![of(TERM, name), row(columns)]))
}

fn expression(text: &str) -> Result<Expr> {
    let query = crate::parser::query(&format!("SELECT {text}"))?;
    match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr)] => Ok(expr.clone()),
            _ => Err(syntax(format!("syntax error at or near \"{text}\""))),
        },
        _ => Err(syntax(format!("syntax error at or near \"{text}\""))),
    }
}

/// `SELECT columns, new FROM (term) AS term(columns, added)`.
fn around(term: &SetExpr, columns: &[String], added: &[String], new: Vec<(Expr, String)>) -> Result<SetExpr> {
    let mut inner = crate::parser::query("SELECT 1")?;
    *inner.body = term.clone();
    let mut alias = table_alias(TERM);
    alias.columns = columns.iter().chain(added).map(|c| column(c)).collect();
    let factor = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: Some(alias), sample: None };
    let made: Option<Query> = series_query(factor);
    let mut body = made.map(|q| *q.body).ok_or_else(|| Error::internal("a query without a body"))?;
    if let SetExpr::Select(select) = &mut body {
        let column = |c: &String| SelectItem::ExprWithAlias {
            expr: Expr::CompoundIdentifier(vec![quoted(TERM), quoted(c)]),
            alias: quoted(c),
        };
        let new = new.into_iter().map(|(expr, name)| SelectItem::ExprWithAlias { expr, alias: quoted(&name) });
        select.projection = columns.iter().map(column).chain(new).collect();
    }
    Ok(body)
}

/// What the step calls the query itself, in its own FROM.
fn reference(step: &Select, name: &str) -> Option<String> {
    let of = |factor: &TableFactor| find(factor, name);
    step.from.iter().find_map(|t| of(&t.relation).or_else(|| t.joins.iter().find_map(|j| of(&j.relation))))
}

fn find(factor: &TableFactor, name: &str) -> Option<String> {
    match factor {
        TableFactor::Table { name: ObjectName(parts), alias, args: None, .. } => {
            let own = matches!(parts.as_slice(), [part] if part.as_ident().is_some_and(|i| fold(i) == name));
            own.then(|| alias.as_ref().map_or_else(|| name.to_string(), |a| fold(&a.name)))
        }
        TableFactor::NestedJoin { table_with_joins: t, alias: None } => {
            find(&t.relation, name).or_else(|| t.joins.iter().find_map(|j| find(&j.relation, name)))
        }
        _ => None,
    }
}
