//! Values cut to the modifier of their type: `timestamp(3)` keeps milliseconds, `interval day` no time
//! (<https://www.postgresql.org/docs/15/datatype-datetime.html>).

use arrow::datatypes::IntervalMonthDayNano;
use sightline_storage::types::{IntervalFields, Precise, SqlType};

use super::datetime::US_PER_SECOND;

const NS_PER_SECOND: i64 = 1_000 * US_PER_SECOND;

/// Rounded to so many digits of a second, half away from zero. A second is `second` units.
fn rounded(value: i64, digits: u8, second: i64) -> i64 {
    let unit = second / 10_i64.pow(digits.min(6).into());
    if unit <= 1 {
        return value;
    }
    let half = value.signum() * (unit / 2);
    value.checked_add(half).map_or(value, |v| v / unit * unit)
}

/// A time of day in microseconds.
pub fn time(ty: &SqlType, us: i64) -> i64 {
    match ty {
        SqlType::Precise(Precise::Time(digits)) => rounded(us, *digits, US_PER_SECOND),
        _ => us,
    }
}

/// A timestamp in microseconds since 1970; infinities stay. PostgreSQL rounds what it counts from 2000 on.
pub fn timestamp(ty: &SqlType, us: i64) -> i64 {
    let SqlType::Precise(Precise::Timestamp(digits) | Precise::TimestampTz(digits)) = ty else { return us };
    if us == i64::MAX || us == i64::MIN {
        return us;
    }
    match us.checked_sub(super::datetime::PG_EPOCH_US) {
        Some(since_2000) => rounded(since_2000, *digits, US_PER_SECOND) + super::datetime::PG_EPOCH_US,
        None => us,
    }
}

/// The fields of an interval type.
pub fn fields(ty: &SqlType) -> IntervalFields {
    match ty {
        SqlType::Precise(Precise::Interval(fields, _)) => *fields,
        _ => IntervalFields::All,
    }
}

/// An interval without what its type does not keep.
pub fn interval(ty: &SqlType, v: IntervalMonthDayNano) -> IntervalMonthDayNano {
    use IntervalFields as F;
    let SqlType::Precise(Precise::Interval(fields, digits)) = ty else { return v };
    let cut = |unit: i64| v.nanoseconds / unit * unit;
    let (months, days, time) = match fields {
        F::Year => (v.months / 12 * 12, 0, 0),
        F::Month | F::YearToMonth => (v.months, 0, 0),
        F::Day => (v.months, v.days, 0),
        F::Hour | F::DayToHour => (v.months, v.days, cut(3600 * NS_PER_SECOND)),
        F::Minute | F::DayToMinute | F::HourToMinute => (v.months, v.days, cut(60 * NS_PER_SECOND)),
        F::All | F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond => (v.months, v.days, v.nanoseconds),
    };
    let time = digits.map_or(time, |digits| rounded(time, digits, NS_PER_SECOND));
    IntervalMonthDayNano::new(months, days, time)
}
