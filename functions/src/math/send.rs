//! `int2send` … `float8send`: a number as the bytes that the protocol's binary format has
//! (<https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES>).

use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};

use crate::udf::{Form, Function, Type};

pub(super) const INT2: Function = Function::new(
    "int2send",
    "A smallint in binary format.",
    &[Form::new(&[Type::Int2], Type::Bytea, |call| {
        call.map_bytes(|row| Ok(call.primitive::<Int16Type>(0).value(row).to_be_bytes().to_vec()))
    })],
);
pub(super) const INT4: Function = Function::new(
    "int4send",
    "An integer in binary format.",
    &[Form::new(&[Type::Int4], Type::Bytea, |call| {
        call.map_bytes(|row| Ok(call.primitive::<Int32Type>(0).value(row).to_be_bytes().to_vec()))
    })],
);
pub(super) const INT8: Function = Function::new(
    "int8send",
    "A bigint in binary format.",
    &[Form::new(&[Type::Int8], Type::Bytea, |call| {
        call.map_bytes(|row| Ok(call.primitive::<Int64Type>(0).value(row).to_be_bytes().to_vec()))
    })],
);
pub(super) const FLOAT4: Function = Function::new(
    "float4send",
    "A real in binary format.",
    &[Form::new(&[Type::Float4], Type::Bytea, |call| {
        call.map_bytes(|row| Ok(call.primitive::<Float32Type>(0).value(row).to_be_bytes().to_vec()))
    })],
);
pub(super) const FLOAT8: Function = Function::new(
    "float8send",
    "A double precision number in binary format.",
    &[Form::new(&[Type::Float8], Type::Bytea, |call| {
        call.map_bytes(|row| Ok(call.primitive::<Float64Type>(0).value(row).to_be_bytes().to_vec()))
    })],
);
