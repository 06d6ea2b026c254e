//! What ALTER TABLE does to constraints and indexes that are there, and what goes with a column or an index that is dropped.

use std::borrow::Cow;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::catalog::{IndexDef, IndexKey, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::ColumnId;

use super::super::names;
use super::keys::is_relation;
use crate::answer::Notice;
use crate::parser;
use crate::parser::key::KeyClause;
use crate::plan::{QueryContext, fold};
use crate::session::Session;

fn missing(table: &TableDef, name: &str) -> Error {
    let text = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
    Error::new(SqlState::UNDEFINED_OBJECT, text)
}

/// Takes a constraint out of the definition; with `cascade` also the foreign keys that refer to it.
///
/// # Errors
/// 42704, 2BP01.
pub(super) fn drop(
    session: &mut Session,
    ctx: &QueryContext,
    table: &mut TableDef,
    name: &str,
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    if table.checks.iter().any(|c| c.name == name) {
        table.checks.retain(|c| c.name != name);
        return Ok(());
    }
    if table.foreign_keys.iter().any(|f| f.name == name) {
        table.foreign_keys.retain(|f| f.name != name);
        return Ok(());
    }
    if let Some(index) = table.indexes.iter().find(|i| i.constraint.is_some() && i.name == name) {
        let id = index.id;
        let what = format!("constraint {name} on table {}", names::quoted(&table.name));
        table.indexes.retain(|i| i.id != id || i.name != name);
        return drop_broken(session, ctx, table, &what, &format!("index {name}"), cascade);
    }
    let e = missing(table, name);
    if !if_exists {
        return Err(e);
    }
    session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
    Ok(())
}

/// Sees to the foreign keys that refer to a key that `table` is about to have no more: with `cascade` they go with `what`, those
/// of other tables by apply. `on` is what they depend on.
///
/// # Errors
/// 2BP01 without `cascade`.
pub(in crate::statement) fn drop_broken(
    session: &mut Session,
    ctx: &QueryContext,
    table: &mut TableDef,
    what: &str,
    on: &str,
    cascade: bool,
) -> Result<()> {
    let now = table.clone();
    let broken = |columns: &[ColumnId]| now.referable(columns).is_none();
    let own = table.foreign_keys.iter().filter(|f| f.references == now.id && broken(&f.referenced));
    let own = own.map(|f| (f.name.clone(), now.name.clone()));
    let others = ctx.snapshot.catalog.referring(now.id).filter(|(_, f)| broken(&f.referenced));
    let mut others = others.collect::<Vec<_>>();
    others.sort_by_key(|(t, _)| t.id);
    let keys = own.chain(others.iter().map(|(t, f)| (f.name.clone(), t.name.clone()))).collect::<Vec<_>>();
    let shown = keys.iter().map(|(key, of)| format!("constraint {key} on table {}", names::quoted(of)));
    let shown = shown.collect::<Vec<_>>();
    if !shown.is_empty() && !cascade {
        let lines = shown.iter().map(|s| format!("{s} depends on {on}")).collect::<Vec<_>>();
        return Err(still_needed(what, &lines));
    }
    tell(session, &shown);
    table.foreign_keys.retain(|f| f.references != now.id || !broken(&f.referenced));
    Ok(())
}

/// 2BP01.
pub(in crate::statement) fn still_needed(what: &str, lines: &[String]) -> Error {
    let text = format!("cannot drop {what} because other objects depend on it");
    Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text)
        .detail(lines.join("\n"))
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// Tells what CASCADE drops.
pub(super) fn tell(session: &mut Session, dropped: &[String]) {
    let lines = dropped.iter().map(|d| format!("drop cascades to {d}")).collect::<Vec<_>>();
    let ok = SqlState::new("00000");
    session.notice(match lines.as_slice() {
        [] => return,
        [one] => Notice::new(ok, one.clone()),
        many => Notice::new(ok, format!("drop cascades to {} other objects", many.len())).detail(many.join("\n")),
    });
}

/// RENAME CONSTRAINT; that of a key is its index's name, too.
///
/// # Errors
/// 42704, 42710, 42P07.
pub(super) fn rename(ctx: &QueryContext, table: &mut TableDef, old: &str, new: &str) -> Result<()> {
    let new = names::new_name(new)?;
    if !table.has_constraint(old) {
        let text = format!("constraint \"{old}\" for table \"{}\" does not exist", table.name);
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, text));
    }
    let of_index = table.index(old).is_some_and(|i| i.constraint.is_some());
    if of_index && is_relation(ctx, table, &new) {
        return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{new}\" already exists")));
    }
    super::keys::not_taken(table, &new)?;
    if of_index {
        table.indexes.iter_mut().filter(|i| i.name == old).for_each(|i| i.name = new.clone());
        return Ok(());
    }
    table.checks.iter_mut().filter(|c| c.name == old).for_each(|c| c.name = new.clone());
    table.foreign_keys.iter_mut().filter(|f| f.name == old).for_each(|f| f.name = new.clone());
    Ok(())
}

