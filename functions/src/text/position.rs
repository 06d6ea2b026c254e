//! Where a text stands in another, and whether it begins it: `strpos`, `position`, `starts_with`
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

const TEXT: Form = Form::new(&[Type::Text, Type::Text], Type::Int4, in_text);

pub(super) const STRPOS: Function =
    Function::new("strpos", "Where a text begins in another, from 1; 0 if it does not.", &[TEXT]);
pub(super) const POSITION: Function = Function::new(
    "position",
    "Where a text or binary string begins in another, from 1; 0 if it does not.",
    &[TEXT, Form::new(&[Type::Bytea, Type::Bytea], Type::Int4, in_bytes)],
);
pub(super) const STARTS_WITH: Function = Function::new(
    "starts_with",
    "Whether a text begins with another.",
    &[Form::new(&[Type::Text, Type::Text], Type::Bool, |call| {
        let (texts, starts) = (call.text(0), call.text(1));
        let one = |row| (!call.has_null(row)).then(|| texts.value(row).starts_with(starts.value(row)));
        Ok(Arc::new((0..call.rows).map(one).collect::<BooleanArray>()))
    })],
);

fn number(place: usize) -> Result<Option<i32>> {
    Ok(Some(i32::try_from(place).unwrap_or(i32::MAX)))
}

fn in_text(call: &Call) -> Result<ArrayRef> {
    let (texts, parts) = (call.text(0), call.text(1));
    let one = |row| {
        let text = texts.value(row);
        number(text.find(parts.value(row)).map_or(0, |at| text[..at].chars().count() + 1))
    };
    Ok(Arc::new(call.map::<Int32Type>(one)?))
}

fn in_bytes(call: &Call) -> Result<ArrayRef> {
    let (values, parts) = (call.bytes(0), call.bytes(1));
    let one = |row| {
        let (value, part) = (values.value(row), parts.value(row));
        if part.is_empty() {
            return number(1);
        }
        number(value.windows(part.len()).position(|window| window == part).map_or(0, |at| at + 1))
    };
    Ok(Arc::new(call.map::<Int32Type>(one)?))
}
