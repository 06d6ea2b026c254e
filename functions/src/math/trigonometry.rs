//! Trigonometric and hyperbolic functions, and what PostgreSQL refuses of them
//! (<https://www.postgresql.org/docs/15/functions-math.html#FUNCTIONS-MATH-TRIG-TABLE>).

use datafusion_common::Result;

use super::domain::{both, each};
use crate::error::refuse;
use crate::udf::{Form, Function, Type};

const ONE: &[Type] = &[Type::Float8];

pub(super) const SIN: Function = Function::new(
    "sin",
    "The sine of an angle in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(f64::sin)))],
);
pub(super) const COS: Function = Function::new(
    "cos",
    "The cosine of an angle in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(f64::cos)))],
);
pub(super) const TAN: Function = Function::new(
    "tan",
    "The tangent of an angle in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(f64::tan)))],
);
pub(super) const COT: Function = Function::new(
    "cot",
    "The cotangent of an angle in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(|x| 1.0 / x.tan())))],
);
pub(super) const ATAN: Function = Function::new(
    "atan",
    "The inverse tangent in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.atan())))],
);
pub(super) const ATAN2: Function = Function::new(
    "atan2",
    "The inverse tangent of a quotient in radians.",
    &[Form::new(&[Type::Float8, Type::Float8], Type::Float8, |call| both(call, |y, x| Ok(y.atan2(x))))],
);
pub(super) const SINH: Function =
    Function::new("sinh", "The hyperbolic sine.", &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.sinh())))]);
pub(super) const COSH: Function = Function::new(
    "cosh",
    "The hyperbolic cosine.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.cosh())))],
);
pub(super) const TANH: Function = Function::new(
    "tanh",
    "The hyperbolic tangent.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.tanh())))],
);
pub(super) const ASINH: Function = Function::new(
    "asinh",
    "The inverse hyperbolic sine.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.asinh())))],
);
pub(super) const ACOSH: Function = Function::new(
    "acosh",
    "The inverse hyperbolic cosine.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| if x < 1.0 { out_of_range() } else { Ok(x.acosh()) }))],
);
pub(super) const ATANH: Function = Function::new(
    "atanh",
    "The inverse hyperbolic tangent.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| if x.abs() > 1.0 { out_of_range() } else { Ok(x.atanh()) }))],
);
pub(super) const DEGREES: Function = Function::new(
    "degrees",
    "Radians as degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| bounded(x, x / (std::f64::consts::PI / 180.0))))],
);
pub(super) const RADIANS: Function = Function::new(
    "radians",
    "Degrees as radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x * (std::f64::consts::PI / 180.0))))],
);

fn out_of_range() -> Result<f64> {
    refuse("22003", "input is out of range")
}

fn finite(x: f64) -> Result<f64> {
    if x.is_infinite() { out_of_range() } else { Ok(x) }
}

/// The result, unless it became infinite of a finite number.
fn bounded(x: f64, y: f64) -> Result<f64> {
    if y.is_infinite() && x.is_finite() { refuse("22003", "value out of range: overflow") } else { Ok(y) }
}
