//! `sys.parts`: where the rows of each table lie: one row for each Parquet part and one for the hot rows.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) const SHAPE: &str = "15001\tsys\tparts\tv\ttable_oid:oid schema_name:name table_name:name tier:text \
                                partition:text path:text rows:int8 bytes:int8 created_at:timestamptz";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        ["table_oid", "schema_name", "table_name", "tier", "partition", "path", "rows", "bytes", "created_at"],
    );
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for table in objects::tables(ctx) {
        let Some(snapshot) = ctx.snapshot.tables.get(&table.id) else { continue };
        let head = || {
            let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
            [Value::from(table.id.0), schema.into(), Value::from(&table.name)]
        };
        for part in snapshot.parts.iter() {
            let [oid, schema, name] = head();
            rows.push([
                oid,
                schema,
                name,
                "cold".into(),
                (&part.meta.partition).into(),
                (&part.meta.path).into(),
                number(part.meta.rows).into(),
                number(part.meta.size).into(),
                part.meta.created_at.into(),
            ]);
        }
        let hot = snapshot.hot_rows();
        if hot > 0 {
            let [oid, schema, name] = head();
            rows.push([
                oid,
                schema,
                name,
                "hot".into(),
                Value::Null,
                Value::Null,
                number(hot).into(),
                number(snapshot.hot_bytes()).into(),
                Value::Null,
            ]);
        }
    }
    rows.finish()
}
