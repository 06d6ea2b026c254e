//! Arrays made longer, shorter or changed: `array_append`, `array_prepend`, `array_cat`, `array_remove`, `array_replace`,
//! `trim_array` (<https://www.postgresql.org/docs/15/functions-array.html>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MutableArrayData, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;

use super::elements::{Elements, comparator, offset};
use super::polymorphic::{ArrayFunction, base, list_and_element, lists};
use crate::error::{FunctionError, refuse};
use crate::udf::Call;

pub(super) const APPEND: ArrayFunction = ArrayFunction {
    name: "array_append",
    syntax: "array_append(anyarray, anyelement)",
    description: "The array with an element behind the others.",
    coerce: |given| match given {
        [list, element] => Ok(list_and_element(list, element).map(|(l, e)| vec![l, e])),
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: |call| with_element(call, 0, 1, false),
};
pub(super) const PREPEND: ArrayFunction = ArrayFunction {
    name: "array_prepend",
    syntax: "array_prepend(anyelement, anyarray)",
    description: "The array with an element in front of the others.",
    coerce: |given| match given {
        [element, list] => Ok(list_and_element(list, element).map(|(l, e)| vec![e, l])),
        _ => Ok(None),
    },
    returns: |types| types[1].clone(),
    call: |call| with_element(call, 1, 0, true),
};
pub(super) const CAT: ArrayFunction = ArrayFunction {
    name: "array_cat",
    syntax: "array_cat(anyarray, anyarray)",
    description: "The elements of two arrays one after the other.",
    coerce: |given| match given {
        [a, b] => Ok(lists(a, b).map(|(a, b)| vec![a, b])),
        _ => Ok(None),
    },
    returns: |types| if base(&types[1]).1 > base(&types[0]).1 { types[1].clone() } else { types[0].clone() },
    call: cat,
};
pub(super) const REMOVE: ArrayFunction = ArrayFunction {
    name: "array_remove",
    syntax: "array_remove(anyarray, anyelement)",
    description: "The array without the elements that equal the second argument.",
    coerce: |given| match given {
        [list, element] => Ok(list_and_element(list, element).map(|(l, e)| vec![l, e])),
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: remove,
};
pub(super) const REPLACE: ArrayFunction = ArrayFunction {
    name: "array_replace",
    syntax: "array_replace(anyarray, anyelement, anyelement)",
    description: "The array with each element that equals the second argument replaced by the third.",
    coerce: |given| match given {
        [list, from, to] => {
            let Some((list, _)) = list_and_element(list, from) else { return Ok(None) };
            Ok(list_and_element(&list, to).map(|(l, e)| vec![l, e.clone(), e]))
        }
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: replace,
};
pub(super) const TRIM: ArrayFunction = ArrayFunction {
    name: "trim_array",
    syntax: "trim_array(anyarray, integer)",
    description: "The array without so many last elements.",
    coerce: |given| match given {
        [list @ DataType::List(_), n] if n.is_integer() || n.is_null() || *n == DataType::Utf8 => {
            Ok(Some(vec![list.clone(), DataType::Int32]))
        }
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: trim,
};

fn list(array: &ArrayRef) -> &ListArray {
    array.as_list::<i32>()
}

fn with_element(call: &Call, list_at: usize, element_at: usize, front: bool) -> Result<ArrayRef> {
    let (array, element) = (&call.args[list_at], &call.args[element_at]);
    let elements = Elements::new(array)?;
    if elements.dimensions() > 1 {
        return refuse("22000", "argument must be empty or one-dimensional array");
    }
    let (lists, added) = (list(array).values().to_data(), element.to_data());
    let mut values = MutableArrayData::new(vec![&lists, &added], true, lists.len() + call.rows);
    let mut offsets = vec![0];
    for row in 0..call.rows {
        if front {
            values.try_extend(1, row, row + 1)?;
        }
        if !elements.is_null(row) {
            let range = elements.range(row);
            values.try_extend(0, range.start, range.end)?;
        }
        if !front {
            values.try_extend(1, row, row + 1)?;
        }
        offsets.push(offset(values.len()));
    }
    elements.wrapped(vec![offsets], make_array(values.freeze()), None)
}

/// 2202E for arrays that make no rectangle together.
fn incompatible(detail: &'static str) -> datafusion_common::DataFusionError {
    FunctionError::new("2202E", "cannot concatenate incompatible arrays").detail(detail).into()
}

fn cat(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (&call.args[0], &call.args[1]);
    let (deep_a, deep_b) = (base(a.data_type()).1, base(b.data_type()).1);
    if deep_a.abs_diff(deep_b) > 1 {
        return Err(incompatible("Arrays with differing dimensions are not compatible for concatenation."));
    }
    if deep_a < deep_b {
        return joined(call.rows, a, b, (true, false));
    }
    joined(call.rows, a, b, (false, deep_b < deep_a))
}

/// Two columns of arrays one after the other; one that is an item of the other is marked so.
fn joined(rows: usize, a: &ArrayRef, b: &ArrayRef, (a_item, b_item): (bool, bool)) -> Result<ArrayRef> {
    let (of_a, of_b) = (Elements::new(a)?, Elements::new(b)?);
    let source = |array: &ArrayRef, whole: bool| if whole { array.to_data() } else { list(array).values().to_data() };
    let (left, right) = (source(a, a_item), source(b, b_item));
    let mut values = MutableArrayData::new(vec![&left, &right], true, left.len() + right.len());
    let mut offsets = vec![0];
    for row in 0..rows {
        let (shape_a, shape_b) = (of_a.shape(row), of_b.shape(row));
        let inner = |shape: &[usize], whole: bool| shape[usize::from(!whole)..].to_vec();
        if !shape_a.is_empty() && !shape_b.is_empty() && inner(&shape_a, a_item) != inner(&shape_b, b_item) {
            return Err(incompatible(match a_item == b_item {
                true => "Arrays with differing element dimensions are not compatible for concatenation.",
                false => "Arrays with differing dimensions are not compatible for concatenation.",
            }));
        }
        for (n, (of, item, empty)) in
            [(&of_a, a_item, shape_a.is_empty()), (&of_b, b_item, shape_b.is_empty())].into_iter().enumerate()
        {
            if of.is_null(row) || empty {
                continue;
            }
            let range = if item { row..row + 1 } else { of.items(0, row) };
            values.try_extend(n, range.start, range.end)?;
        }
        offsets.push(offset(values.len()));
    }
    let nulls = NullBuffer::from_iter((0..rows).map(|row| !(of_a.is_null(row) && of_b.is_null(row))));
    let DataType::List(field) = (if a_item { b.data_type() } else { a.data_type() }) else {
        return datafusion_common::internal_err!("array_cat of no list");
    };
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, make_array(values.freeze()), Some(nulls))?))
}

/// Whether an element equals a row's value; NULL equals NULL.
pub(super) fn equals<'a>(values: &'a ArrayRef, wanted: &'a ArrayRef) -> Result<impl Fn(usize, usize) -> bool + 'a> {
    let compare = comparator(values, wanted, SortOptions::default())?;
    Ok(move |at: usize, row: usize| match (values.is_null(at), wanted.is_null(row)) {
        (true, true) => true,
        (false, false) => compare(at, row).is_eq(),
        _ => false,
    })
}

fn remove(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    if elements.dimensions() > 1 {
        return refuse("0A000", "removing elements from multidimensional arrays is not supported");
    }
    let equal = equals(&elements.values, &call.args[1])?;
    let (mut offsets, mut kept) = (vec![0], Vec::new());
    for row in 0..call.rows {
        kept.extend(elements.range(row).filter(|at| !equal(*at, row)).filter_map(|at| u32::try_from(at).ok()));
        offsets.push(offset(kept.len()));
    }
    elements.rebuilt(vec![offsets], kept, call.args[0].logical_nulls())
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    let equal = equals(&elements.values, &call.args[1])?;
    let (old, new) = (elements.values.to_data(), call.args[2].to_data());
    let mut values = MutableArrayData::new(vec![&old, &new], true, old.len());
    let mut copied = 0;
    for row in 0..call.rows {
        for at in elements.range(row) {
            if equal(at, row) {
                values.try_extend(0, copied, at)?;
                values.try_extend(1, row, row + 1)?;
                copied = at + 1;
            }
        }
    }
    values.try_extend(0, copied, old.len())?;
    elements.with_values(make_array(values.freeze()))
}

fn trim(call: &Call) -> Result<ArrayRef> {
    let array = list(&call.args[0]);
    let counts = call.primitive::<Int32Type>(1);
    let items = array.values().to_data();
    let mut values = MutableArrayData::new(vec![&items], true, items.len());
    let mut offsets = vec![0];
    for row in 0..call.rows {
        if !call.has_null(row) {
            let (length, n) = (array.value_length(row), counts.value(row));
            if n < 0 || n > length {
                return refuse("2202E", format!("number of elements to trim must be between 0 and {length}"));
            }
            let start = array.value_offsets()[row];
            values.try_extend(0, start as usize, (start + length - n) as usize)?;
        }
        offsets.push(offset(values.len()));
    }
    let DataType::List(field) = array.data_type() else { return datafusion_common::internal_err!("no list") };
    let nulls = NullBuffer::from_iter((0..call.rows).map(|row| !call.has_null(row)));
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, make_array(values.freeze()), Some(nulls))?))
}
