//! `substr`, `substring`: by positions, what a regular expression finds, or a part of a SIMILAR TO pattern
//! (<https://www.postgresql.org/docs/15/functions-matching.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use super::escape::{one, similar};
use super::pattern::Patterns;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const SUBSTR: Function = Function::new(
    "substr",
    "A part of a text or binary string: from a position, of a length.",
    &[TEXT_FROM, TEXT_FOR, BYTES_FROM, BYTES_FOR],
);
pub(super) const SUBSTRING: Function = Function::new(
    "substring",
    "A part of a text: from a position, of a length, or what matches a regular expression.",
    &[
        Form::new(&[Type::Text, Type::Text], Type::Text, by_pattern),
        Form::new(&[Type::Text, Type::Text, Type::Text], Type::Text, by_similar),
        TEXT_FROM,
        TEXT_FOR,
        BYTES_FROM,
        BYTES_FOR,
    ],
);

const TEXT_FROM: Form = Form::new(&[Type::Text, Type::Int4], Type::Text, by_position);
const TEXT_FOR: Form = Form::new(&[Type::Text, Type::Int4, Type::Int4], Type::Text, by_position);
const BYTES_FROM: Form = Form::new(&[Type::Bytea, Type::Int4], Type::Bytea, of_bytes);
const BYTES_FOR: Form = Form::new(&[Type::Bytea, Type::Int4, Type::Int4], Type::Bytea, of_bytes);

fn by_pattern(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let text = call.text(0).value(row);
        let found = patterns.get(call.text(1).value(row), "")?.find(text, 0)?;
        let part = found.and_then(|f| f.parts(text).next().flatten());
        Ok(part.map(str::to_string))
    })
}

/// The middle of three parts of a pattern, which its escape character and a quote divide.
fn by_similar(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let text = call.text(0).value(row);
        let regex = similar(call.text(1).value(row), one(call.text(2).value(row))?)?;
        let found = patterns.get(&regex, "")?.find(text, 0)?;
        Ok(found.and_then(|f| f.parts(text).next().flatten()).map(str::to_string))
    })
}

/// Where the part begins and ends, counted from 0, within anything of this length.
fn range(call: &Call, row: usize, whole: usize) -> Result<(usize, usize)> {
    let start = i64::from(call.primitive::<Int32Type>(1).value(row));
    let length = (call.args.len() > 2).then(|| i64::from(call.primitive::<Int32Type>(2).value(row)));
    if length.is_some_and(|l| l < 0) {
        return refuse("22011", "negative substring length not allowed");
    }
    let end = length.map_or(i64::MAX, |l| start + l);
    let place = |n: i64| usize::try_from(n.max(1) - 1).unwrap_or(usize::MAX).min(whole);
    let (start, end) = (place(start), place(end));
    Ok((start, end.max(start)))
}

fn by_position(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    let mut parts = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.has_null(row) {
            parts.append_null();
            continue;
        }
        let text = texts.value(row);
        let (start, end) = range(call, row, text.len())?;
        parts.append_value(characters(text, start, end));
    }
    Ok(Arc::new(parts.finish()))
}

fn characters(text: &str, start: usize, end: usize) -> &str {
    if text.is_ascii() {
        return &text[start..end];
    }
    let at = |text: &str, n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let rest = &text[at(text, start)..];
    &rest[..at(rest, end - start)]
}

fn of_bytes(call: &Call) -> Result<ArrayRef> {
    let values = call.bytes(0);
    call.map_bytes(|row| {
        let value = values.value(row);
        let (start, end) = range(call, row, value.len())?;
        Ok(value[start..end].to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::characters;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(characters("hello", 1, 4), "ell");
        assert_eq!(characters("日本語", 1, 2), "本");
        assert_eq!(characters("日本語", 2, 7), "語");
    }
}
