//! PostgreSQL's analysis of a statement: what names, functions and operators mean, and of what types all is. It finds
//! faults, with their places in the text, and makes nothing; the planner plans what passes.
//!
//! DataFusion plans more than PostgreSQL allows, casts where PostgreSQL refuses, and names in its errors neither types
//! as PostgreSQL does nor places. So a statement passes through here first:
//!
//! 1. [`from`] puts the tables of FROM into a [`scope`], where names are found.
//! 2. [`select`] goes through the clauses in PostgreSQL's order, since the first fault is the one that is told.
//! 3. [`expression`], [`comparison`] and [`call`] give each expression its type: [`overload`] chooses functions and operators by
//!    PostgreSQL's rules over its own catalog, [`types`] knows its casts. A string literal that gets a type is read at
//!    once, so that a bad one is told with its place.
//! 4. [`grouping`] looks for columns outside of GROUP BY.
//!
//! What PostgreSQL has not (functions of ours, types of users) has an open type, of which nothing is said: a fault told
//! here is one for sure, and what is not sure is left to the planner.

mod call;
mod change;
mod comparison;
mod definition;
mod expression;
mod from;
mod grouping;
mod overload;
mod place;
mod printed;
mod scope;
mod select;
#[cfg(test)]
mod tests;
mod types;
mod write;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr, WindowSpec};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

pub(crate) use self::printed::{is_call, printed};

use self::place::Places;
use self::scope::{Place, Scope};
use crate::codec::Style;
use crate::parser::Statement;
use crate::parser::change::Change;
use crate::parser::definition::CreateTable;
use crate::parser::index::CreateIndex;
use crate::plan::QueryContext;

/// The part of a query that an expression stands in, which decides what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Select,
    Join,
    FromFunction,
    Where,
    Having,
    Filter,
    GroupBy,
    OrderBy,
    Limit,
    Offset,
    Values,
    /// PARTITION BY and ORDER BY of a window.
    Window,
    /// Of a table.
    Check,
    Default,
    /// What UPDATE sets.
    Update,
    Returning,
    /// The expression of a generated column.
    Generated,
    /// Of an index.
    Key,
    Predicate,
}

impl Clause {
    fn shown(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::Join => "JOIN conditions",
            Clause::FromFunction => "functions in FROM",
            Clause::Where => "WHERE",
            Clause::Having => "HAVING",
            Clause::Filter => "FILTER",
            Clause::GroupBy => "GROUP BY",
            Clause::OrderBy => "ORDER BY",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values => "VALUES",
            Clause::Window => "window definitions",
            Clause::Check => "check constraints",
            Clause::Default => "DEFAULT expressions",
            Clause::Update => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::Generated => "column generation expressions",
            Clause::Key => "index expressions",
            Clause::Predicate => "index predicates",
        }
    }
}

/// Looks through one statement.
pub(super) struct Analysis<'a> {
    ctx: &'a Arc<QueryContext>,
    places: Places<'a>,
    /// Characters of the text before the statement.
    skipped: usize,
    declared: &'a [Option<SqlType>],
    style: Style,
    scopes: Vec<Scope>,
    /// What columns' names were found to mean, by the address of the expression.
    meant: HashMap<usize, Place>,
    /// Aggregates by the address of their call, and the level of the query that they belong to.
    aggregates: HashMap<usize, usize>,
    /// Windows of OVER, looked at once all else of their query has been.
    windows: Vec<&'a WindowSpec>,
    /// The columns of the first terms of recursive queries, by the address of the term, until the whole is looked at.
    first_terms: HashMap<usize, select::Columns>,
    /// Where the last set-returning function stands.
    last_set: Option<Location>,
    /// What is found out for the planner.
    meanings: RefCell<Meanings>,
    /// For each aggregate around: the level of the innermost column in it, and whether another aggregate is in it.
    around: Vec<call::Around>,
}

/// Refuses a query that PostgreSQL refuses.
///
/// # Errors
/// PostgreSQL's of its analysis, with their places.
pub(crate) fn check_query(
    ctx: &Arc<QueryContext>,
    statement: &Statement,
    query: &ast::Query,
    declared: &[Option<SqlType>],
) -> Result<()> {
    let text = format!("{}{}", statement.before, statement.text);
    Analysis::new(ctx, &statement.before, &text, declared).query(query).map(|_| ())
}

