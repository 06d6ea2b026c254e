//! `factorial(n)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function =
    Function::new("factorial", "The factorial.", &[Form::new(&[Type::Int8], Type::Numeric, factorial)]);

fn factorial(call: &Call) -> Result<ArrayRef> {
    let numbers = call.primitive::<Int64Type>(0);
    let products = call.map::<Decimal128Type>(|row| {
        let n = numbers.value(row);
        if n < 0 {
            return refuse("22003", "factorial of a negative number is undefined");
        }
        // 27! has 29 digits, 10 more stand behind the point.
        match (1..=i128::from(n).min(34)).product::<i128>() {
            product if n <= 27 => Ok(Some(product)),
            _ => refuse("22003", "value overflows numeric format"),
        }
    })?;
    let whole: ArrayRef = Arc::new(products.with_precision_and_scale(38, 0)?);
    let scaled = cast(&whole, &DataType::Decimal128(38, 10))?;
    debug_assert_eq!(scaled.as_primitive::<Decimal128Type>().scale(), 10);
    Ok(scaled)
}
