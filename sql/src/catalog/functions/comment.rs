//! Comments: `obj_description` and its kin.

use sightline_storage::error::Result;
use sightline_storage::ids::TypeId;

use super::{Arg, Function, returns};
use crate::catalog::objects;
use crate::catalog::relation;
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("obj_description", &[Arg::Oid, Arg::Text], returns::text, obj_description).required(1),
    Function::new("col_description", &[Arg::Oid, Arg::Int], returns::text, col_description),
    Function::new("shobj_description", &[Arg::Oid, Arg::Text], returns::text, shobj_description),
];

/// Whether the catalog named is `wanted`, or none is named.
fn of(args: &[Value], wanted: &str) -> bool {
    match args.get(1).and_then(Value::text) {
        Some(catalog) => relation::find("pg_catalog", catalog).is_some_and(|r| r.name == wanted),
        None => true,
    }
}

fn obj_description(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let Some(oid) = args[0].oid() else { return Ok(Value::Null) };
    if of(args, "pg_class")
        && let Some(object) = objects::relation(ctx, oid)
    {
        return Ok(object.comment().map(str::to_string).into());
    }
    if of(args, "pg_namespace") {
        let schema = objects::schemas(ctx).find(|s| s.oid == oid);
        if schema.is_some() || args.len() > 1 {
            return Ok(schema.and_then(|s| s.comment).map(str::to_string).into());
        }
    }
    if of(args, "pg_type") {
        let def = ctx.snapshot.catalog.user_type(TypeId(oid));
        if def.is_some() || args.len() > 1 {
            return Ok(def.and_then(|t| t.comment.clone()).into());
        }
    }
    if of(args, "pg_constraint") {
        return Ok(constraint(ctx, oid).into());
    }
    Ok(Value::Null)
}

fn constraint(ctx: &QueryContext, oid: u32) -> Option<String> {
    let checks = objects::checks(ctx).map(|(o, _, c)| (o, &c.comment));
    let domains = objects::domain_checks(ctx).map(|(o, _, c)| (o, &c.comment));
    let keys = objects::keys(ctx).map(|(o, _, i)| (o, &i.constraint_comment));
    let foreign = objects::foreign_keys(ctx).map(|(o, _, f)| (o, &f.comment));
    checks.chain(domains).chain(keys).chain(foreign).find(|(o, _)| *o == oid).and_then(|(_, c)| c.clone())
}

fn col_description(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let (Some(oid), Some(number)) = (args[0].oid(), args[1].int()) else { return Ok(Value::Null) };
    let object = objects::relation(ctx, oid);
    Ok(object.and_then(|o| o.column_comment(number).map(str::to_string)).into())
}

fn shobj_description(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let Some(oid) = args[0].oid() else { return Ok(Value::Null) };
    if of(args, "pg_database") {
        return Ok(objects::tenants(ctx).find(|t| t.id.0 == oid).and_then(|t| t.comment.clone()).into());
    }
    if of(args, "pg_authid") {
        return Ok(objects::role(ctx, oid).and_then(|r| r.comment.clone()).into());
    }
    Ok(Value::Null)
}
