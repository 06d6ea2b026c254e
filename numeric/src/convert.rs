//! To and from the other number types.

use crate::value::{Decimal, Numeric};
use crate::{NumericError, Result};

/// The whole numbers that a double holds exactly.
const EXACT_DOUBLE: u128 = 1 << 53;
/// The powers of ten that a double holds exactly.
const EXACT_POWER: i32 = 22;

impl Numeric {
    /// A double with 15 significant digits, as PostgreSQL casts it.
    pub fn of_f64(v: f64) -> Numeric {
        of_float(v, 15)
    }

    /// A real with 6 significant digits.
    pub fn of_f32(v: f32) -> Numeric {
        of_float(f64::from(v), 6)
    }

    /// The nearest double; `None` for a value beyond its range.
    pub fn to_f64(&self) -> Option<f64> {
        let d = match self {
            Numeric::NaN => return Some(f64::NAN),
            Numeric::Infinity => return Some(f64::INFINITY),
            Numeric::NegativeInfinity => return Some(f64::NEG_INFINITY),
            Numeric::Finite(d) => d,
        };
        if let Some(v) = d.small()
            && v.unsigned_abs() < EXACT_DOUBLE
            && d.scale() <= EXACT_POWER
        {
            return Some(v as f64 / 10_f64.powi(d.scale()));
        }
        let v = self.to_string().parse::<f64>().ok()?;
        (v.is_finite() && (v != 0.0 || d.is_zero())).then_some(v)
    }

    /// The nearest real; `None` for a value beyond its range.
    pub fn to_f32(&self) -> Option<f32> {
        match self {
            Numeric::Finite(d) => {
                let v = self.to_string().parse::<f32>().ok()?;
                (v.is_finite() && (v != 0.0 || d.is_zero())).then_some(v)
            }
            other => other.to_f64().map(|v| v as f32),
        }
    }

    /// The whole number, rounded half away from zero, if it lies between the bounds; `ty` is for the message.
    ///
    /// # Errors
    /// 22003; 0A000 for NaN and the infinities.
    pub fn to_integer(&self, least: i64, most: i64, ty: &str) -> Result<i64> {
        let whole = match self {
            Numeric::NaN => return Err(NumericError::new("0A000", format!("cannot convert NaN to {ty}"))),
            Numeric::Infinity | Numeric::NegativeInfinity => {
                return Err(NumericError::new("0A000", format!("cannot convert infinity to {ty}")));
            }
            Numeric::Finite(d) => d.rescaled(0).small(),
        };
        let fits = whole.and_then(|v| i64::try_from(v).ok()).filter(|v| (least..=most).contains(v));
        fits.ok_or_else(|| NumericError::new("22003", format!("{ty} out of range")))
    }

    /// The number if it is finite.
    pub fn decimal(&self) -> Option<&Decimal> {
        if let Numeric::Finite(d) = self { Some(d) } else { None }
    }
}

/// As C's `%.{digits}g` writes the number, read again.
fn of_float(v: f64, digits: usize) -> Numeric {
    if v.is_nan() {
        return Numeric::NaN;
    }
    if v.is_infinite() {
        return Numeric::infinity(if v < 0.0 { -1 } else { 1 });
    }
    let text = format!("{v:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    Numeric::parse(&format!("{mantissa}e{exponent}")).unwrap_or(Numeric::ZERO)
}
