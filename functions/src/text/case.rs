//! `upper`, `lower`, `initcap`: character by character, as C's `towupper` does, so that `ß` stays what it is
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use datafusion_common::Result;

use arrow::array::ArrayRef;

use crate::udf::{Call, Form, Function, Type};

pub(super) const UPPER: Function = Function::new(
    "upper",
    "The text in upper case.",
    &[Form::new(&[Type::Text], Type::Text, |call| mapped(call, |text| text.chars().map(upper).collect()))],
);
pub(super) const LOWER: Function = Function::new(
    "lower",
    "The text in lower case.",
    &[Form::new(&[Type::Text], Type::Text, |call| mapped(call, |text| text.chars().map(lower).collect()))],
);
pub(super) const INITCAP: Function = Function::new(
    "initcap",
    "The first letter of each word in upper case, the others in lower case.",
    &[Form::new(&[Type::Text], Type::Text, |call| mapped(call, initcap))],
);

fn mapped(call: &Call, f: impl Fn(&str) -> String) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| Ok(Some(f(texts.value(row)))))
}

/// The one character that this one is in upper case; itself if it would be several.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The first of what this one is in lower case.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let one = |c: char| {
        let changed = if inside { lower(c) } else { upper(c) };
        inside = c.is_alphanumeric();
        changed
    };
    text.chars().map(one).collect()
}
