//! What values are compared by: equal values look the same there, and their order is that of PostgreSQL.
//!
//! `1.0` equals `1.00`, `1 day` equals `24:00:00`, `-0` equals `0`, also within arrays and rows
//! (<https://www.postgresql.org/docs/15/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON>). Arrow's kernels, hashes and
//! row formats go by bytes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Decimal128Array, ListArray, PrimitiveArray, StringViewArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::row::{RowConverter, SortField};
use datafusion_common::{Result, exec_err};

use crate::json::write_keys;
use crate::numeric::{NUMERIC, keys};
use crate::{PG_TYPE, interval};

/// Whether values of the type are equal only if they look the same.
pub fn is_plain(field: &Field) -> bool {
    match field.data_type() {
        DataType::Interval(_) | DataType::Float32 | DataType::Float64 => false,
        DataType::List(item) => is_plain(item),
        DataType::Struct(fields) => fields.iter().all(|f| is_plain(f)),
        other => *other != NUMERIC && !is_jsonb(field) && !is_char(field),
    }
}

fn is_jsonb(field: &Field) -> bool {
    field.metadata().get(PG_TYPE).is_some_and(|t| t == "jsonb")
}

/// Blanks at the end of a `character` do not count.
fn is_char(field: &Field) -> bool {
    field.metadata().get(PG_TYPE).is_some_and(|t| t.starts_with("character("))
}

/// The values as what they are compared by.
///
/// # Errors
/// 22P02 for a damaged `jsonb`.
pub fn comparable(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if is_plain(field) {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Interval(_) => {
            let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let values: PrimitiveArray<Decimal128Type> =
                array.as_primitive::<IntervalMonthDayNanoType>().unary(interval::comparable);
            let values: Decimal128Array = values.with_precision_and_scale(38, 0)?;
            Arc::new(values)
        }
        // One zero, and one NaN, which is greater than all else in Arrow's order.
        DataType::Float64 => {
            let one = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 };
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        DataType::Float32 => {
            let one = |v: f32| if v.is_nan() { f32::NAN } else { v + 0.0 };
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let (offsets, values) = own_values(list);
            let values = comparable(&values, item)?;
            let item = Arc::new(Field::new("item", values.data_type().clone(), true));
            Arc::new(ListArray::try_new(item, offsets, values, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let rows = array.as_struct();
            let columns =
                rows.columns().iter().zip(fields).map(|(c, f)| comparable(c, f)).collect::<Result<Vec<_>>>()?;
            let of = |(n, c): (usize, &ArrayRef)| Field::new(format!("f{n}"), c.data_type().clone(), true);
            let fields = columns.iter().enumerate().map(of).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, rows.nulls().cloned(), rows.len())?)
        }
        t if *t == NUMERIC => keys(array)?,
        _ if is_jsonb(field) => jsonb(array)?,
        _ => {
            let texts = cast(array, &DataType::Utf8View)?;
            let bare = texts.as_string_view().iter().map(|t| t.map(|t| t.trim_end_matches(' ')));
            Arc::new(bare.collect::<StringViewArray>())
        }
    })
}

/// The values of these lists alone, and where each begins: a slice of lists has those of all.
pub fn own_values(lists: &ListArray) -> (OffsetBuffer<i32>, ArrayRef) {
    let (start, end) = (lists.value_offsets()[0] as usize, lists.value_offsets()[lists.len()] as usize);
    (OffsetBuffer::from_lengths(lists.offsets().lengths()), lists.values().slice(start, end - start))
}

/// As [`comparable`], where nothing but Arrow's type is known: what is a `jsonb` must be the field of an array or of a row.
pub(crate) fn comparable_values(array: &ArrayRef) -> Result<ArrayRef> {
    comparable(array, &Field::new("", array.data_type().clone(), true))
}

fn jsonb(array: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8View)?;
    let mut out = BinaryBuilder::new();
    let mut key = Vec::new();
    for text in texts.as_string_view() {
        if let Some(text) = text {
            key.clear();
            write_keys(text, &mut key).map_err(|e| *e)?;
            out.append_value(&key);
        } else {
            out.append_null();
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Bytes that are equal for equal values, and in their order: NULLs within a value are equal to one another and greater
/// than all else; NULL for NULL.
///
/// # Errors
/// As [`comparable`].
pub fn ordered_bytes(array: &ArrayRef, field: &Field) -> Result<BinaryArray> {
    let values = comparable(array, field)?;
    let options = SortOptions { descending: false, nulls_first: false };
    let sort = SortField::new_with_options(values.data_type().clone(), options);
    if !RowConverter::supports_fields(std::slice::from_ref(&sort)) {
        return exec_err!("no order of {}", values.data_type());
    }
    let rows = RowConverter::new(vec![sort])?.convert_columns(&[values])?;
    let mut out = BinaryBuilder::with_capacity(rows.num_rows(), rows.size());
    for (n, row) in rows.iter().enumerate() {
        if array.is_valid(n) { out.append_value(row.data()) } else { out.append_null() }
    }
    Ok(out.finish())
}
