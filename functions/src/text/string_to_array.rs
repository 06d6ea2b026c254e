//! `string_to_array(text, delimiter [, null])`: NULL as the delimiter gives single characters, an empty one the whole text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListBuilder, StringViewBuilder};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

const FORMS: &[Form] = &[
    Form::new(&[Type::Text, Type::Text], Type::TextArray, split),
    Form::new(&[Type::Text, Type::Text, Type::Text], Type::TextArray, split),
];

pub(super) const FUNCTION: Function = Function::new(
    "string_to_array",
    "Splits a text at a delimiter into an array; parts that equal the third argument are NULL.",
    FORMS,
);
/// The planner unnests it.
pub(super) const TO_TABLE: Function = Function::new(
    "string_to_table",
    "Splits a text at a delimiter into rows; parts that equal the third argument are NULL.",
    FORMS,
);

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.text(0), call.text(1));
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if texts.is_null(row) {
            lists.append_null();
            continue;
        }
        let null = (call.args.len() > 2 && !call.args[2].is_null(row)).then(|| call.text(2).value(row));
        let delimiter = (!delimiters.is_null(row)).then(|| delimiters.value(row));
        for part in parts(texts.value(row), delimiter) {
            lists.values().append_option((Some(part.as_str()) != null).then_some(part));
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

fn parts(text: &str, delimiter: Option<&str>) -> Vec<String> {
    match delimiter {
        _ if text.is_empty() => vec![],
        None => text.chars().map(String::from).collect(),
        Some("") => vec![text.to_string()],
        Some(delimiter) => text.split(delimiter).map(str::to_string).collect(),
    }
}
