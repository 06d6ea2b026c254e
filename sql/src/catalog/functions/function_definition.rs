//! What `pg_proc` says of a function, as SQL text.

use sightline_storage::error::Result;

use super::{Arg, Function, null, returns};
use crate::catalog::pg_catalog::pg_proc;
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_get_function_arguments", &[Arg::Oid], returns::text, arguments),
    Function::new("pg_get_function_identity_arguments", &[Arg::Oid], returns::text, arguments),
    Function::new("pg_get_function_result", &[Arg::Oid], returns::text, result),
    Function::new("pg_get_functiondef", &[Arg::Oid], returns::text, null),
    Function::new("pg_get_function_sqlbody", &[Arg::Oid], returns::text, null),
    Function::new("pg_get_function_arg_default", &[Arg::Oid, Arg::Int], returns::text, null),
];

fn function(args: &[Value]) -> Option<&'static pg_proc::Function> {
    args[0].oid().and_then(pg_proc::by_oid)
}

fn arguments(_: &QueryContext, args: &[Value]) -> Result<Value> {
    Ok(function(args).map(pg_proc::Function::arguments).into())
}

fn result(_: &QueryContext, args: &[Value]) -> Result<Value> {
    Ok(function(args).map(pg_proc::Function::result).into())
}
