//! Intervals added, scaled and compared (<https://www.postgresql.org/docs/15/functions-datetime.html>).

use arrow::datatypes::IntervalMonthDayNano;
use datafusion_common::Result;

use super::civil::DAY_US;
use crate::error::refuse;

/// The sum, or with `minus` the difference, part by part; none if a part overflows.
pub fn added(l: IntervalMonthDayNano, r: IntervalMonthDayNano, minus: bool) -> Option<IntervalMonthDayNano> {
    Some(if minus {
        IntervalMonthDayNano::new(
            l.months.checked_sub(r.months)?,
            l.days.checked_sub(r.days)?,
            l.nanoseconds.checked_sub(r.nanoseconds)?,
        )
    } else {
        IntervalMonthDayNano::new(
            l.months.checked_add(r.months)?,
            l.days.checked_add(r.days)?,
            l.nanoseconds.checked_add(r.nanoseconds)?,
        )
    })
}

/// What intervals are compared by: microseconds, a month being 30 days and a day 24 hours.
pub fn comparable(v: IntervalMonthDayNano) -> i128 {
    let days = i128::from(v.months) * 30 + i128::from(v.days);
    days * i128::from(DAY_US) + i128::from(v.nanoseconds / 1000)
}

/// An interval in a message, as IntervalStyle postgres prints it.
pub(super) fn text(v: IntervalMonthDayNano) -> String {
    let mut parts = Vec::new();
    for (n, unit) in [(v.months / 12, "year"), (v.months % 12, "mon"), (v.days, "day")] {
        if n != 0 {
            parts.push(format!("{n} {unit}{}", if n == 1 { "" } else { "s" }));
        }
    }
    let us = v.nanoseconds / 1000;
    if us != 0 || parts.is_empty() {
        let (sign, s) = (if us < 0 { "-" } else { "" }, us.abs() / 1_000_000);
        let clock = format!("{sign}{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
        let fraction = format!(".{:06}", us.abs() % 1_000_000);
        parts.push(format!("{clock}{}", fraction.trim_end_matches('0').trim_end_matches('.')));
    }
    parts.join(" ")
}

/// Rounded to millionths, so that what should be a whole number is one.
fn settled(v: f64) -> f64 {
    (v * 1e6).round_ties_even() / 1e6
}

/// An interval times a number, or divided by it. The fractions of months and days cascade down, never up.
///
/// # Errors
/// 22008 for a part that overflows, 22012.
pub fn scaled(v: IntervalMonthDayNano, divide: bool, n: f64) -> Result<IntervalMonthDayNano> {
    const DAY_SECONDS: f64 = 86_400.0;
    const OVERFLOW: &str = "interval out of range";
    if divide && n == 0.0 {
        return refuse("22012", "division by zero");
    }
    let apply = |v: f64| if divide { v / n } else { v * n };
    let whole = |v: f64| (v >= f64::from(i32::MIN) && v <= f64::from(i32::MAX)).then_some(v as i32);
    let (exact_months, exact_days) = (apply(f64::from(v.months)), apply(f64::from(v.days)));
    let (Some(months), Some(mut days)) = (whole(exact_months), whole(exact_days)) else {
        return refuse("22008", OVERFLOW);
    };
    let month_days = settled((exact_months - f64::from(months)) * 30.0);
    let mut seconds = settled((exact_days - f64::from(days) + month_days - month_days.trunc()) * DAY_SECONDS);
    let mut more = 0.0;
    if seconds.abs() >= DAY_SECONDS {
        more = (seconds / DAY_SECONDS).trunc();
        seconds -= more * DAY_SECONDS;
    }
    let us = (apply((v.nanoseconds / 1000) as f64) + seconds * 1e6).round_ties_even();
    let fits = us.is_finite() && us.abs() < 9.2e18;
    let time = if fits { (us as i64).checked_mul(1000) } else { None };
    let total = days.checked_add(more as i32).and_then(|d| d.checked_add(month_days as i32));
    match (total, time) {
        (Some(total), Some(time)) => {
            days = total;
            Ok(IntervalMonthDayNano::new(months, days, time))
        }
        _ => refuse("22008", OVERFLOW),
    }
}
