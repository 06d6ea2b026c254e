//! The sign in front of an expression, with an error for the one integer that has no positive counterpart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::kernels::numeric::neg;
use arrow::datatypes::{ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};
use datafusion_common::Result;

use crate::error::refuse;
use crate::numeric::{Operator, operate, to_numeric};
use crate::udf::{Call, Form, Function, Returns, Type};

pub(super) const FUNCTION: Function = Function::new(
    "pg_uminus",
    "The number or interval with the other sign.",
    &[Form { args: &[Type::Any], variadic: false, returns: Returns::Argument(0), call: negate }],
);

pub(super) const PLUS: Function = Function::new(
    "numeric_uplus",
    "The number, with a scale of its own.",
    &[Form::new(&[Type::Numeric], Type::Numeric, |call| to_numeric(&call.args[0], None))],
);

fn negate(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    match array.data_type() {
        DataType::LargeBinary => operate(Operator::Negate, &call.args),
        DataType::Int16 => whole(array.as_primitive::<Int16Type>(), "smallint"),
        DataType::Int32 => whole(array.as_primitive::<Int32Type>(), "integer"),
        DataType::Int64 => whole(array.as_primitive::<Int64Type>(), "bigint"),
        DataType::Null => Ok(array.clone()),
        t if t.is_numeric() || matches!(t, DataType::Interval(_) | DataType::Duration(_)) => Ok(neg(array)?),
        _ => refuse("42883", "operator does not exist: - for this type"),
    }
}

fn whole<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, name: &str) -> Result<ArrayRef>
where
    T::Native: ArrowNativeTypeOp,
{
    let negated = values.try_unary::<_, T, datafusion_common::DataFusionError>(|v| match v.neg_checked() {
        Ok(v) => Ok(v),
        Err(_) => refuse("22003", format!("{name} out of range")),
    })?;
    Ok(Arc::new(negated))
}
