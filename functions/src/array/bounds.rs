//! `array_length`, `array_lower`, `array_upper`, `array_ndims`, `cardinality`. Every array starts at 1. A list of lists is
//! an array of more dimensions, as long in each as its first item.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

pub(super) const ARRAY_LENGTH: Function = Function::new(
    "array_length",
    "The length of a dimension of an array; NULL for an empty one.",
    &[Form::new(&[Type::Array, Type::Int4], Type::Int4, length)],
);
pub(super) const ARRAY_UPPER: Function = Function::new(
    "array_upper",
    "The upper bound of a dimension of an array; NULL for an empty one.",
    &[Form::new(&[Type::Array, Type::Int4], Type::Int4, length)],
);
pub(super) const ARRAY_LOWER: Function = Function::new(
    "array_lower",
    "The lower bound of a dimension of an array, which is 1; NULL for an empty one.",
    &[Form::new(&[Type::Array, Type::Int4], Type::Int4, |call| {
        per_row(call, |shape, row| dimension(call, shape, row).map(|_| 1))
    })],
);
pub(super) const ARRAY_NDIMS: Function = Function::new(
    "array_ndims",
    "The number of dimensions of an array; NULL for an empty one.",
    &[Form::new(&[Type::Array], Type::Int4, |call| {
        per_row(call, |shape, _| i32::try_from(shape.len()).ok().filter(|n| *n > 0))
    })],
);
pub(super) const CARDINALITY: Function = Function::new(
    "cardinality",
    "The number of elements of an array in all its dimensions.",
    &[Form::new(&[Type::Array], Type::Int4, |call| {
        per_row(
            call,
            |shape, _| if shape.is_empty() { Some(0) } else { shape.iter().copied().reduce(i32::wrapping_mul) },
        )
    })],
);

fn length(call: &Call) -> Result<ArrayRef> {
    per_row(call, |shape, row| dimension(call, shape, row))
}

/// The length of the dimension that the second argument names.
fn dimension(call: &Call, shape: &[i32], row: usize) -> Option<i32> {
    let n = call.primitive::<Int32Type>(1).value(row);
    usize::try_from(n).ok()?.checked_sub(1).and_then(|i| shape.get(i).copied())
}

fn per_row(call: &Call, f: impl Fn(&[i32], usize) -> Option<i32>) -> Result<ArrayRef> {
    let lists = match call.args[0].data_type() {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cast(&call.args[0], &DataType::List(item.clone()))?
        }
        _ => call.args[0].clone(),
    };
    let lists: &GenericListArray<i32> = lists.as_list();
    let one = |row| if call.has_null(row) { None } else { f(&shape(lists, row), row) };
    Ok(Arc::new((0..call.rows).map(one).collect::<Int32Array>()))
}

/// The length of each dimension; none for an empty array.
pub(super) fn shape(lists: &GenericListArray<i32>, row: usize) -> Vec<i32> {
    let length = lists.value_length(row);
    if length == 0 {
        return Vec::new();
    }
    let mut shape = vec![length];
    let items = lists.value(row);
    if let DataType::List(_) = items.data_type() {
        shape.extend(self::shape(items.as_list(), 0));
    }
    shape
}
