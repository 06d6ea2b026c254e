//! Decimal text, in and out.

use crate::value::{Decimal, Numeric};
use crate::{NumericError, Result, SCALE_MAX, WHOLE_DIGITS_MAX};

/// An exponent beyond this is no number at all, whatever its digits.
const EXPONENT_MAX: i64 = i32::MAX as i64 / 2;

impl Numeric {
    /// Reads `-12.50`, `1e10`, `NaN`, `-Infinity`, with blanks around it, as PostgreSQL's `numeric_in`.
    ///
    /// # Errors
    /// 22P02, 22003.
    pub fn parse(text: &str) -> Result<Numeric> {
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        let (sign, rest) = match trimmed.as_bytes().first() {
            Some(b'-') => (Some(true), &trimmed[1..]),
            Some(b'+') => (Some(false), &trimmed[1..]),
            _ => (None, trimmed),
        };
        let negative = sign == Some(true);
        if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return match rest.to_ascii_lowercase().as_str() {
                "nan" if sign.is_none() => Ok(Numeric::NaN),
                "infinity" | "inf" => Ok(Numeric::infinity(if negative { -1 } else { 1 })),
                _ => Err(NumericError::syntax(text)),
            };
        }
        parse_digits(rest, negative, text)
    }
}

fn parse_digits(rest: &str, negative: bool, text: &str) -> Result<Numeric> {
    let syntax = || NumericError::syntax(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..], text)?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = || whole.bytes().chain(fraction.bytes());
    if (whole.is_empty() && fraction.is_empty()) || !written().all(|b| b.is_ascii_digit()) {
        return Err(syntax());
    }
    let zeros = written().take_while(|b| *b == b'0').count();
    let significant = whole.len() + fraction.len() - zeros;
    let scale = fraction.len() as i64 - exponent;
    if significant as i64 - scale > WHOLE_DIGITS_MAX && significant > 0 || scale > i64::from(SCALE_MAX) {
        return Err(NumericError::overflow());
    }
    if significant <= 36 && (0..=SCALE_MAX as i64).contains(&scale) {
        let int = written().skip(zeros).fold(0_i128, |v, b| v * 10 + i128::from(b - b'0'));
        return Ok(Numeric::new(if negative { -int } else { int }, scale as u16));
    }
    let digits = written().skip(zeros).map(|b| b - b'0').collect::<Vec<_>>();
    let number = Decimal::of_digits(negative, &digits, 0);
    if scale >= 0 {
        return Ok(Numeric::Finite(Decimal { scale: scale as u16, ..number }));
    }
    let raised = number.int.raised(u32::try_from(-scale).unwrap_or(0));
    Decimal::of(raised, 0).checked().map(Numeric::Finite)
}

fn parse_exponent(digits: &str, text: &str) -> Result<i64> {
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumericError::syntax(text));
    }
    let exponent = digits.parse::<i64>().map_err(|_| NumericError::overflow())?;
    if exponent.abs() >= EXPONENT_MAX { Err(NumericError::overflow()) } else { Ok(exponent) }
}

impl Decimal {
    /// Appends the number with all digits of its scale.
    pub fn write(&self, out: &mut Vec<u8>) {
        let digits = self.int.digits();
        if self.sign() < 0 {
            out.push(b'-');
        }
        let scale = usize::from(self.scale);
        let whole = digits.len().saturating_sub(scale);
        if whole == 0 {
            out.push(b'0');
        }
        out.extend(digits[..whole].iter().map(|d| d + b'0'));
        if scale > 0 {
            out.push(b'.');
            out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
            out.extend(digits[whole..].iter().map(|d| d + b'0'));
        }
    }
}

impl Numeric {
    /// Appends the value as PostgreSQL's `numeric_out` writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Numeric::NaN => out.extend_from_slice(b"NaN"),
            Numeric::Infinity => out.extend_from_slice(b"Infinity"),
            Numeric::NegativeInfinity => out.extend_from_slice(b"-Infinity"),
            Numeric::Finite(d) => d.write(out),
        }
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
