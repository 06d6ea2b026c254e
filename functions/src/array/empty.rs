//! `array_or_empty(array)`: the array, or an empty one of its type instead of NULL. `ARRAY(SELECT …)` of no rows is empty,
//! where the aggregate behind it is NULL (<https://www.postgresql.org/docs/15/sql-expressions.html>).

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::polymorphic::ArrayFunction;
use crate::udf::Call;

pub(super) const FUNCTION: ArrayFunction = ArrayFunction {
    name: "array_or_empty",
    syntax: "array_or_empty(anyarray)",
    description: "The array, or an empty one instead of NULL.",
    coerce: |given| match given {
        [list @ DataType::List(_)] => Ok(Some(vec![list.clone()])),
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: filled,
};

fn filled(call: &Call) -> Result<ArrayRef> {
    let lists = call.args[0].as_list::<i32>();
    if lists.null_count() == 0 {
        return Ok(call.args[0].clone());
    }
    let DataType::List(field) = lists.data_type() else { return Ok(call.args[0].clone()) };
    // A list that is NULL may hold elements all the same.
    let lengths = (0..lists.len()).map(|row| if lists.is_null(row) { 0 } else { lists.value(row).len() });
    let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
    let kept = (0..lists.len()).filter(|row| lists.is_valid(*row));
    let places = kept.flat_map(|row| lists.value_offsets()[row] as u32..lists.value_offsets()[row + 1] as u32);
    let values = arrow::compute::take(lists.values(), &places.collect::<arrow::array::UInt32Array>(), None)?;
    Ok(std::sync::Arc::new(ListArray::try_new(field.clone(), offsets, values, None)?))
}
