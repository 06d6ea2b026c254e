//! `numeric`: decimal text, and PostgreSQL's binary form of base-10000 digits, to and from scaled integers.
//!
//! Values are `i256` here where width does not matter; columns of at most 38 digits take a path in `i128`.

use arrow::datatypes::i256;
use sightline_storage::error::{Error, Result, SqlState};

/// The most digits an `i256` decimal has.
const DIGITS_MAX: usize = 76;

/// 10^n.
pub fn pow10_i128(n: u32) -> i128 {
    10i128.pow(n)
}

/// 10^n for n up to 76.
pub fn pow10_i256(n: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(n)
}

/// A decimal number as written: `0.digits × 10^point`, digits 0-9 without leading zeros.
#[derive(Debug, PartialEq, Eq, Default, Clone)]
pub struct Decimal {
    pub negative: bool,
    pub digits: Vec<u8>,
    pub point: i32,
    /// Digits written after the point: the scale that keeps the value as typed.
    pub scale: i32,
}

fn invalid(text: &str) -> Error {
    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type numeric: \"{text}\""))
}

/// 22003 as PostgreSQL words it for a value that does not fit `numeric(precision,scale)`.
pub fn overflow(precision: u8, scale: i8) -> Error {
    let whole = i32::from(precision) - i32::from(scale);
    let limit = if whole == 0 { "1".to_string() } else { format!("10^{whole}") };
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
    ))
}

/// Reads decimal text: blanks around it, a sign, digits, a point, an exponent.
///
/// # Errors
/// 22P02; 22003 for an infinity, and 0A000 for NaN, which our decimals do not hold.
pub fn parse(text: &str) -> Result<Decimal> {
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (negative, rest) = match t.as_bytes().first() {
        Some(b'-') => (true, &t[1..]),
        Some(b'+') => (false, &t[1..]),
        _ => (false, t),
    };
    if rest.eq_ignore_ascii_case("nan") && rest.len() == t.len() {
        return Err(Error::unsupported("numeric NaN is not supported"));
    }
    if rest.eq_ignore_ascii_case("infinity") || rest.eq_ignore_ascii_case("inf") {
        return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
            .detail("Our numeric cannot hold an infinite value."));
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..]).ok_or_else(|| invalid(text))?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if (whole.is_empty() && fraction.is_empty()) || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(invalid(text));
    }
    let mut d = Decimal {
        negative,
        digits: whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect(),
        point: whole.len() as i32 + exponent,
        scale: (fraction.len() as i32 - exponent).max(0),
    };
    let zeros = d.digits.iter().take_while(|x| **x == 0).count();
    d.digits.drain(..zeros);
    d.point -= zeros as i32;
    Ok(d)
}

fn parse_exponent(text: &str) -> Option<i32> {
    let e: i32 = text.parse().ok()?;
    (e.abs() <= 100_000).then_some(e)
}

/// Rounds half away from zero to `scale` digits after the point, as an integer of that scale; none if it has more than
/// 76 digits.
pub fn to_scaled(d: &Decimal, scale: i32) -> Option<i256> {
    let keep = d.point + scale;
    if d.digits.is_empty() || keep < 0 {
        return Some(i256::ZERO);
    }
    let keep = keep as usize;
    if keep > DIGITS_MAX {
        return None;
    }
    let ten = i256::from_i128(10);
    let mut v = i256::ZERO;
    for i in 0..keep {
        let digit = d.digits.get(i).copied().unwrap_or(0);
        v = v.checked_mul(ten)?.checked_add(i256::from_i128(i128::from(digit)))?;
    }
    if d.digits.get(keep).is_some_and(|x| *x >= 5) {
        v = v.checked_add(i256::ONE)?;
    }
    Some(if d.negative { v.wrapping_neg() } else { v })
}

/// Text as an integer of `scale`, for a column of at most 38 digits.
///
/// # Errors
/// As [`parse`], and 22003 if it needs more digits than `precision`.
pub fn parse_i128(text: &str, precision: u8, scale: i8) -> Result<i128> {
    if let Some(v) = parse_short(text.as_bytes(), precision, scale) {
        return Ok(v);
    }
    let v = to_scaled(&parse(text)?, i32::from(scale)).and_then(i256::to_i128);
    v.filter(|v| v.unsigned_abs() < pow10_i128(u32::from(precision)) as u128).ok_or_else(|| overflow(precision, scale))
}

