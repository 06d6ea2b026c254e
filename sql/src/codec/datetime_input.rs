//! Dates and times in: ISO 8601 by a short path, and all of PostgreSQL's other forms field by field.

mod decode;
pub(super) mod fields;
mod words;

use sightline_storage::error::{Error, Result, SqlState};

use self::decode::{Moment, Special};
use super::Style;
use super::datetime::{
    END_DAY_OF_DATE, END_DAY_OF_TIMESTAMP, FIRST_DAY, US_PER_DAY, US_PER_SECOND, days_from_civil, days_in_month,
};
use sightline_functions::zone::{Zone, parse_offset};

/// Why a text is no date, time or interval.
#[derive(Debug)]
pub(super) enum Fault {
    /// 22007.
    Syntax,
    /// 22008.
    Range,
    /// 22008 of a month or day, where another DateStyle may help.
    MonthDay,
    /// 22009.
    Displacement,
    /// 22023.
    Zone(String),
}

pub(super) type Parsed<T> = std::result::Result<T, Fault>;

fn fault(fault: Fault, text: &str, ty: &str) -> Error {
    match fault {
        Fault::Syntax => {
            Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {ty}: \"{text}\""))
        }
        Fault::Range => field_out_of_range(text),
        Fault::MonthDay => field_out_of_range(text).hint("Perhaps you need a different \"datestyle\" setting."),
        Fault::Displacement => Error::new(
            SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
            format!("time zone displacement out of range: \"{text}\""),
        ),
        Fault::Zone(name) => {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
        }
    }
}

fn field_out_of_range(text: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
}

fn out_of_range(text: &str, ty: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{ty} out of range: \"{text}\""))
}

/// Reads a date as days since 1970; the extremes of `i32` are the infinities.
///
/// # Errors
/// 22007 for what is no date, 22008 for one that does not exist.
pub fn parse_date(text: &str, style: &Style) -> Result<i32> {
    if let Some((days, rest)) = iso_date(text.as_bytes())
        && rest.is_empty()
    {
        return Ok(days as i32);
    }
    let moment = Moment::date(text, style).map_err(|f| fault(f, text, "date"))?;
    match moment.special {
        Some(Special::Infinity) => return Ok(i32::MAX),
        Some(Special::MinusInfinity) => return Ok(i32::MIN),
        Some(Special::Epoch) => return Ok(0),
        None => {}
    }
    if !moment.in_range() || !(FIRST_DAY..END_DAY_OF_DATE).contains(&moment.days()) {
        return Err(out_of_range(text, "date"));
    }
    Ok(moment.days() as i32)
}

/// Reads a timestamp without time zone as microseconds since 1970; a zone in the text is ignored.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamp(text: &str, style: &Style) -> Result<i64> {
    if let Some((us, rest)) = iso_timestamp(text.as_bytes())
        && rest.is_empty()
    {
        return Ok(us);
    }
    read_timestamp(text, style, "timestamp", false)
}

/// Reads a timestamp with time zone as microseconds since 1970 in UTC; without a zone in the text it is of the session's.
///
/// # Errors
/// As [`parse_date`], 22009 and 22023 for a zone.
pub fn parse_timestamptz(text: &str, style: &Style) -> Result<i64> {
    if let Some((us, rest)) = iso_timestamp(text.as_bytes())
        && let Some(zone) = short_zone(rest, style.zone)
        && let Some(utc) = zone.to_utc(us)
    {
        return Ok(utc);
    }
    read_timestamp(text, style, "timestamp with time zone", true)
}

fn read_timestamp(text: &str, style: &Style, ty: &str, with_zone: bool) -> Result<i64> {
    let moment = Moment::date(text, style).map_err(|f| fault(f, text, ty))?;
    match moment.special {
        Some(Special::Infinity) => return Ok(i64::MAX),
        Some(Special::MinusInfinity) => return Ok(i64::MIN),
        Some(Special::Epoch) => return Ok(0),
        None => {}
    }
    let local = moment.days().checked_mul(US_PER_DAY).and_then(|us| us.checked_add(moment.time_us()));
    let us = match (local, with_zone) {
        _ if !moment.in_range() => None,
        (Some(local), true) => moment.to_utc(local, style.zone),
        (local, _) => local,
    };
    us.filter(|us| (FIRST_DAY..END_DAY_OF_TIMESTAMP).contains(&us.div_euclid(US_PER_DAY)))
        .ok_or_else(|| out_of_range(text, "timestamp"))
}

