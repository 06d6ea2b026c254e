//! `sys.memory`: who holds how much memory. One row for each statement that holds much, one for each tenant; for a superuser also
//! one for each part of the node, for temporary files, and for all together (`total`, beside what the system says: `resident`).

use arrow::array::RecordBatch;
use sightline_storage::budget::Holder;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::memory::SPILL_LIMIT;
use crate::plan::QueryContext;

pub(super) const SHAPE: &str = "15003\tsys\tmemory\tv\tconsumer:text database_name:name pid:int4 bytes:int8 \
                                peak_bytes:int8 limit_bytes:int8 spilled_bytes:int8";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let columns = ["consumer", "database_name", "pid", "bytes", "peak_bytes", "limit_bytes", "spilled_bytes"];
    let mut rows = Rows::new(relation, columns);
    let memory = &ctx.database.memory;
    if ctx.identity.superuser {
        let budget = memory.budget();
        let mut node = |consumer: &'static str, bytes: u64, limit: Option<u64>| {
            rows.push([
                consumer.into(),
                Value::Null,
                Value::Null,
                number(bytes),
                Value::Null,
                limit.map_or(Value::Null, number),
                Value::Null,
            ]);
        };
        node("total", budget.total(), Some(budget.limit()));
        for holder in Holder::ALL {
            node(holder.name(), budget.held(holder), None);
        }
        node("temporary files", memory.spilled(), Some(SPILL_LIMIT));
        if let Some(bytes) = resident_bytes() {
            node("resident", bytes, None);
        }
    }
    let tenants = objects::tenants(ctx).collect::<Vec<_>>();
    for tenant in &tenants {
        let Some((bytes, limit)) = memory.tenant_use(tenant.id) else { continue };
        rows.push([
            "database".into(),
            (&tenant.name).into(),
            Value::Null,
            number(bytes),
            Value::Null,
            limit.map_or(Value::Null, number),
            Value::Null,
        ]);
    }
    for usage in memory.statements() {
        let Some(tenant) = tenants.iter().find(|t| t.id == usage.owner.tenant) else { continue };
        rows.push([
            "statement".into(),
            (&tenant.name).into(),
            usage.owner.pid.into(),
            number(usage.held()),
            number(usage.peak()),
            usage.owner.statement_limit.map_or(Value::Null, number),
            number(usage.spilled()),
        ]);
    }
    rows.finish()
}

fn number(bytes: u64) -> Value {
    i64::try_from(bytes).unwrap_or(i64::MAX).into()
}

/// What the system says the process holds; none where it does not tell.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
