//! `bit_count(bytes)`: how many bits are set.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "bit_count",
    "The number of bits set in a binary string.",
    &[Form::new(&[Type::Bytea], Type::Int8, |call| {
        let bytes = call.args[0].as_binary::<i32>();
        let count = |row| bytes.value(row).iter().map(|b| i64::from(b.count_ones())).sum();
        Ok(Arc::new(call.map::<Int64Type>(|row| Ok(Some(count(row))))?))
    })],
);