/// Text as an integer of `scale`, for a column of at most 76 digits.
///
/// # Errors
/// As [`parse_i128`].
pub fn parse_i256(text: &str, precision: u8, scale: i8) -> Result<i256> {
    to_scaled(&parse(text)?, i32::from(scale))
        .filter(|v| v.wrapping_abs() < pow10_i256(u32::from(precision)))
        .ok_or_else(|| overflow(precision, scale))
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

/// Writes an integer of `scale` as decimal text, with all digits of the scale or, with `trim`, without trailing zeros.
pub fn write_i128(out: &mut Vec<u8>, v: i128, scale: i8, trim: bool) {
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
    write_digits(out, v < 0, &buffer[at..], scale, trim);
}

/// As [`write_i128`].
pub fn write_i256(out: &mut Vec<u8>, v: i256, scale: i8, trim: bool) {
    if let Some(small) = v.to_i128() {
        return write_i128(out, small, scale, trim);
    }
    let text = v.wrapping_abs().to_string();
    write_digits(out, v.is_negative(), text.as_bytes(), scale, trim);
}

/// Lays out ASCII digits (none: zero) with the point `scale` before their end.
fn write_digits(out: &mut Vec<u8>, negative: bool, digits: &[u8], scale: i8, trim: bool) {
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
    if trim {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// Writes PostgreSQL's binary form.
pub fn write_binary(out: &mut Vec<u8>, v: i256, scale: i8, trim: bool) {
    let mut text = Vec::with_capacity(80);
    write_i256(&mut text, v, scale, trim);
    let (negative, body) = match text.strip_prefix(b"-") {
        Some(b) => (true, b),
        None => (false, text.as_slice()),
    };
    let point = body.iter().position(|b| *b == b'.').unwrap_or(body.len());
    let (whole, fraction) = (&body[..point], body.get(point + 1..).unwrap_or(&[]));
    let mut groups = base_10000(whole, fraction);
    let mut weight = whole.len().div_ceil(4) as i16 - 1;
    let leading = groups.iter().take_while(|g| **g == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    for field in [groups.len() as i16, weight, if negative { 0x4000 } else { 0 }, fraction.len() as i16] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    for g in groups {
        out.extend_from_slice(&g.to_be_bytes());
    }
}

/// Digits in groups of four, aligned to the point.
fn base_10000(whole: &[u8], fraction: &[u8]) -> Vec<i16> {
    let mut aligned = vec![b'0'; (4 - whole.len() % 4) % 4];
    aligned.extend_from_slice(whole);
    aligned.extend_from_slice(fraction);
    aligned.resize(aligned.len().div_ceil(4) * 4, b'0');
    aligned.chunks(4).map(|c| c.iter().fold(0, |n, b| n * 10 + i16::from(b - b'0'))).collect()
}

/// Reads PostgreSQL's binary form.
///
/// # Errors
/// 22P03 for bytes that are no numeric, 0A000 for NaN and the infinities.
pub fn parse_binary(data: &[u8]) -> Result<Decimal> {
    let broken = || Error::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid external \"numeric\" value");
    let word = |i: usize| data.get(2 * i..2 * i + 2).map(|b| i16::from_be_bytes([b[0], b[1]])).ok_or_else(broken);
    let (count, weight, sign, scale) = (word(0)?, word(1)?, word(2)?, word(3)?);
    if count < 0 || data.len() != 8 + 2 * count as usize {
        return Err(broken());
    }
    let negative = match sign as u16 {
        0 => false,
        0x4000 => true,
        0xC000 | 0xD000 | 0xF000 => return Err(Error::unsupported("numeric NaN and infinity are not supported")),
        _ => return Err(broken()),
    };
    let mut digits = Vec::with_capacity(4 * count as usize);
    for i in 0..count as usize {
        let group = word(4 + i)?;
        if !(0..10_000).contains(&group) {
            return Err(broken());
        }
        digits.extend([group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| d as u8));
    }
    let zeros = digits.iter().take_while(|x| **x == 0).count();
    digits.drain(..zeros);
    Ok(Decimal {
        negative,
        digits,
        point: (i32::from(weight) + 1) * 4 - zeros as i32,
        scale: i32::from(scale & 0x3fff),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: i128, scale: i8, trim: bool) -> String {
        let mut out = Vec::new();
        write_i128(&mut out, v, scale, trim);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn written() {
        assert_eq!(text(0, 0, false), "0");
        assert_eq!(text(0, 2, false), "0.00");
        assert_eq!(text(0, 10, true), "0");
        assert_eq!(text(-5, 2, false), "-0.05");
        assert_eq!(text(12345, 2, false), "123.45");
        assert_eq!(text(15_000_000_000, 10, true), "1.5");
        assert_eq!(text(10_000_000_000, 10, true), "1");
        assert_eq!(text(12, -2, false), "1200");
        assert_eq!(text(i128::MAX, 0, false), i128::MAX.to_string());
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
    fn binary_of_postgresql() {
        // select encode(numeric_send(v), 'hex')
        for (v, scale, hex) in [
            (0i128, 0, "0000000000000000"),
            (1, 0, "00010000000000000001"),
            (-123456789, 4, "000300014000000400010929 1a85"),
            (1, 4, "0001ffff000000040001"),
            (5, 1, "0001ffff000000011388"),
            (100000000, 0, "0001000200000000 0001"),
        ] {
            let mut out = Vec::new();
            write_binary(&mut out, i256::from_i128(v), scale, false);
            let shown: String = out.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(shown, hex.replace(' ', ""), "{v}");
            assert_eq!(to_scaled(&parse_binary(&out).unwrap(), i32::from(scale)), Some(i256::from_i128(v)));
        }
    }

    #[test]
    fn random_round_trip() {
        let mut seed = 7u64;
        for _ in 0..5_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let v = i128::from(seed as i64) * i128::from((seed >> 20) as i32 >> (seed % 30));
            let scale = (seed >> 33) as i8 & 15;
            assert_eq!(parse_i128(&text(v, scale, false), 38, scale).unwrap(), v);
            let mut out = Vec::new();
            write_binary(&mut out, i256::from_i128(v), scale, false);
            assert_eq!(to_scaled(&parse_binary(&out).unwrap(), i32::from(scale)), Some(i256::from_i128(v)));
        }
    }
}
