//! `sign(x)`: -1, 0 or 1.

use std::sync::Arc;

use arrow::datatypes::Float64Type;
use sightline_numeric::Numeric;

use crate::numeric::one;
use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "sign",
    "The sign of a number: -1, 0 or 1.",
    &[
        Form::new(&[Type::Float8], Type::Float8, |call| {
            let values = call.primitive::<Float64Type>(0);
            let sign = |v: f64| {
                if v > 0.0 {
                    1.0
                } else if v < 0.0 {
                    -1.0
                } else {
                    v + 0.0
                }
            };
            Ok(Arc::new(values.unary::<_, Float64Type>(sign)))
        }),
        Form::new(&[Type::Numeric], Type::Numeric, |call| one(call, |x| Ok(sign(x)))),
    ],
);

fn sign(x: &Numeric) -> Numeric {
    if x.is_nan() { Numeric::NaN } else { Numeric::new(x.signum().into(), 0) }
}
