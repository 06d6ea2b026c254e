//! Microseconds since 1970 as a calendar has them.

use chrono::{DateTime, Datelike, NaiveDateTime};
use datafusion_common::Result;

use crate::error::refuse;

pub(super) const DAY_US: i64 = 86_400_000_000;
/// Days from 1 January of year 1 to 1970.
const EPOCH_DAYS: i32 = 719_163;

/// A local time taken apart.
///
/// # Errors
/// 22008 if no calendar has it.
pub(super) fn civil(us: i64) -> Result<NaiveDateTime> {
    let date = chrono::Duration::try_seconds(us.div_euclid(1_000_000))
        .and_then(|d| DateTime::UNIX_EPOCH.naive_utc().checked_add_signed(d));
    match date {
        Some(date) => Ok(date + chrono::Duration::microseconds(us.rem_euclid(1_000_000))),
        None => refuse("22008", "timestamp out of range"),
    }
}

/// Midnight of a date, in microseconds since 1970.
pub(super) fn midnight(date: impl Datelike) -> i64 {
    i64::from(date.num_days_from_ce() - EPOCH_DAYS) * DAY_US
}
