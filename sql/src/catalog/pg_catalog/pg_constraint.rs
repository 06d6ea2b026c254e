//! `pg_constraint`: CHECK constraints, the only ones there are. `conbin` holds the SQL text.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
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
            (&check.expr).into(),
            0.into(),
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
        ]);
    }
    rows.finish()
}
