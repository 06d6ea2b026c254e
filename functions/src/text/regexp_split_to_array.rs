//! `regexp_split_to_array(text, pattern [, flags])`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringViewBuilder};
use datafusion_common::Result;

use super::pattern::{Pattern, Patterns};
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const FORMS: &[Form] = &[
    Form::new(&[Type::Text, Type::Text], Type::TextArray, split),
    Form::new(&[Type::Text, Type::Text, Type::Text], Type::TextArray, split),
];

pub(super) const FUNCTION: Function =
    Function::new("regexp_split_to_array", "Splits a text by a regular expression into an array.", FORMS);
/// The planner unnests it.
pub(super) const TO_TABLE: Function =
    Function::new("regexp_split_to_table", "Splits a text by a regular expression into rows.", FORMS);

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, expressions, patterns) = (call.text(0), call.text(1), Patterns::default());
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if call.has_null(row) {
            lists.append_null();
            continue;
        }
        let flags = if call.args.len() > 2 { call.text(2).value(row) } else { "" };
        if flags.contains('g') {
            return refuse("22023", "regexp_split_to_array() does not support the \"global\" option");
        }
        let regex = patterns.get(expressions.value(row), flags)?;
        for part in parts(&regex, texts.value(row))? {
            lists.values().append_value(part);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// What lies between the matches. An empty match at either end, or just behind another match, splits nothing.
fn parts<'a>(regex: &Pattern, text: &'a str) -> Result<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for found in regex.matches(text, 0) {
        let found = found?.range();
        if found.is_empty() && (found.start == from || found.start == text.len()) {
            continue;
        }
        parts.push(&text[from..found.start]);
        from = found.end;
    }
    parts.push(&text[from..]);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::parts;
    use crate::text::pattern::compile;

    #[test]
    fn texts_are_split_as_postgresql_does() {
        let split = |text, pattern| parts(&compile(pattern, "").expect("a pattern"), text).expect("few steps");
        assert_eq!(split("the quick  fox", r"\s+"), ["the", "quick", "fox"]);
        assert_eq!(split("abc", r"\s*"), ["a", "b", "c"]);
        assert_eq!(split("a,b,", ","), ["a", "b", ""]);
        assert_eq!(split("", ","), [""]);
    }
}
