//! `translate(text, from, to)`, `ascii(text)`, `to_ascii(text)`
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use std::sync::Arc;

use arrow::datatypes::Int32Type;

use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const TRANSLATE: Function = Function::new(
    "translate",
    "Replaces each character of one set by that of another; characters without a counterpart go.",
    &[Form::new(&[Type::Text, Type::Text, Type::Text], Type::Text, |call| {
        let (texts, from, to) = (call.text(0), call.text(1), call.text(2));
        call.map_text(|row| {
            let (from, to) = (from.value(row), to.value(row));
            let one = |c: char| match from.chars().position(|f| f == c) {
                Some(at) => to.chars().nth(at),
                None => Some(c),
            };
            Ok(Some(texts.value(row).chars().filter_map(one).collect()))
        })
    })],
);
pub(super) const ASCII: Function = Function::new(
    "ascii",
    "The code point of the first character, 0 for an empty text.",
    &[Form::new(&[Type::Text], Type::Int4, |call| {
        let texts = call.text(0);
        let code = |c: char| i32::try_from(u32::from(c)).unwrap_or(0);
        Ok(Arc::new(call.map::<Int32Type>(|row| Ok(Some(texts.value(row).chars().next().map_or(0, code))))?))
    })],
);
/// PostgreSQL converts from one-byte encodings only, and this server's is UTF8.
pub(super) const TO_ASCII: Function = Function::new(
    "to_ascii",
    "Is refused: the server's encoding is UTF8.",
    &[Form::new(&[Type::Text], Type::Text, |call| {
        call.map_text(|_| refuse("0A000", "encoding conversion from UTF8 to ASCII not supported"))
    })],
);
