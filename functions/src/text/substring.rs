//! `substr`, `substring`: by positions, or what a regular expression finds.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::Int64Type;
use datafusion_common::Result;

use super::pattern::Patterns;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const SUBSTR: Function = named("substr");
pub(super) const SUBSTRING: Function = named("substring");

const FORMS: &[Form] = &[
    Form::new(&[Type::Text, Type::Text], Type::Text, by_pattern),
    Form::new(&[Type::Text, Type::Int8], Type::Text, by_position),
    Form::new(&[Type::Text, Type::Int8, Type::Int8], Type::Text, by_position),
];

const fn named(name: &'static str) -> Function {
    Function::new(name, "A part of a text: from a position, of a length, or what matches a regular expression.", FORMS)
}

fn by_pattern(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let regex = patterns.get(call.text(1).value(row), "")?;
        let found = regex.captures(call.text(0).value(row));
        let part = found.and_then(|c| if c.len() > 1 { c.get(1) } else { c.get(0) });
        Ok(part.map(|m| m.as_str().to_string()))
    })
}

fn by_position(call: &Call) -> Result<ArrayRef> {
    let (texts, starts) = (call.text(0), call.primitive::<Int64Type>(1));
    let lengths = (call.args.len() > 2).then(|| call.primitive::<Int64Type>(2));
    let mut parts = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.has_null(row) {
            parts.append_null();
            continue;
        }
        let length = lengths.map(|l| l.value(row));
        if length.is_some_and(|l| l < 0) {
            return refuse("22011", "negative substring length not allowed");
        }
        parts.append_value(part(texts.value(row), starts.value(row), length));
    }
    Ok(Arc::new(parts.finish()))
}

/// Characters from position `start` on; positions before the text count to the length.
fn part(text: &str, start: i64, length: Option<i64>) -> &str {
    let first = start.max(1);
    let end = length.map_or(i64::MAX, |l| start.saturating_add(l));
    if end <= first {
        return "";
    }
    let skip = usize::try_from(first - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end - first).unwrap_or(usize::MAX);
    if text.is_ascii() {
        let from = skip.min(text.len());
        return &text[from..from.saturating_add(take).min(text.len())];
    }
    let at = |text: &str, n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let rest = &text[at(text, skip)..];
    &rest[..at(rest, take)]
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn positions_are_postgresqls() {
        assert_eq!(part("hello", 2, Some(3)), "ell");
        assert_eq!(part("hello", -1, Some(3)), "h");
        assert_eq!(part("hello", 10, None), "");
        assert_eq!(part("日本語", 2, Some(1)), "本");
        assert_eq!(part("hello", i64::MIN, Some(i64::MAX)), "");
    }
}
