//! Single bits and bytes of a binary string: `get_bit`, `set_bit`, `get_byte`, `set_byte`
//! (<https://www.postgresql.org/docs/15/functions-binarystring.html>).

use std::sync::Arc;

use arrow::datatypes::{Int32Type, Int64Type};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const GET_BIT: Function = Function::new(
    "get_bit",
    "A bit of a binary string, counted from 0.",
    &[Form::new(&[Type::Bytea, Type::Int8], Type::Int4, |call| {
        let (values, places) = (call.bytes(0), call.primitive::<Int64Type>(1));
        Ok(Arc::new(call.map::<Int32Type>(|row| {
            let (value, n) = (values.value(row), places.value(row));
            let n = place(n, value.len().saturating_mul(8))?;
            Ok(Some(i32::from(value[n / 8] >> (n % 8) & 1)))
        })?))
    })],
);
pub(super) const SET_BIT: Function = Function::new(
    "set_bit",
    "The binary string with one bit changed.",
    &[Form::new(&[Type::Bytea, Type::Int8, Type::Int4], Type::Bytea, |call| {
        let (values, places, bits) = (call.bytes(0), call.primitive::<Int64Type>(1), call.primitive::<Int32Type>(2));
        call.map_bytes(|row| {
            let mut value = values.value(row).to_vec();
            let n = place(places.value(row), value.len().saturating_mul(8))?;
            match bits.value(row) {
                0 => value[n / 8] &= !(1 << (n % 8)),
                1 => value[n / 8] |= 1 << (n % 8),
                _ => return refuse("22023", "new bit must be 0 or 1"),
            }
            Ok(value)
        })
    })],
);
pub(super) const GET_BYTE: Function = Function::new(
    "get_byte",
    "A byte of a binary string, counted from 0.",
    &[Form::new(&[Type::Bytea, Type::Int4], Type::Int4, |call| {
        let (values, places) = (call.bytes(0), call.primitive::<Int32Type>(1));
        Ok(Arc::new(call.map::<Int32Type>(|row| {
            let (value, n) = (values.value(row), places.value(row));
            Ok(Some(i32::from(value[place(n.into(), value.len())?])))
        })?))
    })],
);
pub(super) const SET_BYTE: Function = Function::new(
    "set_byte",
    "The binary string with one byte changed.",
    &[Form::new(&[Type::Bytea, Type::Int4, Type::Int4], Type::Bytea, |call| {
        let (values, places, bytes) = (call.bytes(0), call.primitive::<Int32Type>(1), call.primitive::<Int32Type>(2));
        call.map_bytes(|row| {
            let mut value = values.value(row).to_vec();
            let n = place(places.value(row).into(), value.len())?;
            value[n] = bytes.value(row).to_le_bytes()[0];
            Ok(value)
        })
    })],
);

/// A place among so many.
fn place(n: i64, count: usize) -> Result<usize> {
    match usize::try_from(n) {
        Ok(at) if at < count => Ok(at),
        _ => refuse("2202E", format!("index {n} out of valid range, 0..{}", count as i64 - 1)),
    }
}
