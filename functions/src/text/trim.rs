//! `btrim`, `ltrim`, `rtrim`: the text without certain characters at its ends
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

pub(super) const BTRIM: Function = Function::new(
    "btrim",
    "Removes characters, blanks if none are given, from both ends.",
    &[
        Form::new(&[Type::Text], Type::Text, |call| trim(call, true, true)),
        Form::new(&[Type::Text, Type::Text], Type::Text, |call| trim(call, true, true)),
        Form::new(&[Type::Bytea, Type::Bytea], Type::Bytea, |call| trim_bytes(call, true, true)),
    ],
);
pub(super) const LTRIM: Function = Function::new(
    "ltrim",
    "Removes characters, blanks if none are given, from the start.",
    &[
        Form::new(&[Type::Text], Type::Text, |call| trim(call, true, false)),
        Form::new(&[Type::Text, Type::Text], Type::Text, |call| trim(call, true, false)),
        Form::new(&[Type::Bytea, Type::Bytea], Type::Bytea, |call| trim_bytes(call, true, false)),
    ],
);
pub(super) const RTRIM: Function = Function::new(
    "rtrim",
    "Removes characters, blanks if none are given, from the end.",
    &[
        Form::new(&[Type::Text], Type::Text, |call| trim(call, false, true)),
        Form::new(&[Type::Text, Type::Text], Type::Text, |call| trim(call, false, true)),
        Form::new(&[Type::Bytea, Type::Bytea], Type::Bytea, |call| trim_bytes(call, false, true)),
    ],
);

fn trim(call: &Call, start: bool, end: bool) -> Result<ArrayRef> {
    let texts = call.text(0);
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.has_null(row) {
            out.append_null();
            continue;
        }
        let set = if call.args.len() > 1 { call.text(1).value(row) } else { " " };
        let mut text = texts.value(row);
        if start {
            text = text.trim_start_matches(|c| set.contains(c));
        }
        if end {
            text = text.trim_end_matches(|c| set.contains(c));
        }
        out.append_value(text);
    }
    Ok(Arc::new(out.finish()))
}

fn trim_bytes(call: &Call, start: bool, end: bool) -> Result<ArrayRef> {
    let (values, sets) = (call.bytes(0), call.bytes(1));
    call.map_bytes(|row| {
        let (mut value, set) = (values.value(row), sets.value(row));
        while let (true, [first, rest @ ..]) = (start, value)
            && set.contains(first)
        {
            value = rest;
        }
        while let (true, [rest @ .., last]) = (end, value)
            && set.contains(last)
        {
            value = rest;
        }
        Ok(value.to_vec())
    })
}
