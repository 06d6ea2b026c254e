//! `sys.tenants`: tenants and where they live; all of them for an operator, else the own one.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) const SHAPE: &str =
    "15002\tsys\ttenants\tv\toid:oid name:name owner:name replication_group:int4 created_at:timestamptz comment:text";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "name", "owner", "replication_group", "created_at", "comment"]);
    for tenant in objects::tenants(ctx) {
        rows.push([
            tenant.id.0.into(),
            (&tenant.name).into(),
            objects::role_name(ctx, tenant.owner.0).into_owned().into(),
            tenant.group.0.into(),
            tenant.created_at.into(),
            tenant.comment.clone().into(),
        ]);
    }
    rows.finish()
}
