//! `round`: a double to the nearest whole number, ties to the even one, as the processor does it; a numeric ties away
//! from zero, to any number of places.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeType, ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int32Type,
};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Returns, Type};

pub(super) const FUNCTION: Function = Function::new(
    "round",
    "Rounds to the nearest whole number, or a numeric to a number of decimal places.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| {
            let values = call.primitive::<Float64Type>(0);
            Ok(Arc::new(values.unary::<_, Float64Type>(f64::round_ties_even)))
        }),
        Form { args: &[Type::Numeric], variadic: false, returns: Returns::Argument(0), call: numeric },
        Form { args: &[Type::Numeric, Type::Int4], variadic: false, returns: Returns::Argument(0), call: numeric },
    ],
);

fn numeric(call: &Call) -> Result<ArrayRef> {
    match call.args[0].data_type() {
        DataType::Decimal256(_, scale) => decimal(call, call.args[0].as_primitive::<Decimal256Type>(), *scale),
        DataType::Decimal128(_, scale) => decimal(call, call.args[0].as_primitive::<Decimal128Type>(), *scale),
        other => datafusion_common::internal_err!("round of {other}"),
    }
}

fn decimal<T: DecimalType>(call: &Call, values: &PrimitiveArray<T>, scale: i8) -> Result<ArrayRef> {
    let places = |row: usize| {
        if call.args.len() > 1 { call.primitive::<Int32Type>(1).value(row) } else { 0 }
    };
    let rounded = call.map::<T>(|row| {
        let drop = i32::from(scale).saturating_sub(places(row));
        match u32::try_from(drop) {
            Ok(drop) if drop > 0 => dropped::<T>(values.value(row), drop).map(Some),
            _ => Ok(Some(values.value(row))),
        }
    })?;
    Ok(Arc::new(rounded.with_data_type(values.data_type().clone())))
}

/// The value with its last `drop` digits made zero, half away from zero.
fn dropped<T: DecimalType>(value: T::Native, drop: u32) -> Result<T::Native> {
    let ten = T::Native::usize_as(10);
    let Ok(unit) = ten.pow_checked(drop) else { return Ok(T::Native::ZERO) };
    let half = unit.div_wrapping(T::Native::usize_as(2));
    let rest = value.mod_wrapping(unit);
    let down = value.sub_wrapping(rest);
    let magnitude = if rest.is_lt(T::Native::ZERO) { T::Native::ZERO.sub_wrapping(rest) } else { rest };
    if magnitude.is_lt(half) {
        return Ok(down);
    }
    let step = if value.is_lt(T::Native::ZERO) { T::Native::ZERO.sub_wrapping(unit) } else { unit };
    match down.add_checked(step) {
        Ok(value) => Ok(value),
        Err(_) => crate::error::refuse("22003", "numeric field overflow"),
    }
}
