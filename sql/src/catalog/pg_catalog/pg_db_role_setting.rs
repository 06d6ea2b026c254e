//! `pg_db_role_setting`: what the sessions of a tenant or a role begin with.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["setdatabase", "setrole", "setconfig"]);
    for tenant in objects::tenants(ctx).filter(|t| !t.settings.is_empty()) {
        rows.push([tenant.id.0.into(), 0.into(), config(&tenant.settings)]);
    }
    for role in objects::roles(ctx).filter(|r| !r.settings.is_empty()) {
        rows.push([0.into(), role.id.0.into(), config(&role.settings)]);
    }
    rows.finish()
}

/// Settings as `name=value`; NULL for none.
pub(super) fn config(settings: &[(String, String)]) -> Value {
    if settings.is_empty() {
        return Value::Null;
    }
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().into()
}
