//! `information_schema.sequences`: all but those of identity columns, which the standard knows as parts of their columns.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::shown;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let names = [
        "sequence_catalog",
        "sequence_schema",
        "sequence_name",
        "data_type",
        "numeric_precision",
        "numeric_precision_radix",
        "numeric_scale",
        "start_value",
        "minimum_value",
        "maximum_value",
        "increment",
        "cycle_option",
    ];
    let mut rows = Rows::new(relation, names);
    let identity = |s: &sightline_storage::catalog::SequenceDef| s.owned_by.is_some_and(|o| o.identity);
    for s in objects::sequences(ctx).filter(|s| shown(ctx, s.owner) && !identity(s)) {
        let bits = match s.ty {
            SqlType::SmallInt => 16,
            SqlType::Integer => 32,
            _ => 64,
        };
        rows.push([
            Value::from(&ctx.identity.tenant_name),
            objects::schema_name(ctx, s.schema.0).map(str::to_string).into(),
            (&s.name).into(),
            s.ty.to_string().into(),
            bits.into(),
            2.into(),
            0.into(),
            s.start.to_string().into(),
            s.min.to_string().into(),
            s.max.to_string().into(),
            s.increment.to_string().into(),
            (if s.cycle { "YES" } else { "NO" }).into(),
        ]);
    }
    rows.finish()
}
