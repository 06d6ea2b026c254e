//! `div(a, b)`: the quotient of two numbers without its fraction.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, i256};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "div",
    "Divides two numbers and drops the fraction.",
    &[Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, div)],
);

/// Digits behind the point that both numbers are given; also the scale of `numeric` without one.
const SCALE: i8 = 10;

fn div(call: &Call) -> Result<ArrayRef> {
    let wide = |n: usize| cast(&call.args[n], &DataType::Decimal256(DECIMAL256_MAX_PRECISION, SCALE));
    let (a, b) = (wide(0)?, wide(1)?);
    let (a, b) = (a.as_primitive::<Decimal256Type>(), b.as_primitive::<Decimal256Type>());
    let scale = i256::from_i128(10_i128.pow(10));
    let quotients = call.map::<Decimal256Type>(|row| {
        if b.value(row) == i256::ZERO {
            return refuse("22012", "division by zero");
        }
        match a.value(row).checked_div(b.value(row)).and_then(|q| q.checked_mul(scale)) {
            Some(q) => Ok(Some(q)),
            None => refuse("22003", "numeric field overflow"),
        }
    })?;
    let quotients = quotients.with_precision_and_scale(DECIMAL256_MAX_PRECISION, SCALE)?;
    let quotients: ArrayRef = Arc::new(quotients);
    Ok(cast(&quotients, &DataType::Decimal128(38, SCALE))?)
}
