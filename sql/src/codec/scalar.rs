//! The small types: boolean, integers, oid, uuid, bytea, and the checks of text.

use sightline_storage::error::{Error, Result, SqlState};

/// `invalid input syntax for type integer: "x"`.
pub fn invalid_syntax(ty: &str, text: &str) -> Error {
    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {ty}: \"{text}\""))
}

/// Reads a boolean: a unique beginning of true, false, yes, no, on, off, or 1 or 0, in any case.
///
/// # Errors
/// 22P02.
pub fn parse_bool(text: &str) -> Result<bool> {
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let begins = |word: &str, least: usize| {
        t.len() >= least && t.len() <= word.len() && word.as_bytes()[..t.len()].eq_ignore_ascii_case(t.as_bytes())
    };
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || t == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || t == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// Reads an integer between `min` and `max`, whose type is called `ty` in errors.
///
/// # Errors
/// 22P02 for what is no integer, 22003 for one out of range.
pub fn parse_int(text: &str, min: i64, max: i64, ty: &str) -> Result<i64> {
    let b = text.as_bytes();
    if let Some(v) = short_int(b)
        && v >= min
        && v <= max
    {
        return Ok(v);
    }
    let t = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let digits = t.strip_prefix(['-', '+']).unwrap_or(t);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    t.parse().ok().filter(|v| (min..=max).contains(v)).ok_or_else(|| {
        let message = format!("value \"{text}\" is out of range for type {ty}");
        Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    })
}

/// The common case: an optional minus and at most 18 digits.
fn short_int(b: &[u8]) -> Option<i64> {
    let (negative, digits) = match b.first()? {
        b'-' => (true, &b[1..]),
        _ => (false, b),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut v = 0i64;
    for d in digits {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        v = v * 10 + i64::from(d);
    }
    Some(if negative { -v } else { v })
}

/// Reads an oid; as in PostgreSQL a negative number wraps.
///
/// # Errors
/// As [`parse_int`].
pub fn parse_oid(text: &str) -> Result<u32> {
    parse_int(text, i64::from(i32::MIN), i64::from(u32::MAX), "oid").map(|v| v as u32)
}

/// Writes an integer.
pub fn write_int(out: &mut Vec<u8>, v: i64) {
    if v < 0 {
        out.push(b'-');
    }
    super::datetime::push_padded(out, v.unsigned_abs(), 1);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a uuid.
pub fn write_uuid(out: &mut Vec<u8>, v: &[u8]) {
    for (i, b) in v.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
    }
}

fn hex_digit(b: u8) -> Option<u8> {
    (b as char).to_digit(16).map(|d| d as u8)
}

/// Reads a uuid: 32 hex digits, a hyphen after any group of four, braces around it all.
///
/// # Errors
/// 22P02.
pub fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    uuid_of(text.as_bytes()).ok_or_else(|| invalid_syntax("uuid", text))
}

fn uuid_of(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text.strip_prefix(b"{") {
        Some(inner) => inner.strip_suffix(b"}")?,
        None => text,
    };
    let mut v = [0u8; 16];
    for (i, byte) in v.iter_mut().enumerate() {
        if i > 0 && i % 2 == 0 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
        let (pair, after) = rest.split_at_checked(2)?;
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        rest = after;
    }
    rest.is_empty().then_some(v)
}

/// Writes bytea in `hex` form or in `escape` form.
pub fn write_bytea(out: &mut Vec<u8>, v: &[u8], hex: bool) {
    if hex {
        out.extend_from_slice(b"\\x");
        for b in v {
            out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
        return;
    }
    for b in v {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*b),
            _ => out.extend_from_slice(&[b'\\', b'0' + (b >> 6), b'0' + (b >> 3 & 7), b'0' + (b & 7)]),
        }
    }
}

/// Reads bytea in either form.
///
/// # Errors
/// 22P02, and 22023 for broken hex.
pub fn parse_bytea(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escaped(text.as_bytes())
            .ok_or_else(|| Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")),
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>> {
    let bad = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = c.to_digit(16).ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{c}\"")))? as u8;
        match high.take() {
            Some(h) => out.push(h << 4 | digit),
            None => high = Some(digit),
        }
    }
    match high {
        Some(_) => Err(bad("invalid hexadecimal data: odd number of digits".into())),
        None => Ok(out),
    }
}

fn parse_escaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((b, after)) = rest.split_first() {
        rest = after;
        match (b, rest) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return None,
            (other, _) => out.push(*other),
        }
    }
    Some(out)
}

/// Bytes as text.
///
/// # Errors
/// 22021 for what is no UTF-8, or has a NUL, with the bytes in question.
pub fn text_of(bytes: &[u8]) -> Result<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(text),
        Ok(_) => Err(not_utf8(&[0])),
        Err(e) => Err(not_utf8(broken_character(&bytes[e.valid_up_to()..]))),
    }
}

/// The bytes of the character at the start as its first byte announces it, as PostgreSQL shows them.
fn broken_character(bytes: &[u8]) -> &[u8] {
    let length = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    &bytes[..length.min(bytes.len())]
}

