//! `justify_days`, `justify_hours`, `justify_interval`: 30 days as a month, 24 hours as a day.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion_common::Result;

use crate::udf::{Call, Form, Function, Type};

const DAY_NS: i64 = 86_400_000_000_000;
const MONTH_DAYS: i32 = 30;

pub(super) const DAYS: Function = Function::new(
    "justify_days",
    "Adjusts an interval so that 30-day periods are months.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, justify_days))],
);
pub(super) const HOURS: Function = Function::new(
    "justify_hours",
    "Adjusts an interval so that 24-hour periods are days.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, justify_hours))],
);
pub(super) const INTERVAL: Function = Function::new(
    "justify_interval",
    "Adjusts an interval as justify_days and justify_hours do, and makes all signs alike.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, justify_interval))],
);

fn each(call: &Call, f: fn(IntervalMonthDayNano) -> IntervalMonthDayNano) -> Result<ArrayRef> {
    let intervals = call.primitive::<IntervalMonthDayNanoType>(0);
    Ok(Arc::new(call.map::<IntervalMonthDayNanoType>(|row| Ok(Some(f(intervals.value(row)))))?))
}

fn justify_days(i: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let mut months = i.months + i.days / MONTH_DAYS;
    let mut days = i.days % MONTH_DAYS;
    if months > 0 && days < 0 {
        days += MONTH_DAYS;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= MONTH_DAYS;
        months += 1;
    }
    IntervalMonthDayNano::new(months, days, i.nanoseconds)
}

fn justify_hours(i: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let mut days = i64::from(i.days) + i.nanoseconds / DAY_NS;
    let mut time = i.nanoseconds % DAY_NS;
    if days > 0 && time < 0 {
        time += DAY_NS;
        days -= 1;
    } else if days < 0 && time > 0 {
        time -= DAY_NS;
        days += 1;
    }
    IntervalMonthDayNano::new(i.months, i32::try_from(days).unwrap_or(i32::MAX), time)
}

fn justify_interval(i: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let mut days = i64::from(i.days) + i.nanoseconds / DAY_NS;
    let mut time = i.nanoseconds % DAY_NS;
    let month = i64::from(MONTH_DAYS);
    let mut months = i64::from(i.months) + days / month;
    days %= month;
    if months > 0 && (days < 0 || (days == 0 && time < 0)) {
        days += month;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && time > 0)) {
        days -= month;
        months += 1;
    }
    if days > 0 && time < 0 {
        time += DAY_NS;
        days -= 1;
    } else if days < 0 && time > 0 {
        time -= DAY_NS;
        days += 1;
    }
    let narrow = |v: i64| i32::try_from(v).unwrap_or(i32::MAX);
    IntervalMonthDayNano::new(narrow(months), narrow(days), time)
}
