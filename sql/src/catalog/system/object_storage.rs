//! `sys.object_storage`: the bucket that parts lie in and how it does: one row if there is one, for superusers.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) const SHAPE: &str = "15009\tsys\tobject_storage\tv\turl:text state:text away_seconds:int8 requests:int8 \
                                errors:int8 repeats:int8 bytes_sent:int8 bytes_received:int8 cache_hits:int8 \
                                cache_misses:int8 cache_bytes:int8 cache_max_bytes:int8";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "url",
            "state",
            "away_seconds",
            "requests",
            "errors",
            "repeats",
            "bytes_sent",
            "bytes_received",
            "cache_hits",
            "cache_misses",
            "cache_bytes",
            "cache_max_bytes",
        ],
    );
    let engine = &ctx.database.engine;
    let shown = (engine.objects_url(), engine.traffic());
    let (Some(url), Some(traffic)) = shown else { return rows.finish() };
    if !ctx.identity.superuser {
        return rows.finish();
    }
    let number = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
    let cache = engine.part_cache().unwrap_or_default();
    rows.push([
        url.into(),
        if traffic.away.is_some() { "away" } else { "ok" }.into(),
        traffic.away.map_or(Value::Null, |away| number(away.as_secs())),
        number(traffic.requests),
        number(traffic.errors),
        number(traffic.repeats),
        number(traffic.bytes_sent),
        number(traffic.bytes_received),
        number(cache.hits),
        number(cache.misses),
        number(cache.bytes),
        number(cache.bytes_max),
    ]);
    rows.finish()
}
