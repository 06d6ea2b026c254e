//! `isfinite(time)`: true, for we have no infinite times.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "isfinite",
    "Tests whether a date, a timestamp or an interval is finite.",
    &[
        Form::new(&[Type::Date], Type::Bool, isfinite),
        Form::new(&[Type::Timestamp], Type::Bool, isfinite),
        Form::new(&[Type::TimestampTz], Type::Bool, isfinite),
        Form::new(&[Type::Interval], Type::Bool, isfinite),
    ],
);

fn isfinite(call: &Call) -> Result<ArrayRef> {
    let one = |row| (!call.args[0].is_null(row)).then_some(true);
    Ok(Arc::new((0..call.rows).map(one).collect::<BooleanArray>()))
}
