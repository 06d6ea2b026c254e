//! Casts to and from `reg*`, which the planner makes calls of, and `to_reg*`, which answer NULL for what is not there.

use sightline_storage::error::{Error, Result, SqlState};

use super::{Arg, Function, returns};
use crate::catalog::names;
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regclass_in", &[Arg::Named], returns::regclass, |c, a| input(&a[0], |t| names::regclass_in(c, t))),
    Function::new("regtype_in", &[Arg::Named], returns::regtype, |c, a| input(&a[0], |t| names::regtype_in(c, t))),
    Function::new("regproc_in", &[Arg::Named], returns::regproc, |_, a| input(&a[0], names::regproc_in)),
    Function::new("regnamespace_in", &[Arg::Named], returns::regnamespace, |c, a| {
        input(&a[0], |t| names::regnamespace_in(c, t))
    }),
    Function::new("regrole_in", &[Arg::Named], returns::regrole, |c, a| input(&a[0], |t| names::regrole_in(c, t))),
    Function::new("regclass_out", &[Arg::Oid], returns::text, |c, a| output(&a[0], |o| names::regclass_out(c, o))),
    Function::new("regtype_out", &[Arg::Oid], returns::text, |c, a| output(&a[0], |o| names::regtype_out(c, o))),
    Function::new("regtypes_out", &[Arg::Oids], returns::texts, |c, a| Ok(types(c, &a[0]))),
    Function::new("vector_out", &[Arg::Oids], returns::text, |_, a| Ok(vector(&a[0]))),
    Function::new("regproc_out", &[Arg::Oid], returns::text, |_, a| output(&a[0], names::regproc_out)),
    Function::new("regnamespace_out", &[Arg::Oid], returns::text, |c, a| {
        output(&a[0], |o| names::regnamespace_out(c, o))
    }),
    Function::new("regrole_out", &[Arg::Oid], returns::text, |c, a| output(&a[0], |o| names::regrole_out(c, o))),
    Function::new("to_regclass", &[Arg::Text], returns::regclass, |c, a| probe(&a[0], |t| names::regclass_in(c, t))),
    Function::new("to_regtype", &[Arg::Text], returns::regtype, |c, a| probe(&a[0], |t| names::regtype_in(c, t))),
    Function::new("to_regproc", &[Arg::Text], returns::regproc, |_, a| probe(&a[0], names::regproc_in)),
    Function::new("to_regnamespace", &[Arg::Text], returns::regnamespace, |c, a| {
        probe(&a[0], |t| names::regnamespace_in(c, t))
    }),
    Function::new("to_regrole", &[Arg::Text], returns::regrole, |c, a| probe(&a[0], |t| names::regrole_in(c, t))),
];

/// Reads a name; an OID is what it is.
fn input(arg: &Value, read: impl Fn(&str) -> Result<u32>) -> Result<Value> {
    match arg {
        Value::Text(name) => read(name).map(Value::from),
        other => Ok(other.clone()),
    }
}

fn output(arg: &Value, print: impl Fn(u32) -> String) -> Result<Value> {
    Ok(arg.oid().map(print).into())
}

/// The names of a list of types.
fn types(ctx: &QueryContext, arg: &Value) -> Value {
    match arg {
        Value::List(oids) => {
            oids.iter().map(|o| o.oid().map(|o| names::regtype_out(ctx, o))).collect::<Vec<_>>().into()
        }
        _ => Value::Null,
    }
}

/// Numbers with blanks between them.
fn vector(arg: &Value) -> Value {
    match arg {
        Value::List(items) => {
            let numbers = items.iter().map(|i| i.int().unwrap_or_default().to_string());
            numbers.collect::<Vec<_>>().join(" ").into()
        }
        _ => Value::Null,
    }
}

/// NULL for what does not exist; a name that can't be one is still an error, and a number is no name.
fn probe(arg: &Value, read: impl Fn(&str) -> Result<u32>) -> Result<Value> {
    let Some(name) = arg.text().filter(|t| t.parse::<u32>().is_err()) else { return Ok(Value::Null) };
    match read(name) {
        Ok(oid) => Ok(oid.into()),
        Err(e) if is_missing(&e) => Ok(Value::Null),
        Err(e) => Err(e),
    }
}

fn is_missing(e: &Error) -> bool {
    let missing = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::AMBIGUOUS_FUNCTION,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    missing.contains(&e.code())
}
