//! `pg_database`: tenants. Only operators see others than the one they are in.

use arrow::array::RecordBatch;
use sightline_storage::catalog::TenantDef;
use sightline_storage::error::Result;

use super::pg_tablespace;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

/// PostgreSQL's number of UTF8.
const UTF8: i32 = 6;
/// The one locale: text is ordered by its bytes.
const LOCALE: &str = "C.UTF-8";

const COLUMNS: [&str; 14] = [
    "oid",
    "datname",
    "datdba",
    "encoding",
    "datlocprovider",
    "datistemplate",
    "datallowconn",
    "datconnlimit",
    "datfrozenxid",
    "datminmxid",
    "dattablespace",
    "datcollate",
    "datctype",
    "datacl",
];

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, COLUMNS);
    for tenant in objects::tenants(ctx) {
        rows.push([
            tenant.id.0.into(),
            (&tenant.name).into(),
            tenant.owner.0.into(),
            UTF8.into(),
            "c".into(),
            false.into(),
            true.into(),
            tenant.connection_limit.into(),
            0.into(),
            0.into(),
            pg_tablespace::DEFAULT.into(),
            LOCALE.into(),
            LOCALE.into(),
            access(ctx, tenant),
        ]);
    }
    rows.finish()
}

/// The access list, or NULL while nobody changed it: then everyone of the tenant may connect.
fn access(ctx: &QueryContext, tenant: &TenantDef) -> Value {
    if !tenant.connect_revoked && tenant.connect.is_empty() {
        return Value::Null;
    }
    let owner = objects::role_name(ctx, tenant.owner.0);
    let public = (!tenant.connect_revoked).then(|| format!("=c/{owner}"));
    let granted = tenant.connect.iter().map(|r| format!("{}=c/{owner}", objects::role_name(ctx, r.0)));
    public.into_iter().chain([format!("{owner}=CTc/{owner}")]).chain(granted).collect::<Vec<_>>().into()
}
