//! Arrays of numerics: what reads any array of exact numbers as them, what makes them, and the kernels over them.
//!
//! A numeric with a scale per value is held as bytes in a `LargeBinary` (`sightline_numeric::bytes`); decimals and integers
//! are read as they are, so that a kernel needs no cast before it.

mod cast;
mod convert;
mod operator;
mod series;
mod sum;
mod sum_decimal;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Decimal128Array, Decimal256Array, Int16Array, Int32Array,
    Int64Array, LargeBinaryArray, LargeBinaryBuilder, ListArray, UInt32Array,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Field, Int16Type, Int32Type, Int64Type, UInt32Type, i256,
};
use datafusion_common::{Result, internal_err};
use sightline_numeric::{Decimal, Numeric, bytes};

pub use cast::{cast_array, from_numeric, to_decimal, to_numeric};
pub(crate) use convert::left_open;
pub use convert::{is_ours, targets};
pub use operator::{Operator, operate, spread};
pub use series::series;
pub use sum::numeric_sum;
pub use sum_decimal::decimal_sum;

use crate::error::refused;
use crate::udf::Call;

/// The Arrow type of a numeric with a scale per value.
pub const NUMERIC: DataType = DataType::LargeBinary;

/// An array of exact numbers, read as numerics.
pub enum Numbers {
    Bytes(LargeBinaryArray),
    Decimal128(Decimal128Array, u16),
    Decimal256(Decimal256Array, u16),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    UInt32(UInt32Array),
    Null,
}

impl Numbers {
    /// Of an array of numerics, decimals or integers.
    ///
    /// # Errors
    /// An internal one for other arrays.
    pub fn new(array: &ArrayRef) -> Result<Numbers> {
        let places = |scale: i8| u16::try_from(scale).unwrap_or(0);
        Ok(match array.data_type() {
            DataType::LargeBinary => Numbers::Bytes(array.as_binary::<i64>().clone()),
            DataType::Decimal128(_, s) => {
                Numbers::Decimal128(array.as_primitive::<Decimal128Type>().clone(), places(*s))
            }
            DataType::Decimal256(_, s) => {
                Numbers::Decimal256(array.as_primitive::<Decimal256Type>().clone(), places(*s))
            }
            DataType::Int16 => Numbers::Int16(array.as_primitive::<Int16Type>().clone()),
            DataType::Int32 => Numbers::Int32(array.as_primitive::<Int32Type>().clone()),
            DataType::Int64 => Numbers::Int64(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt32 => Numbers::UInt32(array.as_primitive::<UInt32Type>().clone()),
            DataType::Null => Numbers::Null,
            other => return internal_err!("{other} is no exact number"),
        })
    }

    /// The value of a row that is not NULL.
    pub fn value(&self, row: usize) -> Numeric {
        match self {
            Numbers::Bytes(a) => bytes::decode(a.value(row)),
            Numbers::Decimal128(a, scale) => Numeric::new(a.value(row), *scale),
            Numbers::Decimal256(a, scale) => of_i256(a.value(row), *scale),
            Numbers::Int16(a) => Numeric::new(a.value(row).into(), 0),
            Numbers::Int32(a) => Numeric::new(a.value(row).into(), 0),
            Numbers::Int64(a) => Numeric::new(a.value(row).into(), 0),
            Numbers::UInt32(a) => Numeric::new(a.value(row).into(), 0),
            Numbers::Null => Numeric::ZERO,
        }
    }
}

/// An integer over 10^scale.
fn of_i256(value: i256, scale: u16) -> Numeric {
    match value.to_i128() {
        Some(small) => Numeric::new(small, scale),
        None => {
            let digits = value.to_string().bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect::<Vec<_>>();
            Numeric::Finite(Decimal::of_digits(value.is_negative(), &digits, scale))
        }
    }
}

/// A growing array of numerics.
pub struct NumericBuilder {
    builder: LargeBinaryBuilder,
    room: Vec<u8>,
}

impl NumericBuilder {
    /// For so many values.
    pub fn new(rows: usize) -> NumericBuilder {
        NumericBuilder { builder: LargeBinaryBuilder::with_capacity(rows, rows * 12), room: Vec::with_capacity(32) }
    }

    pub fn append(&mut self, value: &Numeric) {
        self.room.clear();
        bytes::encode(value, &mut self.room);
        self.builder.append_value(&self.room);
    }

    pub fn append_null(&mut self) {
        self.builder.append_null();
    }

    pub fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

/// One numeric a row; NULL where an argument is or the function says so.
pub(crate) fn map(args: &[ArrayRef], rows: usize, f: impl Fn(usize) -> Result<Option<Numeric>>) -> Result<ArrayRef> {
    let mut builder = NumericBuilder::new(rows);
    for row in 0..rows {
        let null = args.iter().any(|a| a.is_null(row) || *a.data_type() == DataType::Null);
        match if null { None } else { f(row)? } {
            Some(value) => builder.append(&value),
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

/// A function of one number.
pub(crate) fn one(call: &Call, f: impl Fn(&Numeric) -> sightline_numeric::Result<Numeric>) -> Result<ArrayRef> {
    let x = Numbers::new(&call.args[0])?;
    map(&call.args, call.rows, |row| f(&x.value(row)).map(Some).map_err(refused))
}

/// A function of two numbers.
pub(crate) fn two(
    call: &Call,
    f: impl Fn(&Numeric, &Numeric) -> sightline_numeric::Result<Numeric>,
) -> Result<ArrayRef> {
    let (x, y) = (Numbers::new(&call.args[0])?, Numbers::new(&call.args[1])?);
    map(&call.args, call.rows, |row| f(&x.value(row), &y.value(row)).map(Some).map_err(refused))
}

/// The items of lists of numerics as [`keys`].
pub fn list_keys(array: &ArrayRef) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let item = Arc::new(Field::new("item", DataType::Binary, true));
    let made = ListArray::try_new(item, list.offsets().clone(), keys(list.values())?, list.nulls().cloned())?;
    Ok(Arc::new(made))
}

/// Numerics as bytes that are equal for equal values, and in their order.
pub fn keys(array: &ArrayRef) -> Result<ArrayRef> {
    if *array.data_type() == DataType::Null {
        return Ok(Arc::new(BinaryArray::new_null(array.len())));
    }
    let Some(values) = array.as_binary_opt::<i64>() else {
        return internal_err!("keys of {}", array.data_type());
    };
    let mut builder = BinaryBuilder::with_capacity(values.len(), values.values().len());
    for value in values {
        builder.append_option(value.map(bytes::key));
    }
    Ok(Arc::new(builder.finish()))
}