/// Reads a time of day as microseconds since midnight.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_time(text: &str, style: &Style) -> Result<i64> {
    if let Some((us, rest)) = iso_time(text.as_bytes())
        && rest.is_empty()
    {
        return Ok(us);
    }
    let moment = Moment::time(text, style).map_err(|f| fault(f, text, "time"))?;
    Ok(moment.time_us())
}

fn two(b: &[u8]) -> Option<u32> {
    match b {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

/// `2024-01-31` in front of a text, or all of it `20240131`: the day since 1970 and the rest.
fn iso_date(b: &[u8]) -> Option<(i64, &[u8])> {
    let (month_day, rest) = match b.len() {
        8 => ([&b[4..6], &b[6..8]], &b[8..]),
        0..10 => return None,
        _ if b[4] != b'-' || b[7] != b'-' => return None,
        _ => ([&b[5..7], &b[8..10]], &b[10..]),
    };
    let year = i64::from(two(&b[..2])? * 100 + two(&b[2..4])?);
    let (month, day) = (two(month_day[0])?, two(month_day[1])?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    Some((days_from_civil(year, month, day), rest))
}

/// `23:59:59[.999999]` in front of a text: microseconds and the rest.
fn iso_time(b: &[u8]) -> Option<(i64, &[u8])> {
    if b.len() < 8 || b[2] != b':' || b[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(&b[..2])?, two(&b[3..5])?, two(&b[6..8])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut us = i64::from(hour * 3600 + minute * 60 + second) * US_PER_SECOND;
    let mut rest = &b[8..];
    if rest.first() == Some(&b'.') {
        let digits = rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
        if digits > 6 {
            return None;
        }
        let fraction = rest[1..=digits].iter().fold(0, |n, c| n * 10 + i64::from(c - b'0'));
        us += fraction * 10i64.pow(6 - digits as u32);
        rest = &rest[digits + 1..];
    }
    Some((us, rest))
}

/// A date, optionally with `T` or a blank and a time, in front of a text.
fn iso_timestamp(b: &[u8]) -> Option<(i64, &[u8])> {
    let (days, rest) = iso_date(b)?;
    let midnight = days * US_PER_DAY;
    match rest.first() {
        None => Some((midnight, rest)),
        Some(b' ' | b'T') => iso_time(&rest[1..]).map(|(us, rest)| (midnight + us, rest)),
        Some(_) => None,
    }
}

/// What may directly follow a time: nothing, `Z`, `+02`, `-07:30`.
fn short_zone(rest: &[u8], session: Zone) -> Option<Zone> {
    match rest {
        [] => Some(session),
        b"Z" | b"z" => Some(Zone::UTC),
        _ => parse_offset(std::str::from_utf8(rest).ok()?).map(Zone::Fixed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::datetime::{write_date, write_time, write_timestamp};
    use super::*;

    fn style(zone: &str) -> Style {
        Style { zone: Zone::of_setting(zone).unwrap(), ..Style::default() }
    }

    fn shown(ty: &str, text: &str, style: &Style) -> String {
        let mut out = Vec::new();
        let done = match ty {
            "date" => parse_date(text, style).map(|v| write_date(&mut out, v, style)),
            "time" => parse_time(text, style).map(|v| write_time(&mut out, v)),
            "timestamp" => parse_timestamp(text, style).map(|v| write_timestamp(&mut out, v, false, style)),
            _ => parse_timestamptz(text, style).map(|v| write_timestamp(&mut out, v, true, style)),
        };
        match done {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(e) => format!("{} {}", e.code(), e.message()),
        }
    }

    /// Type, input, zone and answer, recorded from PostgreSQL 15.
    #[test]
    fn as_postgresql() {
        for line in include_str!("testdata/datetime.txt").lines() {
            let f: Vec<&str> = line.split('|').collect();
            assert_eq!(shown(f[0], f[1], &style(f[2])), f[3], "{line}");
        }
    }

    #[test]
    fn now_needs_a_clock() {
        assert_eq!(parse_date("today", &Style::default()).unwrap_err().code(), SqlState::INVALID_DATETIME_FORMAT);
        let style = Style { now_us: Some(86_400_000_000 + 5), ..Style::default() };
        assert_eq!(parse_date("tomorrow", &style).unwrap(), 2);
        assert_eq!(parse_timestamptz("now", &style).unwrap(), 86_400_000_005);
    }
}
