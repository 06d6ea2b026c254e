//! Dates and times out: the calendar and the four forms of DateStyle
//! (<https://www.postgresql.org/docs/15/datatype-datetime.html#DATATYPE-DATETIME-OUTPUT>). In:
//! [`datetime_input`](super::datetime_input).
//!
//! Dates are days since 1970 in an `i32`, times microseconds since 1970 (or midnight) in an `i64`; the extreme values are
//! `infinity` and `-infinity`.

pub use sightline_functions::civil::{civil_from_days, days_from_civil, days_in_month};
use sightline_functions::zone::Zone;

use super::{DateForm, DateOrder, Style};

/// Microseconds in a second.
pub const US_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub const US_PER_DAY: i64 = 86_400 * US_PER_SECOND;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary form starts.
pub const PG_EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub const PG_EPOCH_US: i64 = PG_EPOCH_DAYS as i64 * US_PER_DAY;
/// The first day PostgreSQL has, 4714-11-24 BC.
pub const FIRST_DAY: i64 = -2_440_588;
/// The day after the last of `date`, 5874898-01-01.
pub const END_DAY_OF_DATE: i64 = 2_145_042_906;
/// The day after the last of `timestamp` that microseconds since 1970 hold, in 294247 (PostgreSQL counts from 2000 and
/// ends in 294276).
pub const END_DAY_OF_TIMESTAMP: i64 = 106_751_990;

pub(super) fn push_2(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

/// The decimal digits of `n`, at least `width` of them.
pub(super) fn push_padded(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = 20;
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[at.min(20 - width)..]);
}

/// Writes `.5` for 500000: the fraction of a second without trailing zeros.
pub(super) fn push_fraction(out: &mut Vec<u8>, us: u32) {
    if us == 0 {
        return;
    }
    out.push(b'.');
    push_padded(out, u64::from(us), 6);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Writes `2024-01-31` without the era and tells whether it is BC.
fn push_civil(out: &mut Vec<u8>, days: i64) -> bool {
    let (year, month, day) = civil_from_days(days);
    push_year(out, year);
    out.push(b'-');
    push_2(out, month);
    out.push(b'-');
    push_2(out, day);
    year <= 0
}

/// The year as people count it, without the era.
fn push_year(out: &mut Vec<u8>, year: i64) {
    let shown = if year <= 0 { 1 - year } else { year };
    push_padded(out, shown as u64, 4);
}

/// Writes `31<separator>01<separator>2024` or `01<separator>31<separator>2024`.
fn push_parts(out: &mut Vec<u8>, (year, month, day): (i64, u32, u32), separator: u8, day_first: bool) {
    let (first, second) = if day_first { (day, month) } else { (month, day) };
    push_2(out, first);
    out.push(separator);
    push_2(out, second);
    out.push(separator);
    push_year(out, year);
}

/// Writes a date.
pub fn write_date(out: &mut Vec<u8>, days: i32, style: &Style) {
    match days {
        i32::MAX => return out.extend_from_slice(b"infinity"),
        i32::MIN => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let civil = civil_from_days(i64::from(days));
    let day_first = style.date_order == DateOrder::Dmy;
    match style.date_form {
        DateForm::Iso => drop(push_civil(out, i64::from(days))),
        DateForm::Sql => push_parts(out, civil, b'/', day_first),
        DateForm::German => push_parts(out, civil, b'.', true),
        DateForm::Postgres => push_parts(out, civil, b'-', day_first),
    }
    if civil.0 <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// Writes a time of day.
pub fn write_time(out: &mut Vec<u8>, us: i64) {
    let seconds = (us / US_PER_SECOND) as u32;
    push_2(out, seconds / 3600);
    out.push(b':');
    push_2(out, seconds / 60 % 60);
    out.push(b':');
    push_2(out, seconds % 60);
    push_fraction(out, (us % US_PER_SECOND) as u32);
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Writes a timestamp: of a local time, or if `zoned` of a moment, shown in the session's zone with its offset or name.
pub fn write_timestamp(out: &mut Vec<u8>, us: i64, zoned: bool, style: &Style) {
    match us {
        i64::MAX => return out.extend_from_slice(b"infinity"),
        i64::MIN => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let offset = if zoned { style.zone.offset_at(us) } else { 0 };
    let local = us.saturating_add(i64::from(offset) * US_PER_SECOND);
    let (days, time) = (local.div_euclid(US_PER_DAY), local.rem_euclid(US_PER_DAY));
    if style.date_form == DateForm::Iso {
        let bc = push_civil(out, days);
        out.push(b' ');
        write_time(out, time);
        if zoned {
            push_offset(out, offset);
        }
        return if bc {
            out.extend_from_slice(b" BC")
        };
    }
    let civil @ (year, month, day) = civil_from_days(days);
    let day_first = style.date_order == DateOrder::Dmy;
    match style.date_form {
        DateForm::Postgres => {
            out.extend_from_slice(WEEKDAYS[(days + 4).rem_euclid(7) as usize]);
            out.push(b' ');
            if day_first {
                push_2(out, day);
                out.push(b' ');
            }
            out.extend_from_slice(MONTHS[(month - 1) as usize]);
            out.push(b' ');
            if !day_first {
                push_2(out, day);
                out.push(b' ');
            }
            write_time(out, time);
            out.push(b' ');
            push_year(out, year);
        }
        form => {
            let german = form == DateForm::German;
            push_parts(out, civil, if german { b'.' } else { b'/' }, german || day_first);
            out.push(b' ');
            write_time(out, time);
        }
    }
    if zoned {
        out.push(b' ');
        push_zone_name(out, style.zone, us);
    }
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// PostgreSQL's limit on the name of a zone.
const ZONE_NAME_MAX: usize = 10;

fn push_zone_name(out: &mut Vec<u8>, zone: Zone, us: i64) {
    let name = zone.abbreviation_at(us);
    out.extend_from_slice(&name.as_bytes()[..name.len().min(ZONE_NAME_MAX)]);
}

/// `+02`, `+05:30`, `-04:56:02`.
fn push_offset(out: &mut Vec<u8>, seconds: i32) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let s = seconds.unsigned_abs();
    push_2(out, s / 3600);
    if !s.is_multiple_of(3600) {
        out.push(b':');
        push_2(out, s / 60 % 60);
    }
    if !s.is_multiple_of(60) {
        out.push(b':');
        push_2(out, s % 60);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_round_trip() {
        for days in (-3_000_000..3_000_000).step_by(977) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
            assert!(d <= days_in_month(y, m));
        }
        assert_eq!(days_from_civil(2000, 1, 1), i64::from(PG_EPOCH_DAYS));
        assert_eq!(days_from_civil(5874898, 1, 1), END_DAY_OF_DATE);
        assert!(END_DAY_OF_TIMESTAMP.checked_mul(US_PER_DAY).is_some());
        assert_eq!(days_from_civil(-4713, 11, 24), FIRST_DAY);
    }
}
