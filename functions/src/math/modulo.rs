//! `mod(a, b)`: what a division leaves, with the sign of `a`.

use std::sync::Arc;

use arrow::datatypes::{Int32Type, Int64Type};
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::refuse;
use crate::numeric::two;
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "mod",
    "The remainder of a division, with the sign of the dividend.",
    &[
        Form::new(&[Type::Int4, Type::Int4], Type::Int4, |call| {
            let (a, b) = (call.primitive::<Int32Type>(0), call.primitive::<Int32Type>(1));
            Ok(Arc::new(call.map::<Int32Type>(|row| match b.value(row) {
                0 => zero(),
                b => Ok(Some(a.value(row).wrapping_rem(b))),
            })?))
        }),
        Form::new(&[Type::Int8, Type::Int8], Type::Int8, |call| {
            let (a, b) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
            Ok(Arc::new(call.map::<Int64Type>(|row| match b.value(row) {
                0 => zero(),
                b => Ok(Some(a.value(row).wrapping_rem(b))),
            })?))
        }),
        Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, |call| two(call, Numeric::modulo)),
    ],
);

fn zero<T>() -> Result<Option<T>> {
    refuse("22012", "division by zero")
}
