//! `encode(bytea, format)` and `decode(text, format)`: hex, base64 and escape as PostgreSQL writes and reads them
//! (<https://www.postgresql.org/docs/15/functions-binarystring.html>).

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryBuilder};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use datafusion_common::Result;

use crate::error::{FunctionError, refuse};
use crate::udf::{Call, Form, Function, Type};

pub(super) const ENCODE: Function = Function::new(
    "encode",
    "Encodes bytes as text: hex, base64 or escape.",
    &[Form::new(&[Type::Bytea, Type::Text], Type::Text, encode)],
);
pub(super) const DECODE: Function = Function::new(
    "decode",
    "Decodes text to bytes: hex, base64 or escape.",
    &[Form::new(&[Type::Text, Type::Text], Type::Bytea, decode)],
);

/// Characters of a line of base64 (RFC 2045).
const LINE: usize = 76;

#[derive(Clone, Copy)]
enum Format {
    Hex,
    Base64,
    Escape,
}

impl Format {
    fn parse(name: &str) -> Result<Format> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Format::Hex),
            "base64" => Ok(Format::Base64),
            "escape" => Ok(Format::Escape),
            _ => Err(FunctionError::new("22023", format!("unrecognized encoding: \"{name}\"")).into()),
        }
    }
}

fn encode(call: &Call) -> Result<ArrayRef> {
    let (bytes, formats) = (call.args[0].as_binary::<i32>(), call.text(1));
    call.map_text(|row| Ok(Some(encoded(bytes.value(row), Format::parse(formats.value(row))?))))
}

fn encoded(bytes: &[u8], format: Format) -> String {
    match format {
        Format::Hex => hex(bytes),
        Format::Base64 => {
            let whole = BASE64_STANDARD.encode(bytes);
            let lines = whole.as_bytes().chunks(LINE).map(|line| std::str::from_utf8(line).unwrap_or_default());
            lines.collect::<Vec<_>>().join("\n")
        }
        Format::Escape => {
            let mut out = String::with_capacity(bytes.len());
            for byte in bytes {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80.. => write!(out, "\\{byte:03o}").expect("writing to a String cannot fail"),
                    _ => out.push(char::from(*byte)),
                }
            }
            out
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

fn decode(call: &Call) -> Result<ArrayRef> {
    let (texts, formats) = (call.text(0), call.text(1));
    let mut out = BinaryBuilder::new();
    for row in 0..call.rows {
        if call.has_null(row) {
            out.append_null();
        } else {
            out.append_value(decoded(texts.value(row), Format::parse(formats.value(row))?)?);
        }
    }
    Ok(Arc::new(out.finish()))
}

fn decoded(text: &str, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Hex => unhex(text),
        Format::Base64 => {
            let plain = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<_>>();
            if let Some(wrong) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"+/= \n\t\r".contains(*c)) {
                return refuse("22023", format!("invalid symbol \"{wrong}\" found while decoding base64 sequence"));
            }
            BASE64_STANDARD.decode(plain).map_err(|_| {
                FunctionError::new("22023", "invalid base64 end sequence")
                    .hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
                    .into()
            })
        }
        Format::Escape => unescape(text),
    }
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')) {
        match c.to_digit(16) {
            Some(digit) => digits.push(u8::try_from(digit).unwrap_or(0)),
            None => return refuse("22023", format!("invalid hexadecimal digit: \"{c}\"")),
        }
    }
    if !digits.len().is_multiple_of(2) {
        return refuse("22023", "invalid hexadecimal data: odd number of digits");
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            let octal = bytes.get(at + 1..at + 4).and_then(|d| std::str::from_utf8(d).ok());
            match octal.and_then(|d| u8::from_str_radix(d, 8).ok()) {
                Some(byte) => out.push(byte),
                None => return refuse("22P02", "invalid input syntax for type bytea"),
            }
            at += 4;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let bytes = (0..=255).collect::<Vec<u8>>();
        for format in [Format::Hex, Format::Base64, Format::Escape] {
            assert_eq!(decoded(&encoded(&bytes, format), format).unwrap(), bytes);
        }
        assert_eq!(encoded(b"ab", Format::Base64), "YWI=");
        assert_eq!(encoded(&[0; 58], Format::Base64).lines().map(str::len).collect::<Vec<_>>(), [76, 4]);
        for (wrong, format) in [
            ("YWI", Format::Base64),
            ("a*==", Format::Base64),
            ("abc", Format::Hex),
            ("é0", Format::Hex),
            ("\\9", Format::Escape),
            ("\\999", Format::Escape),
        ] {
            assert!(decoded(wrong, format).is_err(), "{wrong}");
        }
    }
}
