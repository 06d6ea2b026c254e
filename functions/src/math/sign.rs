//! `sign(x)`: -1, 0 or 1.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

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
        Form::new(&[Type::Numeric], Type::Numeric, numeric),
    ],
);

/// 1 in the scale of `numeric` without one.
const ONE: i128 = 10_i128.pow(10);

fn numeric(call: &Call) -> Result<ArrayRef> {
    let sign = |row: usize| match call.args[0].data_type() {
        DataType::Decimal256(_, _) => {
            let value = call.args[0].as_primitive::<Decimal256Type>().value(row);
            value.cmp(&arrow::datatypes::i256::ZERO)
        }
        _ => call.args[0].as_primitive::<Decimal128Type>().value(row).cmp(&0),
    };
    let signs = call.map::<Decimal128Type>(|row| Ok(Some(sign(row) as i128 * ONE)))?;
    Ok(Arc::new(signs.with_precision_and_scale(38, 10)?))
}
