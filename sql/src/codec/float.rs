//! `real` and `double precision`: the shortest digits that read back as the same number, laid out as PostgreSQL does.

use std::io::Write;

use sightline_storage::error::{Error, Result, SqlState};

/// Writes a double as text.
pub fn write_f64(out: &mut Vec<u8>, v: f64, extra_float_digits: i32) {
    if !write_special(out, v) {
        if extra_float_digits > 0 {
            let plain = v == 0.0 || (1e-4..1e15).contains(&v.abs());
            write_shortest(out, zmij::Buffer::new().format_finite(v), plain, 15);
        } else {
            let digits = (15 + extra_float_digits).max(1) as usize;
            lay_out(out, format_args!("{v:.*e}", digits - 1), digits as i32);
        }
    }
}

/// Writes a real as text.
pub fn write_f32(out: &mut Vec<u8>, v: f32, extra_float_digits: i32) {
    if !write_special(out, f64::from(v)) {
        if extra_float_digits > 0 {
            let plain = v == 0.0 || (1e-4..1e6).contains(&v.abs());
            write_shortest(out, zmij::Buffer::new().format_finite(v), plain, 6);
        } else {
            let digits = (6 + extra_float_digits).max(1) as usize;
            lay_out(out, format_args!("{v:.*e}", digits - 1), digits as i32);
        }
    }
}

fn write_special(out: &mut Vec<u8>, v: f64) -> bool {
    let text: &[u8] = if v.is_nan() {
        b"NaN"
    } else if v.is_infinite() {
        if v > 0.0 { b"Infinity" } else { b"-Infinity" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// Lays out the shortest digits, written as `1.0`, `0.25` or `1.5e-7`; `plain` if PostgreSQL writes that number without
/// an exponent. Of two that are as near it takes the even one, as PostgreSQL does and Rust's own formatting does not.
fn write_shortest(out: &mut Vec<u8>, text: &str, plain: bool, plain_below: i32) {
    match (plain, text.contains('e')) {
        (true, false) => out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes()),
        (_, true) => lay_out_text(out, text.as_bytes(), plain_below),
        (false, false) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |whole| (true, whole));
            let mut digits = [0u8; 32];
            let all = whole.bytes().chain(fraction.bytes());
            let zeros = all.clone().take_while(|b| *b == b'0').count();
            let mut n = 0;
            for (place, b) in digits.iter_mut().zip(all.skip(zeros)) {
                *place = b;
                n += 1;
            }
            while n > 1 && digits[n - 1] == b'0' {
                n -= 1;
            }
            if negative {
                out.push(b'-');
            }
            push_g(out, &digits[..n], whole.len() as i32 - 1 - zeros as i32, plain_below);
        }
    }
}

/// Turns Rust's `-1.25e3` into C's `%g`: plain if -4 <= exponent < `plain_below`, else with a two-digit exponent.
fn lay_out(out: &mut Vec<u8>, scientific: std::fmt::Arguments<'_>, plain_below: i32) {
    let mut buffer = [0u8; 64];
    let mut rest = &mut buffer[..];
    rest.write_fmt(scientific).expect("at most 17 digits and an exponent");
    let unused = rest.len();
    let length = buffer.len() - unused;
    lay_out_text(out, &buffer[..length], plain_below);
}

fn lay_out_text(out: &mut Vec<u8>, text: &[u8], plain_below: i32) {
    let e = text.iter().rposition(|b| *b == b'e').expect("{:e} writes an e");
    let exponent: i32 = std::str::from_utf8(&text[e + 1..]).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let (negative, mantissa) = match text[..e].strip_prefix(b"-") {
        Some(m) => (true, m),
        None => (false, &text[..e]),
    };
    let mut digits = [0u8; 24];
    let mut n = 0;
    for b in mantissa.iter().filter(|b| **b != b'.') {
        digits[n] = *b;
        n += 1;
    }
    while n > 1 && digits[n - 1] == b'0' {
        n -= 1;
    }
    if negative {
        out.push(b'-');
    }
    push_g(out, &digits[..n], exponent, plain_below);
}

