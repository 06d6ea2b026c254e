//! `num_nulls(…)`, `num_nonnulls(…)`: how many of the arguments are NULL, or not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Returns, Type};

const ARGS: &[Type] = &[Type::Any, Type::Any];

pub(super) const NUM_NULLS: Function = Function::new(
    "num_nulls",
    "The number of arguments that are NULL.",
    &[Form { args: ARGS, variadic: true, returns: Returns::Type(Type::Int4), call: |call| count(call, true) }],
);
pub(super) const NUM_NONNULLS: Function = Function::new(
    "num_nonnulls",
    "The number of arguments that are not NULL.",
    &[Form { args: ARGS, variadic: true, returns: Returns::Type(Type::Int4), call: |call| count(call, false) }],
);

/// The planner calls these where the argument is `VARIADIC` an array.
pub(super) const NUM_NULLS_ARRAY: Function = Function::new(
    "num_nulls_variadic",
    "The number of elements that are NULL.",
    &[Form::new(&[Type::Array], Type::Int4, |call| elements(call, true))],
);
pub(super) const NUM_NONNULLS_ARRAY: Function = Function::new(
    "num_nonnulls_variadic",
    "The number of elements that are not NULL.",
    &[Form::new(&[Type::Array], Type::Int4, |call| elements(call, false))],
);

fn elements(call: &Call, nulls: bool) -> Result<ArrayRef> {
    let lists = call.args[0].as_list::<i32>();
    let one = |row| {
        let list = (!call.has_null(row)).then(|| lists.value(row))?;
        let found = if nulls { list.null_count() } else { list.len() - list.null_count() };
        i32::try_from(found).ok()
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Int32Array>()))
}

fn count(call: &Call, nulls: bool) -> Result<ArrayRef> {
    let is_null = call.args.iter().map(|a| a.logical_nulls()).collect::<Vec<_>>();
    let of_row = |row: usize| {
        let found = is_null.iter().filter(|n| n.as_ref().is_some_and(|n| n.is_null(row)) == nulls).count();
        i32::try_from(found).unwrap_or(i32::MAX)
    };
    Ok(Arc::new((0..call.rows).map(of_row).collect::<Int32Array>()))
}
