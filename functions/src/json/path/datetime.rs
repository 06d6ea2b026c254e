//! Dates and times in a `jsonpath`: what `.datetime()` makes of a string
//! (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-OP-TABLE>).

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};

use crate::error::FunctionError;
use crate::time::zone::Zone;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// A date, a time, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Midnight, microseconds since 1970, if there is a date.
    day: Option<i64>,
    /// Microseconds since midnight, if there is a time.
    time: Option<i64>,
    /// Seconds east of UTC, if there is a zone.
    offset: Option<i64>,
}

impl Moment {
    /// Reads `yyyy-mm-dd`, `hh:mm:ss` with a fraction and a zone, or both with a blank or a T between.
    pub(super) fn parse(text: &str) -> Option<Moment> {
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (Some(date), Some(time)),
            None if text.contains(':') => (None, Some(text)),
            None => (Some(text), None),
        };
        let day = match date {
            Some(date) => Some(parse_date(date)?),
            None => None,
        };
        let Some(time) = time else { return Some(Moment { day, time: None, offset: None }) };
        let (clock, zone) = match time.find(['+', '-']) {
            Some(at) => (time[..at].trim_end(), Some(&time[at..])),
            None => (time, None),
        };
        let offset = match zone {
            Some(zone) => Some(parse_offset(zone)?),
            None => None,
        };
        Some(Moment { day, time: Some(parse_clock(clock)?), offset })
    }

    pub(super) fn type_name(&self) -> &'static str {
        match (self.day, self.time, self.offset) {
            (_, None, _) => "date",
            (None, Some(_), None) => "time without time zone",
            (None, Some(_), Some(_)) => "time with time zone",
            (Some(_), Some(_), None) => "timestamp without time zone",
            (Some(_), Some(_), Some(_)) => "timestamp with time zone",
        }
    }

    /// How messages call the type.
    fn short_name(&self) -> &'static str {
        match (self.day, self.time, self.offset) {
            (_, None, _) => "date",
            (None, Some(_), None) => "time",
            (None, Some(_), Some(_)) => "timetz",
            (Some(_), Some(_), None) => "timestamp",
            (Some(_), Some(_), Some(_)) => "timestamptz",
        }
    }

    /// As JSON writes it.
    pub(super) fn shown(&self) -> String {
        let mut out = String::new();
        if let Some(day) = self.day.and_then(DateTime::from_timestamp_micros) {
            out.push_str(&day.format("%Y-%m-%d").to_string());
        }
        let Some(time) = self.time else { return out };
        out.push_str(if self.day.is_some() { "T" } else { "" });
        let (seconds, us) = (time / SECOND_US, time % SECOND_US);
        out.push_str(&format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
        if us > 0 {
            out.push_str(format!(".{us:06}").trim_end_matches('0'));
        }
        if let Some(offset) = self.offset {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            out.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        out
    }

    /// The point in time that the moment is at UTC, if it has a date.
    fn utc(&self, zone: Option<Zone>, other: &Moment) -> Result<Option<i64>, Box<FunctionError>> {
        let Some(day) = self.day else { return Ok(None) };
        let local = day + self.time.unwrap_or(0);
        match (self.offset, zone) {
            (Some(offset), _) => Ok(Some(local - offset * SECOND_US)),
            (None, Some(zone)) => Ok(zone.to_utc(local)),
            (None, None) => Err(self.needs_zone(other)),
        }
    }

    fn needs_zone(&self, other: &Moment) -> Box<FunctionError> {
        let (from, to) = (self.short_name(), other.short_name());
        let message = format!("cannot convert value from {from} to {to} without time zone usage");
        Box::new(FunctionError::new("0A000", message).hint("Use *_tz() function for time zone support."))
    }

    /// The order of both; none for a date and a time, which have none. Where only one has a zone, the other takes the
    /// session's.
    pub(super) fn compare(&self, other: &Moment, zone: Option<Zone>) -> Result<Option<Ordering>, Box<FunctionError>> {
        if self.day.is_some() != other.day.is_some() {
            return Ok(None);
        }
        let zoned = self.offset.is_some() || other.offset.is_some();
        if self.day.is_none() {
            let utc = |m: &Moment, other: &Moment| match (m.offset, zone) {
                (Some(offset), _) => Ok(m.time.unwrap_or(0) - offset * SECOND_US),
                (None, Some(zone)) => Ok(m.time.unwrap_or(0) - i64::from(zone.offset_at(0)) * SECOND_US),
                (None, None) => Err(m.needs_zone(other)),
            };
            if !zoned {
                return Ok(Some(self.time.cmp(&other.time)));
            }
            return Ok(Some(utc(self, other)?.cmp(&utc(other, self)?)));
        }
        if !zoned {
            let local = |m: &Moment| m.day.unwrap_or(0) + m.time.unwrap_or(0);
            return Ok(Some(local(self).cmp(&local(other))));
        }
        let (Some(left), Some(right)) = (self.utc(zone, other)?, other.utc(zone, self)?) else { return Ok(None) };
        Ok(Some(left.cmp(&right)))
    }
}

fn number(text: &str, most: usize) -> Option<u32> {
    let fits = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = i32::try_from(number(year, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(month, 2)?, number(day, 2)?)?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp() * SECOND_US)
}

fn parse_clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let us = number(&format!("{fraction:0<6}"), 6)?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let time = i64::from(hour * 3600 + minute * 60 + second) * SECOND_US + i64::from(us);
    (time <= DAY_US).then_some(time)
}

fn parse_offset(text: &str) -> Option<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or_else(|| (1, text.trim_start_matches('+')), |rest| (-1, rest));
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    Some(sign * i64::from(number(hours, 2)? * 3600 + number(minutes, 2)? * 60))
}
