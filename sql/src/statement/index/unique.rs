//! Whether the rows that are there keep to a unique index.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use sightline_storage::catalog::{IndexDef, IndexKey, TableDef};
use sightline_storage::error::{Error, Object, Result, SqlState};

use super::super::names;
use crate::parser;
use crate::plan::{QueryContext, plan_query, run as run_plan};

/// Refuses an index that rows of the table, as `ctx` shows it, break.
///
/// # Errors
/// 23505, those of running the query.
pub(in crate::statement) async fn check(ctx: &Arc<QueryContext>, table: &TableDef, index: &IndexDef) -> Result<()> {
    let schema = names::schema_by_id(ctx, table.schema)?;
    let planned = plan_query(ctx, &parser::query(&query(&schema.name, table, index))?, &[])?;
    let mut rows = run_plan(ctx, planned, Vec::new()).await?;
    while let Some(batch) = rows.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let mut values = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            let text = cast(column, &DataType::Utf8)?;
            let text = text.as_string::<i32>();
            let null = arrow::array::Array::is_null(text, 0);
            values.push(if null { "null".to_string() } else { text.value(0).to_string() });
        }
        let keys = crate::catalog::index_keys(ctx, table, index);
        let object = Object {
            schema: Some(schema.name.clone()),
            table: Some(table.name.clone()),
            constraint: Some(index.name.clone()),
            ..Object::default()
        };
        return Err(Error::new(SqlState::new("23505"), format!("could not create unique index \"{}\"", index.name))
            .detail(format!("Key ({keys})=({}) is duplicated.", values.join(", ")))
            .object(object));
    }
    Ok(())
}

/// What finds the first key that several rows have.
fn query(schema: &str, table: &TableDef, index: &IndexDef) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let key = |key: &IndexKey| match key {
        IndexKey::Column(id) => quote(table.column_by_id(*id).map(|c| c.name.as_str()).unwrap_or_default()),
        IndexKey::Expression { sql, .. } => format!("({sql})"),
    };
    let names = (1..=index.columns.len()).map(|n| format!("key_{n}")).collect::<Vec<_>>();
    let keys = index.columns.iter().zip(&names).map(|(c, name)| format!("{} AS {name}", key(&c.key)));
    let keys = keys.collect::<Vec<_>>().join(", ");
    let shown = names.iter().map(|n| format!("{n}::text")).collect::<Vec<_>>().join(", ");
    let filter = index.predicate.as_ref().map(|p| format!(" WHERE {p}")).unwrap_or_default();
    // A key with a NULL in it equals none.
    let whole = names.iter().map(|n| format!("{n} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let whole = if index.nulls_not_distinct { String::new() } else { format!(" WHERE {whole}") };
    let names = names.join(", ");
    format!(
        "SELECT {shown} FROM (SELECT {keys} FROM {}.{}{filter}) AS keys{whole} \
         GROUP BY {names} HAVING count(*) > 1 ORDER BY {names} LIMIT 1",
        quote(schema),
        quote(&table.name)
    )
}
