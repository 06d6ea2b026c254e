//! Sums, products and quotients, with the scales that PostgreSQL gives them
//! (<https://www.postgresql.org/docs/15/functions-math.html>).

use crate::integer::Int;
use crate::value::{Decimal, Numeric};
use crate::{DISPLAY_SCALE_MAX, NumericError, Result, SIGNIFICANT_MIN};
use Numeric::{Finite, Infinity, NaN, NegativeInfinity};

impl Decimal {
    /// The power of 10000 of the first group of four digits, and that group: what scales are chosen by.
    pub(crate) fn first_group(&self) -> (i32, i64) {
        if self.is_zero() {
            return (0, 0);
        }
        let exponent = self.exponent();
        let wanted = exponent.rem_euclid(4) + 1;
        let count = self.int.digit_count() as i32;
        let lead = if count >= wanted {
            self.int.lowered((count - wanted).unsigned_abs()).0
        } else {
            self.int.raised((wanted - count).unsigned_abs())
        };
        let lead = if let Int::Small(v) = lead { v.unsigned_abs() as i64 } else { 0 };
        (exponent.div_euclid(4), lead)
    }

    /// The quotient rounded half away from zero to `scale` digits after the point; `other` is not zero.
    pub(crate) fn divided(&self, other: &Decimal, scale: i32) -> Decimal {
        // One digit more than wanted decides on the rounding, but for an exact half, which the digit shows as 5.
        let shift = scale + 1 + other.scale() - self.scale();
        let (numerator, denominator) = if shift >= 0 {
            (self.int.raised(shift.unsigned_abs()), other.int.clone())
        } else {
            (self.int.clone(), other.int.raised(shift.unsigned_abs()))
        };
        let cut = numerator.quotient(&denominator);
        Decimal::of(cut, 0).rescaled_from(scale + 1, scale)
    }
}

/// The scale of a quotient: at least 16 significant digits, and no fewer than either operand shows.
pub(crate) fn quotient_scale(a: &Decimal, b: &Decimal) -> i32 {
    let ((weight_a, first_a), (weight_b, first_b)) = (a.first_group(), b.first_group());
    let weight = weight_a - weight_b - i32::from(first_a <= first_b);
    (SIGNIFICANT_MIN - weight * 4).max(a.scale()).max(b.scale()).clamp(0, DISPLAY_SCALE_MAX)
}

impl Numeric {
    /// `-x`.
    pub fn negate(&self) -> Numeric {
        match self {
            NaN => NaN,
            Infinity => NegativeInfinity,
            NegativeInfinity => Infinity,
            Finite(d) => Finite(Decimal { int: d.int.clone().negated(), scale: d.scale }),
        }
    }

