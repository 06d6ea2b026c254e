//! `a[1]`, `a[1][2]`, `a[2:3]`: elements and sections of arrays. What lies outside is NULL, or an empty array
//! (<https://www.postgresql.org/docs/15/arrays.html#ARRAYS-ACCESSING>).

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;

use super::elements::{Elements, offset};
use super::polymorphic::{ArrayFunction, base, item};
use crate::error::{FunctionError, refuse};
use crate::udf::{Call, shown};

/// PostgreSQL's limit on dimensions.
const DIMENSIONS_MAX: usize = 6;

pub(super) const SUBSCRIPT: ArrayFunction = ArrayFunction {
    name: "array_subscript",
    syntax: "array_subscript(anyarray, integer, …)",
    description: "The element at a subscript of each dimension; NULL if there is none.",
    coerce: |given| coerce(given, 1),
    returns: |types| base(&types[0]).0.clone(),
    call: element,
};
pub(super) const SECTION: ArrayFunction = ArrayFunction {
    name: "array_section",
    syntax: "array_section(anyarray, integer, integer, …)",
    description: "The part of an array between a lower and an upper subscript of each dimension.",
    coerce: |given| coerce(given, 2),
    returns: |types| types[0].clone(),
    call: section,
};

fn coerce(given: &[DataType], each: usize) -> Result<Option<Vec<DataType>>> {
    let Some((list, subscripts)) = given.split_first() else { return Ok(None) };
    if item(list).is_none() {
        let message = format!("cannot subscript type {} because it does not support subscripting", shown(list));
        return refuse("42804", message);
    }
    let dimensions = subscripts.len() / each;
    if dimensions > DIMENSIONS_MAX {
        let message =
            format!("number of array dimensions ({dimensions}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
        return refuse("54000", message);
    }
    if subscripts.iter().any(|s| !(s.is_numeric() || s.is_null() || *s == DataType::Utf8)) {
        return Err(FunctionError::new("42804", "array subscript must have type integer").into());
    }
    Ok(Some(std::iter::once(list.clone()).chain(subscripts.iter().map(|_| DataType::Int32)).collect()))
}

fn element(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    let subscripts = (1..call.args.len()).map(|n| call.primitive::<Int32Type>(n)).collect::<Vec<_>>();
    let one = |row: usize| {
        if subscripts.len() != elements.dimensions() || call.has_null(row) {
            return None;
        }
        let mut at = row;
        for (dimension, subscript) in subscripts.iter().enumerate() {
            let items = elements.items(dimension, at);
            let n = usize::try_from(subscript.value(row)).ok()?.checked_sub(1)?;
            at = items.start.checked_add(n).filter(|at| *at < items.end)?;
        }
        u32::try_from(at).ok()
    };
    let indices = (0..call.rows).map(one).collect::<UInt32Array>();
    Ok(take(&elements.values, &indices, None)?)
}

fn section(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    let given = (call.args.len() - 1) / 2;
    let bound = |n: usize, row: usize| call.primitive::<Int32Type>(n).value(row);
    let mut out = Section { elements: &elements, offsets: vec![vec![0]; elements.dimensions()], indices: vec![] };
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        valid.push(!call.has_null(row));
        if call.has_null(row) {
            out.close(0);
            continue;
        }
        let shape = elements.shape(row);
        let limits = |(n, length): (usize, &usize)| {
            if n >= given {
                return (0, *length);
            }
            let (lower, upper) = (bound(1 + 2 * n, row), bound(2 + 2 * n, row));
            let start = usize::try_from(lower.max(1) - 1).unwrap_or(0);
            (start, usize::try_from(upper).unwrap_or(0).min(*length))
        };
        let limits = shape.iter().enumerate().map(limits).collect::<Vec<_>>();
        if given > shape.len() || limits.iter().any(|(start, end)| start >= end) {
            out.close(0);
        } else {
            out.gather(0, row, &limits);
        }
    }
    let nulls = arrow::buffer::NullBuffer::from(valid);
    elements.rebuilt(out.offsets, out.indices, Some(nulls))
}

/// Sections gathered so far.
struct Section<'a> {
    elements: &'a Elements,
    offsets: Vec<Vec<i32>>,
    indices: Vec<u32>,
}

impl Section<'_> {
    fn gather(&mut self, dimension: usize, at: usize, limits: &[(usize, usize)]) {
        let first = self.elements.items(dimension, at).start;
        let (start, end) = limits[dimension];
        for n in first + start..first + end {
            if dimension + 1 < limits.len() {
                self.gather(dimension + 1, n, limits);
            } else {
                self.indices.extend(u32::try_from(n).ok());
            }
        }
        self.close(dimension);
    }

    /// Ends a list of a dimension.
    fn close(&mut self, dimension: usize) {
        let length = match self.offsets.get(dimension + 1) {
            Some(inner) => inner.len() - 1,
            None => self.indices.len(),
        };
        self.offsets[dimension].push(offset(length));
    }
}
