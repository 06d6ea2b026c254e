//! `scale`, `min_scale`, `trim_scale`: digits behind the point of a numeric.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int32Type};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Returns, Type};

pub(super) const SCALE: Function = Function::new(
    "scale",
    "The number of digits behind the point.",
    &[Form::new(&[Type::Numeric], Type::Int4, |call| {
        let scale = match call.args[0].data_type() {
            DataType::Decimal128(_, s) | DataType::Decimal256(_, s) => i32::from(*s),
            _ => 0,
        };
        Ok(Arc::new(call.map::<Int32Type>(|_| Ok(Some(scale)))?))
    })],
);
pub(super) const MIN_SCALE: Function = Function::new(
    "min_scale",
    "The number of digits behind the point that the value needs.",
    &[Form::new(&[Type::Numeric], Type::Int4, |call| {
        Ok(Arc::new(call.map::<Int32Type>(|row| Ok(Some(needed(&call.args[0], row))))?))
    })],
);
/// Numerics are printed without zeros behind, so that there is nothing to trim.
pub(super) const TRIM_SCALE: Function = Function::new(
    "trim_scale",
    "The number without zeros behind the point that it does not need.",
    &[Form { args: &[Type::Numeric], variadic: false, returns: Returns::Argument(0), call: trim }],
);

fn trim(call: &Call) -> Result<ArrayRef> {
    Ok(call.args[0].clone())
}

fn needed(array: &ArrayRef, row: usize) -> i32 {
    let text = match array.data_type() {
        DataType::Decimal256(_, _) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        _ => array.as_primitive::<Decimal128Type>().value_as_string(row),
    };
    let fraction = text.split_once('.').map_or("", |(_, f)| f);
    i32::try_from(fraction.trim_end_matches('0').len()).unwrap_or(0)
}
