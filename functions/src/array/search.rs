//! What is in an array: `array_position`, `array_positions`, and the operators `@>`, `<@`, `&&`
//! (<https://www.postgresql.org/docs/15/functions-array.html>).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Array, Int32Builder, ListBuilder};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;

use super::change::equals;
use super::elements::{Elements, comparator};
use super::polymorphic::{ArrayFunction, base, list_and_element, list_of, lists};
use crate::error::{FunctionError, refuse};
use crate::numeric::NUMERIC;
use crate::udf::{Call, shown};

pub(super) const POSITION: ArrayFunction = ArrayFunction {
    name: "array_position",
    syntax: "array_position(anyarray, anyelement [, integer])",
    description: "The subscript of the first element that equals the second argument, from a place on.",
    coerce: |given| match given {
        [list, element] => Ok(list_and_element(list, element).map(|(l, e)| vec![l, e])),
        [list, element, start] if start.is_integer() || start.is_null() || *start == DataType::Utf8 => {
            Ok(list_and_element(list, element).map(|(l, e)| vec![l, e, DataType::Int32]))
        }
        _ => Ok(None),
    },
    returns: |_| DataType::Int32,
    call: position,
};
pub(super) const POSITIONS: ArrayFunction = ArrayFunction {
    name: "array_positions",
    syntax: "array_positions(anyarray, anyelement)",
    description: "The subscripts of all elements that equal the second argument.",
    coerce: |given| match given {
        [list, element] => Ok(list_and_element(list, element).map(|(l, e)| vec![l, e])),
        _ => Ok(None),
    },
    returns: |_| list_of(&DataType::Int32),
    call: positions,
};
pub(super) const CONTAINS: ArrayFunction = ArrayFunction {
    name: "arraycontains",
    syntax: "arraycontains(anyarray, anyarray)",
    description: "Whether all elements of the second array are in the first.",
    coerce: |given| both(given, "@>"),
    returns: |_| DataType::Boolean,
    call: |call| sets(call, |(a, b), equal| b.into_iter().all(|y| a.clone().any(|x| equal(x, y)))),
};
pub(super) const CONTAINED: ArrayFunction = ArrayFunction {
    name: "arraycontained",
    syntax: "arraycontained(anyarray, anyarray)",
    description: "Whether all elements of the first array are in the second.",
    coerce: |given| both(given, "<@"),
    returns: |_| DataType::Boolean,
    call: |call| sets(call, |(a, b), equal| a.into_iter().all(|x| b.clone().any(|y| equal(x, y)))),
};
pub(super) const OVERLAP: ArrayFunction = ArrayFunction {
    name: "arrayoverlap",
    syntax: "arrayoverlap(anyarray, anyarray)",
    description: "Whether any element is in both arrays.",
    coerce: |given| both(given, "&&"),
    returns: |_| DataType::Boolean,
    call: |call| sets(call, |(a, b), equal| a.into_iter().any(|x| b.clone().any(|y| equal(x, y)))),
};
pub(super) const COMPARE: ArrayFunction = ArrayFunction {
    name: "btarraycmp",
    syntax: "btarraycmp(anyarray, anyarray)",
    description: "Which array comes first: -1, 0 or 1.",
    coerce: |given| match given {
        [a, b] => Ok(lists(a, b).map(|(a, b)| vec![a, b])),
        _ => Ok(None),
    },
    returns: |_| DataType::Int32,
    call: compare,
};

/// Two arrays whose elements are of one type already.
fn both(given: &[DataType], operator: &str) -> Result<Option<Vec<DataType>>> {
    let [a, b] = given else { return Ok(None) };
    let found =
        lists(a, b).filter(|(l, r)| a == b || ([a, b].contains(&l) && [a, b].contains(&r)) || (exact(a) && exact(b)));
    match found {
        Some((a, b)) => Ok(Some(vec![a, b])),
        None => {
            Err(FunctionError::new("42883", format!("operator does not exist: {} {operator} {}", shown(a), shown(b)))
                .hint(
                    "No operator matches the given name and argument types. You might need to add explicit type casts.",
                )
                .into())
        }
    }
}

/// Whether it is an array of numerics, of any precision.
fn exact(list: &DataType) -> bool {
    let (item, _) = base(list);
    *item == NUMERIC || item.is_decimal()
}

fn one_dimension(elements: &Elements) -> Result<()> {
    match elements.dimensions() {
        1 => Ok(()),
        _ => refuse("0A000", "searching for elements in multidimensional arrays is not supported"),
    }
}

fn subscript(at: usize) -> i32 {
    i32::try_from(at + 1).unwrap_or(i32::MAX)
}

fn position(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    one_dimension(&elements)?;
    let equal = equals(&elements.values, &call.args[1])?;
    let starts = (call.args.len() > 2).then(|| call.primitive::<Int32Type>(2));
    let one = |row: usize| {
        if elements.is_null(row) {
            return Ok(None);
        }
        let skip = match starts {
            Some(starts) if starts.is_null(row) => return refuse("22004", "initial position must not be null"),
            Some(starts) => usize::try_from(starts.value(row).saturating_sub(1)).unwrap_or(0),
            None => 0,
        };
        let found = elements.range(row).enumerate().skip(skip).find(|(_, at)| equal(*at, row));
        Ok(found.map(|(n, _)| subscript(n)))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<Int32Array>>()?))
}

fn positions(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    one_dimension(&elements)?;
    let equal = equals(&elements.values, &call.args[1])?;
    let mut out = ListBuilder::new(Int32Builder::new());
    for row in 0..call.rows {
        let found = elements.range(row).enumerate().filter(|(_, at)| equal(*at, row));
        found.for_each(|(n, _)| out.values().append_value(subscript(n)));
        out.append(!elements.is_null(row));
    }
    Ok(Arc::new(out.finish()))
}

type Ranges = (std::ops::Range<usize>, std::ops::Range<usize>);

/// A condition on the elements of two arrays; a NULL equals nothing.
fn sets(call: &Call, holds: impl Fn(Ranges, &dyn Fn(usize, usize) -> bool) -> bool) -> Result<ArrayRef> {
    let (a, b) = (Elements::new(&call.args[0])?, Elements::new(&call.args[1])?);
    let compare = comparator(&a.values, &b.values, SortOptions::default())?;
    let equal = |x: usize, y: usize| a.values.is_valid(x) && b.values.is_valid(y) && compare(x, y).is_eq();
    let one = |row| (!call.has_null(row)).then(|| holds((a.range(row), b.range(row)), &equal));
    Ok(Arc::new((0..call.rows).map(one).collect::<BooleanArray>()))
}

/// Element by element, a NULL last; of two that agree so far the shorter, then that of fewer dimensions.
fn compare(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (Elements::new(&call.args[0])?, Elements::new(&call.args[1])?);
    let compare = comparator(&a.values, &b.values, SortOptions { descending: false, nulls_first: false })?;
    let one = |row| {
        if call.has_null(row) {
            return None;
        }
        let (x, y) = (a.range(row), b.range(row));
        let elements = x.clone().zip(y.clone()).map(|(x, y)| compare(x, y)).find(|o| o.is_ne());
        let order = elements.unwrap_or(Ordering::Equal).then(x.len().cmp(&y.len()));
        Some(order.then(a.shape(row).len().cmp(&b.shape(row).len())) as i32)
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Int32Array>()))
}
