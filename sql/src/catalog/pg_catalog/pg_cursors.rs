//! `pg_cursors`: the session's own portals.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows =
        Rows::new(relation, ["name", "statement", "is_holdable", "is_binary", "is_scrollable", "creation_time"]);
    for (name, cursor) in ctx.limits.cursors() {
        rows.push([
            name.into(),
            cursor.statement.to_string().into(),
            cursor.hold.into(),
            cursor.binary.into(),
            cursor.scroll.into(),
            cursor.created_us.into(),
        ]);
    }
    rows.finish()
}
