//! `age(later, earlier)`: the time between in years, months and days as people count them.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::Result;

use super::civil::{DAY_US, civil_from_days, days_in_month};
use super::zone::{Zone, is_infinite};
use crate::error::refuse;
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
    let ages: PrimitiveArray<IntervalMonthDayNanoType> = call.map(|row| {
        let (a, b) = (a.value(row), b.value(row));
        if is_infinite(a) || is_infinite(b) {
            return refuse("22008", "timestamp out of range");
        }
        Ok(Some(age(local(a)?, local(b)?)))
    })?;
    Ok(Arc::new(ages))
}

/// Field by field, then borrowed from the greater one. Days are borrowed from the month of the second argument's time if
/// that is the earlier, else from the month of the first's.
fn age(a: i64, b: i64) -> IntervalMonthDayNano {
    let negative = a < b;
    let (later, earlier) = if negative { (b, a) } else { (a, b) };
    let parts = |us: i64| (civil_from_days(us.div_euclid(DAY_US)), us.rem_euclid(DAY_US));
    let ((later_year, later_month, later_day), later_time) = parts(later);
    let ((year, month, day), time) = parts(earlier);
    let mut time = later_time - time;
    let mut days = i64::from(later_day) - i64::from(day);
    let mut months = (later_year - year) * 12 + i64::from(later_month) - i64::from(month);
    if time < 0 {
        time += DAY_US;
        days -= 1;
    }
    while days < 0 {
        days += i64::from(days_in_month(year, month));
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    IntervalMonthDayNano::new((sign * months) as i32, (sign * days) as i32, sign * time * 1000)
}
