//! `pg_stat_user_tables`: how many rows each table has, exactly.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["relid", "schemaname", "relname", "n_live_tup", "n_dead_tup"]);
    for table in objects::tables(ctx) {
        let live = ctx.snapshot.tables.get(&table.id).map_or(0, |t| t.rows());
        rows.push([
            table.id.0.into(),
            objects::schema_name(ctx, table.schema.0).map(str::to_string).into(),
            (&table.name).into(),
            i64::try_from(live).unwrap_or(i64::MAX).into(),
            0.into(),
        ]);
    }
    rows.finish()
}
