//! The square root.

use num_bigint::BigInt;

use crate::integer::Int;
use crate::value::{Decimal, Numeric};
use crate::{DISPLAY_SCALE_MAX, NumericError, Result, SIGNIFICANT_MIN};

/// Digits computed beyond those asked for: one decides on the rounding.
const GUARD: i32 = 1;

impl Numeric {
    /// `sqrt(x)`, to at least 16 significant digits.
    ///
    /// # Errors
    /// 2201F.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() < 0 {
            return Err(NumericError::new("2201F", "cannot take square root of a negative number"));
        }
        let Numeric::Finite(d) = self else { return Ok(self.clone()) };
        let (weight, _) = d.first_group();
        // A group of four digits in front of the point gives two of the root.
        let whole = weight * 2 + 1;
        let scale = (SIGNIFICANT_MIN - whole).max(d.scale()).clamp(0, DISPLAY_SCALE_MAX);
        Ok(Numeric::Finite(root(d, scale)))
    }
}

/// The root rounded half up to `scale` digits.
pub(crate) fn root(d: &Decimal, scale: i32) -> Decimal {
    let shift = 2 * (scale + GUARD) - d.scale();
    let square = if shift >= 0 { d.int.raised(shift.unsigned_abs()) } else { d.int.lowered(shift.unsigned_abs()).0 };
    let root = Int::of(BigInt::from(square.magnitude().sqrt()));
    Decimal::of(root, 0).rescaled_from(scale + GUARD, scale)
}
