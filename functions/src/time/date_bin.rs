//! `date_bin(stride, time, origin)`: the start of the bin of a fixed length that a time falls into
//! (<https://www.postgresql.org/docs/15/functions-datetime.html#FUNCTIONS-DATETIME-BIN>).

use std::sync::Arc;

use arrow::array::PrimitiveArray;
use arrow::datatypes::{IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::Result;

use super::civil::DAY_US;
use super::shift::in_range;
use super::zone::is_infinite;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "date_bin",
    "The start of the bin that a timestamp falls into, bins having a length and being counted from an origin.",
    &[
        Form::new(&[Type::Interval, Type::Timestamp, Type::Timestamp], Type::Timestamp, |call| {
            Ok(Arc::new(binned(call)?))
        }),
        Form::new(&[Type::Interval, Type::TimestampTz, Type::TimestampTz], Type::TimestampTz, |call| {
            Ok(Arc::new(binned(call)?.with_timezone("UTC")))
        }),
    ],
);

fn binned(call: &Call) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    let strides = call.primitive::<IntervalMonthDayNanoType>(0);
    let (times, origins) =
        (call.primitive::<TimestampMicrosecondType>(1), call.primitive::<TimestampMicrosecondType>(2));
    call.map(|row| {
        let (stride, time, origin) = (strides.value(row), times.value(row), origins.value(row));
        if is_infinite(time) {
            return Ok(Some(time));
        }
        if is_infinite(origin) {
            return refuse("22008", "origin out of range");
        }
        if stride.months != 0 {
            return refuse("0A000", "timestamps cannot be binned into intervals containing months or years");
        }
        let length = i64::from(stride.days).checked_mul(DAY_US).and_then(|d| d.checked_add(stride.nanoseconds / 1000));
        let Some(length) = length else { return refuse("22008", "interval out of range") };
        if length <= 0 {
            return refuse("22008", "stride must be greater than zero");
        }
        let Some(since) = time.checked_sub(origin) else { return refuse("22008", "interval out of range") };
        match origin.checked_add(since - since.rem_euclid(length)).filter(|us| in_range(*us)) {
            Some(start) => Ok(Some(start)),
            None => refuse("22008", "timestamp out of range"),
        }
    })
}
