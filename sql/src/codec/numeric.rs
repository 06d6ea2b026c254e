//! `numeric(p,s)` held as a scaled integer: to and from decimal text and [`Numeric`].
//!
//! Values are `i256` here where width does not matter; columns of at most 38 digits take a path in `i128`.

use arrow::datatypes::i256;
use sightline_numeric::{Decimal, Numeric, NumericError};
use sightline_storage::error::{Error, Result};

/// 10^n.
fn pow10_i128(n: u32) -> i128 {
    10i128.pow(n)
}

/// 22003 as PostgreSQL words it for a value that does not fit `numeric(precision,scale)`.
pub fn overflow(precision: u8, scale: i8) -> Error {
    NumericError::field_overflow(precision.into(), scale.into()).into()
}

/// The value rounded to an integer of `scale` with at most `precision` digits.
///
/// # Errors
/// 22003; 0A000 for NaN, which an Arrow decimal does not hold.
pub fn to_scaled(value: &Numeric, precision: u8, scale: i8) -> Result<i256> {
    let fitted = value.fit(precision.into(), scale.into())?;
    let nan = || Error::unsupported(format!("NaN is not supported in type numeric({precision},{scale})"));
    let decimal = fitted.decimal().ok_or_else(nan)?;
    if let Some(small) = decimal.small() {
        return Ok(i256::from_i128(small));
    }
    let ten = i256::from_i128(10);
    let digits = decimal.digits();
    let whole = digits.iter().fold(i256::ZERO, |v, d| v.wrapping_mul(ten).wrapping_add(i256::from_i128((*d).into())));
    Ok(if decimal.sign() < 0 { whole.wrapping_neg() } else { whole })
}

/// An integer over 10^scale.
pub fn of_scaled(v: i256, scale: i8) -> Numeric {
    let places = u16::try_from(scale).unwrap_or(0);
    match v.to_i128() {
        Some(small) => Numeric::new(small, places),
        None => {
            let digits = v.to_string().bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect::<Vec<_>>();
            Numeric::Finite(Decimal::of_digits(v.is_negative(), &digits, places))
        }
    }
}

/// Text as an integer of `scale`, for a column of at most 38 digits.
///
/// # Errors
/// 22P02, 0A000 for NaN, and 22003 if it needs more digits than `precision`.
pub fn parse_i128(text: &str, precision: u8, scale: i8) -> Result<i128> {
    if let Some(v) = parse_short(text.as_bytes(), precision, scale) {
        return Ok(v);
    }
    let v = to_scaled(&Numeric::parse(text)?, precision, scale)?;
    v.to_i128().ok_or_else(|| overflow(precision, scale))
}

/// Text as an integer of `scale`, for a column of at most 76 digits.
///
/// # Errors
/// As [`parse_i128`].
pub fn parse_i256(text: &str, precision: u8, scale: i8) -> Result<i256> {
    to_scaled(&Numeric::parse(text)?, precision, scale)
}

/// The common case, at most 18 digits and no exponent; none means: take the long way.
fn parse_short(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 || !(0..=18).contains(&scale) {
        return None;
    }
    let (mut v, mut after_point, mut n) = (0i64, None, 0);
    for b in digits {
        match b {
            b'0'..=b'9' => {
                v = v * 10 + i64::from(b - b'0');
                n += 1;
                after_point = after_point.map(|a| a + 1);
            }
            b'.' if after_point.is_none() => after_point = Some(0i32),
            _ => return None,
        }
    }
    if n == 0 || n > 18 {
        return None;
    }
    let surplus = after_point.unwrap_or(0) - i32::from(scale);
    let v = i128::from(v);
    let scaled = if surplus <= 0 {
        v * pow10_i128(surplus.unsigned_abs())
    } else {
        let unit = pow10_i128(surplus.unsigned_abs());
        v / unit + i128::from(v % unit * 2 >= unit)
    };
    (scaled < pow10_i128(u32::from(precision).min(38))).then_some(if negative { -scaled } else { scaled })
}

