//! `pg_depend` and what it rests on: views depend on the relations they read.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_class.oid` of `pg_class` itself.
const PG_CLASS: u32 = 1259;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["classid", "objid", "refclassid", "refobjid", "deptype"]);
    for view in objects::views(ctx) {
        for on in &view.depends_on {
            rows.push([PG_CLASS.into(), view.id.0.into(), PG_CLASS.into(), (*on).into(), "n".into()]);
        }
    }
    rows.finish()
}
