//! `overlay(text PLACING text FROM start FOR length)`, of texts and binary strings
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const T: Type = Type::Text;
const B: Type = Type::Bytea;
const I: Type = Type::Int4;

pub(super) const FUNCTION: Function = Function::new(
    "overlay",
    "Replaces so many characters from a position on by a text.",
    &[
        Form::new(&[T, T, I], T, text),
        Form::new(&[T, T, I, I], T, text),
        Form::new(&[B, B, I], B, bytes),
        Form::new(&[B, B, I, I], B, bytes),
    ],
);

/// Where the replaced part begins and ends, both counted from 0.
fn part(call: &Call, row: usize, length: usize) -> Result<(usize, usize)> {
    let start = call.primitive::<Int32Type>(2).value(row);
    if start <= 0 {
        return refuse("22011", "negative substring length not allowed");
    }
    let count = if call.args.len() > 3 {
        i64::from(call.primitive::<Int32Type>(3).value(row))
    } else {
        i64::try_from(length).unwrap_or(i64::MAX)
    };
    let end = i64::from(start) + count;
    if i32::try_from(end).is_err() {
        return refuse("22003", "integer out of range");
    }
    // A negative length repeats what stands in front.
    Ok((usize::try_from(start - 1).unwrap_or(0), usize::try_from((end - 1).max(0)).unwrap_or(0)))
}

fn text(call: &Call) -> Result<ArrayRef> {
    let (texts, others) = (call.text(0), call.text(1));
    call.map_text(|row| {
        let (text, other) = (texts.value(row), others.value(row));
        let (start, end) = part(call, row, other.chars().count())?;
        Ok(Some(text.chars().take(start).chain(other.chars()).chain(text.chars().skip(end)).collect()))
    })
}

fn bytes(call: &Call) -> Result<ArrayRef> {
    let (values, others) = (call.bytes(0), call.bytes(1));
    call.map_bytes(|row| {
        let (value, other) = (values.value(row), others.value(row));
        let (start, end) = part(call, row, other.len())?;
        let (start, end) = (start.min(value.len()), end.min(value.len()));
        Ok([&value[..start], other, &value[end..]].concat())
    })
}
