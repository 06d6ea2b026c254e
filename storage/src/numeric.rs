//! Numerics as they were stored once, decimal(38,10), and as they are stored now: bytes in order, each value with a scale
//! of its own (`sightline_numeric::bytes`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeBinaryBuilder, ListArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use sightline_numeric::{Decimal, Numeric, bytes};

use crate::error::{Error, Result};
use crate::types::NUMERIC_ONCE;

/// Stored decimals, also within lists, as the numerics that `to` holds; none if that is another conversion.
///
/// # Errors
/// XX000 for a list that cannot be.
pub fn of_stored(array: &ArrayRef, to: &DataType) -> Option<Result<ArrayRef>> {
    match (array.data_type(), to) {
        (DataType::Decimal128(_, _) | DataType::Decimal256(_, _), DataType::LargeBinary) => Some(Ok(of_decimal(array))),
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = match of_stored(list.values(), item.data_type())? {
                Ok(values) => values,
                Err(e) => return Some(Err(e)),
            };
            let made = ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned());
            Some(made.map(|list| Arc::new(list) as ArrayRef).map_err(Error::from))
        }
        _ => None,
    }
}

/// Decimals as numerics. What was decimal(38,10) for want of a scale loses the zeros that were never shown.
pub fn of_decimal(array: &ArrayRef) -> ArrayRef {
    let trims = *array.data_type() == NUMERIC_ONCE;
    let mut builder = LargeBinaryBuilder::with_capacity(array.len(), array.len() * 12);
    let mut encoded = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        let value = Numeric::Finite(decimal_at(array, row));
        encoded.clear();
        bytes::encode(&if trims { value.trim_scale() } else { value }, &mut encoded);
        builder.append_value(&encoded);
    }
    Arc::new(builder.finish())
}

fn decimal_at(array: &ArrayRef, row: usize) -> Decimal {
    match array.data_type() {
        DataType::Decimal128(_, scale) => {
            Decimal::new(array.as_primitive::<Decimal128Type>().value(row), u16::try_from(*scale).unwrap_or(0))
        }
        DataType::Decimal256(_, scale) => {
            let value = array.as_primitive::<Decimal256Type>().value(row);
            let scale = u16::try_from(*scale).unwrap_or(0);
            match value.to_i128() {
                Some(small) => Decimal::new(small, scale),
                None => {
                    let text = value.to_string();
                    let digits = text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect::<Vec<_>>();
                    Decimal::of_digits(value.is_negative(), &digits, scale)
                }
            }
        }
        _ => Decimal::new(0, 0),
    }
}
