//! Arithmetic of dates, times and intervals (<https://www.postgresql.org/docs/15/functions-datetime.html>): infinities stay
//! what they are, and what leaves the range of a type is an error.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, cast as cast_to};
use sightline_functions::comparable::comparable as comparable_values;
use sightline_functions::interval::{self, added};
use sightline_functions::shift::shift;
use sightline_storage::types::SqlType;

use super::kernel::{Body, Kernel};
use super::temporal::{infinite, map, midnight, overflow, zip};
use crate::codec::datetime::{END_DAY_OF_DATE, FIRST_DAY, US_PER_DAY};
use crate::codec::{Format, Style};

type Date = Date32Type;
type Time = Time64MicrosecondType;
type Stamp = TimestampMicrosecondType;
type Interval = IntervalMonthDayNanoType;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn kernel(name: &str, ty: &SqlType, args: Vec<Expr>, body: Body) -> Expr {
    Kernel::call(name, ty.field_ref(""), args, body)
}

/// A date plus or minus a number of days.
pub(super) fn shifted_date(date: Expr, minus: bool, days: Expr) -> Expr {
    let body: Body = Arc::new(move |a| {
        let shift = |date: i32, days: i64| {
            if date == i32::MAX || date == i32::MIN {
                return Ok(date);
            }
            let moved = i64::from(date) + if minus { -days } else { days };
            let known = (FIRST_DAY..END_DAY_OF_DATE).contains(&moved);
            if known { Ok(moved as i32) } else { Err(overflow("date out of range")) }
        };
        let days = cast(&a[1], &DataType::Int64)?;
        Ok(Arc::new(zip::<Date, Int64Type, Date>(&a[0], &days, shift)?) as ArrayRef)
    });
    let name = if minus { "date_mii" } else { "date_pli" };
    kernel(name, &SqlType::Date, vec![date, cast_to(days, DataType::Int32)], body)
}

/// The days from one date to another.
pub(super) fn days_between(left: Expr, right: Expr) -> Expr {
    let body: Body = Arc::new(|a| {
        let between = |l: i32, r: i32| {
            let endless = |d: i32| d == i32::MAX || d == i32::MIN;
            if endless(l) || endless(r) {
                Err(overflow("cannot subtract infinite dates"))
            } else {
                Ok(l.wrapping_sub(r))
            }
        };
        Ok(Arc::new(zip::<Date, Date, Int32Type>(&a[0], &a[1], between)?) as ArrayRef)
    });
    kernel("date_mi", &SqlType::Integer, vec![left, right], body)
}

/// The time between two timestamps in days and hours.
pub(super) fn difference(left: Expr, right: Expr) -> Expr {
    let body: Body = Arc::new(|a| {
        let between = |l: i64, r: i64| {
            if infinite(l) || infinite(r) {
                return Err(overflow("cannot subtract infinite timestamps"));
            }
            let us = l.checked_sub(r).ok_or_else(|| overflow("interval out of range"))?;
            let days = i32::try_from(us / US_PER_DAY).map_err(|_| overflow("interval out of range"))?;
            Ok(IntervalMonthDayNano::new(0, days, us % US_PER_DAY * 1000))
        };
        Ok(Arc::new(zip::<Stamp, Stamp, Interval>(&a[0], &a[1], between)?) as ArrayRef)
    });
    kernel("timestamp_mi", &SqlType::Interval, vec![left, right], body)
}

/// A date at a time of day.
pub(super) fn date_and_time(date: Expr, time: Expr) -> Expr {
    let body: Body = Arc::new(|a| {
        let at = |date: i32, time: i64| {
            let start = midnight(date)?;
            if infinite(start) { Ok(start) } else { Ok(start + time) }
        };
        Ok(Arc::new(zip::<Date, Time, Stamp>(&a[0], &a[1], at)?) as ArrayRef)
    });
    kernel("datetime_pl", &SqlType::Timestamp, vec![date, time], body)
}

/// The time from one time of day to another.
pub(super) fn time_between(left: Expr, right: Expr) -> Expr {
    let body: Body = Arc::new(|a| {
        let between = |l: i64, r: i64| Ok(IntervalMonthDayNano::new(0, 0, (l - r) * 1000));
        Ok(Arc::new(zip::<Time, Time, Interval>(&a[0], &a[1], between)?) as ArrayRef)
    });
    kernel("time_mi_time", &SqlType::Interval, vec![left, right], body)
}

/// A time of day moved around the clock.
pub(super) fn shifted_time(time: Expr, minus: bool, by: Expr) -> Expr {
    let body: Body = Arc::new(move |a| {
        let shift = |time: i64, by: IntervalMonthDayNano| {
            let by = by.nanoseconds / 1000 % US_PER_DAY;
            Ok((if minus { time - by } else { time + by }).rem_euclid(US_PER_DAY))
        };
        Ok(Arc::new(zip::<Time, Interval, Time>(&a[0], &cast(&a[1], &INTERVAL)?, shift)?) as ArrayRef)
    });
    let name = if minus { "time_mi_interval" } else { "time_pl_interval" };
    kernel(name, &SqlType::Time, vec![time, by], body)
}

