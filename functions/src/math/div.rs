//! `div(a, b)`: the quotient of two numbers without its fraction.

use sightline_numeric::Numeric;

use crate::numeric::two;
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "div",
    "Divides two numbers and drops the fraction.",
    &[Form::new(&[Type::Numeric, Type::Numeric], Type::Numeric, |call| two(call, Numeric::quotient))],
);
