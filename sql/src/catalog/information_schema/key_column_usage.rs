//! `information_schema.key_column_usage`: the columns of keys and foreign keys.

use arrow::array::RecordBatch;
use sightline_storage::catalog::{ForeignKeyDef, TableDef};
use sightline_storage::error::Result;
use sightline_storage::ids::ColumnId;

use super::shown;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "position_in_unique_constraint",
        ],
    );
    let mut push = |table: &TableDef, name: &str, column: ColumnId, at: usize, other: Option<usize>| {
        let Some(column) = table.column_by_id(column) else { return };
        let catalog = || Value::from(&ctx.identity.tenant_name);
        let schema = || Value::from(objects::schema_name(ctx, table.schema.0).map(str::to_string));
        let number = |n: usize| Value::from(i64::try_from(n + 1).unwrap_or_default());
        rows.push([
            catalog(),
            schema(),
            Value::from(name.to_string()),
            catalog(),
            schema(),
            (&table.name).into(),
            (&column.name).into(),
            number(at),
            other.map_or(Value::Null, number),
        ]);
    };
    for table in objects::tables(ctx).filter(|t| shown(ctx, t.owner)) {
        for index in table.indexes.iter().filter(|i| i.constraint.is_some()) {
            for (at, column) in index.key_columns().unwrap_or_default().into_iter().enumerate() {
                push(table, &index.name, column, at, None);
            }
        }
        for key in &table.foreign_keys {
            for (at, column) in key.columns.iter().enumerate() {
                push(table, &key.name, *column, at, position(ctx, key, at));
            }
        }
    }
    rows.finish()
}

/// Where the column that a foreign key's column refers to stands in its key.
fn position(ctx: &QueryContext, key: &ForeignKeyDef, at: usize) -> Option<usize> {
    let index = ctx.snapshot.catalog.table(key.references)?.referable(&key.referenced)?;
    let referenced = key.referenced.get(at)?;
    index.key_columns()?.iter().position(|c| c == referenced)
}
