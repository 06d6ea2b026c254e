//! Who and where: user, database, schemas, server.

use sightline_storage::error::Result;

use super::{Arg, Function, null, returns};
use crate::catalog::objects;
use crate::catalog::rows::Value;
use crate::plan::QueryContext;
use crate::session::temporary::is_temporary;

/// The release of PostgreSQL whose protocol and catalogs we speak.
const POSTGRES_VERSION: &str = "15.18";
/// PostgreSQL's number of the only encoding.
const UTF8: i64 = 6;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("current_database", &[], returns::name, database),
    Function::new("current_catalog", &[], returns::name, database),
    Function::new("current_schema", &[], returns::name, current_schema),
    Function::new("current_schemas", &[Arg::Bool], returns::names, current_schemas),
    Function::new("current_user", &[], returns::name, user),
    Function::new("session_user", &[], returns::name, user),
    Function::new("current_role", &[], returns::name, user),
    Function::new("user", &[], returns::name, user),
    Function::new("pg_get_userbyid", &[Arg::Oid], returns::name, pg_get_userbyid),
    Function::new("pg_backend_pid", &[], returns::int4, |ctx, _| Ok(ctx.pid.into())),
    Function::new("version", &[], returns::text, version),
    Function::new("pg_postmaster_start_time", &[], returns::timestamptz, started),
    Function::new("pg_conf_load_time", &[], returns::timestamptz, started),
    Function::new("pg_is_in_recovery", &[], returns::bool, no),
    Function::new("pg_is_wal_replay_paused", &[], returns::bool, no),
    Function::new("pg_jit_available", &[], returns::bool, no),
    Function::new("pg_my_temp_schema", &[], returns::oid, temporary),
    Function::new("pg_is_other_temp_schema", &[Arg::Oid], returns::bool, others_temporary),
    Function::new("pg_blocking_pids", &[Arg::Int], returns::int4s, |_, _| Ok(Value::List(Vec::new()))),
    Function::new("txid_current", &[], returns::int8, index),
    Function::new("txid_current_if_assigned", &[], returns::int8, index),
    Function::new("inet_server_addr", &[], returns::text, null),
    Function::new("inet_server_port", &[], returns::int4, null),
    Function::new("inet_client_addr", &[], returns::text, null),
    Function::new("inet_client_port", &[], returns::int4, null),
    Function::new("getdatabaseencoding", &[], returns::name, |_, _| Ok("UTF8".into())),
    Function::new("pg_client_encoding", &[], returns::name, |_, _| Ok("UTF8".into())),
    Function::new("pg_encoding_to_char", &[Arg::Int], returns::name, encoding_name),
    Function::new("pg_char_to_encoding", &[Arg::Text], returns::int4, encoding_number),
    Function::new("pg_tablespace_location", &[Arg::Oid], returns::text, |_, _| Ok("".into())),
    Function::new("pg_tablespace_databases", &[Arg::Oid], returns::oid, null),
    // Nobody holds an advisory lock, so that all are released already.
    Function::new("pg_advisory_unlock_all", &[], returns::void, |_, _| Ok("".into())),
];

fn no(_: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok(false.into())
}

/// When the node was started; its settings are read then and never again.
fn started(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok(ctx.database.started_us.into())
}

fn database(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok((&ctx.identity.tenant_name).into())
}

/// The schema of the session's temporary relations, 0 if it has none.
fn temporary(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    let own = ctx.snapshot.catalog.schemas.get(&ctx.temporary_name());
    Ok(own.map_or(0, |s| s.id.0).into())
}

fn others_temporary(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let schemas = &ctx.snapshot.catalog.schemas;
    let named = args[0].oid().and_then(|oid| schemas.values().find(|s| s.id.0 == oid));
    Ok(named.is_some_and(|s| is_temporary(&s.name) && s.name != ctx.temporary_name()).into())
}

fn user(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok((&ctx.identity.role_name).into())
}

/// The index of the log that the statement sees; it grows with each transaction that wrote.
fn index(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok(i64::try_from(ctx.snapshot.index.0).unwrap_or(i64::MAX).into())
}

fn version(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    let ours = &ctx.database.options.version;
    let (arch, os, bits) = (std::env::consts::ARCH, std::env::consts::OS, usize::BITS);
    Ok(format!("PostgreSQL {POSTGRES_VERSION} (Sightline {ours}) on {arch}-{os}, compiled by rustc, {bits}-bit").into())
}

/// The schemas of the search path that exist.
fn path(ctx: &QueryContext) -> Vec<String> {
    let known = objects::schemas(ctx).map(|s| s.name.to_string()).collect::<Vec<_>>();
    ctx.search_path().into_iter().filter(|s| known.contains(s)).collect()
}

fn current_schema(ctx: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok(path(ctx).into_iter().next().into())
}

fn current_schemas(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let mut path = path(ctx);
    if args[0] == Value::Bool(true) && !path.iter().any(|s| s == "pg_catalog") {
        path.insert(0, "pg_catalog".to_string());
    }
    Ok(path.into())
}

fn pg_get_userbyid(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    Ok(args[0].oid().map(|oid| objects::role_name(ctx, oid).into_owned()).into())
}

fn encoding_name(_: &QueryContext, args: &[Value]) -> Result<Value> {
    Ok(match args[0].int() {
        Some(0) => "SQL_ASCII".into(),
        Some(UTF8) => "UTF8".into(),
        _ => "".into(),
    })
}

fn encoding_number(_: &QueryContext, args: &[Value]) -> Result<Value> {
    let bare = args[0].text().unwrap_or_default().to_lowercase().replace(['-', '_'], "");
    Ok(match bare.as_str() {
        "utf8" | "unicode" => UTF8,
        "sqlascii" => 0,
        _ => -1,
    }
    .into())
}
