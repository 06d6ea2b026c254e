//! Trigonometry in degrees: `sind`, `cosd`, `tand`, `cotd`, `asind`, `acosd`, `atand`, `atan2d`, exact where the answer is:
//! `sind(30)` is 0.5 (<https://www.postgresql.org/docs/15/functions-math.html#FUNCTIONS-MATH-TRIG-TABLE>).
//!
//! As in PostgreSQL: an angle is brought into the first quadrant, and what the C library gives is divided by what it gives
//! for the angle whose answer is known.

use datafusion_common::Result;

use super::domain::{both, each};
use crate::error::refuse;
use crate::udf::{Form, Function, Type};

const ONE: &[Type] = &[Type::Float8];

pub(super) const SIND: Function = Function::new(
    "sind",
    "The sine of an angle in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(sind)))],
);
pub(super) const COSD: Function = Function::new(
    "cosd",
    "The cosine of an angle in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(cosd)))],
);
pub(super) const TAND: Function = Function::new(
    "tand",
    "The tangent of an angle in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(tand)))],
);
pub(super) const COTD: Function = Function::new(
    "cotd",
    "The cotangent of an angle in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| finite(x).map(cotd)))],
);
pub(super) const ASIND: Function = Function::new(
    "asind",
    "The inverse sine in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| unit(x).map(asind)))],
);
pub(super) const ACOSD: Function = Function::new(
    "acosd",
    "The inverse cosine in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| unit(x).map(acosd)))],
);
pub(super) const ATAND: Function = Function::new(
    "atand",
    "The inverse tangent in degrees.",
    &[Form::new(ONE, Type::Float8, |call| each(call, |x| Ok(x.atan() / 1_f64.atan() * 45.0)))],
);
pub(super) const ATAN2D: Function = Function::new(
    "atan2d",
    "The inverse tangent of a quotient in degrees.",
    &[Form::new(&[Type::Float8, Type::Float8], Type::Float8, |call| {
        both(call, |y, x| Ok(y.atan2(x) / 1_f64.atan() * 45.0))
    })],
);

fn finite(x: f64) -> Result<f64> {
    if x.is_infinite() { refuse("22003", "input is out of range") } else { Ok(x) }
}

fn unit(x: f64) -> Result<f64> {
    if !x.is_nan() && !(-1.0..=1.0).contains(&x) {
        return refuse("22003", "input is out of range");
    }
    Ok(x)
}

/// The sine of an angle from 0 to 30.
fn sind_0_to_30(x: f64) -> f64 {
    x.to_radians_c().sin() / 30_f64.to_radians_c().sin() / 2.0
}

/// The cosine of an angle from 0 to 60.
fn cosd_0_to_60(x: f64) -> f64 {
    1.0 - (1.0 - x.to_radians_c().cos()) / (1.0 - 60_f64.to_radians_c().cos()) / 2.0
}

/// Degrees as radians, divided as C does it: Rust multiplies by another constant.
trait Radians {
    fn to_radians_c(self) -> f64;
}

impl Radians for f64 {
    fn to_radians_c(self) -> f64 {
        self * (std::f64::consts::PI / 180.0)
    }
}

/// The sine in the first quadrant.
fn sind_q1(x: f64) -> f64 {
    if x <= 30.0 { sind_0_to_30(x) } else { cosd_0_to_60(90.0 - x) }
}

/// The cosine in the first quadrant.
fn cosd_q1(x: f64) -> f64 {
    if x <= 60.0 { cosd_0_to_60(x) } else { sind_0_to_30(90.0 - x) }
}

fn sind(x: f64) -> f64 {
    let (mut x, mut sign) = (x % 360.0, 1.0);
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    sign * sind_q1(x)
}

fn cosd(x: f64) -> f64 {
    let (mut x, mut sign) = ((x % 360.0).abs(), 1.0);
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    sign * cosd_q1(x)
}

/// The angle in the first quadrant, and the sign of its tangent.
fn quadrant(x: f64) -> (f64, f64) {
    let (mut x, mut sign) = (x % 360.0, 1.0);
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    (x, sign)
}

fn tand(x: f64) -> f64 {
    let (x, sign) = quadrant(x);
    let tangent = (sind_q1(x) / cosd_q1(x)) / (sind_q1(45.0) / cosd_q1(45.0));
    // No -0 in 15.
    let result = sign * tangent;
    if result == 0.0 { 0.0 } else { result }
}

fn cotd(x: f64) -> f64 {
    let (x, sign) = quadrant(x);
    let cotangent = (cosd_q1(x) / sind_q1(x)) / (cosd_q1(45.0) / sind_q1(45.0));
    let result = sign * cotangent;
    if result == 0.0 { 0.0 } else { result }
}

/// The inverse sine of 0 to 1.
fn asind_q1(x: f64) -> f64 {
    if x <= 0.5 { x.asin() / 0.5_f64.asin() * 30.0 } else { 90.0 - x.acos() / 0.5_f64.acos() * 60.0 }
}

/// The inverse cosine of 0 to 1.
fn acosd_q1(x: f64) -> f64 {
    if x <= 0.5 { 90.0 - x.asin() / 0.5_f64.asin() * 30.0 } else { x.acos() / 0.5_f64.acos() * 60.0 }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 { asind_q1(x) } else { -asind_q1(-x) }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 { acosd_q1(x) } else { 90.0 + asind_q1(-x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_where_the_answer_is() {
        assert_eq!([0.0, 30.0, 90.0, 150.0, 210.0, 270.0, 360.0].map(sind), [0.0, 0.5, 1.0, 0.5, -0.5, -1.0, 0.0]);
        assert_eq!([0.0, 60.0, 90.0, 120.0, 180.0, 240.0].map(cosd), [1.0, 0.5, 0.0, -0.5, -1.0, -0.5]);
        assert_eq!([45.0, 135.0, 225.0, -45.0].map(tand), [1.0, -1.0, 1.0, -1.0]);
        assert_eq!([-1.0, -0.5, 0.0, 0.5, 1.0].map(asind), [-90.0, -30.0, 0.0, 30.0, 90.0]);
        assert_eq!([-1.0, -0.5, 0.0, 0.5, 1.0].map(acosd), [180.0, 120.0, 90.0, 60.0, 0.0]);
    }
}