/// Lays out `d.ddd × 10^exponent`.
fn push_g(out: &mut Vec<u8>, digits: &[u8], exponent: i32, plain_below: i32) {
    if exponent < -4 || exponent >= plain_below {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        super::datetime::push_padded(out, u64::from(exponent.unsigned_abs()), 2);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() > whole {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        } else {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        }
    }
}

fn invalid(text: &str, ty: &str) -> Error {
    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn out_of_range(text: &str, ty: &str) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" is out of range for type {ty}"))
}

/// Whether the mantissa has a digit other than 0, so that a result of 0 is an underflow.
fn has_value(text: &str) -> bool {
    text.bytes().take_while(|b| *b != b'e' && *b != b'E').any(|b| (b'1'..=b'9').contains(&b))
}

/// Reads a double.
///
/// # Errors
/// 22P02 for what is no number, 22003 for one that overflows or underflows.
pub fn parse_f64(text: &str) -> Result<f64> {
    const TYPE: &str = "double precision";
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let v: f64 = t.parse().map_err(|_| invalid(text, TYPE))?;
    if (v.is_infinite() && t.bytes().any(|b| b.is_ascii_digit())) || (v == 0.0 && has_value(t)) {
        return Err(out_of_range(t, TYPE));
    }
    Ok(v)
}

/// Reads a real.
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f32(text: &str) -> Result<f32> {
    const TYPE: &str = "real";
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let v: f32 = t.parse().map_err(|_| invalid(text, TYPE))?;
    if (v.is_infinite() && t.bytes().any(|b| b.is_ascii_digit())) || (v == 0.0 && has_value(t)) {
        return Err(out_of_range(t, TYPE));
    }
    Ok(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64_text(v: f64, extra: i32) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, v, extra);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_postgresql_writes_them() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e14, "100000000000000"),
            (123456789012345.6, "123456789012345.6"),
            (3952658512440117.0 / 4.0, "988164628110029.2"),
            (3952658512440119.0 / 4.0, "988164628110029.8"),
            (4503599627370497.5, "4.503599627370498e+15"),
            (9007199254740992.0, "9.007199254740992e+15"),
            (-1500000000000000.0, "-1.5e+15"),
            (1e15, "1e+15"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (1e20, "1e+20"),
            (-1.5e300, "-1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (v, text) in table {
            assert_eq!(f64_text(v, 1), text);
        }
        assert_eq!(f64_text(0.1 + 0.2, 1), "0.30000000000000004");
        assert_eq!(f64_text(0.1 + 0.2, 0), "0.3");
        assert_eq!(f64_text(1e15, 0), "1e+15");
        let mut out = Vec::new();
        write_f32(&mut out, 1234567.0, 1);
        write_f32(&mut out, 100000.0, 1);
        write_f32(&mut out, 0.1, 1);
        write_f32(&mut out, 8388607.5, 1);
        assert_eq!(out, b"1.234567e+061000000.18.3886075e+06");
    }

    #[test]
    fn random_doubles_read_back() {
        let mut seed = 42u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let v = f64::from_bits(seed ^ (seed >> 31));
            for v in [v, (seed >> 40) as f64 / 1000.0, 1.0 / (seed >> 30) as f64].into_iter().filter(|v| v.is_finite())
            {
                assert_eq!(parse_f64(&f64_text(v, 1)).unwrap().to_bits(), v.to_bits());
                let mut by_std = Vec::new();
                lay_out(&mut by_std, format_args!("{v:e}"), 15);
                assert_eq!(f64_text(v, 1).len(), by_std.len(), "{v}");
            }
        }
    }

    #[test]
    fn refused() {
        assert_eq!(parse_f64("1e400").unwrap_err().message(), "\"1e400\" is out of range for type double precision");
        assert_eq!(parse_f64("1e-400").unwrap_err().code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(parse_f32("1e50").unwrap_err().message(), "\"1e50\" is out of range for type real");
        assert_eq!(parse_f64("x").unwrap_err().message(), "invalid input syntax for type double precision: \"x\"");
        assert!(parse_f64(" -inf ").unwrap().is_infinite());
    }
}
