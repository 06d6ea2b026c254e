//! `information_schema.table_constraints`: CHECKs, and NOT NULLs as checks.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::{not_nulls, shown};
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
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
            "enforced",
        ],
    );
    for table in objects::tables(ctx).filter(|t| shown(ctx, t.owner)) {
        let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
        let checks = table.checks.iter().map(|c| c.name.clone());
        for name in checks.chain(not_nulls(table).map(|(name, _)| name)) {
            let catalog = || Value::from(&ctx.identity.tenant_name);
            rows.push([
                catalog(),
                schema.clone().into(),
                name.into(),
                catalog(),
                schema.clone().into(),
                (&table.name).into(),
                "CHECK".into(),
                "NO".into(),
                "NO".into(),
                "YES".into(),
            ]);
        }
    }
    rows.finish()
}
