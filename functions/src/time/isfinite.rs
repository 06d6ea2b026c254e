//! `isfinite(time)`: whether it is neither `infinity` nor `-infinity`. Intervals are always finite.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use datafusion_common::Result;

use super::zone::is_infinite;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "isfinite",
    "Tests whether a date, a timestamp or an interval is finite.",
    &[
        Form::new(&[Type::Date], Type::Bool, date),
        Form::new(&[Type::Timestamp], Type::Bool, timestamp),
        Form::new(&[Type::TimestampTz], Type::Bool, timestamp),
        Form::new(&[Type::Interval], Type::Bool, |call| {
            let one = |row| (!call.args[0].is_null(row)).then_some(true);
            Ok(Arc::new((0..call.rows).map(one).collect::<BooleanArray>()))
        }),
    ],
);

fn date(call: &Call) -> Result<ArrayRef> {
    let finite = |days: i32| days != i32::MAX && days != i32::MIN;
    Ok(Arc::new(BooleanArray::from_unary(call.primitive::<Date32Type>(0), finite)))
}

fn timestamp(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(BooleanArray::from_unary(call.primitive::<TimestampMicrosecondType>(0), |us| !is_infinite(us))))
}
