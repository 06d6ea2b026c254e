//! The catalog as relations and functions: `pg_catalog`, `information_schema` and `sys`, all made from the statement's
//! own snapshot, so that they agree with what the statement reads.
//!
//! Columns, types and OIDs of the relations are PostgreSQL 15's (`pg_catalog/relations.tsv`, exported from it by
//! `tests/oracle/export_catalog.sh`). A relation that has a builder shows our objects; any other exists and is empty,
//! because one missing relation breaks a whole panel of a client. Nothing here looks at the text of a statement.
//!
//! The way of a scan: [`system_table`] finds the [`relation`]; its [`provider`] calls the builder when the plan is made
//! physical; the builder fills [`rows`]; DataFusion filters them. Functions that need session or catalog
//! ([`system_function`]) are made for each statement and hold its [`QueryContext`].

mod deparse;
mod functions;
mod indexdef;
mod information_schema;
mod names;
mod objects;
mod pg_catalog;
mod provider;
mod relation;
mod rows;
mod system;
pub mod table;

pub(crate) use indexdef::keys as index_keys;
pub(crate) use objects::predefined_roles;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::logical_expr::ScalarUDF;

use crate::plan::QueryContext;

/// The relation of the system with this name, over the statement's snapshot; none if there is none.
pub fn system_table(ctx: &Arc<QueryContext>, schema: &str, name: &str) -> Option<Arc<dyn TableProvider>> {
    let relation = relation::find(schema, name)?;
    Some(Arc::new(provider::SystemTable::new(ctx.clone(), relation)))
}

/// Whether the schema of the system has this relation.
pub fn is_system_relation(schema: &str, name: &str) -> bool {
    relation::find(schema, name).is_some()
}

/// Whether a relation of the system is a view in PostgreSQL.
pub fn is_system_view(schema: &str, name: &str) -> bool {
    relation::find(schema, name).is_some_and(|r| r.kind == "v")
}

/// Schema and name of all relations of the system.
pub fn system_relations() -> impl Iterator<Item = (&'static str, &'static str)> {
    relation::all().iter().map(|r| (r.schema, r.name))
}

/// `pg_class.oid` of a relation of the system, which is what its `tableoid` would answer.
pub fn relation_oid(schema: &str, name: &str) -> Option<u32> {
    relation::find(schema, name).map(|r| r.oid)
}

/// The folded parts of a name as `regclass` reads it.
///
/// # Errors
/// 42602 for what is no name.
pub(crate) fn split_name(text: &str) -> sightline_storage::error::Result<Vec<String>> {
    names::split(text)
}

/// The OID of the relation that a text names, as `regclass` reads it.
///
/// # Errors
/// 42P01, 42602.
pub(crate) fn relation_named(ctx: &QueryContext, text: &str) -> sightline_storage::error::Result<u32> {
    names::regclass_in(ctx, text)
}

/// The name of the relation with this OID.
pub(crate) fn relation_name(ctx: &QueryContext, oid: u32) -> Option<String> {
    objects::relation(ctx, oid).map(|object| object.name().to_string())
}

/// A relation as `regclass` prints it: with its schema unless the search finds it.
pub(crate) fn relation_shown(ctx: &QueryContext, oid: u32) -> String {
    names::regclass_out(ctx, oid)
}

/// OID and number of a column of a relation of the system.
pub(crate) fn column_origin(schema: &str, name: &str, column: &str) -> Option<(u32, i16)> {
    let relation = relation::find(schema, name)?;
    let at = relation.columns.iter().position(|c| c.name == column)?;
    Some((relation.oid, i16::try_from(at + 1).ok()?))
}

/// Whether this column of a relation of the system is an `int2vector` or `oidvector`.
pub(crate) fn is_vector(relation: u32, number: i16) -> bool {
    let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    let system = relation < sightline_storage::ids::FIRST_USER_OID;
    system && at.is_some_and(|n| relation::by_oid(relation).is_some_and(|r| r.columns.get(n).is_some_and(|c| c.vector)))
}

/// A function that needs the catalog or the session, bound to this statement; none if there is none of that name.
pub fn system_function(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    functions::find(ctx, name)
}

/// The names of all functions that [`system_function`] knows.
pub fn system_function_names() -> impl Iterator<Item = &'static str> {
    functions::names()
}

/// Whether PostgreSQL has functions of this name, and none of them is immutable.
pub(crate) fn is_never_immutable(name: &str) -> bool {
    const KEYWORDS: [&str; 11] = [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "user",
    ];
    KEYWORDS.contains(&name) || pg_catalog::pg_proc::is_never_immutable(name)
}

/// Whether there is a collation of this name; those of ICU are taken, and sort by code point as all do.
pub(crate) fn is_collation(name: &str) -> bool {
    matches!(name, "default" | "C" | "POSIX" | "C.UTF-8" | "C.utf8" | "ucs_basic") || name.ends_with("-x-icu")
}

/// The columns of a relation of the system.
pub(crate) fn system_columns(schema: &str, name: &str) -> impl Iterator<Item = &'static str> {
    relation::find(schema, name).into_iter().flat_map(|r| r.columns.iter().map(|c| c.name))
}

/// `typcategory` and `typispreferred` of a built-in type.
pub(crate) fn type_category(oid: u32) -> Option<(char, bool)> {
    pg_catalog::pg_type::by_oid(oid).map(|t| (t.category.chars().next().unwrap_or('X'), t.preferred))
}

/// The element type of a built-in array type.
pub(crate) fn type_element(oid: u32) -> Option<u32> {
    pg_catalog::pg_type::by_oid(oid).filter(|t| t.is_array()).map(|t| t.item)
}

/// The array type over a built-in type.
pub(crate) fn type_array(oid: u32) -> Option<u32> {
    pg_catalog::pg_type::by_oid(oid).map(|t| t.array).filter(|a| *a != 0)
}

/// A built-in type as messages name it.
pub(crate) fn type_shown(oid: u32) -> Option<String> {
    pg_catalog::pg_type::format(oid, None)
}

/// The OID of a built-in type by its internal name, such as `int4`.
pub(crate) fn type_by_name(name: &str) -> Option<u32> {
    pg_catalog::pg_type::oid_by_name(name)
}

/// What builds a relation's rows.
type Build =
    fn(&QueryContext, &'static relation::Relation) -> sightline_storage::error::Result<arrow::array::RecordBatch>;
