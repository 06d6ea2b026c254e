//! `round`, `trunc`, `ceil`, `floor`. A double goes to the nearest whole number, ties to the even one, as the processor
//! does it; a numeric's ties go away from zero, to any number of places.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeType, ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int32Type,
};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Returns, Type};

const ONE: &[Type] = &[Type::Numeric];
const PLACES: &[Type] = &[Type::Numeric, Type::Int4];

pub(super) const ROUND: Function = Function::new(
    "round",
    "Rounds to the nearest whole number, or a numeric to a number of decimal places.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::round_ties_even)),
        Form { args: ONE, variadic: false, returns: Returns::Argument(0), call: |call| numeric(call, Mode::Nearest) },
        Form {
            args: PLACES,
            variadic: false,
            returns: Returns::Argument(0),
            call: |call| numeric(call, Mode::Nearest),
        },
    ],
);
pub(super) const TRUNC: Function = Function::new(
    "trunc",
    "Cuts to a whole number, or a numeric to a number of decimal places.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::trunc)),
        Form { args: ONE, variadic: false, returns: Returns::Argument(0), call: |call| numeric(call, Mode::Zero) },
        Form { args: PLACES, variadic: false, returns: Returns::Argument(0), call: |call| numeric(call, Mode::Zero) },
    ],
);
pub(super) const CEIL: Function = up("ceil");
pub(super) const CEILING: Function = up("ceiling");
pub(super) const FLOOR: Function = Function::new(
    "floor",
    "The nearest whole number that is not greater.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::floor)),
        Form { args: ONE, variadic: false, returns: Returns::Argument(0), call: |call| numeric(call, Mode::Down) },
    ],
);

const UP: &[Form] = &[
    Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::ceil)),
    Form { args: ONE, variadic: false, returns: Returns::Argument(0), call: |call| numeric(call, Mode::Up) },
];

const fn up(name: &'static str) -> Function {
    Function::new(name, "The nearest whole number that is not less.", UP)
}

/// Where a number between two goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Nearest,
    Zero,
    Up,
    Down,
}

fn float(call: &Call, f: fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(call.primitive::<Float64Type>(0).unary::<_, Float64Type>(f)))
}

fn numeric(call: &Call, mode: Mode) -> Result<ArrayRef> {
    match call.args[0].data_type() {
        DataType::Decimal256(_, scale) => decimal(call, call.args[0].as_primitive::<Decimal256Type>(), *scale, mode),
        DataType::Decimal128(_, scale) => decimal(call, call.args[0].as_primitive::<Decimal128Type>(), *scale, mode),
        other => datafusion_common::internal_err!("rounding of {other}"),
    }
}

fn decimal<T: DecimalType>(call: &Call, values: &PrimitiveArray<T>, scale: i8, mode: Mode) -> Result<ArrayRef> {
    let places = |row: usize| if call.args.len() > 1 { call.primitive::<Int32Type>(1).value(row) } else { 0 };
    let rounded = call.map::<T>(|row| {
        let drop = i32::from(scale).saturating_sub(places(row));
        match u32::try_from(drop) {
            Ok(drop) if drop > 0 => dropped::<T>(values.value(row), drop, mode).map(Some),
            _ => Ok(Some(values.value(row))),
        }
    })?;
    Ok(Arc::new(rounded.with_data_type(values.data_type().clone())))
}

/// The value with its last `drop` digits made zero.
fn dropped<T: DecimalType>(value: T::Native, drop: u32, mode: Mode) -> Result<T::Native> {
    let zero = T::Native::ZERO;
    let Ok(unit) = T::Native::usize_as(10).pow_checked(drop) else { return Ok(zero) };
    let rest = value.mod_wrapping(unit);
    let cut = value.sub_wrapping(rest);
    let negative = rest.is_lt(zero);
    let away = match mode {
        Mode::Zero => false,
        Mode::Up => !negative && !rest.is_eq(zero),
        Mode::Down => negative,
        Mode::Nearest => {
            let magnitude = if negative { zero.sub_wrapping(rest) } else { rest };
            !magnitude.is_lt(unit.div_wrapping(T::Native::usize_as(2)))
        }
    };
    if !away {
        return Ok(cut);
    }
    match cut.add_checked(if negative { zero.sub_wrapping(unit) } else { unit }) {
        Ok(value) => Ok(value),
        Err(_) => refuse("22003", "numeric field overflow"),
    }
}
