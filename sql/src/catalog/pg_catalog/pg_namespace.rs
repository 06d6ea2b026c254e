//! `pg_namespace`: schemas.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "nspname", "nspowner"]);
    for schema in objects::schemas(ctx) {
        rows.push([schema.oid.into(), schema.name.to_string().into(), schema.owner.0.into()]);
    }
    rows.finish()
}
