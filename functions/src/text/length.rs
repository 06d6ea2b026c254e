//! How long a text or binary string is: in characters, bytes or bits
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use super::convert::parse;
use crate::udf::{Call, Form, Function, Type};

const CHARACTERS: Form = Form::new(&[Type::Text], Type::Int4, characters);
const BYTES: &[Form] = &[
    Form::new(&[Type::Text], Type::Int4, |call| text_bytes(call, 1)),
    Form::new(&[Type::Bytea], Type::Int4, |call| bytes(call, 1)),
];

pub(super) const LENGTH: Function = Function::new(
    "length",
    "The number of characters of a text, or of bytes of a binary string.",
    &[
        CHARACTERS,
        Form::new(&[Type::Bytea], Type::Int4, |call| bytes(call, 1)),
        Form::new(&[Type::Bytea, Type::Text], Type::Int4, encoded),
    ],
);
pub(super) const CHAR_LENGTH: Function =
    Function::new("char_length", "The number of characters of a text.", &[CHARACTERS]);
pub(super) const CHARACTER_LENGTH: Function =
    Function::new("character_length", "The number of characters of a text.", &[CHARACTERS]);
pub(super) const OCTET_LENGTH: Function = Function::new("octet_length", "The number of bytes.", BYTES);
pub(super) const BIT_LENGTH: Function = Function::new(
    "bit_length",
    "The number of bits: eight times that of bytes.",
    &[
        Form::new(&[Type::Text], Type::Int4, |call| text_bytes(call, 8)),
        Form::new(&[Type::Bytea], Type::Int4, |call| bytes(call, 8)),
    ],
);

fn int(n: usize) -> Result<Option<i32>> {
    Ok(Some(i32::try_from(n).unwrap_or(i32::MAX)))
}

fn characters(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    let count = |text: &str| if text.is_ascii() { text.len() } else { text.chars().count() };
    Ok(Arc::new(call.map::<Int32Type>(|row| int(count(texts.value(row))))?))
}

fn text_bytes(call: &Call, each: usize) -> Result<ArrayRef> {
    let texts = call.text(0);
    Ok(Arc::new(call.map::<Int32Type>(|row| int(texts.value(row).len() * each))?))
}

fn bytes(call: &Call, each: usize) -> Result<ArrayRef> {
    let values = call.bytes(0);
    Ok(Arc::new(call.map::<Int32Type>(|row| int(values.value(row).len() * each))?))
}

/// The number of characters that bytes are in an encoding.
fn encoded(call: &Call) -> Result<ArrayRef> {
    let (values, names) = (call.bytes(0), call.text(1));
    let one = |row| int(parse(names.value(row), "source")?.decode(values.value(row))?.chars().count());
    Ok(Arc::new(call.map::<Int32Type>(one)?))
}
