//! Names: how identifiers fold, and how `search_path` finds what they stand for. Nothing outside the session's tenant
//! can be named.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{ColumnId, IndexId, SchemaId, TableId};
use sightline_storage::types::SqlType;

use super::{QueryContext, Relation};
use crate::exec::scan::Place;
use crate::session::temporary::is_temporary;

/// Schemas of the system, which every search finds; `pg_catalog` is searched first even if `search_path` has not got it.
pub(super) const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "sys"];

/// What the schema of a session's temporary relations is called in it; its name is this, `_`, and the process id.
pub(crate) const TEMPORARY: &str = "pg_temp";

/// An identifier as PostgreSQL folds it in UTF-8: letters of ASCII to lower case unless quoted.
pub fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// The parts of a qualified name, folded.
///
/// # Errors
/// 42601 for a part that is not an identifier.
pub(super) fn parts(name: &ast::ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => Ok(fold(ident)),
            None => Err(Error::new(SqlState::SYNTAX_ERROR, format!("improper qualified name: {name}"))),
        })
        .collect()
}

/// Splits a name into schema, if given, and name; a third part in front must be the tenant's name.
fn schema_and_name(ctx: &QueryContext, name: &[String]) -> Result<(Option<String>, String)> {
    match name {
        [name] => Ok((None, name.clone())),
        [schema, name] => Ok((Some(schema.clone()), name.clone())),
        [tenant, schema, name] if *tenant == ctx.identity.tenant_name => Ok((Some(schema.clone()), name.clone())),
        [_, _, _] => {
            Err(Error::unsupported(format!("cross-database references are not implemented: \"{}\"", name.join("."))))
        }
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!("improper qualified name (too many dotted names): {}", name.join(".")),
        )),
    }
}

/// What the name of a table begins with that is to be read with the places of its rows: nothing that a user would write.
const TARGET: &str = "\u{2}target ";

/// The name by which a table is found with the places of its rows, as two hidden columns behind its own.
pub(crate) fn target_name(table: TableId) -> String {
    format!("{TARGET}{table}")
}

/// What the name of a table begins with of which only those rows are to be read that a statement is writing.
const WRITTEN: &str = "\u{2}written ";

/// The name by which the rows are found that a statement is writing to a table.
pub(crate) fn written_name(table: TableId) -> String {
    format!("{WRITTEN}{table}")
}

/// Whether a relation's name is that of rows being written.
pub(super) fn is_written(name: &str) -> bool {
    name.starts_with(WRITTEN)
}

/// The table that [`target_name`] stands for.
fn target(ctx: &QueryContext, name: &[String]) -> Option<Relation> {
    let [name] = name else { return None };
    if let Some(id) = name.strip_prefix(WRITTEN) {
        let id = TableId(id.parse().ok()?);
        return Some(Relation::Table(ctx.snapshot.tables.get(&id)?.def.clone()));
    }
    let id = TableId(name.strip_prefix(TARGET)?.parse().ok()?);
    let mut table = TableDef::clone(&ctx.snapshot.tables.get(&id)?.def);
    let hidden = |name: &str| ColumnDef {
        id: ColumnId(0),
        name: name.to_string(),
        stored_name: name.to_string(),
        ty: SqlType::BigInt,
        not_null: true,
        default: None,
        missing: None,
        comment: None,
        identity: None,
        generated: None,
    };
    table.columns.extend([hidden(Place::PART), hidden(Place::POSITION)]);
    Some(Relation::Table(Arc::new(table)))
}

/// Finds a relation by its folded parts, through `path`.
///
/// # Errors
/// 42P01 if there is none; 0A000 for another tenant's.
pub(super) fn find_relation(ctx: &QueryContext, path: &[String], name: &[String]) -> Result<Relation> {
    if let Some(target) = target(ctx, name) {
        return Ok(target);
    }
    let (schema, relation) = schema_and_name(ctx, name)?;
    let missing = || {
        let written = schema.iter().map(|s| format!("{s}.")).collect::<String>();
        Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{written}{relation}\" does not exist"))
    };
    if let Some(schema) = &schema {
        if is_temporary(schema) && *schema != ctx.temporary_name() {
            return Err(Error::unsupported("cannot access temporary tables of other sessions"));
        }
        return in_schema(ctx, schema, &relation).ok_or_else(|| no_rows(ctx, path, name).unwrap_or_else(missing));
    }
    // Temporary relations that the path doesn't name come even before those of the system.
    let (first, rest) = match path {
        [first, rest @ ..] if first == TEMPORARY => (Some(first), rest),
        path => (None, path),
    };
    if let Some(found) = first.and_then(|schema| in_schema(ctx, schema, &relation)) {
        return Ok(found);
    }
    if !rest.iter().any(|s| s == "pg_catalog")
        && let Some(found) = in_schema(ctx, "pg_catalog", &relation)
    {
        return Ok(found);
    }
    let found = rest.iter().find_map(|schema| in_schema(ctx, schema, &relation));
    found.ok_or_else(|| no_rows(ctx, path, name).unwrap_or_else(missing))
}

