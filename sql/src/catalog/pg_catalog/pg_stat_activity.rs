//! `pg_stat_activity`: the sessions of the tenant; operators see all. What others run is shown to superusers and to the
//! tenant's owner only.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

/// What PostgreSQL shows instead of a statement that is nobody else's business.
const HIDDEN: &str = "<insufficient privilege>";

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "datid",
            "datname",
            "pid",
            "usesysid",
            "usename",
            "application_name",
            "client_addr",
            "client_port",
            "backend_start",
            "xact_start",
            "query_start",
            "state_change",
            "state",
            "query",
            "backend_type",
        ],
    );
    let visible = objects::tenants(ctx).map(|t| t.id).collect::<Vec<_>>();
    for a in ctx.database.activity().into_iter().filter(|a| visible.contains(&a.info.tenant)) {
        let mine = a.info.role == ctx.identity.role || ctx.identity.superuser || ctx.identity.owner;
        let time = |us: i64| (us != 0).then_some(us).into();
        let own = |v: Value| if mine { v } else { Value::Null };
        rows.push([
            a.info.tenant.0.into(),
            a.info.tenant_name.into(),
            a.pid.into(),
            a.info.role.0.into(),
            a.info.role_name.into(),
            a.application_name.to_string().into(),
            own(a.info.peer.map(|p| p.ip().to_string()).into()),
            own(a.info.peer.map(|p| i32::from(p.port())).into()),
            own(a.info.connected_us.into()),
            own(time(a.transaction_us)),
            own(time(a.started_us)),
            own(time(a.changed_us)),
            own(a.state.into()),
            if mine { a.query.into() } else { HIDDEN.into() },
            "client backend".into(),
        ]);
    }
    rows.finish()
}