/// Writes an integer of `scale` as decimal text, with all digits of the scale.
pub fn write_i128(out: &mut Vec<u8>, v: i128, scale: i8) {
    let mut buffer = [0u8; 40];
    let mut at = buffer.len();
    let mut rest = v.unsigned_abs();
    loop {
        if rest <= u128::from(u64::MAX) {
            let mut small = rest as u64;
            while small > 0 {
                at -= 1;
                buffer[at] = b'0' + (small % 10) as u8;
                small /= 10;
            }
            break;
        }
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    write_digits(out, v < 0, &buffer[at..], scale);
}

/// As [`write_i128`].
pub fn write_i256(out: &mut Vec<u8>, v: i256, scale: i8) {
    if let Some(small) = v.to_i128() {
        return write_i128(out, small, scale);
    }
    let text = v.wrapping_abs().to_string();
    write_digits(out, v.is_negative(), text.as_bytes(), scale);
}

/// Lays out ASCII digits (none: zero) with the point `scale` before their end.
fn write_digits(out: &mut Vec<u8>, negative: bool, digits: &[u8], scale: i8) {
    if negative {
        out.push(b'-');
    }
    if scale <= 0 {
        match digits {
            [] => out.push(b'0'),
            _ => {
                out.extend_from_slice(digits);
                out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
            }
        }
        return;
    }
    let scale = scale as usize;
    let whole = digits.len().saturating_sub(scale);
    if whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits[..whole]);
    out.push(b'.');
    out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(&digits[whole..]);
}

#[cfg(test)]
mod tests {
    use sightline_storage::error::SqlState;

    use super::*;

    fn text(v: i128, scale: i8) -> String {
        let mut out = Vec::new();
        write_i128(&mut out, v, scale);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn written() {
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(12345, 2), "123.45");
        assert_eq!(text(12, -2), "1200");
        assert_eq!(text(i128::MAX, 0), i128::MAX.to_string());
    }

    #[test]
    fn read() {
        for (t, p, s, v) in [
            ("1", 5, 2, 100),
            (" -1.005 ", 5, 2, -101),
            ("1.005", 5, 2, 101),
            ("0.004", 5, 2, 0),
            (".5", 5, 0, 1),
            ("5.", 5, 0, 5),
            ("1e2", 5, 2, 10000),
            ("1.5e-1", 5, 2, 15),
            ("-0", 5, 2, 0),
            ("999.99", 5, 2, 99999),
        ] {
            assert_eq!(parse_i128(t, p, s).unwrap(), v, "{t}");
        }
        let e = parse_i128("999.995", 5, 2).unwrap_err();
        assert_eq!(e.message(), "numeric field overflow");
        assert_eq!(
            e.get_detail(),
            Some("A field with precision 5, scale 2 must round to an absolute value less than 10^3.")
        );
        assert_eq!(parse_i128("1", 2, 2).unwrap_err().get_detail().unwrap().split(' ').next_back(), Some("1."));
        for t in ["", ".", "1.2.3", "abc", "1e", "--1", "1 2"] {
            assert_eq!(parse_i128(t, 5, 2).unwrap_err().code(), SqlState::INVALID_TEXT_REPRESENTATION, "{t}");
        }
        let wide = "1".repeat(70);
        assert_eq!(parse_i256(&wide, 76, 0).unwrap().to_string(), wide);
        assert!(parse_i256(&wide, 60, 0).is_err());
    }

    #[test]
    fn random_round_trip() {
        let mut seed = 7u64;
        for _ in 0..5_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let v = i128::from(seed as i64) * i128::from((seed >> 20) as i32 >> (seed % 30));
            let scale = (seed >> 33) as i8 & 15;
            assert_eq!(parse_i128(&text(v, scale), 38, scale).unwrap(), v);
            assert_eq!(of_scaled(i256::from_i128(v), scale).to_string(), text(v, scale));
        }
    }
}
