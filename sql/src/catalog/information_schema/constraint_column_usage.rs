//! `information_schema.constraint_column_usage`: the columns that CHECKs name.

use arrow::array::RecordBatch;
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
    rows.finish()
}

/// Whether the expression has the column's name as a word of its own.
fn names(expr: &str, column: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    expr.match_indices(column).any(|(at, found)| {
        let before = expr[..at].chars().next_back();
        let after = expr[at + found.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}