/// 42809 for an index, which has no rows to be read.
fn no_rows(ctx: &QueryContext, path: &[String], name: &[String]) -> Option<Error> {
    let (table, id) = index_of(ctx, path, name).ok()??;
    let index = table.indexes.iter().find(|i| i.id == id)?;
    Some(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is an index", index.name)))
}

/// Finds an index by its folded parts: its table, and which of its indexes it is.
fn index_of(ctx: &QueryContext, path: &[String], name: &[String]) -> Result<Option<(Arc<TableDef>, IndexId)>> {
    let (schema, index) = schema_and_name(ctx, name)?;
    let catalog = &ctx.snapshot.catalog;
    let in_schema = |schema: &String| {
        let id = match schema.as_str() {
            TEMPORARY => catalog.schemas.get(&ctx.temporary_name())?.id,
            schema => catalog.schemas.get(schema)?.id,
        };
        catalog.index_named(id, &index).map(|(table, index)| (table.clone(), index.id))
    };
    Ok(match &schema {
        Some(schema) => in_schema(schema),
        None => path.iter().find_map(in_schema),
    })
}

/// Finds an index by its name as written; none if there is none.
///
/// # Errors
/// 42601, 0A000 for what is no name.
pub fn find_index(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Option<(Arc<TableDef>, IndexId)>> {
    index_of(ctx, &ctx.relation_path(), &parts(name)?)
}

/// As [`find_index`], by folded parts.
///
/// # Errors
/// As [`find_index`].
pub fn find_index_by_parts(ctx: &QueryContext, parts: &[String]) -> Result<Option<(Arc<TableDef>, IndexId)>> {
    index_of(ctx, &ctx.relation_path(), parts)
}

fn in_schema(ctx: &QueryContext, schema: &str, name: &str) -> Option<Relation> {
    if let Some(system) = SYSTEM_SCHEMAS.iter().find(|s| **s == schema) {
        return crate::catalog::is_system_relation(system, name).then(|| Relation::System(system, name.to_string()));
    }
    let catalog = &ctx.snapshot.catalog;
    let id = match schema {
        TEMPORARY => catalog.schemas.get(&ctx.temporary_name())?.id,
        schema => catalog.schemas.get(schema)?.id,
    };
    let key = (id, name.to_string());
    if let Some(table) = catalog.tables.get(&key) {
        return Some(Relation::Table(table.clone()));
    }
    if let Some(sequence) = catalog.sequences.get(&key) {
        return Some(Relation::Sequence(sequence.clone()));
    }
    catalog.views.get(&key).map(|view| Relation::View(view.clone()))
}

/// Finds a relation by its name as written.
///
/// # Errors
/// As [`find_relation`].
pub fn resolve_relation(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Relation> {
    find_relation(ctx, &ctx.relation_path(), &parts(name)?)
}

/// The name of a new temporary relation, if CREATE says so by itself or by the schema it names.
///
/// # Errors
/// 42P16 for a temporary relation in a schema that holds others.
pub fn resolve_temporary(ctx: &QueryContext, name: &ast::ObjectName, temporary: bool) -> Result<Option<String>> {
    let (schema, relation) = schema_and_name(ctx, &parts(name)?)?;
    match schema {
        Some(schema) if schema == TEMPORARY || schema == ctx.temporary_name() => Ok(Some(relation)),
        Some(_) if temporary => {
            let text = "cannot create temporary relation in non-temporary schema";
            Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text))
        }
        None if temporary => Ok(Some(relation)),
        _ => Ok(None),
    }
}

/// Where CREATE puts a relation: the named schema, or the first of `search_path` that exists.
///
/// # Errors
/// 3F000 if there is no such schema, 42501 for a schema of the system.
pub fn resolve_creation(ctx: &QueryContext, name: &ast::ObjectName) -> Result<(SchemaId, String)> {
    let (schema, relation) = schema_and_name(ctx, &parts(name)?)?;
    let schemas = &ctx.snapshot.catalog.schemas;
    if let Some(schema) = schema {
        if SYSTEM_SCHEMAS.contains(&schema.as_str()) {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create \"{schema}.{relation}\""),
            )
            .detail("System catalog modifications are currently disallowed."));
        }
        let Some(def) = schemas.get(&schema) else {
            return Err(Error::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")));
        };
        return Ok((def.id, relation));
    }
    let first = ctx.search_path().iter().find_map(|s| schemas.get(s)).map(|s| s.id);
    first
        .map(|id| (id, relation))
        .ok_or_else(|| Error::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in"))
}
