//! `information_schema`: the standard's view of the catalog, with PostgreSQL's names of types. It shows only what the
//! session's role has some right on, as the standard wants.

mod check_constraints;
mod columns;
mod constraint_column_usage;
mod key_column_usage;
mod referential_constraints;
mod roles;
mod schemata;
mod sequences;
mod table_constraints;
mod tables;
mod views;

pub(super) use constraint_column_usage::names;

use sightline_storage::catalog::TableDef;
use sightline_storage::ids::RoleId;

use super::Build;
use super::objects::{self, Object};
use crate::plan::QueryContext;

/// What builds the rows of this relation; none if it is always empty.
pub(super) fn builder(name: &str) -> Option<Build> {
    Some(match name {
        "applicable_roles" => return None,
        "character_sets" => schemata::build_character_sets,
        "check_constraints" => check_constraints::build,
        "columns" => columns::build,
        "constraint_column_usage" => constraint_column_usage::build,
        "enabled_roles" => roles::build,
        "information_schema_catalog_name" => schemata::build_catalog_name,
        "key_column_usage" => key_column_usage::build,
        "referential_constraints" => referential_constraints::build,
        "schemata" => schemata::build,
        "sequences" => sequences::build,
        "table_constraints" => table_constraints::build,
        "tables" => tables::build,
        "views" => views::build,
        _ => return None,
    })
}

/// `CHECK (…)` as `pg_get_constraintdef` prints it: one pair of brackets more unless it is to be pretty.
pub(super) fn check_clause(expr: &str, pretty: bool) -> String {
    if pretty { format!("CHECK ({expr})") } else { format!("CHECK (({expr}))") }
}

/// The standard's boolean.
fn yes_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}

/// Whether the session's role may know of what this role owns.
fn shown(ctx: &QueryContext, owner: RoleId) -> bool {
    ctx.identity.superuser || ctx.identity.owner || ctx.identity.role == owner
}

/// The tenant's relations that the session may know of, then the system's.
fn relations(ctx: &QueryContext) -> impl Iterator<Item = Object<'_>> {
    objects::relations(ctx).filter(|o| matches!(o, Object::System(_)) || shown(ctx, o.owner()))
}

/// A NOT NULL as the constraint that the standard makes of it, under PostgreSQL's made-up name.
fn not_nulls(table: &TableDef) -> impl Iterator<Item = (String, &str)> {
    let columns = table.columns.iter().filter(|c| c.not_null);
    columns.map(|c| (format!("{}_{}_{}_not_null", table.schema, table.id, c.id), c.name.as_str()))
}
