//! `has_*_privilege`: the superuser and the tenant's owner may do all, an owner all with what is theirs, everyone may
//! look at the system's relations.

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::RoleId;

use super::definition::class;
use super::{Arg, Function, returns};
use crate::catalog::names;
use crate::catalog::objects::{self, Object};
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

const NAMED: &[Arg] = &[Arg::Named, Arg::Named, Arg::Named];
const COLUMN: &[Arg] = &[Arg::Named, Arg::Named, Arg::Named, Arg::Named];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("has_table_privilege", NAMED, returns::bool, table).required(2),
    Function::new("has_any_column_privilege", NAMED, returns::bool, table).required(2),
    Function::new("has_sequence_privilege", NAMED, returns::bool, table).required(2),
    Function::new("has_column_privilege", COLUMN, returns::bool, column).required(3),
    Function::new("has_schema_privilege", NAMED, returns::bool, schema).required(2),
    Function::new("has_database_privilege", NAMED, returns::bool, database).required(2),
    Function::new("has_function_privilege", NAMED, returns::bool, yes).required(2),
    Function::new("has_type_privilege", NAMED, returns::bool, yes).required(2),
    Function::new("has_language_privilege", NAMED, returns::bool, yes).required(2),
    Function::new("has_tablespace_privilege", NAMED, returns::bool, superuser_only).required(2),
    Function::new("has_foreign_data_wrapper_privilege", NAMED, returns::bool, superuser_only).required(2),
    Function::new("has_server_privilege", NAMED, returns::bool, superuser_only).required(2),
    Function::new("pg_has_role", NAMED, returns::bool, pg_has_role).required(2),
    Function::new("row_security_active", &[Arg::Named], returns::bool, |_, _| Ok(false.into())),
];

/// Who is asked about, by name or OID; the session's own role if nobody is named.
struct Asked<'a> {
    role: RoleId,
    /// Superuser, or owner of the tenant.
    all: bool,
    /// What follows the role.
    rest: &'a [Value],
}

fn asked<'a>(ctx: &QueryContext, args: &'a [Value], without_role: usize) -> Result<Asked<'a>> {
    if args.len() == without_role {
        let all = ctx.identity.superuser || ctx.identity.owner;
        return Ok(Asked { role: ctx.identity.role, all, rest: args });
    }
    let role = role(ctx, &args[0])?;
    let superuser = objects::role(ctx, role.0).is_some_and(|r| r.superuser);
    let owner = ctx.meta.tenant(ctx.identity.tenant).is_some_and(|t| t.owner == role);
    Ok(Asked { role, all: superuser || owner, rest: &args[1..] })
}

fn role(ctx: &QueryContext, arg: &Value) -> Result<RoleId> {
    match arg {
        Value::Text(name) => {
            let found = objects::roles(ctx).find(|r| r.name == *name);
            found
                .map(|r| r.id)
                .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
        }
        other => Ok(RoleId(other.oid().unwrap_or_default())),
    }
}

/// The privileges asked for, `SELECT, INSERT WITH GRANT OPTION` as words.
fn privileges<'a>(arg: &'a Value, known: &[&str]) -> Result<Vec<&'a str>> {
    let text = arg.text().unwrap_or_default();
    text.split(',')
        .map(|p| {
            let upper = p.trim().to_uppercase();
            let bare = upper.strip_suffix(" WITH GRANT OPTION").unwrap_or(&upper);
            if known.contains(&bare) {
                return Ok(p.trim());
            }
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized privilege type: \"{}\"", p.trim())))
        })
        .collect()
}

const TABLE: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "USAGE", "RULE"];

fn on_relation(ctx: &QueryContext, asked: &Asked<'_>, relation: &Value, wanted: &Value) -> Result<Value> {
    let wanted = privileges(wanted, TABLE)?;
    let Some(object) = class(ctx, relation)?.and_then(|oid| objects::relation(ctx, oid)) else {
        return Ok(Value::Null);
    };
    let select = wanted.iter().any(|p| p.eq_ignore_ascii_case("select"));
    Ok(match object {
        Object::System(_) => select,
        other => asked.all || other.owner() == asked.role,
    }
    .into())
}

fn table(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let asked = asked(ctx, args, 2)?;
    on_relation(ctx, &asked, &asked.rest[0], &asked.rest[1])
}

fn column(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let asked = asked(ctx, args, 3)?;
    on_relation(ctx, &asked, &asked.rest[0], &asked.rest[2])
}

fn schema(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let asked = asked(ctx, args, 2)?;
    let wanted = privileges(&asked.rest[1], &["USAGE", "CREATE"])?;
    let oid = match &asked.rest[0] {
        Value::Text(name) => names::regnamespace_in(ctx, &sightline_functions::text::quote::quote_ident(name))?,
        other => other.oid().unwrap_or_default(),
    };
    let Some(schema) = objects::schemas(ctx).find(|s| s.oid == oid) else { return Ok(Value::Null) };
    let usage = wanted.iter().any(|p| p.eq_ignore_ascii_case("usage"));
    Ok((usage || asked.all || schema.owner == asked.role).into())
}

fn database(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let asked = asked(ctx, args, 2)?;
    let wanted = privileges(&asked.rest[1], &["CONNECT", "CREATE", "TEMPORARY", "TEMP"])?;
    let found = ctx.meta.tenants.values().find(|t| match &asked.rest[0] {
        Value::Text(name) => t.name == *name,
        other => other.oid() == Some(t.id.0),
    });
    let Some(tenant) = found else {
        return match &asked.rest[0] {
            Value::Text(name) => {
                Err(Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist")))
            }
            _ => Ok(Value::Null),
        };
    };
    let operator = ctx.meta.roles.values().find(|r| r.id == asked.role);
    if tenant.owner == asked.role || operator.is_some_and(|r| r.superuser) {
        return Ok(true.into());
    }
    let connect = wanted.iter().any(|p| p.eq_ignore_ascii_case("connect"));
    let of_tenant = operator.is_some() || tenant.id == ctx.identity.tenant;
    let open = !tenant.connect_revoked && !tenant.no_connect.contains(&asked.role);
    Ok((connect && of_tenant && (open || tenant.connect.contains(&asked.role))).into())
}

fn yes(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    asked(ctx, args, 2).map(|_| true.into())
}

fn superuser_only(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    asked(ctx, args, 2).map(|a| a.all.into())
}

/// A role has itself and the predefined roles that it was granted, and a superuser has all. PostgreSQL's other predefined
/// roles are superusers' and owners' only.
fn pg_has_role(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let asked = asked(ctx, args, 2)?;
    let predefined = match &asked.rest[0] {
        Value::Text(name) => objects::predefined_roles().iter().find(|r| r.name == *name),
        other => objects::predefined_roles().iter().find(|r| Some(r.id.0) == other.oid()),
    };
    let member = objects::role(ctx, asked.role.0);
    if let Some(role) = predefined {
        return Ok(member.is_some_and(|m| m.superuser || m.id == role.id || m.member_of.contains(&role.id)).into());
    }
    let wanted = match &asked.rest[0] {
        Value::Text(name) if name.starts_with("pg_") => return Ok(asked.all.into()),
        other => role(ctx, other)?,
    };
    Ok((wanted == asked.role || asked.all && ctx.identity.superuser).into())
}
