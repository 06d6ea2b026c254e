//! Foreign keys: said, checked as definitions, stored and shown, but not held against rows
//! (<https://www.postgresql.org/docs/15/ddl-constraints.html#DDL-CONSTRAINTS-FK>).

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::index::INDEX_COLUMNS_MAX;
use sightline_storage::catalog::{ForeignKeyDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{ColumnId, TableId};
use sightline_storage::types::SqlType;

use super::super::{index, names};
use super::keys::{free_name, joined, not_taken};
use crate::answer::Notice;
use crate::parser::key::{KeyClause, KeyRule};
use crate::plan::{QueryContext, Relation, fold, resolve_relation};
use crate::session::Session;
use crate::session::temporary::is_temporary;

/// PostgreSQL's `invalid_foreign_key`.
const INVALID_FOREIGN_KEY: SqlState = SqlState::new("42830");

/// Adds a foreign key to the definition.
///
/// # Errors
/// 42P01, 42809, 42P16, 42703, 42704, 42830, 42804, 42710.
pub(super) fn add(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    clause: &KeyClause,
) -> Result<()> {
    let KeyRule::Foreign { table: to, columns, on_update, on_delete, set_columns, match_full } = &clause.rule else {
        return Err(Error::internal("a foreign key says what it refers to"));
    };
    let referenced = referenced(ctx, table, to)?;
    temporary_alike(ctx, table, &referenced)?;
    let own = ids(table, &clause.columns)?;
    let theirs = if columns.is_empty() {
        let key = referenced.primary_key().and_then(|i| i.key_columns());
        key.ok_or_else(|| {
            let text = format!("there is no primary key for referenced table \"{}\"", referenced.name);
            Error::new(SqlState::UNDEFINED_OBJECT, text)
        })?
    } else {
        let theirs = ids(&referenced, columns)?;
        if (1..theirs.len()).any(|n| theirs[..n].contains(&theirs[n])) {
            let text = "foreign key referenced-columns list must not contain duplicates";
            return Err(Error::new(INVALID_FOREIGN_KEY, text));
        }
        theirs
    };
    let set = set_columns.iter().map(|name| set_column(table, &clause.columns, name)).collect::<Result<_>>()?;
    if !columns.is_empty() && referenced.referable(&theirs).is_none() {
        let name = &referenced.name;
        let text = format!("there is no unique constraint matching given keys for referenced table \"{name}\"");
        return Err(Error::new(INVALID_FOREIGN_KEY, text));
    }
    if own.len() != theirs.len() {
        let text = "number of referencing and referenced columns for foreign key disagree";
        return Err(Error::new(INVALID_FOREIGN_KEY, text));
    }
    let name = match &clause.name {
        Some(name) => {
            let name = names::new_name(name)?;
            not_taken(table, &name)?;
            name
        }
        None => {
            let columns = joined(clause.columns.iter().map(String::as_str));
            free_name(ctx, table, Some(&columns), "fkey", (false, true))
        }
    };
    for (own, theirs) in own.iter().zip(&theirs) {
        let (Some(own), Some(theirs)) = (table.column_by_id(*own), referenced.column_by_id(*theirs)) else { continue };
        if !comparable(&own.ty, &theirs.ty) {
            let text = format!("foreign key constraint \"{name}\" cannot be implemented");
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, text).detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                own.name, theirs.name, own.ty, theirs.ty
            )));
        }
    }
    let text = format!("foreign key constraint \"{name}\" is not enforced");
    session.notice(
        Notice::new(SqlState::new("00000"), text).detail("It is stored and shown, but rows are not held against it."),
    );
    table.foreign_keys.push(ForeignKeyDef {
        name,
        columns: own,
        references: referenced.id,
        referenced: theirs,
        on_update: *on_update,
        on_delete: *on_delete,
        set_columns: set,
        match_full: *match_full,
        deferrable: clause.deferrable,
        deferred: clause.deferred,
        validated: !clause.not_valid,
        comment: None,
    });
    Ok(())
}

