//! Roots, powers and logarithms, with PostgreSQL's errors where they are not defined.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Float64Type;
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::refuse;
use crate::numeric::{one, two};
use crate::udf::{Call, Form, Function, Type};

const ONE: &[Type] = &[Type::Float8];
const TWO: &[Type] = &[Type::Float8, Type::Float8];
const EXACT: &[Type] = &[Type::Numeric];
const BOTH_EXACT: &[Type] = &[Type::Numeric, Type::Numeric];

pub(super) const ACOS: Function = Function::new(
    "acos",
    "The inverse cosine in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| inverse(x, f64::acos)))],
);
pub(super) const ASIN: Function = Function::new(
    "asin",
    "The inverse sine in radians.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| inverse(x, f64::asin)))],
);
pub(super) const EXP: Function = Function::new(
    "exp",
    "The exponential.",
    &[
        Form::new(ONE, Type::Float8, |call| each(call, exp)),
        Form::new(EXACT, Type::Numeric, |call| one(call, Numeric::exp)),
    ],
);
pub(super) const LN: Function = Function::new(
    "ln",
    "The natural logarithm.",
    &[
        Form::new(ONE, Type::Float8, |call| each(call, |x| logarithm(x).map(f64::ln))),
        Form::new(EXACT, Type::Numeric, |call| one(call, Numeric::ln)),
    ],
);
pub(super) const LOG: Function = Function::new(
    "log",
    "The logarithm to base 10, or to a base.",
    &[
        Form::new(ONE, Type::Float8, |call| each(call, |x| logarithm(x).map(f64::log10))),
        Form::new(EXACT, Type::Numeric, |call| one(call, |x| x.log(&Numeric::new(10, 0)))),
        Form::new(BOTH_EXACT, Type::Numeric, |call| two(call, |base, x| x.log(base))),
    ],
);
pub(super) const LOG10: Function = Function::new(
    "log10",
    "The logarithm to base 10.",
    &[
        Form::new(ONE, Type::Float8, |call| each(call, |x| logarithm(x).map(f64::log10))),
        Form::new(EXACT, Type::Numeric, |call| one(call, |x| x.log(&Numeric::new(10, 0)))),
    ],
);
pub(super) const POWER: Function = Function::new(
    "power",
    "One number raised to another.",
    &[
        Form::new(TWO, Type::Float8, |call| both(call, power)),
        Form::new(BOTH_EXACT, Type::Numeric, |call| two(call, Numeric::power)),
    ],
);
pub(super) const POW: Function = Function::new(
    "pow",
    "One number raised to another.",
    &[
        Form::new(TWO, Type::Float8, |call| both(call, power)),
        Form::new(BOTH_EXACT, Type::Numeric, |call| two(call, Numeric::power)),
    ],
);
pub(super) const SQRT: Function = Function::new(
    "sqrt",
    "The square root.",
    &[
        Form::new(ONE, Type::Float8, |call| each(call, sqrt)),
        Form::new(EXACT, Type::Numeric, |call| one(call, Numeric::sqrt)),
    ],
);

pub(super) fn each(call: &Call, f: impl Fn(f64) -> Result<f64>) -> Result<ArrayRef> {
    let x = call.primitive::<Float64Type>(0);
    Ok(Arc::new(call.map::<Float64Type>(|row| f(x.value(row)).map(Some))?))
}

pub(super) fn both(call: &Call, f: impl Fn(f64, f64) -> Result<f64>) -> Result<ArrayRef> {
    let (x, y) = (call.primitive::<Float64Type>(0), call.primitive::<Float64Type>(1));
    Ok(Arc::new(call.map::<Float64Type>(|row| f(x.value(row), y.value(row)).map(Some))?))
}

fn inverse(x: f64, f: fn(f64) -> f64) -> Result<f64> {
    if !x.is_nan() && !(-1.0..=1.0).contains(&x) {
        return refuse("22003", "input is out of range");
    }
    Ok(f(x))
}

/// The number, if it has a logarithm.
fn logarithm(x: f64) -> Result<f64> {
    if x == 0.0 {
        return refuse("2201E", "cannot take logarithm of zero");
    }
    if x < 0.0 {
        return refuse("2201E", "cannot take logarithm of a negative number");
    }
    Ok(x)
}

fn exp(x: f64) -> Result<f64> {
    let y = x.exp();
    if y.is_infinite() && x.is_finite() {
        return refuse("22003", "value out of range: overflow");
    }
    if y == 0.0 && x.is_finite() {
        return refuse("22003", "value out of range: underflow");
    }
    Ok(y)
}

fn sqrt(x: f64) -> Result<f64> {
    if x < 0.0 {
        return refuse("2201F", "cannot take square root of a negative number");
    }
    Ok(x.sqrt())
}

fn power(x: f64, y: f64) -> Result<f64> {
    if x == 0.0 && y < 0.0 {
        return refuse("2201F", "zero raised to a negative power is undefined");
    }
    if x < 0.0 && y.fract() != 0.0 && y.is_finite() {
        return refuse("2201F", "a negative number raised to a non-integer power yields a complex result");
    }
    let z = x.powf(y);
    if z.is_infinite() && x.is_finite() && y.is_finite() {
        return refuse("22003", "value out of range: overflow");
    }
    if z == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
        return refuse("22003", "value out of range: underflow");
    }
    Ok(z)
}
