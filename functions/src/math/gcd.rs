//! `gcd` and `lcm`: of two integers or numerics, never negative.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::refuse;
use crate::numeric::two;
use crate::udf::{Call, Form, Function, Type};

pub(super) const GCD: Function = Function::new(
    "gcd",
    "The greatest common divisor.",
    &[
        Form::new(&[Type::Int4, Type::Int4], Type::Int4, |call| integers::<Int32Type>(call, gcd, "integer")),
        Form::new(&[Type::Int8, Type::Int8], Type::Int8, |call| integers::<Int64Type>(call, gcd, "bigint")),
        Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, |call| two(call, Numeric::gcd)),
    ],
);
pub(super) const LCM: Function = Function::new(
    "lcm",
    "The least common multiple.",
    &[
        Form::new(&[Type::Int4, Type::Int4], Type::Int4, |call| integers::<Int32Type>(call, lcm, "integer")),
        Form::new(&[Type::Int8, Type::Int8], Type::Int8, |call| integers::<Int64Type>(call, lcm, "bigint")),
        Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, |call| two(call, Numeric::lcm)),
    ],
);

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs() }
}

fn integers<T: ArrowPrimitiveType>(call: &Call, f: fn(i128, i128) -> i128, ty: &str) -> Result<ArrayRef>
where
    T::Native: Into<i128> + TryFrom<i128>,
{
    let (a, b) = (call.primitive::<T>(0), call.primitive::<T>(1));
    Ok(Arc::new(call.map::<T>(|row| match T::Native::try_from(f(a.value(row).into(), b.value(row).into())) {
        Ok(v) => Ok(Some(v)),
        Err(_) => refuse("22003", format!("{ty} out of range")),
    })?))
}
