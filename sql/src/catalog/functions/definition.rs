//! Definitions as SQL text: types, expressions, views, constraints. Expressions are stored as text, so that
//! `pg_get_expr` gives back what it gets.

use sightline_storage::error::Result;
use sightline_storage::ids::IndexId;

use super::{Arg, Function, null, returns};
use crate::catalog::objects::{self, Object};
use crate::catalog::pg_catalog::{pg_type, pg_views};
use crate::catalog::rows::Value;
use crate::catalog::{indexdef, information_schema, names};
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("format_type", &[Arg::Oid, Arg::Int], returns::text, format_type).called_on_null(),
    Function::new("pg_get_expr", &[Arg::Text, Arg::Oid, Arg::Bool], returns::text, pg_get_expr).required(2),
    Function::new("pg_get_viewdef", &[Arg::Named, Arg::Bool], returns::text, pg_get_viewdef).required(1),
    Function::new("pg_get_constraintdef", &[Arg::Oid, Arg::Bool], returns::text, pg_get_constraintdef).required(1),
    Function::new("pg_get_indexdef", &[Arg::Oid, Arg::Int, Arg::Bool], returns::text, pg_get_indexdef).required(1),
    Function::new("pg_get_triggerdef", &[Arg::Oid, Arg::Bool], returns::text, null).required(1),
    Function::new("pg_get_ruledef", &[Arg::Oid, Arg::Bool], returns::text, null).required(1),
    Function::new("pg_partition_ancestors", &[Arg::Named], returns::regclasses, |_, _| Ok(Value::List(Vec::new()))),
    Function::new("pg_get_partkeydef", &[Arg::Oid], returns::text, null),
    Function::new("pg_get_partition_constraintdef", &[Arg::Oid], returns::text, null),
    Function::new("pg_get_statisticsobjdef", &[Arg::Oid], returns::text, null),
    Function::new("pg_get_statisticsobjdef_columns", &[Arg::Oid], returns::text, null),
    Function::new("pg_relation_is_publishable", &[Arg::Named], returns::bool, no),
    Function::new("pg_relation_is_updatable", &[Arg::Named, Arg::Bool], returns::int4, updatable),
    Function::new("pg_column_is_updatable", &[Arg::Named, Arg::Int, Arg::Bool], returns::bool, no),
];

/// There are no publications, and no UPDATE.
fn no(_: &QueryContext, _: &[Value]) -> Result<Value> {
    Ok(false.into())
}

/// `1 << CMD_INSERT`: rows can be added.
const INSERTABLE: i32 = 1 << 3;

fn updatable(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let found = class(ctx, &args[0])?.and_then(|oid| objects::relation(ctx, oid));
    Ok((if matches!(found, Some(Object::Table(_))) { INSERTABLE } else { 0 }).into())
}

/// The relation that an argument names by OID or by text.
pub(super) fn class(ctx: &QueryContext, arg: &Value) -> Result<Option<u32>> {
    match arg {
        Value::Text(name) => names::regclass_in(ctx, name).map(Some),
        other => Ok(other.oid()),
    }
}

fn format_type(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let Some(oid) = args[0].oid() else { return Ok(Value::Null) };
    let typmod = args[1].int().and_then(|m| i32::try_from(m).ok());
    Ok(match oid {
        0 => "-".into(),
        oid => pg_type::format_in(ctx, oid, typmod).unwrap_or_else(|| "???".to_string()).into(),
    })
}

/// The text is as it is without `pretty`.
fn pg_get_expr(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let pretty = args.get(2).and_then(Value::bool).unwrap_or(false);
    if let (true, Some(text), Some(oid)) = (pretty, args[0].text(), args[1].oid())
        && let Some(Object::Table(table)) = objects::relation(ctx, oid)
    {
        return Ok(without_brackets(&indexdef::expression(table, text, true)).to_string().into());
    }
    Ok(match (&args[0], pretty) {
        (Value::Text(text), true) => without_brackets(text).to_string().into(),
        (other, _) => other.clone(),
    })
}

/// An expression without the brackets around all of it.
fn without_brackets(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    let (mut depth, mut quoted) = (0_i32, false);
    for c in inner.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner
}

fn pg_get_viewdef(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    match class(ctx, &args[0])?.and_then(|oid| objects::relation(ctx, oid)) {
        Some(Object::View(view)) => Ok(pg_views::view_definition(view).into()),
        Some(Object::Table(_) | Object::Index(..) | Object::Sequence(_) | Object::System(_)) | None => Ok(Value::Null),
    }
}

fn pg_get_constraintdef(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let pretty = args.get(1).and_then(Value::bool).unwrap_or(false);
    let Some(oid) = args[0].oid() else { return Ok(Value::Null) };
    if let Some((_, table, check)) = objects::checks(ctx).find(|(o, ..)| *o == oid) {
        return Ok(format!("CHECK ({})", indexdef::expression(table, &check.expr, pretty)).into());
    }
    if let Some((_, _, check)) = objects::domain_checks(ctx).find(|(o, ..)| *o == oid) {
        return Ok(information_schema::check_clause(&check.expr, pretty).into());
    }
    if let Some((_, table, index)) = objects::keys(ctx).find(|(o, ..)| *o == oid) {
        return Ok(indexdef::constraint(table, index).into());
    }
    let foreign = objects::foreign_keys(ctx).find(|(o, ..)| *o == oid);
    Ok(foreign.map(|(_, table, key)| indexdef::foreign_key(ctx, table, key)).into())
}

fn pg_get_indexdef(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let column = args.get(1).and_then(Value::int).unwrap_or(0);
    let pretty = args.get(2).and_then(Value::bool).unwrap_or(false);
    let found = args[0].oid().and_then(|oid| ctx.snapshot.catalog.index(IndexId(oid)));
    let Some((table, index)) = found else { return Ok(Value::Null) };
    if column == 0 {
        return Ok(indexdef::definition(ctx, table, index, pretty).into());
    }
    let at = usize::try_from(column).unwrap_or(0).wrapping_sub(1);
    Ok(indexdef::part(table, index, at, pretty).unwrap_or_default().into())
}
