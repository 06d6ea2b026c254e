//! `to_hex(n)`: the bits of an integer in base 16.

use arrow::datatypes::{Int32Type, Int64Type};

use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "to_hex",
    "Converts a number to its hexadecimal representation.",
    &[
        Form::new(&[Type::Int4], Type::Text, |call| {
            let numbers = call.primitive::<Int32Type>(0);
            call.map_text(|row| Ok(Some(format!("{:x}", numbers.value(row)))))
        }),
        Form::new(&[Type::Int8], Type::Text, |call| {
            let numbers = call.primitive::<Int64Type>(0);
            call.map_text(|row| Ok(Some(format!("{:x}", numbers.value(row)))))
        }),
    ],
);
