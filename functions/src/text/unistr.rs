//! `unistr(text)`: Unicode escapes as characters.

use datafusion_common::Result;

use crate::error::{FunctionError, refuse};
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "unistr",
    "Evaluates Unicode escapes: \\XXXX, \\+XXXXXX, \\uXXXX or \\UXXXXXXXX.",
    &[Form::new(&[Type::Text], Type::Text, |call| {
        let texts = call.text(0);
        call.map_text(|row| unistr(texts.value(row)).map(Some))
    })],
);

fn unistr(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The first half of a character beyond 16 bits.
    let mut high = None;
    while let Some(at) = rest.find('\\') {
        if at > 0 && high.is_some() {
            return refuse("42601", "invalid Unicode surrogate pair");
        }
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        if let (None, Some(after)) = (high, escape.strip_prefix('\\')) {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, width) = match escape.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let digits = escape.get(skip..skip + width).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
            return Err(FunctionError::new("42601", "invalid Unicode escape")
                .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
                .into());
        };
        match (high.take(), code) {
            (None, 0xd800..=0xdbff) => high = Some(code),
            (Some(first), 0xdc00..=0xdfff) => {
                let whole = 0x1_0000 + ((first & 0x3ff) << 10) + (code & 0x3ff);
                out.extend(char::from_u32(whole));
            }
            (None, code) if !(0xdc00..=0xdfff).contains(&code) => match char::from_u32(code).filter(|_| code != 0) {
                Some(c) => out.push(c),
                None => return refuse("22023", format!("invalid Unicode code point: {code:04X}")),
            },
            _ => return refuse("42601", "invalid Unicode surrogate pair"),
        }
        rest = &escape[skip + width..];
    }
    if high.is_some() {
        return refuse("42601", "invalid Unicode surrogate pair");
    }
    out.push_str(rest);
    Ok(out)
}
