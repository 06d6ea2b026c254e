//! Bytes: parts on disk and hot rows in memory, as of the statement's snapshot.

use sightline_storage::engine::TenantSnapshot;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::TableId;

use super::definition::class;
use super::{Arg, Function, returns};
use crate::catalog::objects::{self, Object};
use crate::catalog::rows::Value;
use crate::catalog::system::table_bytes;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_relation_size", &[Arg::Named, Arg::Text], returns::int8, relation).required(1),
    Function::new("pg_table_size", &[Arg::Named], returns::int8, relation),
    Function::new("pg_total_relation_size", &[Arg::Named], returns::int8, relation),
    Function::new("pg_indexes_size", &[Arg::Named], returns::int8, |_, _| Ok(0.into())),
    Function::new("pg_database_size", &[Arg::Named], returns::int8, database),
];

fn bytes(n: u64) -> Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

fn relation(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let Some(oid) = class(ctx, &args[0])? else { return Ok(Value::Null) };
    if let Some(table) = ctx.snapshot.tables.get(&TableId(oid)) {
        return Ok(bytes(table_bytes(table)));
    }
    Ok(match objects::relation(ctx, oid) {
        // One row, on a page of its own.
        Some(Object::Sequence(_)) => 8192.into(),
        Some(_) => 0.into(),
        None => Value::Null,
    })
}

fn database(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let found = objects::tenants(ctx).find(|t| match &args[0] {
        Value::Text(name) => t.name == *name,
        other => other.oid() == Some(t.id.0),
    });
    let Some(tenant) = found else {
        return match &args[0] {
            Value::Text(name) => {
                Err(Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist")))
            }
            _ => Ok(Value::Null),
        };
    };
    if tenant.id == ctx.identity.tenant {
        return Ok(bytes(tenant_bytes(&ctx.snapshot)));
    }
    Ok(bytes(tenant_bytes(ctx.database.engine.snapshot(tenant.id)?.as_ref())))
}

fn tenant_bytes(snapshot: &TenantSnapshot) -> u64 {
    snapshot.tables.values().map(|t| table_bytes(t)).sum()
}
