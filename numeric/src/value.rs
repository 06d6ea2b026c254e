//! The value: a decimal number with a display scale, an infinity, or NaN.

use std::cmp::Ordering;

use crate::integer::Int;
use crate::{NumericError, Result, SCALE_MAX, WHOLE_DIGITS_MAX};

/// A numeric.
#[derive(Clone, Debug)]
pub enum Numeric {
    NegativeInfinity,
    Finite(Decimal),
    Infinity,
    NaN,
}

/// A finite number: `int / 10^scale`, shown with `scale` digits after the point.
#[derive(Clone, Debug)]
pub struct Decimal {
    pub(crate) int: Int,
    pub(crate) scale: u16,
}

impl Decimal {
    /// A whole number over 10^scale.
    pub fn new(int: i128, scale: u16) -> Decimal {
        Decimal { int: Int::Small(int), scale }
    }

    /// Digits 0 to 9 of a whole number over 10^scale.
    pub fn of_digits(negative: bool, digits: &[u8], scale: u16) -> Decimal {
        Decimal { int: Int::of_digits(negative, digits), scale }
    }

    pub(crate) fn of(int: Int, scale: i32) -> Decimal {
        Decimal { int, scale: u16::try_from(scale).unwrap_or(0) }
    }

    /// Digits after the point that are shown.
    pub fn scale(&self) -> i32 {
        i32::from(self.scale)
    }

    /// -1, 0, 1.
    pub fn sign(&self) -> i32 {
        self.int.sign()
    }

    /// The digits 0 to 9 of the whole number that the scale divides; none of zero.
    pub fn digits(&self) -> Vec<u8> {
        self.int.digits()
    }

    /// The whole number that the scale divides, if an `i128` holds it.
    pub fn small(&self) -> Option<i128> {
        match self.int {
            Int::Small(v) => Some(v),
            Int::Big(_) => None,
        }
    }

    /// The whole number at another scale, rounded half away from zero if that is less; none beyond an `i128`.
    pub fn scaled(&self, scale: i32) -> Option<i128> {
        self.rescaled(scale).int_small()
    }

    fn int_small(&self) -> Option<i128> {
        self.small()
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    /// The power of ten of the first digit; zero has that of one.
    pub(crate) fn exponent(&self) -> i32 {
        if self.is_zero() { 0 } else { self.int.digit_count() as i32 - 1 - self.scale() }
    }

    pub(crate) fn compared(&self, other: &Decimal) -> Ordering {
        if self.scale == other.scale {
            return self.int.compared(&other.int);
        }
        let (a, b, _) = self.aligned(other);
        a.compared(&b)
    }

    /// Both over the greater scale.
    pub(crate) fn aligned(&self, other: &Decimal) -> (Int, Int, i32) {
        let scale = self.scale.max(other.scale);
        let up = |d: &Decimal| d.int.raised(u32::from(scale - d.scale));
        (up(self), up(other), i32::from(scale))
    }

    /// The number if it has no more digits than a numeric may have.
    ///
    /// # Errors
    /// 22003.
    pub(crate) fn checked(self) -> Result<Decimal> {
        match self.int {
            Int::Small(_) => Ok(self),
            Int::Big(_) if i64::from(self.exponent()) >= WHOLE_DIGITS_MAX => Err(NumericError::overflow()),
            Int::Big(_) => Ok(self),
        }
    }
}

impl Numeric {
    /// Zero, without digits after the point.
    pub const ZERO: Numeric = Numeric::Finite(Decimal { int: Int::ZERO, scale: 0 });
    /// One.
    pub const ONE: Numeric = Numeric::Finite(Decimal { int: Int::Small(1), scale: 0 });

    /// A whole number over 10^scale.
    pub fn new(int: i128, scale: u16) -> Numeric {
        Numeric::Finite(Decimal::new(int, scale))
    }

    pub(crate) fn finite(int: Int, scale: i32) -> Result<Numeric> {
        if scale > SCALE_MAX {
            return Decimal::of(int, 0).rescaled_from(scale, SCALE_MAX).checked().map(Numeric::Finite);
        }
        Decimal::of(int, scale).checked().map(Numeric::Finite)
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self, Numeric::Infinity | Numeric::NegativeInfinity)
    }

    /// -1, 0, 1; of NaN 0.
    pub fn signum(&self) -> i32 {
        match self {
            Numeric::NegativeInfinity => -1,
            Numeric::Finite(d) => d.sign(),
            Numeric::Infinity => 1,
            Numeric::NaN => 0,
        }
    }

    /// Where the class of the value stands in PostgreSQL's order: NaN above all.
    fn rank(&self) -> u8 {
        match self {
            Numeric::NegativeInfinity => 0,
            Numeric::Finite(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        }
    }

    /// PostgreSQL's order: NaN equals NaN and is above all else.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        match (self, other) {
            (Numeric::Finite(a), Numeric::Finite(b)) => a.compared(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The infinity of a sign.
    pub(crate) fn infinity(sign: i32) -> Numeric {
        if sign < 0 { Numeric::NegativeInfinity } else { Numeric::Infinity }
    }
}
