//! The zone map of a part: NULL counts, least and greatest value of each column, gathered while the part is written.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    PrimitiveArray, RecordBatch, StringViewArray,
};
use arrow::compute::{
    concat, max, max_binary, max_boolean, max_fixed_size_binary, max_string_view, min, min_binary, min_boolean,
    min_fixed_size_binary, min_string_view,
};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::ColumnStats;
use crate::catalog::TableDef;
use crate::error::Result;
use crate::ids::ColumnId;
use crate::types::SqlType;

/// Longer strings are cut in bounds: a zone map needs no whole documents.
const BOUND_BYTES_MAX: usize = 64;

/// Gathers the statistics of all columns of a part.
#[derive(Debug)]
pub(super) struct StatsBuilder {
    columns: Vec<ColumnBuilder>,
}

#[derive(Debug)]
struct ColumnBuilder {
    column: ColumnId,
    ordered: bool,
    nulls: u64,
    bounds: Bounds,
}

#[derive(Debug)]
enum Bounds {
    /// No value seen yet.
    Empty,
    /// A NaN was seen.
    Unknown,
    Values(ArrayRef),
}

impl StatsBuilder {
    /// For batches whose first columns are those of `def`, in order.
    pub(super) fn new(def: &TableDef) -> StatsBuilder {
        let column = |c: &crate::catalog::ColumnDef| ColumnBuilder {
            column: c.id,
            ordered: has_order(&c.ty),
            nulls: 0,
            bounds: Bounds::Empty,
        };
        StatsBuilder { columns: def.columns.iter().map(column).collect() }
    }

    /// Counts the rows in.
    pub(super) fn update(&mut self, rows: &RecordBatch) -> Result<()> {
        for (builder, array) in self.columns.iter_mut().zip(rows.columns()) {
            builder.nulls += array.null_count() as u64;
            if builder.ordered {
                builder.bounds.add(array)?;
            }
        }
        Ok(())
    }

    /// The statistics of all rows so far.
    pub(super) fn finish(self) -> Vec<ColumnStats> {
        let finish = |c: ColumnBuilder| {
            let (bounds, exact) = match c.bounds {
                Bounds::Values(values) => cut(values),
                Bounds::Empty | Bounds::Unknown => (None, true),
            };
            ColumnStats { column: c.column, nulls: c.nulls, bounds, exact }
        };
        self.columns.into_iter().map(finish).collect()
    }
}

/// Whether Arrow's order of the type is PostgreSQL's, so that bounds can prune.
pub(super) fn has_order(ty: &SqlType) -> bool {
    !matches!(ty.plain(), SqlType::Json | SqlType::Jsonb | SqlType::Array(_) | SqlType::Interval | SqlType::Void)
}

impl Bounds {
    fn add(&mut self, array: &ArrayRef) -> Result<()> {
        let new = bounds(array)?;
        *self = match (std::mem::replace(self, Bounds::Empty), new) {
            (Bounds::Unknown, _) | (_, Bounds::Unknown) => Bounds::Unknown,
            (old, Bounds::Empty) => old,
            (Bounds::Empty, new) => new,
            (Bounds::Values(old), Bounds::Values(new)) => bounds(&concat(&[&old, &new])?)?,
        };
        Ok(())
    }
}

/// Least and greatest value as an array of two.
fn bounds(array: &ArrayRef) -> Result<Bounds> {
    let pair = match array.data_type() {
        DataType::Int16 => primitive::<Int16Type>(array),
        DataType::Int32 => primitive::<Int32Type>(array),
        DataType::Int64 => primitive::<Int64Type>(array),
        DataType::UInt32 => primitive::<UInt32Type>(array),
        DataType::Date32 => primitive::<Date32Type>(array),
        DataType::Time64(_) => primitive::<Time64MicrosecondType>(array),
        DataType::Timestamp(_, _) => primitive::<TimestampMicrosecondType>(array),
        DataType::Decimal128(_, _) => primitive::<Decimal128Type>(array),
        DataType::Decimal256(_, _) => primitive::<Decimal256Type>(array),
        DataType::Float32 if array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan) => {
            return Ok(Bounds::Unknown);
        }
        DataType::Float64 if array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan) => {
            return Ok(Bounds::Unknown);
        }
        DataType::Float32 => primitive::<Float32Type>(array),
        DataType::Float64 => primitive::<Float64Type>(array),
        DataType::Boolean => {
            let values = array.as_boolean();
            let pair = min_boolean(values).zip(max_boolean(values));
            pair.map(|(lo, hi)| Arc::new(BooleanArray::from(vec![lo, hi])) as ArrayRef)
        }
        DataType::Utf8View => {
            let values = array.as_string_view();
            let pair = min_string_view(values).zip(max_string_view(values));
            pair.map(|(lo, hi)| Arc::new(StringViewArray::from_iter_values([lo, hi])) as ArrayRef)
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            let pair = min_binary(values).zip(max_binary(values));
            pair.map(|(lo, hi)| Arc::new(BinaryArray::from_iter_values([lo, hi])) as ArrayRef)
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            let pair = min_binary(values).zip(max_binary(values));
            pair.map(|(lo, hi)| Arc::new(LargeBinaryArray::from_iter_values([lo, hi])) as ArrayRef)
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            let pair = min_fixed_size_binary(values).zip(max_fixed_size_binary(values));
            match pair {
                Some((lo, hi)) => {
                    Some(Arc::new(FixedSizeBinaryArray::try_from_iter([lo, hi].into_iter())?) as ArrayRef)
                }
                None => None,
            }
        }
        _ => return Ok(Bounds::Unknown),
    };
    Ok(pair.map_or(Bounds::Empty, Bounds::Values))
}

