//! `pg_sequence` and `pg_sequences`.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::authorize::{Action, authorize};
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;
use crate::sequence;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let names = ["seqrelid", "seqtypid", "seqstart", "seqincrement", "seqmax", "seqmin", "seqcache", "seqcycle"];
    let mut rows = Rows::new(relation, names);
    for s in objects::sequences(ctx) {
        rows.push([
            s.id.0.into(),
            s.ty.oid().into(),
            s.start.into(),
            s.increment.into(),
            s.max.into(),
            s.min.into(),
            s.cache.into(),
            s.cycle.into(),
        ]);
    }
    rows.finish()
}

/// The last number, of sequences that have given one and that the session may use.
pub(in crate::catalog) fn last_value(ctx: &QueryContext, oid: u32) -> Result<Value> {
    let Some(def) = objects::sequences(ctx).find(|s| s.id.0 == oid) else { return Ok(Value::Null) };
    if authorize(&ctx.identity, Action::UseSequence(def)).is_err() {
        return Ok(Value::Null);
    }
    let place = sequence::place(ctx, def.id)?;
    Ok(place.is_called.then_some(place.last).into())
}

pub(super) fn build_view(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let names = [
        "schemaname",
        "sequencename",
        "sequenceowner",
        "data_type",
        "start_value",
        "min_value",
        "max_value",
        "increment_by",
        "cycle",
        "cache_size",
        "last_value",
    ];
    let mut rows = Rows::new(relation, names);
    for s in objects::sequences(ctx) {
        rows.push([
            objects::schema_name(ctx, s.schema.0).map(str::to_string).into(),
            (&s.name).into(),
            objects::role_name(ctx, s.owner.0).into_owned().into(),
            s.ty.oid().into(),
            s.start.into(),
            s.min.into(),
            s.max.into(),
            s.increment.into(),
            s.cycle.into(),
            s.cache.into(),
            last_value(ctx, s.id.0)?,
        ]);
    }
    rows.finish()
}
