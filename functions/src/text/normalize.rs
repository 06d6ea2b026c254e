//! `normalize(text [, form])` and `is_normalized(text, form)`, which is what `IS NFC NORMALIZED` means
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion_common::Result;
use unicode_normalization::UnicodeNormalization;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const NORMALIZE: Function = Function::new(
    "normalize",
    "The text in a normalization form of Unicode: NFC, NFD, NFKC or NFKD.",
    &[Form::new(&[Type::Text], Type::Text, normalize), Form::new(&[Type::Text, Type::Text], Type::Text, normalize)],
);
pub(super) const IS_NORMALIZED: Function = Function::new(
    "is_normalized",
    "Whether the text is in a normalization form of Unicode.",
    &[
        Form::new(&[Type::Text], Type::Bool, is_normalized),
        Form::new(&[Type::Text, Type::Text], Type::Bool, is_normalized),
    ],
);

fn normal(text: &str, form: &str) -> Result<String> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => text.nfc().collect(),
        "NFD" => text.nfd().collect(),
        "NFKC" => text.nfkc().collect(),
        "NFKD" => text.nfkd().collect(),
        _ => return refuse("22023", format!("invalid normalization form: {form}")),
    })
}

fn form(call: &Call, row: usize) -> &str {
    if call.args.len() > 1 { call.text(1).value(row) } else { "NFC" }
}

fn normalize(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| normal(texts.value(row), form(call, row)).map(Some))
}

fn is_normalized(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let text = texts.value(row);
        Ok(Some(normal(text, form(call, row))? == text))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}
