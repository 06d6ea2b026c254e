//! `mod(a, b)`: what a division leaves, with the sign of `a`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, Int32Type, Int64Type, i256};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

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
        Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, numeric),
    ],
);

fn zero<T>() -> Result<Option<T>> {
    refuse("22012", "division by zero")
}

/// The scale of `numeric` without one.
const SCALE: i8 = 10;

fn numeric(call: &Call) -> Result<ArrayRef> {
    let wide = |n: usize| cast(&call.args[n], &DataType::Decimal256(DECIMAL256_MAX_PRECISION, SCALE));
    let (a, b) = (wide(0)?, wide(1)?);
    let (a, b) = (a.as_primitive::<Decimal256Type>(), b.as_primitive::<Decimal256Type>());
    let rest = call.map::<Decimal256Type>(|row| {
        if b.value(row) == i256::ZERO {
            return zero();
        }
        Ok(Some(a.value(row).wrapping_rem(b.value(row))))
    })?;
    let rest: ArrayRef = Arc::new(rest.with_precision_and_scale(DECIMAL256_MAX_PRECISION, SCALE)?);
    Ok(cast(&rest, &DataType::Decimal128(38, SCALE))?)
}
