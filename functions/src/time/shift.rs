//! A timestamp moved by an interval.

use arrow::datatypes::IntervalMonthDayNano;

use super::civil::{DAY_US, civil_from_days, days_from_civil, days_in_month};
use super::zone::{Zone, is_infinite};

/// From 24 November 4714 BC to where 64 bits of microseconds since 1970 end, in days.
const DAYS: std::ops::Range<i64> = -2_440_588..106_751_990;

/// Whether timestamps reach so far.
pub(super) fn in_range(us: i64) -> bool {
    DAYS.contains(&us.div_euclid(DAY_US))
}

/// The timestamp plus the interval, or with `sign` -1 minus it; none beyond the range. In a `zone` it is a moment, whose
/// months and days are those of the wall clock there while hours are real ones; without, it is a local time. Infinities
/// stay (<https://www.postgresql.org/docs/15/functions-datetime.html>).
pub fn shift(zone: Option<Zone>, us: i64, by: IntervalMonthDayNano, sign: i64) -> Option<i64> {
    if is_infinite(us) {
        return Some(us);
    }
    let local = |us: i64| zone.map_or(Some(us), |z| z.to_local(us));
    let back = |us: i64| zone.map_or(Some(us), |z| z.to_utc(us)).filter(|us| in_range(*us));
    let mut moved = us;
    if by.months != 0 {
        let wall = local(moved)?;
        let (year, month, day) = civil_from_days(wall.div_euclid(DAY_US));
        let months = year * 12 + i64::from(month) - 1 + sign * i64::from(by.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        let days = days_from_civil(year, month, day.min(days_in_month(year, month)));
        moved = back(days.checked_mul(DAY_US)?.checked_add(wall.rem_euclid(DAY_US))?)?;
    }
    if by.days != 0 {
        let days = (sign * i64::from(by.days)).checked_mul(DAY_US)?;
        moved = back(local(moved)?.checked_add(days)?)?;
    }
    moved.checked_add(sign * (by.nanoseconds / 1000)).filter(|us| in_range(*us))
}
