//! `overlaps(start1, end1, start2, end2)`, which is what `(start1, end1) OVERLAPS (start2, end2)` is planned as
//! (<https://www.postgresql.org/docs/15/functions-datetime.html>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion_common::Result;

use super::civil::DAY_US;
use super::shift::shift;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const T: Type = Type::Timestamp;
const Z: Type = Type::TimestampTz;
const C: Type = Type::Time;
const I: Type = Type::Interval;

pub(super) const FUNCTION: Function = Function::new(
    "overlaps",
    "Whether two periods have a time in common; an end may be given as the length of the period.",
    &[
        Form::new(&[T, T, T, T], Type::Bool, overlaps),
        Form::new(&[T, I, T, T], Type::Bool, overlaps),
        Form::new(&[T, T, T, I], Type::Bool, overlaps),
        Form::new(&[T, I, T, I], Type::Bool, overlaps),
        Form::new(&[Z, Z, Z, Z], Type::Bool, overlaps),
        Form::new(&[Z, I, Z, Z], Type::Bool, overlaps),
        Form::new(&[Z, Z, Z, I], Type::Bool, overlaps),
        Form::new(&[Z, I, Z, I], Type::Bool, overlaps),
        Form::new(&[C, C, C, C], Type::Bool, overlaps),
        Form::new(&[C, I, C, C], Type::Bool, overlaps),
        Form::new(&[C, C, C, I], Type::Bool, overlaps),
        Form::new(&[C, I, C, I], Type::Bool, overlaps),
    ],
)
.stable();

fn overlaps(call: &Call) -> Result<ArrayRef> {
    let one = |row| Ok(meets(at(call, 0, row)?, at(call, 1, row)?, at(call, 2, row)?, at(call, 3, row)?));
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

/// An argument as microseconds; a length is added to the argument before it.
fn at(call: &Call, n: usize, row: usize) -> Result<Option<i64>> {
    use arrow::datatypes::DataType::{Interval, Time64, Timestamp};
    let array = &call.args[n];
    if array.is_null(row) {
        return Ok(None);
    }
    match array.data_type() {
        Time64(_) => Ok(Some(array.as_primitive::<Time64MicrosecondType>().value(row))),
        Interval(_) => {
            let by = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let Some(start) = at(call, n - 1, row)? else { return Ok(None) };
            let zone = match call.args[n - 1].data_type() {
                Time64(_) => return Ok(Some((start + by.nanoseconds / 1000 % DAY_US).rem_euclid(DAY_US))),
                Timestamp(_, Some(_)) => Some(call.zone()),
                _ => None,
            };
            match shift(zone, start, by, 1) {
                Some(end) => Ok(Some(end)),
                None => refuse("22008", "timestamp out of range"),
            }
        }
        _ => Ok(Some(array.as_primitive::<TimestampMicrosecondType>().value(row))),
    }
}

/// The standard's rule: the earlier of two ends is a period's start; a period without one of them may still overlap.
fn meets(start1: Option<i64>, end1: Option<i64>, start2: Option<i64>, end2: Option<i64>) -> Option<bool> {
    let ((start1, end1), (start2, end2)) = (ordered(start1, end1)?, ordered(start2, end2)?);
    let within = |late: i64, end: Option<i64>, other_end: Option<i64>| match (end, other_end) {
        (None, _) => None,
        (Some(end), _) if late < end => Some(true),
        (Some(_), None) => None,
        (Some(_), Some(_)) => Some(false),
    };
    match start1.cmp(&start2) {
        std::cmp::Ordering::Greater => within(start1, end2, end1),
        std::cmp::Ordering::Less => within(start2, end1, end2),
        // They start together, so they overlap unless one of them might be empty.
        std::cmp::Ordering::Equal => (end1.is_some() && end2.is_some()).then_some(true),
    }
}

/// A period's start and end in order; none if nothing of it is known.
fn ordered(start: Option<i64>, end: Option<i64>) -> Option<(i64, Option<i64>)> {
    match (start, end) {
        (None, None) => None,
        (None, Some(end)) => Some((end, None)),
        (Some(start), Some(end)) if start > end => Some((end, Some(start))),
        (Some(start), end) => Some((start, end)),
    }
}