    /// `abs(x)`.
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.negate() } else { self.clone() }
    }

    /// `a + b`.
    ///
    /// # Errors
    /// 22003.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) => {
                let (a, b, scale) = a.aligned(b);
                Numeric::finite(a.plus(&b), scale)
            }
            (NaN, _) | (_, NaN) | (Infinity, NegativeInfinity) | (NegativeInfinity, Infinity) => Ok(NaN),
            (Finite(_), infinite) | (infinite, _) => Ok(infinite.clone()),
        }
    }

    /// `a - b`.
    ///
    /// # Errors
    /// 22003.
    pub fn subtract(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) => {
                let (a, b, scale) = a.aligned(b);
                Numeric::finite(a.minus(&b), scale)
            }
            _ => self.add(&other.negate()),
        }
    }

    /// `a * b`.
    ///
    /// # Errors
    /// 22003.
    pub fn multiply(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) => Numeric::finite(a.int.times(&b.int), a.scale() + b.scale()),
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ => Ok(match self.signum() * other.signum() {
                0 => NaN,
                sign => Numeric::infinity(sign),
            }),
        }
    }

    /// `a / b`, to at least 16 significant digits.
    ///
    /// # Errors
    /// 22012, 22003.
    pub fn divide(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            (_, Finite(b)) if b.is_zero() => Err(NumericError::division_by_zero()),
            (Finite(a), Finite(b)) => a.divided(b, quotient_scale(a, b)).checked().map(Finite),
            (Finite(_), _) => Ok(Numeric::ZERO),
            (_, Finite(b)) => Ok(Numeric::infinity(self.signum() * b.sign())),
            _ => Ok(NaN),
        }
    }

    /// `a % b`, with the sign of `a`.
    ///
    /// # Errors
    /// 22012.
    pub fn modulo(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            (_, Finite(b)) if b.is_zero() => Err(NumericError::division_by_zero()),
            (Finite(a), Finite(b)) => {
                let (a, b, scale) = a.aligned(b);
                Numeric::finite(a.remainder(&b), scale)
            }
            (Finite(_), _) => Ok(self.clone()),
            _ => Ok(NaN),
        }
    }

    /// `div(a, b)`: the quotient cut to a whole number.
    ///
    /// # Errors
    /// 22012, 22003.
    pub fn quotient(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Finite(a), Finite(b)) if !b.is_zero() => {
                let (a, b, _) = a.aligned(b);
                Numeric::finite(a.quotient(&b), 0)
            }
            _ => self.divide(other),
        }
    }

    /// The greatest common divisor; NaN unless both are finite.
    ///
    /// # Errors
    /// None but 22003, which cannot happen.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        let (Finite(a), Finite(b)) = (self, other) else { return Ok(NaN) };
        let (mut a, mut b, scale) = a.aligned(b);
        while b.sign() != 0 {
            let rest = a.remainder(&b);
            a = b;
            b = rest;
        }
        Numeric::finite(if a.sign() < 0 { a.negated() } else { a }, scale)
    }

    /// The least common multiple.
    ///
    /// # Errors
    /// 22003.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        let (Finite(a), Finite(b)) = (self, other) else { return Ok(NaN) };
        let scale = a.scale().max(b.scale());
        if a.is_zero() || b.is_zero() {
            return Numeric::finite(Int::ZERO, scale);
        }
        let divisor = self.gcd(other)?;
        let Finite(d) = &divisor else { return Ok(NaN) };
        let (a, d, _) = a.aligned(d);
        let multiple = a.quotient(&d).times(&b.rescaled(scale).int);
        Numeric::finite(if multiple.sign() < 0 { multiple.negated() } else { multiple }, scale)
    }

    /// `n!`.
    ///
    /// # Errors
    /// 22003 for a negative or a too large one.
    pub fn factorial(n: i64) -> Result<Numeric> {
        if n < 0 {
            return Err(NumericError::new("22003", "factorial of a negative number is undefined"));
        }
        if n > 32_177 {
            return Err(NumericError::overflow());
        }
        let product = (2..=n).fold(Int::Small(1), |product, k| product.times(&Int::Small(i128::from(k))));
        Numeric::finite(product, 0)
    }

    /// The variance of `count` values, or with `root` their standard deviation, from their sum and that of their squares.
    /// NaN if one of the values was not finite.
    ///
    /// # Errors
    /// 22003.
    pub fn spread(count: i64, sum: &Numeric, squares: &Numeric, sample: bool, root: bool) -> Result<Numeric> {
        let n = Numeric::new(count.into(), 0);
        let numerator = n.multiply(squares)?.subtract(&sum.multiply(sum)?)?;
        let (Finite(_), Finite(_), Finite(numerator)) = (sum, squares, &numerator) else { return Ok(NaN) };
        if numerator.sign() <= 0 {
            return Ok(Numeric::ZERO);
        }
        let denominator = Decimal::new(i128::from(count) * i128::from(count - i64::from(sample)), 0);
        let scale = quotient_scale(numerator, &denominator);
        let variance = numerator.divided(&denominator, scale);
        Ok(Finite(if root { crate::root::root(&variance, scale) } else { variance }))
    }
}
