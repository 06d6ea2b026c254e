//! Finding what a statement names, with PostgreSQL's errors for each kind.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{RoleDef, SchemaDef, SequenceDef, TableDef, ViewDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{RoleId, SchemaId};
use sightline_storage::types::SqlType;

use crate::plan::{QueryContext, Relation, find_index, fold, resolve_relation};
use crate::session::Identity;

/// PostgreSQL's limit on the bytes of a name; longer ones are cut, as there.
const NAME_BYTES_MAX: usize = 63;

/// Refuses rows in columns: a record is no type of a column, and one of a relation's rows is not kept.
///
/// # Errors
/// 42P16, 0A000.
pub(super) fn no_row(column: &str, ty: &SqlType) -> Result<()> {
    if ty.is_record() {
        let array = if let SqlType::Array(_) = ty { "[]" } else { "" };
        let text = format!("column \"{column}\" has pseudo-type record{array}");
        return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
    }
    if ty.is_of_rows() {
        return Err(Error::unsupported("columns of the type of a relation's rows are not supported"));
    }
    Ok(())
}

/// A table to be changed.
///
/// # Errors
/// 42P01, 42809 for a view, 42501 for a relation of the system.
pub(crate) fn table(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Arc<TableDef>> {
    if let Some((table, id)) = find_index(ctx, name)?
        && let Some(index) = table.indexes.iter().find(|i| i.id == id)
    {
        return Err(wrong_kind(&index.name, "table"));
    }
    match in_schema(ctx, name)? {
        Relation::Table(table) => Ok(table),
        Relation::View(view) => Err(wrong_kind(&view.name, "table")),
        Relation::Sequence(sequence) => Err(wrong_kind(&sequence.name, "table")),
        Relation::System(_, name) => Err(system(&name)),
    }
}

/// A view to be changed.
///
/// # Errors
/// As [`table`].
pub(crate) fn view(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Arc<ViewDef>> {
    match in_schema(ctx, name)? {
        Relation::View(view) => Ok(view),
        Relation::Table(table) => Err(wrong_kind(&table.name, "view")),
        Relation::Sequence(sequence) => Err(wrong_kind(&sequence.name, "view")),
        Relation::System(_, name) => Err(system(&name)),
    }
}

/// A sequence to be changed.
///
/// # Errors
/// As [`table`].
pub(crate) fn sequence(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Arc<SequenceDef>> {
    match in_schema(ctx, name)? {
        Relation::Sequence(sequence) => Ok(sequence),
        Relation::Table(table) => Err(wrong_kind(&table.name, "sequence")),
        Relation::View(view) => Err(wrong_kind(&view.name, "sequence")),
        Relation::System(_, name) => Err(wrong_kind(&name, "sequence")),
    }
}

/// A relation; commands that change one tell of a schema that does not exist before they tell of the relation.
fn in_schema(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Relation> {
    resolve_relation(ctx, name).map_err(|e| {
        let schema = match name.0.as_slice() {
            [schema, _] if e.code() == SqlState::UNDEFINED_TABLE => schema.as_ident().map(fold),
            _ => None,
        };
        let missing = |s: &String| {
            let system = matches!(s.as_str(), "pg_catalog" | "information_schema" | "sys" | "pg_temp");
            !system && !ctx.snapshot.catalog.schemas.contains_key(s)
        };
        match schema.filter(missing) {
            Some(schema) => Error::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")),
            None => e,
        }
    })
}

fn wrong_kind(name: &str, kind: &str) -> Error {
    Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a {kind}"))
}

fn system(name: &str) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied: \"{name}\" is a system catalog"))
}

/// A schema of the tenant.
///
/// # Errors
/// 3F000.
pub(crate) fn schema(ctx: &QueryContext, name: &str) -> Result<Arc<SchemaDef>> {
    ctx.snapshot
        .catalog
        .schemas
        .get(name)
        .cloned()
        .ok_or_else(|| Error::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist")))
}

/// The schema with this id, which the catalog has.
pub(crate) fn schema_by_id(ctx: &QueryContext, id: SchemaId) -> Result<Arc<SchemaDef>> {
    ctx.snapshot.catalog.schema(id).cloned().ok_or_else(|| Error::internal(format!("schema {id} is missing")))
}

/// A role that can own things: the tenant's, or an operator's.
///
/// # Errors
/// 42704.
pub(crate) fn role(ctx: &QueryContext, name: &str) -> Result<Arc<RoleDef>> {
    let own = ctx.snapshot.catalog.roles.get(name);
    own.or_else(|| ctx.meta.roles.get(name))
        .cloned()
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

/// The id of a role by name; CURRENT_USER and its kin are the own one.
///
/// # Errors
/// 42704.
pub(crate) fn owner(ctx: &QueryContext, name: &str) -> Result<RoleId> {
    match name {
        "current_user" | "session_user" | "current_role" => Ok(ctx.identity.role),
        _ => Ok(role(ctx, name)?.id),
    }
}

/// The last part of a name, folded.
pub(crate) fn last(name: &ast::ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
}

/// A name with one part only, e.g. of a schema.
///
/// # Errors
/// 42601 for a qualified one.
pub(crate) fn single(name: &ast::ObjectName, identity: &Identity) -> Result<String> {
    let parts = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect::<Vec<_>>();
    match parts.as_slice() {
        [name] => Ok(name.clone()),
        [tenant, name] if *tenant == identity.tenant_name => Ok(name.clone()),
        _ => Err(Error::new(SqlState::SYNTAX_ERROR, format!("improper qualified name: {name}"))),
    }
}

/// A new name, cut to what PostgreSQL allows.
///
/// # Errors
/// 42601 for an empty one.
pub(crate) fn new_name(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "zero-length delimited identifier"));
    }
    let end = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|n| name.is_char_boundary(*n)).unwrap_or_default();
    Ok(name[..end].to_string())
}

/// A name as it would be written: in quotes if it needs them.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let simple = name.chars().all(plain) && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if simple { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
