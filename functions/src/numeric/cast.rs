//! Casts between numerics and the other number types, with PostgreSQL's rounding and range errors.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, UInt32Type, i256,
};
use datafusion_common::{Result, internal_err};
use sightline_numeric::Numeric;

use super::{NUMERIC, Numbers, map};
use crate::error::{refuse, refused};

/// Integers, decimals and floats as numerics; with `fit`, precision and scale, rounded and checked.
///
/// # Errors
/// 22003.
pub fn to_numeric(array: &ArrayRef, fit: Option<(i32, i32)>) -> Result<ArrayRef> {
    let fitted = |value: Numeric| match fit {
        Some((precision, scale)) => value.fit(precision, scale).map(Some).map_err(refused),
        None => Ok(Some(value)),
    };
    let args = std::slice::from_ref(array);
    match array.data_type() {
        DataType::LargeBinary if fit.is_none() => Ok(array.clone()),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            map(args, array.len(), |row| fitted(Numeric::of_f64(values.value(row))))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            map(args, array.len(), |row| fitted(Numeric::of_f32(values.value(row))))
        }
        _ => {
            let values = Numbers::new(array)?;
            map(args, array.len(), |row| fitted(values.value(row)))
        }
    }
}

/// Numbers of any type as decimals of a type, rounded half away from zero.
///
/// # Errors
/// 22003 with PostgreSQL's detail; 0A000 for NaN.
pub fn to_decimal(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = to else {
        return internal_err!("{to} is no decimal");
    };
    let fit = Some((i32::from(*precision), i32::from(*scale)));
    let numerics = to_numeric(array, fit)?;
    let values = Numbers::new(&numerics)?;
    if let DataType::Decimal128(_, _) = to {
        let decimals = collect::<Decimal128Type>(&numerics, |row| match values.value(row).decimal() {
            Some(d) => Ok(d.small().unwrap_or_default()),
            None => nan(*precision, *scale),
        })?;
        return Ok(Arc::new(decimals.with_data_type(to.clone())));
    }
    let decimals = collect::<Decimal256Type>(&numerics, |row| match values.value(row).decimal() {
        Some(d) => {
            let ten = i256::from_i128(10);
            let digit = |v: i256, d: &u8| v.wrapping_mul(ten).wrapping_add(i256::from_i128((*d).into()));
            let whole = d.digits().iter().fold(i256::ZERO, digit);
            Ok(if d.sign() < 0 { whole.wrapping_neg() } else { whole })
        }
        None => nan(*precision, *scale),
    })?;
    Ok(Arc::new(decimals.with_data_type(to.clone())))
}

fn nan<T>(precision: u8, scale: i8) -> Result<T> {
    refuse("0A000", format!("NaN is not supported in type numeric({precision},{scale})"))
}

/// Numerics (or decimals) as integers or floats.
///
/// # Errors
/// 22003; 0A000 for NaN and infinities as integers.
pub fn from_numeric(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    let values = Numbers::new(array)?;
    let whole =
        |row: usize, least: i64, most: i64, ty: &str| values.value(row).to_integer(least, most, ty).map_err(refused);
    Ok(match to {
        DataType::Int16 => Arc::new(collect::<Int16Type>(array, |row| {
            Ok(whole(row, i16::MIN.into(), i16::MAX.into(), "smallint")? as i16)
        })?),
        DataType::Int32 => Arc::new(collect::<Int32Type>(array, |row| {
            Ok(whole(row, i32::MIN.into(), i32::MAX.into(), "integer")? as i32)
        })?),
        DataType::Int64 => Arc::new(collect::<Int64Type>(array, |row| whole(row, i64::MIN, i64::MAX, "bigint"))?),
        DataType::UInt32 => {
            Arc::new(collect::<UInt32Type>(array, |row| Ok(whole(row, 0, u32::MAX.into(), "oid")? as u32))?)
        }
        DataType::Float64 => Arc::new(collect::<Float64Type>(array, |row| {
            let value = values.value(row);
            match value.to_f64() {
                Some(v) => Ok(v),
                None => refuse("22003", format!("\"{value}\" is out of range for type double precision")),
            }
        })?),
        DataType::Float32 => Arc::new(collect::<Float32Type>(array, |row| {
            let value = values.value(row);
            match value.to_f32() {
                Some(v) => Ok(v),
                None => refuse("22003", format!("\"{value}\" is out of range for type real")),
            }
        })?),
        other => return internal_err!("a numeric is no {other}"),
    })
}

/// As Arrow's cast, but strict, and of numerics, too.
///
/// # Errors
/// 22003, and Arrow's for what is no value of the type.
pub fn cast_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = array.data_type();
    if *to == NUMERIC && from.is_numeric() {
        return to_numeric(array, None);
    }
    if *from == NUMERIC && to.is_decimal() {
        return to_decimal(array, to);
    }
    if *from == NUMERIC && to.is_numeric() {
        return from_numeric(array, to);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, to, &strict)?)
}

fn collect<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(usize) -> Result<T::Native>,
) -> Result<PrimitiveArray<T>> {
    let one = |row| if array.is_null(row) { Ok(None) } else { f(row).map(Some) };
    (0..array.len()).map(one).collect::<Result<Vec<Option<T::Native>>>>().map(PrimitiveArray::from_iter)
}
