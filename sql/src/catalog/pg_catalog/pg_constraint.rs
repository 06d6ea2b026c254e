//! `pg_constraint`: CHECKs, keys and foreign keys. `conbin` holds the SQL text.

use arrow::array::RecordBatch;
use sightline_storage::catalog::{ForeignKeyAction, TableDef};
use sightline_storage::error::Result;
use sightline_storage::ids::ColumnId;

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::catalog::{indexdef, information_schema, objects};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "oid",
            "conname",
            "connamespace",
            "contype",
            "convalidated",
            "conrelid",
            "confupdtype",
            "confdeltype",
            "confmatchtype",
            "conislocal",
            "conbin",
            "contypid",
            "conkey",
            "conindid",
            "condeferrable",
            "condeferred",
            "confrelid",
            "confkey",
            "confdelsetcols",
            "connoinherit",
        ],
    );
    for (oid, table, check) in objects::checks(ctx) {
        rows.push([
            oid.into(),
            (&check.name).into(),
            table.schema.0.into(),
            "c".into(),
            true.into(),
            table.id.0.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            indexdef::expression(table, &check.expr, false).into(),
            0.into(),
            columns_of(table, &check.expr).into(),
            0.into(),
            false.into(),
            false.into(),
            0.into(),
            Value::Null,
            Value::Null,
            false.into(),
        ]);
    }
    for (oid, def, check) in objects::domain_checks(ctx) {
        rows.push([
            oid.into(),
            (&check.name).into(),
            def.schema.0.into(),
            "c".into(),
            true.into(),
            0.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            (&check.expr).into(),
            def.id.0.into(),
            Value::Null,
            0.into(),
            false.into(),
            false.into(),
            0.into(),
            Value::Null,
            Value::Null,
            false.into(),
        ]);
    }
    for (oid, table, index) in objects::keys(ctx) {
        rows.push([
            oid.into(),
            (&index.name).into(),
            table.schema.0.into(),
            (if index.is_primary() { "p" } else { "u" }).into(),
            true.into(),
            table.id.0.into(),
            " ".into(),
            " ".into(),
            " ".into(),
            true.into(),
            Value::Null,
            0.into(),
            numbers(&index.key_columns().unwrap_or_default()),
            index.id.0.into(),
            false.into(),
            false.into(),
            0.into(),
            Value::Null,
            Value::Null,
            true.into(),
        ]);
    }
    for (oid, table, key) in objects::foreign_keys(ctx) {
        let index = ctx.snapshot.catalog.table(key.references).and_then(|t| t.referable(&key.referenced));
        rows.push([
            oid.into(),
            (&key.name).into(),
            table.schema.0.into(),
            "f".into(),
            key.validated.into(),
            table.id.0.into(),
            action(key.on_update).into(),
            action(key.on_delete).into(),
            (if key.match_full { "f" } else { "s" }).into(),
            true.into(),
            Value::Null,
            0.into(),
            numbers(&key.columns),
            index.map_or(0, |i| i.id.0).into(),
            key.deferrable.into(),
            key.deferred.into(),
            key.references.0.into(),
            numbers(&key.referenced),
            if key.set_columns.is_empty() { Value::Null } else { numbers(&key.set_columns) },
            true.into(),
        ]);
    }
    rows.finish()
}

fn numbers(columns: &[ColumnId]) -> Value {
    columns.iter().map(|c| c.0).collect::<Vec<_>>().into()
}

/// `attnum` of the columns that a CHECK names.
fn columns_of(table: &TableDef, expr: &str) -> Option<Vec<u16>> {
    let columns = table.columns.iter().filter(|c| information_schema::names(expr, &c.name));
    let numbers = columns.map(|c| c.id.0).collect::<Vec<_>>();
    (!numbers.is_empty()).then_some(numbers)
}

fn action(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "a",
        ForeignKeyAction::Restrict => "r",
        ForeignKeyAction::Cascade => "c",
        ForeignKeyAction::SetNull => "n",
        ForeignKeyAction::SetDefault => "d",
    }
}
