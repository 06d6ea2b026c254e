//! `information_schema.views`. No view can be written to.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::shown;
use crate::catalog::objects;
use crate::catalog::pg_catalog::pg_views::view_definition;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "table_catalog",
            "table_schema",
            "table_name",
            "view_definition",
            "check_option",
            "is_updatable",
            "is_insertable_into",
            "is_trigger_updatable",
            "is_trigger_deletable",
            "is_trigger_insertable_into",
        ],
    );
    for view in objects::views(ctx).filter(|v| shown(ctx, v.owner)) {
        rows.push([
            Value::from(&ctx.identity.tenant_name),
            objects::schema_name(ctx, view.schema.0).map(str::to_string).into(),
            (&view.name).into(),
            view_definition(view).into(),
            "NONE".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
        ]);
    }
    rows.finish()
}
