//! `scale`, `min_scale`, `trim_scale`: digits behind the point of a numeric.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion_common::Result;
use sightline_numeric::{Decimal, Numeric};

use crate::numeric::{Numbers, one};
use crate::udf::{Call, Form, Function, Type};

pub(super) const SCALE: Function = Function::new(
    "scale",
    "The number of digits behind the point.",
    &[Form::new(&[Type::Numeric], Type::Int4, |call| count(call, Decimal::scale))],
);
pub(super) const MIN_SCALE: Function = Function::new(
    "min_scale",
    "The number of digits behind the point that the value needs.",
    &[Form::new(&[Type::Numeric], Type::Int4, |call| count(call, Decimal::min_scale))],
);
pub(super) const TRIM_SCALE: Function = Function::new(
    "trim_scale",
    "The number without zeros behind the point that it does not need.",
    &[Form::new(&[Type::Numeric], Type::Numeric, |call| one(call, |x| Ok(Numeric::trim_scale(x))))],
);

/// NULL of NaN and the infinities.
fn count(call: &Call, f: fn(&Decimal) -> i32) -> Result<ArrayRef> {
    let values = Numbers::new(&call.args[0])?;
    Ok(Arc::new(call.map::<Int32Type>(|row| Ok(values.value(row).decimal().map(f)))?))
}
