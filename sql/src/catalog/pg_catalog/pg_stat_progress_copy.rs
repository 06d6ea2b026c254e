//! `pg_stat_progress_copy`: how far running COPYs are. What others do is shown to superusers and to the tenant's owner only.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "pid",
            "datid",
            "datname",
            "relid",
            "command",
            "type",
            "bytes_processed",
            "bytes_total",
            "tuples_processed",
            "tuples_excluded",
        ],
    );
    let visible = objects::tenants(ctx).map(|t| t.id).collect::<Vec<_>>();
    for a in ctx.database.activity().into_iter().filter(|a| visible.contains(&a.info.tenant)) {
        let Some(progress) = &a.progress else { continue };
        let mine = a.info.role == ctx.identity.role || ctx.identity.superuser || ctx.identity.owner;
        let own = |v: Value| if mine { v } else { Value::Null };
        let number = |n: u64| own(i64::try_from(n).unwrap_or(i64::MAX).into());
        let (bytes, tuples, excluded) = progress.counts();
        rows.push([
            a.pid.into(),
            a.info.tenant.0.into(),
            a.info.tenant_name.clone().into(),
            own(progress.relid.into()),
            own(progress.command.into()),
            own(progress.kind.into()),
            number(bytes),
            number(progress.bytes_total),
            number(tuples),
            number(excluded),
        ]);
    }
    rows.finish()
}
