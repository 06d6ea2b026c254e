//! `chr(n)`: the character with this code point.

use arrow::datatypes::Int32Type;

use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "chr",
    "The character with this code point.",
    &[Form::new(&[Type::Int4], Type::Text, |call| {
        let codes = call.primitive::<Int32Type>(0);
        call.map_text(|row| match codes.value(row) {
            0 => refuse("54000", "null character not permitted"),
            code => match u32::try_from(code).ok().and_then(char::from_u32) {
                Some(c) => Ok(Some(c.to_string())),
                None if code < 0 => refuse("22023", "character number must be positive"),
                None => refuse("54000", format!("requested character too large for encoding: {code}")),
            },
        })
    })],
);