fn primitive<T: ArrowPrimitiveType + ArrowNumericType>(array: &ArrayRef) -> Option<ArrayRef> {
    let values = array.as_primitive::<T>();
    let (lo, hi) = min(values).zip(max(values))?;
    let pair = PrimitiveArray::<T>::from_iter_values([lo, hi]).with_data_type(array.data_type().clone());
    Some(Arc::new(pair))
}

/// Cuts long strings, still bounds of the column; the flag tells whether nothing was cut.
fn cut(bounds: ArrayRef) -> (Option<ArrayRef>, bool) {
    match bounds.data_type() {
        DataType::Utf8View => {
            let values = bounds.as_string_view();
            let (lo, hi) = (values.value(0), values.value(1));
            if lo.len() <= BOUND_BYTES_MAX && hi.len() <= BOUND_BYTES_MAX {
                return (Some(bounds), true);
            }
            let pair = text_above(hi).map(|hi| StringViewArray::from_iter_values([text_prefix(lo), &hi]));
            (pair.map(|p| Arc::new(p) as ArrayRef), false)
        }
        DataType::Binary => {
            let values = bounds.as_binary::<i32>();
            let (lo, hi) = (values.value(0), values.value(1));
            if lo.len() <= BOUND_BYTES_MAX && hi.len() <= BOUND_BYTES_MAX {
                return (Some(bounds), true);
            }
            let lo = &lo[..lo.len().min(BOUND_BYTES_MAX)];
            let pair = bytes_above(hi).map(|hi| BinaryArray::from_iter_values([lo, &hi[..]]));
            (pair.map(|p| Arc::new(p) as ArrayRef), false)
        }
        DataType::LargeBinary => {
            let values = bounds.as_binary::<i64>();
            let (lo, hi) = (values.value(0), values.value(1));
            if lo.len() <= BOUND_BYTES_MAX && hi.len() <= BOUND_BYTES_MAX {
                return (Some(bounds), true);
            }
            let lo = &lo[..lo.len().min(BOUND_BYTES_MAX)];
            let pair = bytes_above(hi).map(|hi| LargeBinaryArray::from_iter_values([lo, &hi[..]]));
            (pair.map(|p| Arc::new(p) as ArrayRef), false)
        }
        _ => (Some(bounds), true),
    }
}

fn text_prefix(text: &str) -> &str {
    &text[..text.floor_char_boundary(BOUND_BYTES_MAX)]
}

/// A short string not less than `text`: its prefix with the last character that has a successor raised to it.
fn text_above(text: &str) -> Option<String> {
    let mut prefix = text_prefix(text).to_string();
    if prefix.len() == text.len() {
        return Some(prefix);
    }
    while let Some(last) = prefix.pop() {
        let next = if last == '\u{d7ff}' { '\u{e000}' } else { char::from_u32(u32::from(last) + 1).unwrap_or(last) };
        if next > last {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

fn bytes_above(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut prefix = bytes[..bytes.len().min(BOUND_BYTES_MAX)].to_vec();
    if prefix.len() == bytes.len() {
        return Some(prefix);
    }
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_bounds_are_still_bounds() {
        let long = "飞".repeat(40);
        let above = text_above(&long).unwrap();
        assert!(above.len() <= BOUND_BYTES_MAX + 3 && above.as_str() > long.as_str());
        assert!(text_prefix(&long) < long.as_str());
        let top = char::MAX.to_string().repeat(40);
        assert_eq!(text_above(&top), None);
        let mixed = format!("a{top}");
        assert_eq!(text_above(&mixed).unwrap(), "b");
        assert_eq!(bytes_above(&[255; 70]), None);
        assert_eq!(bytes_above(&[[1; 63].as_slice(), &[255; 9]].concat()).unwrap().last(), Some(&2));
    }
}
