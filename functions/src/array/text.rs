//! Arrays as text: `array_dims`, `array_to_string` (<https://www.postgresql.org/docs/15/functions-array.html>).

use arrow::array::{Array, ArrayRef, AsArray};
use datafusion_common::Result;

use super::elements::Elements;
use crate::text::shown;
use crate::udf::{Call, Form, Function, Type};

pub(super) const DIMS: Function = Function::new(
    "array_dims",
    "The bounds of each dimension as text; NULL for an empty array.",
    &[Form::new(&[Type::Array], Type::Text, |call| {
        let elements = Elements::new(&call.args[0])?;
        call.map_text(|row| {
            let shape = elements.shape(row);
            Ok((!shape.is_empty()).then(|| shape.iter().map(|n| format!("[1:{n}]")).collect()))
        })
    })],
);
pub(super) const TO_STRING: Function = Function::new(
    "array_to_string",
    "The text of all elements with a delimiter between; NULLs as the third argument, or left out.",
    &[
        Form::new(&[Type::ShownArray, Type::Text], Type::Text, joined),
        Form::new(&[Type::ShownArray, Type::Text, Type::Text], Type::Text, joined),
    ],
);

fn joined(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    let values = shown(&elements.values);
    let values = values.as_string_view();
    let delimiters = call.text(1);
    let mut out = arrow::array::StringViewBuilder::with_capacity(call.rows);
    let mut bytes = 0;
    for row in 0..call.rows {
        if elements.is_null(row) || delimiters.is_null(row) {
            out.append_null();
            continue;
        }
        let null = (call.args.len() > 2 && !call.args[2].is_null(row)).then(|| call.text(2).value(row));
        let parts = elements.range(row).filter_map(|at| if values.is_null(at) { null } else { Some(values.value(at)) });
        let text = parts.collect::<Vec<_>>().join(delimiters.value(row));
        bytes += text.len();
        crate::udf::check_batch(bytes)?;
        out.append_value(text);
    }
    Ok(std::sync::Arc::new(out.finish()))
}
