//! `unistr(text)`: Unicode escapes as characters.

use datafusion_common::Result;

use crate::error::refuse;
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
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        if let Some(after) = escape.strip_prefix('\\') {
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
        let Some(digits) = digits else { return refuse("42601", "invalid Unicode escape") };
        match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
            Some(c) => out.push(c),
            None => return refuse("42601", "invalid Unicode code point"),
        }
        rest = &escape[skip + width..];
    }
    out.push_str(rest);
    Ok(out)
}
