//! `information_schema.check_constraints`: CHECKs and NOT NULLs.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::{not_nulls, shown};
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::catalog::{indexdef, objects};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["constraint_catalog", "constraint_schema", "constraint_name", "check_clause"]);
    for table in objects::tables(ctx).filter(|t| shown(ctx, t.owner)) {
        let schema = objects::schema_name(ctx, table.schema.0).map(str::to_string);
        let checks =
            table.checks.iter().map(|c| (c.name.clone(), format!("({})", indexdef::expression(table, &c.expr, false))));
        let not_nulls = not_nulls(table).map(|(name, column)| (name, format!("{column} IS NOT NULL")));
        for (name, clause) in checks.chain(not_nulls) {
            rows.push([Value::from(&ctx.identity.tenant_name), schema.clone().into(), name.into(), clause.into()]);
        }
    }
    rows.finish()
}
