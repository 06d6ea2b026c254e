//! `information_schema.enabled_roles`: roles whose rights the session has: its own, or all for a superuser.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["role_name"]);
    for role in objects::roles(ctx).filter(|r| ctx.identity.superuser || r.id == ctx.identity.role) {
        rows.push([(&role.name).into()]);
    }
    rows.finish()
}