/// What names mean that the planner would not find out, by their places.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    /// Names that stand for whole rows of a relation.
    pub rows: HashSet<Location>,
    /// Columns of queries further out, as items of a select list.
    pub outer: HashSet<Location>,
    /// Calls of aggregates that belong to a query further out.
    pub aggregates: HashSet<Location>,
    /// The columns of WITH queries that have a SEARCH or CYCLE clause, without those that it adds.
    pub searched: HashMap<Location, Vec<String>>,
    /// The columns of `t.*` where t is a relation of a query further out.
    pub stars: HashMap<Location, Vec<String>>,
    /// The columns that a NATURAL JOIN merges, by the place of its right side.
    pub natural: HashMap<Location, Vec<String>>,
    /// The columns that GROUP BY need not name, since the primary key of their table is grouped by: by the place of what names
    /// them, a column or a `*`.
    pub determined: HashMap<Location, Vec<Expr>>,
    /// The types of literals that were written without one, as far as the planner would not find them out.
    pub literals: HashMap<Location, SqlType>,
}

/// What names mean in a query that PostgreSQL does not refuse.
/// `declared` are the types of its parameters, as far as they are known.
pub(crate) fn meanings(ctx: &Arc<QueryContext>, query: &ast::Query, declared: &[Option<SqlType>]) -> Meanings {
    let mut analysis = Analysis::new(ctx, "", "", declared);
    // What is wrong with it is found by others.
    let _: Result<()> = analysis.query(query).map(drop);
    analysis.meanings.into_inner()
}

/// Refuses an INSERT that PostgreSQL refuses.
///
/// # Errors
/// As [`check_query`].
pub(crate) fn check_insert(
    ctx: &Arc<QueryContext>,
    statement: &Statement,
    insert: &ast::Insert,
    declared: &[Option<SqlType>],
) -> Result<()> {
    let text = format!("{}{}", statement.before, statement.text);
    Analysis::new(ctx, &statement.before, &text, declared).insert(insert)
}

/// Refuses an UPDATE or DELETE that PostgreSQL refuses.
///
/// # Errors
/// As [`check_query`].
pub(crate) fn check_change(
    ctx: &Arc<QueryContext>,
    statement: &Statement,
    change: &Change,
    declared: &[Option<SqlType>],
) -> Result<()> {
    let text = format!("{}{}", statement.before, statement.text);
    Analysis::new(ctx, &statement.before, &text, declared).change(change)
}

/// Refuses a CREATE TABLE that PostgreSQL refuses.
///
/// # Errors
/// As [`check_query`].
pub(crate) fn check_table(ctx: &Arc<QueryContext>, statement: &Statement, table: &CreateTable) -> Result<()> {
    let text = format!("{}{}", statement.before, statement.text);
    Analysis::new(ctx, &statement.before, &text, &[]).table_definition(table)
}

/// Refuses a CREATE INDEX that PostgreSQL refuses.
///
/// # Errors
/// As [`check_query`].
pub(crate) fn check_index(
    ctx: &Arc<QueryContext>,
    statement: &Statement,
    index: &CreateIndex,
    table: &TableDef,
) -> Result<()> {
    let text = format!("{}{}", statement.before, statement.text);
    Analysis::new(ctx, &statement.before, &text, &[]).index_definition(index, table)
}

impl<'a> Analysis<'a> {
    fn new(ctx: &'a Arc<QueryContext>, before: &str, text: &'a str, declared: &'a [Option<SqlType>]) -> Analysis<'a> {
        Analysis {
            ctx,
            places: Places::new(text),
            skipped: before.chars().count(),
            declared,
            style: Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() },
            scopes: vec![],
            meant: HashMap::new(),
            aggregates: HashMap::new(),
            windows: vec![],
            first_terms: HashMap::new(),
            last_set: None,
            meanings: RefCell::default(),
            around: vec![],
        }
    }

    fn error(&self, code: SqlState, message: impl Into<String>, at: Location) -> Error {
        self.placed(Error::new(code, message), at)
    }

    /// An error of others, with its place.
    fn placed(&self, error: Error, at: Location) -> Error {
        match self.places.position(at) {
            Some(position) => error.position(position.saturating_sub(self.skipped).max(1)),
            None => error,
        }
    }

    /// An error at an expression.
    fn error_at(&self, code: SqlState, message: impl Into<String>, expr: &Expr) -> Error {
        self.error(code, message, self.places.start(expr))
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("a query is being looked at")
    }

    fn clause(&self) -> Clause {
        self.scopes.last().map_or(Clause::Select, |s| s.clause)
    }

    /// Does something in a clause.
    fn within<T>(&mut self, clause: Clause, work: impl FnOnce(&mut Analysis<'a>) -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.scope().clause, clause);
        let done = work(self);
        self.scope().clause = before;
        done
    }
}
