//! `information_schema.table_constraints`: CHECKs, keys, foreign keys, and NOT NULLs as checks.

use arrow::array::RecordBatch;
use sightline_storage::catalog::KeyConstraint;
use sightline_storage::error::Result;

use super::{not_nulls, shown, yes_no};
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
            "nulls_distinct",
        ],
    );
    for table in objects::tables(ctx).filter(|t| shown(ctx, t.owner)) {
        let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
        let checks = table.checks.iter().map(|c| (c.name.clone(), "CHECK", (false, false), None));
        let not_nulls = not_nulls(table).map(|(name, _)| (name, "CHECK", (false, false), None));
        let keys = table.indexes.iter().filter_map(|i| {
            let (kind, distinct) = match i.constraint? {
                KeyConstraint::Primary => ("PRIMARY KEY", None),
                KeyConstraint::Unique => ("UNIQUE", Some(yes_no(!i.nulls_not_distinct))),
            };
            Some((i.name.clone(), kind, (false, false), distinct))
        });
        let foreign = table.foreign_keys.iter();
        let foreign = foreign.map(|f| (f.name.clone(), "FOREIGN KEY", (f.deferrable, f.deferred), None));
        for (name, kind, (deferrable, deferred), distinct) in checks.chain(keys).chain(foreign).chain(not_nulls) {
            let catalog = || Value::from(&ctx.identity.tenant_name);
            rows.push([
                catalog(),
                schema.clone().into(),
                name.into(),
                catalog(),
                schema.clone().into(),
                (&table.name).into(),
                kind.into(),
                yes_no(deferrable).into(),
                yes_no(deferred).into(),
                "YES".into(),
                distinct.into(),
            ]);
        }
    }
    rows.finish()
}
