//! `gcd` and `lcm` of integers (<https://www.postgresql.org/docs/15/functions-math.html>).

use std::sync::Arc;

use arrow::datatypes::{Int32Type, Int64Type};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const GCD: Function = Function::new(
    "gcd",
    "The greatest common divisor.",
    &[
        Form::new(&[Type::Int4, Type::Int4], Type::Int4, |call| {
            let (a, b) = (call.primitive::<Int32Type>(0), call.primitive::<Int32Type>(1));
            let one = |row| integer(gcd(a.value(row).into(), b.value(row).into()));
            Ok(Arc::new(call.map::<Int32Type>(one)?))
        }),
        Form::new(&[Type::Int8, Type::Int8], Type::Int8, |call| {
            let (a, b) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
            let one = |row| bigint(gcd(a.value(row).into(), b.value(row).into()));
            Ok(Arc::new(call.map::<Int64Type>(one)?))
        }),
    ],
);
pub(super) const LCM: Function = Function::new(
    "lcm",
    "The least common multiple.",
    &[
        Form::new(&[Type::Int4, Type::Int4], Type::Int4, |call| {
            let (a, b) = (call.primitive::<Int32Type>(0), call.primitive::<Int32Type>(1));
            let one = |row| integer(lcm(a.value(row).into(), b.value(row).into()));
            Ok(Arc::new(call.map::<Int32Type>(one)?))
        }),
        Form::new(&[Type::Int8, Type::Int8], Type::Int8, |call| {
            let (a, b) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
            let one = |row| bigint(lcm(a.value(row).into(), b.value(row).into()));
            Ok(Arc::new(call.map::<Int64Type>(one)?))
        }),
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

fn integer(n: i128) -> Result<Option<i32>> {
    match i32::try_from(n) {
        Ok(n) => Ok(Some(n)),
        Err(_) => refuse("22003", "integer out of range"),
    }
}

fn bigint(n: i128) -> Result<Option<i64>> {
    match i64::try_from(n) {
        Ok(n) => Ok(Some(n)),
        Err(_) => refuse("22003", "bigint out of range"),
    }
}
