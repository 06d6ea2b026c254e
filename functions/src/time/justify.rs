//! `justify_days`, `justify_hours`, `justify_interval`: 30 days as a month, 24 hours as a day.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const DAY_NS: i64 = 86_400_000_000_000;
const MONTH_DAYS: i64 = 30;

pub(super) const DAYS: Function = Function::new(
    "justify_days",
    "Adjusts an interval so that 30-day periods are months.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, |parts| parts.days_to_months()))],
);
pub(super) const HOURS: Function = Function::new(
    "justify_hours",
    "Adjusts an interval so that 24-hour periods are days.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, |parts| parts.hours_to_days()))],
);
pub(super) const INTERVAL: Function = Function::new(
    "justify_interval",
    "Adjusts an interval as justify_days and justify_hours do, and makes all signs alike.",
    &[Form::new(&[Type::Interval], Type::Interval, |call| each(call, |parts| parts.all()))],
);

/// An interval with room to calculate.
struct Parts {
    months: i64,
    days: i64,
    time: i64,
}

fn each(call: &Call, adjust: fn(&mut Parts)) -> Result<ArrayRef> {
    let intervals = call.primitive::<IntervalMonthDayNanoType>(0);
    Ok(Arc::new(call.map::<IntervalMonthDayNanoType>(|row| {
        let i = intervals.value(row);
        let mut parts = Parts { months: i.months.into(), days: i.days.into(), time: i.nanoseconds };
        adjust(&mut parts);
        match (i32::try_from(parts.months), i32::try_from(parts.days)) {
            (Ok(months), Ok(days)) => Ok(Some(IntervalMonthDayNano::new(months, days, parts.time))),
            _ => refuse("22008", "interval out of range"),
        }
    })?))
}

impl Parts {
    fn days_to_months(&mut self) {
        self.months += self.days / MONTH_DAYS;
        self.days %= MONTH_DAYS;
        if self.months > 0 && self.days < 0 {
            self.days += MONTH_DAYS;
            self.months -= 1;
        } else if self.months < 0 && self.days > 0 {
            self.days -= MONTH_DAYS;
            self.months += 1;
        }
    }

    fn hours_to_days(&mut self) {
        self.days += self.time / DAY_NS;
        self.time %= DAY_NS;
        self.same_sign_of_time();
    }

    fn same_sign_of_time(&mut self) {
        if self.days > 0 && self.time < 0 {
            self.time += DAY_NS;
            self.days -= 1;
        } else if self.days < 0 && self.time > 0 {
            self.time -= DAY_NS;
            self.days += 1;
        }
    }

    fn all(&mut self) {
        self.days += self.time / DAY_NS;
        self.time %= DAY_NS;
        self.months += self.days / MONTH_DAYS;
        self.days %= MONTH_DAYS;
        if self.months > 0 && (self.days < 0 || (self.days == 0 && self.time < 0)) {
            self.days += MONTH_DAYS;
            self.months -= 1;
        } else if self.months < 0 && (self.days > 0 || (self.days == 0 && self.time > 0)) {
            self.days -= MONTH_DAYS;
            self.months += 1;
        }
        self.same_sign_of_time();
    }
}
