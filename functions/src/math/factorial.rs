//! `factorial(n)`.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::refused;
use crate::numeric::map;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function =
    Function::new("factorial", "The factorial.", &[Form::new(&[Type::Int8], Type::Numeric, factorial)]);

fn factorial(call: &Call) -> Result<ArrayRef> {
    let numbers = call.primitive::<Int64Type>(0);
    map(&call.args, call.rows, |row| Numeric::factorial(numbers.value(row)).map(Some).map_err(refused))
}