/// VALIDATE CONSTRAINT.
///
/// # Errors
/// 42704, 42809.
pub(super) fn validate(table: &mut TableDef, name: &str) -> Result<()> {
    if let Some(key) = table.foreign_keys.iter_mut().find(|f| f.name == name) {
        key.validated = true;
        return Ok(());
    }
    if table.checks.iter().any(|c| c.name == name) {
        return Ok(());
    }
    Err(wrong(table, name, "foreign key or check constraint"))
}

fn wrong(table: &TableDef, name: &str, kind: &str) -> Error {
    if !table.has_constraint(name) {
        return missing(table, name);
    }
    let text = format!("constraint \"{name}\" of relation \"{}\" is not a {kind}", table.name);
    Error::new(SqlState::WRONG_OBJECT_TYPE, text)
}

/// ALTER CONSTRAINT: when a foreign key is looked at.
///
/// # Errors
/// 42704, 42809.
pub(super) fn alter(table: &mut TableDef, clause: &KeyClause) -> Result<()> {
    let name = clause.name.as_deref().unwrap_or_default();
    match table.foreign_keys.iter_mut().find(|f| f.name == name) {
        Some(key) => {
            (key.deferrable, key.deferred) = (clause.deferrable, clause.deferred);
            Ok(())
        }
        None => Err(wrong(table, name, "foreign key constraint")),
    }
}

/// CLUSTER ON, SET WITHOUT CLUSTER: which index CLUSTER goes by. Where rows lie is said by CLUSTER BY of the table.
///
/// # Errors
/// 42704.
pub(in crate::statement) fn cluster_on(table: &mut TableDef, index: Option<&str>) -> Result<()> {
    if let Some(name) = index.filter(|name| table.index(name).is_none()) {
        let text = format!("index \"{name}\" for table \"{}\" does not exist", table.name);
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, text));
    }
    for i in &mut table.indexes {
        i.clustered = index == Some(i.name.as_str());
    }
    Ok(())
}

/// Takes away what rests on a column that is already gone from `table`: its indexes and foreign keys.
///
/// # Errors
/// 2BP01 without `cascade`, if foreign keys refer to it; 42601 for a damaged definition.
pub(super) fn without_column(
    session: &mut Session,
    ctx: &QueryContext,
    table: &mut TableDef,
    (id, name): (ColumnId, &str),
    cascade: bool,
) -> Result<()> {
    let mut kept = Vec::with_capacity(table.indexes.len());
    for index in std::mem::take(&mut table.indexes) {
        if !index.has_column(id) && !texts(&index).map(|text| mentions(text, name)).any(|m| m.unwrap_or(false)) {
            kept.push(index);
        }
    }
    table.indexes = kept;
    table.foreign_keys.retain(|f| !f.columns.contains(&id));
    let quoted = names::quoted(&table.name);
    let what = format!("column {} of table {quoted}", names::quoted(name));
    drop_broken(session, ctx, table, &what, &what, cascade)
}

/// The expressions of an index.
fn texts(index: &IndexDef) -> impl Iterator<Item = &str> {
    let keys = index.columns.iter().filter_map(|c| match &c.key {
        IndexKey::Expression { sql, .. } => Some(sql.as_str()),
        IndexKey::Column(_) => None,
    });
    keys.chain(index.predicate.as_deref())
}

/// Whether an expression over the table names a column.
fn mentions(text: &str, column: &str) -> Result<bool> {
    let found = ast::visit_expressions(&parser::parse_expr(text)?, |e| {
        let named = match e {
            ast::Expr::Identifier(ident) => Some(ident),
            ast::Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if named.is_some_and(|i| fold(i) == column) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    Ok(found.is_break())
}

/// The expression with a column's new name.
///
/// # Errors
/// 42601 for a damaged definition.
pub(super) fn renamed(text: &str, from: &str, to: &str) -> Result<String> {
    let mut expr = parser::parse_expr(text)?;
    let rename = |ident: &mut ast::Ident| {
        if fold(ident) == from {
            let plain = matches!(quote_ident(to), Cow::Borrowed(_));
            *ident = if plain { ast::Ident::new(to) } else { ast::Ident::with_quote('"', to) };
        }
    };
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut expr, |e| {
        match e {
            ast::Expr::Identifier(ident) => rename(ident),
            ast::Expr::CompoundIdentifier(parts) => parts.last_mut().into_iter().for_each(rename),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    Ok(expr.to_string())
}

/// Renames a column in the expressions of indexes.
///
/// # Errors
/// As [`renamed`].
pub(super) fn rename_in_indexes(table: &mut TableDef, from: &str, to: &str) -> Result<()> {
    for index in &mut table.indexes {
        for column in &mut index.columns {
            if let IndexKey::Expression { sql, .. } = &mut column.key {
                *sql = renamed(sql, from, to)?;
            }
        }
        if let Some(predicate) = &mut index.predicate {
            *predicate = renamed(predicate, from, to)?;
        }
    }
    Ok(())
}
