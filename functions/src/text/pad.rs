//! Texts made longer, shorter or turned round: `lpad`, `rpad`, `repeat`, `left`, `right`, `reverse`
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type, check_text};

pub(super) const LPAD: Function = Function::new(
    "lpad",
    "Fills the start up to a length with a text, blanks if none is given; cuts what is longer.",
    &[
        Form::new(&[Type::Text, Type::Int4], Type::Text, |call| pad(call, true)),
        Form::new(&[Type::Text, Type::Int4, Type::Text], Type::Text, |call| pad(call, true)),
    ],
);
pub(super) const RPAD: Function = Function::new(
    "rpad",
    "Fills the end up to a length with a text, blanks if none is given; cuts what is longer.",
    &[
        Form::new(&[Type::Text, Type::Int4], Type::Text, |call| pad(call, false)),
        Form::new(&[Type::Text, Type::Int4, Type::Text], Type::Text, |call| pad(call, false)),
    ],
);
pub(super) const REPEAT: Function = Function::new(
    "repeat",
    "The text so many times.",
    &[Form::new(&[Type::Text, Type::Int4], Type::Text, |call| {
        let (texts, counts) = (call.text(0), call.primitive::<Int32Type>(1));
        call.map_text(|row| {
            let (text, count) = (texts.value(row), usize::try_from(counts.value(row)).unwrap_or(0));
            check_text(text.len().saturating_mul(count))?;
            Ok(Some(text.repeat(count)))
        })
    })],
);
pub(super) const LEFT: Function = Function::new(
    "left",
    "The first characters; without the last ones if negative.",
    &[Form::new(&[Type::Text, Type::Int4], Type::Text, |call| {
        let (texts, counts) = (call.text(0), call.primitive::<Int32Type>(1));
        call.map_text(|row| {
            let (text, n) = (texts.value(row), counts.value(row));
            let at = if n < 0 { from_end(text, n) } else { from_start(text, n) };
            Ok(Some(text[..at].to_string()))
        })
    })],
);
pub(super) const RIGHT: Function = Function::new(
    "right",
    "The last characters; without the first ones if negative.",
    &[Form::new(&[Type::Text, Type::Int4], Type::Text, |call| {
        let (texts, counts) = (call.text(0), call.primitive::<Int32Type>(1));
        call.map_text(|row| {
            let (text, n) = (texts.value(row), counts.value(row));
            let at = if n < 0 { from_start(text, n) } else { from_end(text, n) };
            Ok(Some(text[at..].to_string()))
        })
    })],
);
pub(super) const REVERSE: Function = Function::new(
    "reverse",
    "The characters in reverse order.",
    &[Form::new(&[Type::Text], Type::Text, |call| {
        let texts = call.text(0);
        call.map_text(|row| Ok(Some(texts.value(row).chars().rev().collect())))
    })],
);

/// The byte behind so many characters, whatever the sign.
fn from_start(text: &str, n: i32) -> usize {
    let n = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
}

/// The byte in front of so many last characters, whatever the sign.
fn from_end(text: &str, n: i32) -> usize {
    match usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) {
        0 => text.len(),
        n => text.char_indices().rev().nth(n - 1).map_or(0, |(at, _)| at),
    }
}

/// The most bytes a character takes: PostgreSQL refuses by what the text might take.
const CHARACTER_BYTES: usize = 4;

fn pad(call: &Call, front: bool) -> Result<ArrayRef> {
    let (texts, lengths) = (call.text(0), call.primitive::<Int32Type>(1));
    call.map_text(|row| {
        let (text, length) = (texts.value(row), usize::try_from(lengths.value(row)).unwrap_or(0));
        let fill = if call.args.len() > 2 { call.text(2).value(row) } else { " " };
        check_text(length.saturating_mul(CHARACTER_BYTES))?;
        let have = text.chars().count();
        if have >= length || fill.is_empty() {
            return Ok(Some(text.chars().take(length).collect()));
        }
        let filling = fill.chars().cycle().take(length - have);
        Ok(Some(if front { filling.chain(text.chars()).collect() } else { text.chars().chain(filling).collect() }))
    })
}
