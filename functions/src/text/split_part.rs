//! `split_part(text, delimiter, n)`: the n-th part, from the end if `n` is negative.

use arrow::datatypes::Int32Type;

use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "split_part",
    "Splits a text at a delimiter and takes one part, counted from the end if negative.",
    &[Form::new(&[Type::Text, Type::Text, Type::Int4], Type::Text, |call| {
        let (texts, delimiters, numbers) = (call.text(0), call.text(1), call.primitive::<Int32Type>(2));
        call.map_text(|row| {
            let n = numbers.value(row);
            if n == 0 {
                return refuse("22023", "field position must not be zero");
            }
            Ok(Some(part(texts.value(row), delimiters.value(row), n).to_string()))
        })
    })],
);

fn part<'a>(text: &'a str, delimiter: &str, n: i32) -> &'a str {
    let skip = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    if delimiter.is_empty() {
        return if skip == 0 { text } else { "" };
    }
    let found = if n > 0 { text.split(delimiter).nth(skip) } else { text.rsplit(delimiter).nth(skip) };
    found.unwrap_or("")
}