/// The table that a foreign key refers to; the one that is being made or altered is as it will be.
fn referenced(ctx: &QueryContext, table: &TableDef, name: &ast::ObjectName) -> Result<TableDef> {
    let schema = name.0.iter().rev().nth(1).and_then(|p| p.as_ident()).map(fold);
    let own_schema = || ctx.snapshot.catalog.schema(table.schema).map(|s| s.name.clone());
    let itself =
        table.id == TableId(0) && names::last(name) == table.name && (schema.is_none() || schema == own_schema());
    if itself {
        return Ok(table.clone());
    }
    match resolve_relation(ctx, name)? {
        Relation::Table(found) if found.id == table.id => Ok(table.clone()),
        Relation::Table(found) => Ok((*found).clone()),
        Relation::View(view) => {
            let text = format!("referenced relation \"{}\" is not a table", view.name);
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text))
        }
        Relation::Sequence(sequence) => {
            let text = format!("referenced relation \"{}\" is not a table", sequence.name);
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text))
        }
        Relation::System(_, name) => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{name}\" is a system catalog"),
        )),
    }
}

fn temporary_alike(ctx: &QueryContext, table: &TableDef, referenced: &TableDef) -> Result<()> {
    let temporary = |t: &TableDef| ctx.snapshot.catalog.schema(t.schema).is_some_and(|s| is_temporary(&s.name));
    let text = match (temporary(table), temporary(referenced)) {
        (false, true) => "constraints on permanent tables may reference only permanent tables",
        (true, false) => "constraints on temporary tables may reference only temporary tables",
        _ => return Ok(()),
    };
    Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text))
}

fn ids(table: &TableDef, columns: &[String]) -> Result<Vec<ColumnId>> {
    if columns.len() > INDEX_COLUMNS_MAX {
        let text = format!("cannot have more than {INDEX_COLUMNS_MAX} keys in a foreign key");
        return Err(Error::new(SqlState::TOO_MANY_COLUMNS, text));
    }
    let id = |name: &String| {
        table.column(name).map(|c| c.id).ok_or_else(|| {
            let text = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            Error::new(SqlState::UNDEFINED_COLUMN, text)
        })
    };
    columns.iter().map(id).collect()
}

fn set_column(table: &TableDef, key: &[String], name: &String) -> Result<ColumnId> {
    let id = ids(table, std::slice::from_ref(name))?[0];
    if key.contains(name) {
        return Ok(id);
    }
    let text = format!("column \"{name}\" referenced in ON DELETE SET action must be part of foreign key");
    Err(Error::new(SqlState::new("42P10"), text))
}

/// Whether PostgreSQL has an operator that holds a value of `own` against a key of type `key`: one of their family, or the
/// key's own after a cast that goes by itself.
fn comparable(own: &SqlType, key: &SqlType) -> bool {
    use SqlType as T;
    let (own, key) = (index::plain(own), index::plain(key));
    let integer = |t: &T| matches!(t, T::SmallInt | T::Integer | T::BigInt);
    let text = |t: &T| matches!(t, T::Text | T::Varchar(_) | T::Char(_));
    let time = |t: &T| matches!(t, T::Date | T::Timestamp | T::TimestampTz);
    let same = std::mem::discriminant(&own) == std::mem::discriminant(&key);
    match (&own, &key) {
        (T::Array(own), T::Array(key)) => index::plain(own) == index::plain(key),
        (T::Enum(_) | T::Composite(_), _) => own.oid() == key.oid(),
        (T::Numeric(_), T::Real | T::Double) => true,
        (T::Time, T::Interval) => true,
        _ if same => true,
        (own, T::Numeric(_) | T::Real | T::Double) if integer(own) => true,
        (T::Real | T::Double, T::Real | T::Double) => true,
        (own, key) => (integer(own) && integer(key)) || (text(own) && text(key)) || (time(own) && time(key)),
    }
}
