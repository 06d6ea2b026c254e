//! `make_interval`, `make_timestamp`, `make_timestamptz`: times from their fields.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{
    Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use chrono::{Datelike, NaiveDate};
use datafusion_common::Result;

use super::zone::Zone;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const NUMBERS: &[Type] = &[Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Float8];
const FIELDS: &[Type] = &[Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Float8];
const FIELDS_AND_ZONE: &[Type] =
    &[Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Int4, Type::Float8, Type::Text];

pub(super) const INTERVAL: Function = Function::new(
    "make_interval",
    "Creates an interval from years, months, weeks, days, hours, minutes and seconds, each 0 if left out.",
    &[
        Form::new(NUMBERS.split_at(0).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(1).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(2).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(3).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(4).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(5).0, Type::Interval, make_interval),
        Form::new(NUMBERS.split_at(6).0, Type::Interval, make_interval),
        Form::new(NUMBERS, Type::Interval, make_interval),
    ],
);
pub(super) const TIMESTAMP: Function = Function::new(
    "make_timestamp",
    "Creates a timestamp from year, month, day, hour, minute and seconds.",
    &[Form::new(FIELDS, Type::Timestamp, |call| {
        Ok(Arc::new(call.map::<TimestampMicrosecondType>(|row| local(call, row).map(Some))?))
    })],
);
pub(super) const TIMESTAMPTZ: Function = Function::new(
    "make_timestamptz",
    "Creates a timestamp from year, month, day, hour, minute and seconds in a time zone, by default the session's.",
    &[
        Form::new(FIELDS, Type::TimestampTz, |call| {
            let zone = call.zone();
            let times = call.map::<TimestampMicrosecondType>(|row| zone.moment(local(call, row)?).map(Some))?;
            Ok(Arc::new(times.with_timezone("UTC")))
        }),
        Form::new(FIELDS_AND_ZONE, Type::TimestampTz, |call| {
            let zones = call.text(6);
            let times = call.map::<TimestampMicrosecondType>(|row| {
                Zone::of_operator(zones.value(row))?.moment(local(call, row)?).map(Some)
            })?;
            Ok(Arc::new(times.with_timezone("UTC")))
        }),
    ],
)
.stable();

fn make_interval(call: &Call) -> Result<ArrayRef> {
    let field = |n: usize, row: usize| {
        if n < call.args.len() { call.primitive::<Int32Type>(n).value(row) } else { 0 }
    };
    let intervals = call.map::<IntervalMonthDayNanoType>(|row| {
        let seconds = if call.args.len() > 6 { call.primitive::<Float64Type>(6).value(row) } else { 0.0 };
        let out_of_range = || refuse("22008", "interval out of range");
        let months = field(0, row).checked_mul(12).and_then(|m| m.checked_add(field(1, row)));
        let days = field(2, row).checked_mul(7).and_then(|d| d.checked_add(field(3, row)));
        let (Some(months), Some(days)) = (months, days) else { return out_of_range() };
        let whole = i64::from(field(4, row)) * 3600 + i64::from(field(5, row)) * 60;
        let micros = (seconds * 1e6).round();
        if !micros.is_finite() || micros.abs() > 9e18 {
            return out_of_range();
        }
        let time = whole.checked_mul(1_000_000).and_then(|w| w.checked_add(micros as i64));
        match time.and_then(|t| t.checked_mul(1000)) {
            Some(time) => Ok(Some(IntervalMonthDayNano::new(months, days, time))),
            None => out_of_range(),
        }
    })?;
    Ok(Arc::new(intervals))
}

/// The first six arguments as a local time, in microseconds.
fn local(call: &Call, row: usize) -> Result<i64> {
    let int = |n: usize| call.primitive::<Int32Type>(n).value(row);
    let (year, month, day, hour, minute) = (int(0), int(1), int(2), int(3), int(4));
    let seconds = call.primitive::<Float64Type>(5).value(row);
    // A negative year is BC, and there is no year 0.
    let astronomical = if year < 0 { year + 1 } else { year };
    let date = u32::try_from(month)
        .ok()
        .zip(u32::try_from(day).ok())
        .and_then(|(m, d)| NaiveDate::from_ymd_opt(astronomical, m, d))
        .filter(|_| year != 0);
    let Some(date) = date else {
        return refuse("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    };
    let valid = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    let after_midnight = hour == 24 && (minute > 0 || seconds > 0.0);
    if !valid || after_midnight {
        return refuse("22008", format!("time field value out of range: {hour}:{minute:02}:{seconds}"));
    }
    let days = i64::from(date.num_days_from_ce()) - 719_163;
    let whole = i64::from(hour) * 3600 + i64::from(minute) * 60;
    Ok((days * 86_400 + whole) * 1_000_000 + (seconds * 1e6).round() as i64)
}
