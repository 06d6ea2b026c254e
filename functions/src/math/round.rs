//! `round`, `trunc`, `ceil`, `floor`. A double goes to the nearest whole number, ties to the even one, as the processor
//! does it; a numeric's ties go away from zero, to any number of places.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type};
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::refused;
use crate::numeric::{Numbers, map, one};
use crate::udf::{Call, Form, Function, Type};

const ONE: &[Type] = &[Type::Numeric];
const PLACES: &[Type] = &[Type::Numeric, Type::Int4];

pub(super) const ROUND: Function = Function::new(
    "round",
    "Rounds to the nearest whole number, or a numeric to a number of decimal places.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::round_ties_even)),
        Form::new(ONE, Type::Numeric, |call| one(call, |x| x.round(0))),
        Form::new(PLACES, Type::Numeric, |call| places(call, Numeric::round)),
    ],
);
pub(super) const TRUNC: Function = Function::new(
    "trunc",
    "Cuts to a whole number, or a numeric to a number of decimal places.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::trunc)),
        Form::new(ONE, Type::Numeric, |call| one(call, |x| Ok(x.trunc(0)))),
        Form::new(PLACES, Type::Numeric, |call| places(call, |x, n| Ok(x.trunc(n)))),
    ],
);
pub(super) const CEIL: Function = up("ceil");
pub(super) const CEILING: Function = up("ceiling");
pub(super) const FLOOR: Function = Function::new(
    "floor",
    "The nearest whole number that is not greater.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::floor)),
        Form::new(ONE, Type::Numeric, |call| one(call, |x| Ok(x.floor()))),
    ],
);

const UP: &[Form] = &[
    Form::new(&[Type::Float8], Type::Float8, |call| float(call, f64::ceil)),
    Form::new(ONE, Type::Numeric, |call| one(call, |x| Ok(x.ceil()))),
];

const fn up(name: &'static str) -> Function {
    Function::new(name, "The nearest whole number that is not less.", UP)
}

fn float(call: &Call, f: fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(call.primitive::<Float64Type>(0).unary::<_, Float64Type>(f)))
}

fn places(call: &Call, f: fn(&Numeric, i32) -> sightline_numeric::Result<Numeric>) -> Result<ArrayRef> {
    let (values, places) = (Numbers::new(&call.args[0])?, call.primitive::<Int32Type>(1));
    map(&call.args, call.rows, |row| f(&values.value(row), places.value(row)).map(Some).map_err(refused))
}
