//! `sys.part_columns`: what is known of each column of each Parquet part before it is opened: the zone maps that parts are left
//! out by. Bounds are printed as values; where long ones were cut they are no values of the column (`is_exact` is false).

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::codec::Cells;
use crate::plan::QueryContext;

pub(super) const SHAPE: &str = "15004\tsys\tpart_columns\tv\ttable_oid:oid schema_name:name table_name:name path:text \
                                column_name:name rows:int8 null_count:int8 min_value:text max_value:text is_exact:bool";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "table_oid",
            "schema_name",
            "table_name",
            "path",
            "column_name",
            "rows",
            "null_count",
            "min_value",
            "max_value",
            "is_exact",
        ],
    );
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let style = ctx.settings.style();
    for table in objects::tables(ctx) {
        let Some(snapshot) = ctx.snapshot.tables.get(&table.id) else { continue };
        let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
        for part in snapshot.parts.iter() {
            // A column that was dropped since has no name any more.
            for stats in &part.meta.columns {
                let Some(column) = table.column_by_id(stats.column) else { continue };
                let (mut least, mut greatest) = (Value::Null, Value::Null);
                // Those of a type that the column had once stay numbers of that type.
                if let Some(bounds) = stats.bounds.as_ref().filter(|b| *b.data_type() == column.ty.arrow()) {
                    let cells = Cells::new(bounds, &column.ty)?;
                    let text = |row: usize| {
                        let mut bytes = Vec::new();
                        cells.write_text(row, style, &mut bytes);
                        Value::from(String::from_utf8_lossy(&bytes).into_owned())
                    };
                    (least, greatest) = (text(0), text(1));
                }
                rows.push([
                    Value::from(table.id.0),
                    schema.clone().into(),
                    Value::from(&table.name),
                    (&part.meta.path).into(),
                    (&column.name).into(),
                    number(part.meta.rows).into(),
                    number(stats.nulls).into(),
                    least,
                    greatest,
                    stats.exact.into(),
                ]);
            }
        }
    }
    rows.finish()
}
