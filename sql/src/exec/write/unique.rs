//! Rows that are being written, held against the unique indexes of their table
//! (<https://www.postgresql.org/docs/15/index-unique-checks.html>).
//!
//! Two queries for each index, by our own engine, so that keys are equal where `=` says so: whether a key comes twice among
//! the new rows, and whether a row that is there already has it. Others may bring the key at the same time: so the command
//! says that no row has come to the table since, and who loses that race runs again ([`turns`](crate::session::turns)).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use sightline_storage::catalog::{IndexDef, IndexKey, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Object, Result, SqlState};
use sightline_storage::snapshot::TableSnapshot;

use crate::parser;
use crate::plan::{QueryContext, plan_query, run as run_plan, written_name};

/// Refuses rows that break a unique index, and answers the operations with a guard against those who write meanwhile. `ops`
/// are what a statement does to the table: it may delete rows, whose keys are free then.
///
/// # Errors
/// 23505; those of running the queries.
pub(crate) async fn guarded(ctx: &Arc<QueryContext>, table: &Arc<TableDef>, ops: Vec<Op>) -> Result<Vec<Op>> {
    let writes = |op: &&Op| matches!(op, Op::Append { .. } | Op::AddParts { .. });
    if table.unique_indexes().next().is_none() || !ops.iter().any(|op| writes(&op)) {
        return Ok(ops);
    }
    let now = ctx.snapshot.tables.get(&table.id).ok_or_else(|| Error::internal("a table without a snapshot"))?;
    let guard = Op::NoNewRows { table: table.id, next_row: now.next_row() };
    let deletes = ops.iter().filter(|op| matches!(op, Op::Delete { .. })).cloned().collect::<Vec<_>>();
    let snapshot = match deletes.is_empty() {
        true => ctx.snapshot.clone(),
        false => Arc::new(ctx.snapshot.with_ops(&deletes, ctx.now_us)?.0),
    };
    let new = Arc::new(TableSnapshot::of_written(table.clone(), &ops)?);
    let ctx = Arc::new(ctx.looking_at(snapshot, Some(new.clone())));
    for index in table.unique_indexes() {
        if new.rows() > 1 {
            refuse(&ctx, table, index, &twice(table, index)).await?;
        }
        refuse(&ctx, table, index, &there(&ctx, table, index)).await?;
    }
    Ok(std::iter::once(guard).chain(ops).collect())
}

/// Runs a query for keys that must not be.
async fn refuse(ctx: &Arc<QueryContext>, table: &TableDef, index: &IndexDef, sql: &str) -> Result<()> {
    let planned = plan_query(ctx, &parser::query(sql)?, &[])?;
    let mut rows = run_plan(ctx, planned, Vec::new()).await?;
    while let Some(batch) = rows.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let value = |column: &ArrayRef| -> Result<String> {
            let text = cast(column, &DataType::Utf8)?;
            let text = text.as_string::<i32>();
            Ok(if text.is_null(0) { "null".to_string() } else { text.value(0).to_string() })
        };
        let values = batch.columns().iter().map(value).collect::<Result<Vec<_>>>()?;
        let schemas = &ctx.snapshot.catalog.schemas;
        let object = Object {
            schema: schemas.values().find(|s| s.id == table.schema).map(|s| s.name.clone()),
            table: Some(table.name.clone()),
            constraint: Some(index.name.clone()),
            ..Object::default()
        };
        let keys = crate::catalog::index_keys(ctx, table, index);
        let text = format!("duplicate key value violates unique constraint \"{}\"", index.name);
        return Err(Error::new(SqlState::new("23505"), text)
            .detail(format!("Key ({keys})=({}) already exists.", values.join(", ")))
            .object(object));
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn names(index: &IndexDef) -> Vec<String> {
    (1..=index.columns.len()).map(|n| format!("key_{n}")).collect()
}

/// The keys of the rows that the index takes; those with a NULL in them equal none.
fn keys(table: &TableDef, index: &IndexDef, relation: &str) -> String {
    let key = |key: &IndexKey| match key {
        IndexKey::Column(id) => quoted(table.column_by_id(*id).map(|c| c.name.as_str()).unwrap_or_default()),
        IndexKey::Expression { sql, .. } => format!("({sql})"),
    };
    let keys = index.columns.iter().zip(names(index)).map(|(c, name)| format!("{} AS {name}", key(&c.key)));
    let keys = keys.collect::<Vec<_>>().join(", ");
    let filter = index.predicate.as_ref().map(|p| format!(" WHERE {p}")).unwrap_or_default();
    format!("SELECT {keys} FROM {relation} AS {}{filter}", quoted(&table.name))
}

fn shown(index: &IndexDef, relation: &str) -> String {
    names(index).iter().map(|n| format!("{relation}.{n}::text")).collect::<Vec<_>>().join(", ")
}

/// Keys that come more than once among the new rows.
fn twice(table: &TableDef, index: &IndexDef) -> String {
    let whole = names(index).iter().map(|n| format!("n.{n} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let whole = if index.nulls_not_distinct { String::new() } else { format!(" WHERE {whole}") };
    let grouped = names(index).iter().map(|n| format!("n.{n}")).collect::<Vec<_>>().join(", ");
    let (shown, keys) = (shown(index, "n"), keys(table, index, &quoted(&written_name(table.id))));
    format!("SELECT {shown} FROM ({keys}) AS n{whole} GROUP BY {grouped} HAVING count(*) > 1 LIMIT 1")
}

/// Keys of new rows that a row which is there has.
fn there(ctx: &QueryContext, table: &TableDef, index: &IndexDef) -> String {
    let equals = if index.nulls_not_distinct { "IS NOT DISTINCT FROM" } else { "=" };
    let same = names(index).iter().map(|n| format!("o.{n} {equals} n.{n}")).collect::<Vec<_>>().join(" AND ");
    let schema = ctx.snapshot.catalog.schemas.values().find(|s| s.id == table.schema);
    let schema = schema.map(|s| quoted(&s.name)).unwrap_or_default();
    let new = keys(table, index, &quoted(&written_name(table.id)));
    let old = keys(table, index, &format!("{schema}.{}", quoted(&table.name)));
    format!("SELECT {} FROM ({new}) AS n JOIN ({old}) AS o ON {same} LIMIT 1", shown(index, "n"))
}
