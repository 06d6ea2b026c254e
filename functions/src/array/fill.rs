//! `array_fill(value, lengths)`: an array of one value. How many dimensions it has is known when the call is planned: the
//! planner counts the lengths it was given (<https://www.postgresql.org/docs/15/functions-array.html>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::Result;

use super::elements::offset;
use super::polymorphic::{ArrayFunction, item, list_of};
use crate::error::{FunctionError, refuse};
use crate::udf::{Call, check_batch};

pub(super) const FILL: ArrayFunction = function("array_fill", |types| nested(types, 1), |call| fill(call, 1));
pub(super) const FILL_2: ArrayFunction = function("array_fill_2", |types| nested(types, 2), |call| fill(call, 2));
pub(super) const FILL_3: ArrayFunction = function("array_fill_3", |types| nested(types, 3), |call| fill(call, 3));

/// The most elements of an array, as in PostgreSQL.
const ELEMENTS_MAX: usize = 134_217_727;

const fn function(
    name: &'static str,
    returns: fn(&[DataType]) -> DataType,
    call: fn(&Call) -> Result<ArrayRef>,
) -> ArrayFunction {
    ArrayFunction {
        name,
        syntax: "array_fill(anyelement, integer[] [, integer[]])",
        description: "An array of one value, of these lengths; its subscripts start at 1.",
        coerce,
        returns,
        call,
    }
}

fn nested(types: &[DataType], dimensions: usize) -> DataType {
    (0..dimensions).fold(types[0].clone(), |ty, _| list_of(&ty))
}

fn coerce(given: &[DataType]) -> Result<Option<Vec<DataType>>> {
    let [value, lengths @ ..] = given else { return Ok(None) };
    let fits = |t: &DataType| item(t).is_some_and(DataType::is_integer) || t.is_null() || *t == DataType::Utf8;
    if !(1..=2).contains(&lengths.len()) {
        return Ok(None);
    }
    if lengths.iter().any(|t| item(t).is_some_and(|i| item(i).is_some())) {
        return Err(FunctionError::new("2202E", "wrong number of array subscripts")
            .detail("Dimension array must be one dimensional.")
            .into());
    }
    if !lengths.iter().all(fits) {
        return Ok(None);
    }
    let value = if *value == DataType::Utf8 { DataType::Utf8View } else { value.clone() };
    Ok(Some(std::iter::once(value).chain(lengths.iter().map(|_| list_of(&DataType::Int32))).collect()))
}

/// The lengths of a row's dimensions.
fn lengths(call: &Call, row: usize, dimensions: usize) -> Result<Vec<usize>> {
    if call.args[1..].iter().any(|a| a.is_null(row)) {
        return refuse("22004", "dimension array or low bound array cannot be null");
    }
    let read = |n: usize| call.args[n].as_list::<i32>().value(row);
    let given = read(1);
    if given.null_count() > 0 {
        return refuse("22004", "dimension values cannot be null");
    }
    let lengths = given.as_primitive::<Int32Type>().values().to_vec();
    if call.args.len() > 2 {
        let lower = read(2);
        if lower.null_count() > 0 {
            return refuse("22004", "dimension values cannot be null");
        }
        if lower.len() != lengths.len() {
            return Err(FunctionError::new("2202E", "wrong number of array subscripts")
                .detail("Low bound array has different size than dimensions array.")
                .into());
        }
        if lower.as_primitive::<Int32Type>().values().iter().any(|l| *l != 1) {
            return refuse("0A000", "arrays whose subscripts do not start at 1 are not supported");
        }
    }
    if lengths.is_empty() || lengths.contains(&0) {
        return Ok(vec![]);
    }
    if lengths.len() != dimensions {
        return refuse("0A000", "array_fill with more dimensions than its call shows is not supported");
    }
    let lengths = lengths.iter().map(|l| usize::try_from(*l).ok()).collect::<Option<Vec<_>>>();
    let total = lengths.as_ref().and_then(|l| l.iter().try_fold(1_usize, |n, l| n.checked_mul(*l)));
    match (lengths, total) {
        (Some(lengths), Some(total)) if total <= ELEMENTS_MAX => Ok(lengths),
        _ => refuse("54000", format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})")),
    }
}

/// What an element costs while the array is made: its index, its value, and what the array becomes as a constant.
const ITEM_BYTES: usize = 12;

fn fill(call: &Call, dimensions: usize) -> Result<ArrayRef> {
    let mut offsets = vec![vec![0]; dimensions];
    let mut indices = Vec::new();
    for row in 0..call.rows {
        let lengths = lengths(call, row, dimensions)?;
        let Some((last, outer)) = lengths.split_last() else {
            let end = offsets[0][offsets[0].len() - 1];
            offsets[0].push(end);
            continue;
        };
        let innermost = outer.iter().product::<usize>();
        if indices.len() + innermost * last > ELEMENTS_MAX {
            return refuse("54000", format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"));
        }
        check_batch((indices.len() + innermost * last).saturating_mul(ITEM_BYTES))?;
        indices.extend(std::iter::repeat_n(u32::try_from(row).unwrap_or(0), innermost * last));
        let mut lists = 1;
        for (n, length) in lengths.iter().enumerate() {
            for _ in 0..lists {
                let end = offsets[n][offsets[n].len() - 1];
                offsets[n].push(end + offset(*length));
            }
            lists *= length;
        }
    }
    let mut array = take(&call.args[0], &UInt32Array::from(indices), None)?;
    for offsets in offsets.into_iter().rev() {
        let field = Arc::new(Field::new_list_field(array.data_type().clone(), true));
        array = Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), array, None::<NullBuffer>)?);
    }
    Ok(array)
}
