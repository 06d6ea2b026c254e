//! `pg_prepared_statements`: the session's own. A statement without parameters has one plan for all executions, which
//! PostgreSQL calls generic; with parameters each execution is planned with their values.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        ["name", "statement", "prepare_time", "parameter_types", "from_sql", "generic_plans", "custom_plans"],
    );
    for (name, kept) in ctx.limits.prepared() {
        let types = kept.prepared.parameters.iter().map(|t| t.oid().into()).collect::<Vec<Value>>();
        let (generic, custom) = if types.is_empty() { (kept.runs, 0) } else { (0, kept.runs) };
        rows.push([
            name.into(),
            kept.source.to_string().into(),
            kept.prepared_us.into(),
            Value::List(types),
            kept.from_sql.into(),
            generic.into(),
            custom.into(),
        ]);
    }
    rows.finish()
}
