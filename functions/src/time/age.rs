//! `age(later, earlier)`: the time between in years, months and days as people count them.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion_common::Result;

use super::civil::civil;
use super::zone::Zone;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "age",
    "Subtracts two timestamps, giving years, months, days and a time.",
    &[
        Form::new(&[Type::Timestamp, Type::Timestamp], Type::Interval, |call| between(call, None)),
        Form::new(&[Type::TimestampTz, Type::TimestampTz], Type::Interval, |call| between(call, Some(call.zone()))),
    ],
)
.stable();

fn between(call: &Call, zone: Option<Zone>) -> Result<ArrayRef> {
    let (a, b) = (call.primitive::<TimestampMicrosecondType>(0), call.primitive::<TimestampMicrosecondType>(1));
    let local = |us: i64| zone.map_or(Ok(us), |z| z.local(us));
    let ages: PrimitiveArray<IntervalMonthDayNanoType> =
        call.map(|row| age(local(a.value(row))?, local(b.value(row))?).map(Some))?;
    Ok(Arc::new(ages))
}

/// Days of each month, of a common and of a leap year.
fn days_of_month(year: i32, month: u32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Field by field, then borrowed from the greater one; days are borrowed from the month of the earlier time.
fn age(a: i64, b: i64) -> Result<IntervalMonthDayNano> {
    let negative = a < b;
    let (later, earlier) = if negative { (civil(b)?, civil(a)?) } else { (civil(a)?, civil(b)?) };
    let micros =
        |t: &NaiveDateTime| i64::from(t.num_seconds_from_midnight()) * 1_000_000 + i64::from(t.nanosecond() / 1000);
    let mut time = micros(&later) - micros(&earlier);
    let mut days = i32::try_from(later.day()).unwrap_or(0) - i32::try_from(earlier.day()).unwrap_or(0);
    let month = |t: &NaiveDateTime| t.year() * 12 + i32::try_from(t.month0()).unwrap_or(0);
    let mut months = month(&later) - month(&earlier);
    if time < 0 {
        time += 86_400_000_000;
        days -= 1;
    }
    if days < 0 {
        // The month before the later time's, if times were swapped: PostgreSQL borrows from the first argument's side.
        let from = if negative { &later } else { &earlier };
        let (year, month) = if negative { previous(from) } else { (from.year(), from.month()) };
        days += days_of_month(year, month);
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    Ok(IntervalMonthDayNano::new(sign * months, sign * days, i64::from(sign) * time * 1000))
}

fn previous(t: &NaiveDateTime) -> (i32, u32) {
    if t.month() == 1 { (t.year() - 1, 12) } else { (t.year(), t.month() - 1) }
}
