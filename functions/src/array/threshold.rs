//! `width_bucket(x, thresholds)`: how many of the sorted thresholds are not greater
//! (<https://www.postgresql.org/docs/15/functions-math.html>). The planner writes the form of two arguments so.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::elements::{Elements, comparator};
use super::polymorphic::{ArrayFunction, list_and_element};
use crate::error::{FunctionError, refuse};
use crate::udf::{Call, no_such_function};

pub(super) const FUNCTION: ArrayFunction = ArrayFunction {
    name: "width_bucket_array",
    syntax: "width_bucket(anyelement, anyarray)",
    description: "The number of the bucket that a value falls into, by the buckets' lower bounds.",
    coerce: |given| match given {
        [x, list] => match list_and_element(list, x) {
            Some((list, element)) => Ok(Some(vec![element, list])),
            None => Err(no_such_function("width_bucket", given)),
        },
        _ => Err(no_such_function("width_bucket", given)),
    },
    returns: |_| DataType::Int32,
    call: bucket,
};

fn bucket(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[1])?;
    if elements.dimensions() > 1 {
        return Err(FunctionError::new("2202E", "thresholds must be one-dimensional array").into());
    }
    let compare = comparator(&elements.values, &call.args[0], SortOptions::default())?;
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let range = elements.range(row);
        if range.clone().any(|at| elements.values.is_null(at)) {
            return refuse("22004", "thresholds array must not contain NULLs");
        }
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if compare(middle, row).is_gt() { high = middle } else { low = middle + 1 }
        }
        Ok(i32::try_from(low - range.start).ok())
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<Int32Array>>()?))
}
