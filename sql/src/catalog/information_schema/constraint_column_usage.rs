//! `information_schema.constraint_column_usage`: the columns that CHECKs name, those of keys, and those that foreign keys refer to.

use arrow::array::RecordBatch;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::Result;

use super::shown;
use crate::catalog::objects;
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
            "column_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ],
    );
    for table in objects::tables(ctx).filter(|t| shown(ctx, t.owner)) {
        let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
        for check in &table.checks {
            for column in table.columns.iter().filter(|c| names(&check.expr, &c.name)) {
                let catalog = || Value::from(&ctx.identity.tenant_name);
                rows.push([
                    catalog(),
                    schema.clone().into(),
                    (&table.name).into(),
                    (&column.name).into(),
                    catalog(),
                    schema.clone().into(),
                    (&check.name).into(),
                ]);
            }
        }
    }
    let keys = objects::keys(ctx).map(|(_, t, i)| (t, i.key_columns().unwrap_or_default(), t, &i.name));
    let foreign = objects::foreign_keys(ctx).filter_map(|(_, t, f)| {
        Some((ctx.snapshot.catalog.table(f.references)?.as_ref(), f.referenced.clone(), t, &f.name))
    });
    for (table, columns, of, name) in keys.chain(foreign).filter(|(t, ..)| shown(ctx, t.owner)) {
        let schema = |t: &TableDef| Value::from(objects::schema_name(ctx, t.schema.0).map(str::to_string));
        for column in columns.iter().filter_map(|id| table.column_by_id(*id)) {
            let catalog = || Value::from(&ctx.identity.tenant_name);
            rows.push([
                catalog(),
                schema(table),
                (&table.name).into(),
                (&column.name).into(),
                catalog(),
                schema(of),
                name.into(),
            ]);
        }
    }
    rows.finish()
}

/// Whether the expression has the column's name as a word of its own.
pub(in crate::catalog) fn names(expr: &str, column: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    expr.match_indices(column).any(|(at, found)| {
        let before = expr[..at].chars().next_back();
        let after = expr[at + found.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}
