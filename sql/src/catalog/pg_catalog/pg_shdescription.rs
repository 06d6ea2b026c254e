//! `pg_shdescription`: comments on tenants and roles.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_class.oid` of `pg_database`.
pub(in crate::catalog) const PG_DATABASE: u32 = 1262;
/// `pg_class.oid` of `pg_authid`.
pub(in crate::catalog) const PG_AUTHID: u32 = 1260;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["objoid", "classoid", "description"]);
    for tenant in objects::tenants(ctx) {
        if let Some(comment) = &tenant.comment {
            rows.push([tenant.id.0.into(), PG_DATABASE.into(), comment.into()]);
        }
    }
    for role in objects::roles(ctx) {
        if let Some(comment) = &role.comment {
            rows.push([role.id.0.into(), PG_AUTHID.into(), comment.into()]);
        }
    }
    rows.finish()
}
