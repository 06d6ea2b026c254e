//! `pg_attrdef`: DEFAULT expressions. `adbin` holds the SQL text, which `pg_get_expr` gives back.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "adrelid", "adnum", "adbin"]);
    for (oid, table, column, expr) in objects::defaults(ctx) {
        rows.push([oid.into(), table.id.0.into(), column.id.0.into(), expr.into()]);
    }
    rows.finish()
}