fn not_utf8(bytes: &[u8]) -> Error {
    let shown: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
    Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

/// Fits text into `character varying(n)`: blanks beyond may go.
///
/// # Errors
/// 22001.
pub fn fit_varchar(text: &str, n: u32) -> Result<&str> {
    if text.len() <= n as usize {
        return Ok(text);
    }
    match text.char_indices().nth(n as usize) {
        None => Ok(text),
        Some((end, _)) if text[end..].bytes().all(|b| b == b' ') => Ok(&text[..end]),
        Some(_) => Err(too_long("character varying", n)),
    }
}

/// Fits text into `character(n)`, padded with blanks.
///
/// # Errors
/// 22001.
pub fn fit_char(text: &str, n: u32) -> Result<String> {
    let kept = fit_varchar(text, n).map_err(|_| too_long("character", n))?;
    let missing = (n as usize).saturating_sub(kept.chars().count());
    let mut padded = String::with_capacity(kept.len() + missing);
    padded.push_str(kept);
    padded.extend(std::iter::repeat_n(' ', missing));
    Ok(padded)
}

fn too_long(ty: &str, n: u32) -> Error {
    Error::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {ty}({n})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        for t in ["t", "TRUE", "tr", " yes ", "y", "on", "1"] {
            assert!(parse_bool(t).unwrap(), "{t}");
        }
        for t in ["f", "fal", "NO", "off", "of", "0"] {
            assert!(!parse_bool(t).unwrap(), "{t}");
        }
        for t in ["", "o", "truee", "2", "ye s"] {
            assert_eq!(parse_bool(t).unwrap_err().code(), SqlState::INVALID_TEXT_REPRESENTATION, "{t}");
        }
    }

    #[test]
    fn integers() {
        let int = |t: &str| parse_int(t, i32::MIN.into(), i32::MAX.into(), "integer");
        assert_eq!(int(" +7 ").unwrap(), 7);
        assert_eq!(int("-2147483648").unwrap(), -2147483648);
        let e = int("99999999999").unwrap_err();
        assert_eq!(
            (e.code().as_str(), e.message()),
            ("22003", "value \"99999999999\" is out of range for type integer")
        );
        assert_eq!(int("99999999999999999999999").unwrap_err().code().as_str(), "22003");
        assert_eq!(int("1.5").unwrap_err().message(), "invalid input syntax for type integer: \"1.5\"");
        assert_eq!(int("").unwrap_err().code().as_str(), "22P02");
        assert_eq!(parse_int("-9223372036854775808", i64::MIN, i64::MAX, "bigint").unwrap(), i64::MIN);
        for v in [0, 1, -1, i64::MAX, i64::MIN, 1234567] {
            let mut out = Vec::new();
            write_int(&mut out, v);
            assert_eq!(out, v.to_string().into_bytes());
        }
    }

    #[test]
    fn uuids_and_bytes() {
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for t in [
            canonical,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            let mut out = Vec::new();
            write_uuid(&mut out, &parse_uuid(t).unwrap());
            assert_eq!(out, canonical.as_bytes());
        }
        assert!(parse_uuid("a0eebc99").is_err() && parse_uuid("a0-eebc999c0b4ef8bb6d6bb9bd380a11").is_err());
        assert_eq!(parse_bytea("\\x 00fF").unwrap(), [0, 255]);
        assert_eq!(parse_bytea("a\\\\b\\001").unwrap(), b"a\\b\x01");
        assert_eq!(parse_bytea("\\x0").unwrap_err().message(), "invalid hexadecimal data: odd number of digits");
        assert_eq!(parse_bytea("\\xzz").unwrap_err().message(), "invalid hexadecimal digit: \"z\"");
        assert_eq!(parse_bytea("\\9").unwrap_err().code().as_str(), "22P02");
        let mut out = Vec::new();
        write_bytea(&mut out, b"a\\\x00\xff", false);
        assert_eq!(out, b"a\\\\\\000\\377");
    }

    #[test]
    fn encoding_and_lengths() {
        assert_eq!(text_of(b"\xff").unwrap_err().message(), "invalid byte sequence for encoding \"UTF8\": 0xff");
        assert_eq!(
            text_of(b"\xe2\x82").unwrap_err().message(),
            "invalid byte sequence for encoding \"UTF8\": 0xe2 0x82"
        );
        assert_eq!(text_of(b"a\0b").unwrap_err().message(), "invalid byte sequence for encoding \"UTF8\": 0x00");
        assert_eq!(fit_varchar("abc  ", 3).unwrap(), "abc");
        assert_eq!(fit_varchar("äöü", 3).unwrap(), "äöü");
        assert_eq!(fit_varchar("abcd", 3).unwrap_err().message(), "value too long for type character varying(3)");
        assert_eq!(fit_char("ä", 3).unwrap(), "ä  ");
        assert_eq!(fit_char("abcd", 3).unwrap_err().message(), "value too long for type character(3)");
    }
}
