//! `abs(x)`, with an error for the one integer that has no positive counterpart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type,
};
use datafusion_common::Result;

use crate::error::refuse;
use crate::numeric::one;
use crate::udf::{Call, Form, Function, Returns, Type};

pub(super) const FUNCTION: Function = Function::new(
    "abs",
    "The absolute value.",
    &[
        Form { args: &[Type::Int2], variadic: false, returns: Returns::Argument(0), call: abs },
        Form { args: &[Type::Int4], variadic: false, returns: Returns::Argument(0), call: abs },
        Form { args: &[Type::Int8], variadic: false, returns: Returns::Argument(0), call: abs },
        Form { args: &[Type::Numeric], variadic: false, returns: Returns::Argument(0), call: abs },
        Form { args: &[Type::Float4], variadic: false, returns: Returns::Argument(0), call: abs },
        Form { args: &[Type::Float8], variadic: false, returns: Returns::Argument(0), call: abs },
    ],
);

fn abs(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    match array.data_type() {
        DataType::Int16 => each(array.as_primitive::<Int16Type>(), "smallint"),
        DataType::Int32 => each(array.as_primitive::<Int32Type>(), "integer"),
        DataType::Int64 => each(array.as_primitive::<Int64Type>(), "bigint"),
        DataType::Float32 => each(array.as_primitive::<Float32Type>(), "real"),
        DataType::Float64 => each(array.as_primitive::<Float64Type>(), "double precision"),
        DataType::LargeBinary => one(call, |x| Ok(x.abs())),
        DataType::Decimal256(_, _) => each(array.as_primitive::<Decimal256Type>(), "numeric"),
        _ => each(array.as_primitive::<Decimal128Type>(), "numeric"),
    }
}

fn each<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, name: &str) -> Result<ArrayRef>
where
    T::Native: ArrowNativeTypeOp,
{
    let positive = |v: T::Native| {
        if !v.is_lt(T::Native::ZERO) {
            return Ok(v);
        }
        match v.neg_checked() {
            Ok(v) => Ok(v),
            Err(_) => refuse("22003", format!("{name} out of range")),
        }
    };
    let result = values.try_unary::<_, T, datafusion_common::DataFusionError>(positive)?;
    Ok(Arc::new(result.with_data_type(values.data_type().clone())))
}
