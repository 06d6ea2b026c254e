//! `make_date`, `make_time`, `make_interval`, `make_timestamp`, `make_timestamptz`: times from their fields.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{
    Date32Type, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion_common::Result;

use super::civil::{DAY_US, days_from_civil, days_in_month};
use super::zone::{Zone, parse_offset};
use crate::error::{FunctionError, refuse};
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
pub(super) const DATE: Function = Function::new(
    "make_date",
    "Creates a date from year, month and day; a negative year is BC.",
    &[Form::new(&[Type::Int4, Type::Int4, Type::Int4], Type::Date, |call| {
        let int = |n: usize, row: usize| call.primitive::<Int32Type>(n).value(row);
        let date = |row| Ok(Some(day(int(0, row), int(1, row), int(2, row))? as i32));
        Ok(Arc::new(call.map::<Date32Type>(date)?))
    })],
);
pub(super) const TIME: Function = Function::new(
    "make_time",
    "Creates a time from hour, minute and seconds.",
    &[Form::new(&[Type::Int4, Type::Int4, Type::Float8], Type::Time, |call| {
        let int = |n: usize, row: usize| call.primitive::<Int32Type>(n).value(row);
        let seconds = call.primitive::<Float64Type>(2);
        let of = |row| time(int(0, row), int(1, row), seconds.value(row)).map(Some);
        Ok(Arc::new(call.map::<Time64MicrosecondType>(of)?))
    })],
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
                zone_of(zones.value(row))?.moment(local(call, row)?).map(Some)
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

/// A day since 1970; a negative year is BC, and there is no year 0.
fn day(year: i32, month: i32, day: i32) -> Result<i64> {
    let astronomical = i64::from(if year < 0 { year + 1 } else { year });
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    let valid = year != 0 && fits && day as u32 <= days_in_month(astronomical, month as u32);
    if !valid {
        return refuse("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    }
    if !(-4713..5_874_898).contains(&astronomical) {
        return refuse("22008", format!("date out of range: {astronomical}-{month:02}-{day:02}"));
    }
    Ok(days_from_civil(astronomical, month as u32, day as u32))
}

/// A time of day in microseconds.
fn time(hour: i32, minute: i32, seconds: f64) -> Result<i64> {
    let micros = (seconds * 1e6).round_ties_even();
    let each = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60e6).contains(&micros);
    let total = (i64::from(hour) * 3600 + i64::from(minute) * 60) * 1_000_000 + if each { micros as i64 } else { 0 };
    if !each || total > DAY_US {
        return refuse("22008", format!("time field value out of range: {hour}:{minute:02}:{}", shown(seconds)));
    }
    Ok(total)
}

/// As C prints with `%02g`.
fn shown(seconds: f64) -> String {
    let text = format!("{:.5e}", seconds.abs());
    let exponent: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let plain = if !seconds.is_finite() {
        if seconds.is_nan() { "nan".to_string() } else { format!("{}inf", if seconds < 0.0 { "-" } else { "" }) }
    } else if (-5..6).contains(&exponent) {
        let fixed = format!("{seconds:.*}", usize::try_from(5 - exponent).unwrap_or(0));
        if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_string() } else { fixed }
    } else {
        format!("{seconds:e}")
    };
    if plain.len() < 2 { format!("0{plain}") } else { plain }
}

/// The first six arguments as a local time, in microseconds.
fn local(call: &Call, row: usize) -> Result<i64> {
    let int = |n: usize| call.primitive::<Int32Type>(n).value(row);
    let days = day(int(0), int(1), int(2))?;
    let time = time(int(3), int(4), call.primitive::<Float64Type>(5).value(row))?;
    match days.checked_mul(DAY_US).and_then(|us| us.checked_add(time)) {
        Some(us) => Ok(us),
        None => refuse("22008", format!("timestamp out of range: {}-{:02}-{:02}", int(0), int(1), int(2))),
    }
}

/// The zone of `make_timestamptz`: an offset with its sign, an abbreviation or a name.
fn zone_of(text: &str) -> Result<Zone> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(FunctionError::new(
            "22023",
            format!("invalid input syntax for type numeric time zone: \"{text}\""),
        )
        .hint("Numeric time zones must have \"-\" or \"+\" as first character.")
        .into());
    }
    if !text.starts_with(['-', '+']) {
        return Zone::of_operator(text);
    }
    match parse_offset(text) {
        Some(seconds) => Ok(Zone::Fixed(seconds)),
        None if text[1..].bytes().all(|b| b.is_ascii_digit() || b == b':') => {
            refuse("22023", format!("numeric time zone \"{text}\" out of range"))
        }
        None => Zone::of_operator(text),
    }
}