/// The sum or difference of two intervals, part by part.
pub(super) fn interval_sum(left: Expr, minus: bool, right: Expr) -> Expr {
    let body: Body = Arc::new(move |a| {
        let sum = |l: IntervalMonthDayNano, r: IntervalMonthDayNano| {
            added(l, r, minus).ok_or_else(|| overflow("interval out of range"))
        };
        Ok(Arc::new(zip::<Interval, Interval, Interval>(&cast(&a[0], &INTERVAL)?, &cast(&a[1], &INTERVAL)?, sum)?)
            as ArrayRef)
    });
    kernel(if minus { "interval_mi" } else { "interval_pl" }, &SqlType::Interval, vec![left, right], body)
}

/// `-interval`.
pub(super) fn negated(interval: Expr) -> Expr {
    let body: Body = Arc::new(|a| {
        let negate = |v: IntervalMonthDayNano| {
            added(IntervalMonthDayNano::new(0, 0, 0), v, true)
                .map(Some)
                .ok_or_else(|| overflow("interval out of range"))
        };
        Ok(Arc::new(map::<Interval, Interval>(&cast(&a[0], &INTERVAL)?, negate)?) as ArrayRef)
    });
    kernel("interval_um", &SqlType::Interval, vec![interval], body)
}

/// An interval times or divided by a number: what is left of months goes to days of 30, of days to time.
pub(super) fn scaled(interval: Expr, divide: bool, number: Expr) -> Expr {
    let body: Body = Arc::new(move |a| {
        let by = |v: IntervalMonthDayNano, n: f64| interval::scaled(v, divide, n);
        Ok(Arc::new(zip::<Interval, Float64Type, Interval>(&cast(&a[0], &INTERVAL)?, &a[1], by)?) as ArrayRef)
    });
    let name = if divide { "interval_div" } else { "interval_mul" };
    kernel(name, &SqlType::Interval, vec![interval, cast_to(number, DataType::Float64)], body)
}

/// Timestamps and intervals, added or with `sign` -1 subtracted. Of a moment months and days are those of the session's
/// wall clock, hours are real ones.
pub(super) fn shift_moment(sign: i64, format: &Format, zoned: bool) -> Body {
    let zone = zoned.then(|| Style::new(format).zone);
    Arc::new(move |arrays| {
        let tz = zoned.then(|| Arc::from("UTC"));
        let moments = cast(&arrays[0], &DataType::Timestamp(TimeUnit::Microsecond, tz.clone()))?;
        let intervals = cast(&arrays[1], &INTERVAL)?;
        let out = zip::<Stamp, Interval, Stamp>(&moments, &intervals, |us, by| {
            shift(zone, us, by, sign).ok_or_else(|| overflow("timestamp out of range"))
        })?;
        Ok(Arc::new(out.with_timezone_opt(tz)) as ArrayRef)
    })
}

/// What intervals are compared by: microseconds, a month being 30 days and a day 24 hours.
pub(super) fn comparable(interval: Expr) -> Expr {
    let field = Arc::new(Field::new("", DataType::Decimal128(38, 0), true));
    Kernel::call(
        "interval_cmp_value",
        field,
        vec![interval],
        Arc::new(|a| comparable_values(&a[0], &Field::new("", INTERVAL, true))),
    )
}

/// Whether a function answers one of its arguments after a comparison.
pub(super) fn chooses(name: &str) -> bool {
    matches!(name, "greatest" | "least" | "nullif")
}

/// `greatest`, `least` and `nullif` of intervals, by what compares them.
pub(super) fn choice(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    for arg in &call.args {
        if !matches!(arg.get_type(schema)?, DataType::Interval(_)) {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
    }
    let name = call.func.name().to_string();
    let prefers: fn(Ordering) -> bool = match name.as_str() {
        "greatest" => Ordering::is_gt,
        "least" => Ordering::is_lt,
        _ => Ordering::is_eq,
    };
    let nulls = name == "nullif";
    let body: Body = Arc::new(move |a| {
        let arrays = a.iter().map(|a| cast(a, &INTERVAL)).collect::<std::result::Result<Vec<_>, _>>()?;
        let value = |n: usize, row: usize| {
            let array = arrays[n].as_primitive::<Interval>();
            array.is_valid(row).then(|| array.value(row))
        };
        let of = |row: usize| {
            let mut best = value(0, row);
            for n in 1..arrays.len() {
                let other = value(n, row);
                best =
                    match (best, other) {
                        (Some(b), Some(o)) if prefers(interval::comparable(o).cmp(&interval::comparable(b))) => {
                            if nulls { None } else { Some(o) }
                        }
                        (None, Some(o)) if !nulls => Some(o),
                        (best, _) => best,
                    };
            }
            best
        };
        let rows = arrays.first().map_or(0, |a| a.len());
        Ok(Arc::new((0..rows).map(of).collect::<PrimitiveArray<Interval>>()) as ArrayRef)
    });
    Ok(Transformed::yes(kernel(&format!("interval_{name}"), &SqlType::Interval, call.args, body)))
}
