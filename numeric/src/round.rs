//! Rounding, cutting, scales, and the check of `numeric(p, s)`.

use crate::integer::Int;
use crate::value::{Decimal, Numeric};
use crate::{NumericError, Result, SCALE_MAX, WHOLE_DIGITS_MAX};

impl Decimal {
    /// The number with `scale` digits after the point (negative: zeros before it), rounded half away from zero.
    pub(crate) fn rescaled(&self, scale: i32) -> Decimal {
        Decimal { int: self.int.clone(), scale: 0 }.rescaled_from(self.scale(), scale)
    }

    /// As [`rescaled`](Decimal::rescaled), of a number whose own scale is `from`, which may be beyond the limit.
    pub(crate) fn rescaled_from(self, from: i32, scale: i32) -> Decimal {
        if scale >= from {
            return Decimal::of(self.int.raised((scale - from).unsigned_abs()), scale);
        }
        let (cut, half, _) = self.int.lowered((from - scale).unsigned_abs());
        let int = if half { away(cut, self.int.sign()) } else { cut };
        if scale >= 0 { Decimal::of(int, scale) } else { Decimal::of(int.raised(scale.unsigned_abs()), 0) }
    }

    /// As [`rescaled`](Decimal::rescaled), cut towards zero.
    pub(crate) fn cut(&self, scale: i32) -> Decimal {
        if scale >= self.scale() {
            return self.rescaled(scale);
        }
        let (int, _, _) = self.int.lowered((self.scale() - scale).unsigned_abs());
        if scale >= 0 { Decimal::of(int, scale) } else { Decimal::of(int.raised(scale.unsigned_abs()), 0) }
    }

    /// The nearest whole number that is not greater.
    fn floor(&self) -> Decimal {
        let (int, _, rest) = self.int.lowered(u32::from(self.scale));
        Decimal::of(if rest && self.sign() < 0 { away(int, -1) } else { int }, 0)
    }

    /// The digits after the point that the value needs.
    pub fn min_scale(&self) -> i32 {
        if self.is_zero() {
            return 0;
        }
        if let Int::Small(mut v) = self.int {
            let mut scale = self.scale();
            while scale > 0 && v % 10 == 0 {
                v /= 10;
                scale -= 1;
            }
            return scale;
        }
        let zeros = self.int.digits().iter().rev().take_while(|d| **d == 0).count();
        (self.scale() - zeros as i32).max(0)
    }

    /// Whether there is nothing but zeros after the point.
    pub(crate) fn is_whole(&self) -> bool {
        self.scale == 0 || self.min_scale() == 0
    }
}

/// One further from zero, in the direction of `sign`.
fn away(int: Int, sign: i32) -> Int {
    int.plus(&Int::Small(i128::from(sign)))
}

impl Numeric {
    fn map(&self, f: impl FnOnce(&Decimal) -> Decimal) -> Numeric {
        match self {
            Numeric::Finite(d) => Numeric::Finite(f(d)),
            other => other.clone(),
        }
    }

    /// `round(x, scale)`: half away from zero; with more digits than it has, zeros.
    ///
    /// # Errors
    /// 22003 where a digit is carried beyond the limit.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        // One place further than there are digits: what is there is less than half of it.
        let scale = scale.clamp(-(WHOLE_DIGITS_MAX as i32) - 1, SCALE_MAX);
        match self {
            Numeric::Finite(d) => d.rescaled(scale).checked().map(Numeric::Finite),
            other => Ok(other.clone()),
        }
    }

    /// `trunc(x, scale)`.
    pub fn trunc(&self, scale: i32) -> Numeric {
        self.map(|d| d.cut(scale.clamp(-(WHOLE_DIGITS_MAX as i32), SCALE_MAX)))
    }

    /// The nearest whole number that is not greater.
    pub fn floor(&self) -> Numeric {
        self.map(Decimal::floor)
    }

    /// The nearest whole number that is not less.
    pub fn ceil(&self) -> Numeric {
        self.negate().floor().negate()
    }

    /// With no more digits after the point than the value needs.
    pub fn trim_scale(&self) -> Numeric {
        self.map(|d| d.cut(d.min_scale()))
    }

    /// The value as a column `numeric(precision, scale)` takes it: rounded, and refused if that is too large.
    ///
    /// # Errors
    /// 22003.
    pub fn fit(&self, precision: i32, scale: i32) -> Result<Numeric> {
        match self {
            Numeric::NaN => Ok(Numeric::NaN),
            Numeric::Infinity | Numeric::NegativeInfinity => Err(NumericError::field_infinite(precision, scale)),
            Numeric::Finite(d) => {
                let rounded = d.rescaled(scale.min(SCALE_MAX));
                if !rounded.is_zero() && rounded.exponent() >= precision - scale {
                    return Err(NumericError::field_overflow(precision, scale));
                }
                Ok(Numeric::Finite(rounded))
            }
        }
    }
}
