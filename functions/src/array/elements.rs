//! A column of arrays taken apart: the offsets of each dimension, and the elements of all rows one after the other.
//!
//! PostgreSQL's arrays are rectangles, so a row's elements are one range, and its shape is that of the first of each.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, ListArray, UInt32Array, make_comparator};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, internal_err};

use crate::comparable::comparable_values;

/// Arrays of one type.
pub(super) struct Elements {
    levels: Vec<(FieldRef, OffsetBuffer<i32>)>,
    pub(super) values: ArrayRef,
    nulls: Option<NullBuffer>,
}

fn place(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

impl Elements {
    pub(super) fn new(array: &ArrayRef) -> Result<Elements> {
        let mut levels = Vec::new();
        let mut values = array.clone();
        while let DataType::List(field) = values.data_type().clone() {
            let list = values.as_list::<i32>();
            levels.push((field, list.offsets().clone()));
            let inner = list.values().clone();
            values = inner;
        }
        if levels.is_empty() {
            return internal_err!("an array function was given a {}", array.data_type());
        }
        Ok(Elements { levels, values, nulls: array.logical_nulls() })
    }

    pub(super) fn dimensions(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Where a row's elements are among the values.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        let (mut start, mut end) = (row, row + 1);
        for (_, offsets) in &self.levels {
            (start, end) = (place(offsets[start]), place(offsets[end]));
        }
        start..end
    }

    /// The length of each dimension; none for an empty array.
    pub(super) fn shape(&self, row: usize) -> Vec<usize> {
        let mut shape = Vec::with_capacity(self.levels.len());
        let mut at = row;
        for (_, offsets) in &self.levels {
            let (start, end) = (place(offsets[at]), place(offsets[at + 1]));
            if start == end {
                return Vec::new();
            }
            shape.push(end - start);
            at = start;
        }
        shape
    }

    /// The items of the list `at` in a dimension.
    pub(super) fn items(&self, dimension: usize, at: usize) -> Range<usize> {
        let (_, offsets) = &self.levels[dimension];
        place(offsets[at])..place(offsets[at + 1])
    }

    /// Arrays like these of other offsets, and of the elements at these places of `values`.
    pub(super) fn rebuilt(
        &self,
        offsets: Vec<Vec<i32>>,
        indices: Vec<u32>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let values = take(&self.values, &UInt32Array::from(indices), None)?;
        self.wrapped(offsets, values, nulls)
    }

    /// Arrays like these of other offsets and values.
    pub(super) fn wrapped(
        &self,
        offsets: Vec<Vec<i32>>,
        values: ArrayRef,
        mut nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let mut array = values;
        for (n, offsets) in offsets.into_iter().enumerate().rev() {
            let nulls = if n == 0 { nulls.take() } else { None };
            let field = self.levels[n].0.clone();
            array = Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), array, nulls)?);
        }
        Ok(array)
    }

    /// The same arrays with other values, one for each.
    pub(super) fn with_values(&self, values: ArrayRef) -> Result<ArrayRef> {
        let offsets = self.levels.iter().map(|(_, o)| o.to_vec()).collect();
        self.wrapped(offsets, values, self.nulls.clone())
    }
}

/// Compares the elements of two arrays as values: `1.0` is `1.00`.
pub(super) fn comparator(a: &ArrayRef, b: &ArrayRef, options: SortOptions) -> Result<DynComparator> {
    Ok(make_comparator(&comparable_values(a)?, &comparable_values(b)?, options)?)
}

/// A number of elements as an offset.
pub(super) fn offset(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
