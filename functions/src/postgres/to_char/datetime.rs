//! Times and intervals by a template, as PostgreSQL's `DCH_to_char` does it.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion_common::Result;

use super::super::template::{Case, DAYS, Field, MONTHS, Piece, ROMAN_MONTHS};
use super::number::ordinal;
use crate::time::civil::{DAY_US, civil_from_days, days_from_civil, iso_week};

/// A time taken apart.
pub(super) struct Time {
    year: i64,
    /// From 1; of an interval from 0.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Days since 1970; none for an interval.
    date: Option<i64>,
    /// Seconds east of UTC, and the zone's short name.
    zone: Option<(i32, String)>,
}

impl Time {
    /// A moment, in local time if a zone is given.
    pub(super) fn of_timestamp(us: i64, zone: Option<(i32, String)>) -> Time {
        let local = us.saturating_add(zone.as_ref().map_or(0, |z| i64::from(z.0)) * 1_000_000);
        let (day, time) = (local.div_euclid(DAY_US), local.rem_euclid(DAY_US));
        let (year, month, day_of_month) = civil_from_days(day);
        Time {
            year,
            month: month.into(),
            day: day_of_month.into(),
            hour: time / 3_600_000_000,
            minute: time / 60_000_000 % 60,
            second: time / 1_000_000 % 60,
            micros: time % 1_000_000,
            date: Some(day),
            zone,
        }
    }

    pub(super) fn of_interval(interval: &IntervalMonthDayNano) -> Time {
        let us = interval.nanoseconds / 1000;
        Time {
            year: (interval.months / 12).into(),
            month: (interval.months % 12).into(),
            day: interval.days.into(),
            hour: us / 3_600_000_000,
            minute: us / 60_000_000 % 60,
            second: us / 1_000_000 % 60,
            micros: us % 1_000_000,
            date: None,
            zone: None,
        }
    }

    /// The year as people count it: there is no year 0.
    fn civil_year(&self) -> i64 {
        if self.date.is_some() && self.year <= 0 { 1 - self.year } else { self.year }
    }

    fn is_interval(&self) -> bool {
        self.date.is_none()
    }
}

/// The time by the template; none for an empty template.
pub(super) fn print(time: &Time, template: &[Piece]) -> Result<Option<String>> {
    if template.is_empty() {
        return Ok(None);
    }
    let mut out = String::new();
    for piece in template {
        match piece {
            Piece::Literal(c) | Piece::Quoted(c) => out.push(*c),
            Piece::Exact => {}
            Piece::Field(field) => field_text(time, field, &mut out)?,
        }
    }
    Ok(Some(out))
}

/// A number padded with zeros to a width, which a sign does not count in; no padding with FM.
fn number(value: i64, width: usize, field: &Field) -> String {
    let width = match (field.fill, value < 0) {
        (true, _) => 0,
        (false, true) => width + 1,
        (false, false) => width,
    };
    let mut text = format!("{value:0width$}");
    if let Some(case) = field.ordinal {
        let digits = value.unsigned_abs().to_string();
        let suffix = ordinal(digits.as_bytes());
        text.push_str(&if case == Case::Lower { suffix.to_lowercase() } else { suffix.to_string() });
    }
    text
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
        Case::Title => text.to_string(),
    }
}

/// A name, blank padded to the longest unless FM.
fn name(text: &str, field: &Field) -> String {
    let text = cased(text, field.case);
    if field.fill { text } else { format!("{text:<9}") }
}

fn of_date(time: &Time) -> Result<i64> {
    match time.date {
        Some(date) => Ok(date),
        None => Err(crate::error::FunctionError::new("22007", "invalid format specification for an interval value")
            .hint("Intervals are not tied to specific calendar dates.")
            .into()),
    }
}

fn field_text(time: &Time, f: &Field, out: &mut String) -> Result<()> {
    let half = |hour: i64| if hour % 12 == 0 { 12 } else { hour % 12 };
    let text = match f.key {
        "A.M." | "P.M." => cased(if time.hour % 24 >= 12 { "P.M." } else { "A.M." }, f.case),
        "AM" | "PM" => cased(if time.hour % 24 >= 12 { "PM" } else { "AM" }, f.case),
        "HH" | "HH12" => number(half(time.hour), 2, f),
        "HH24" => number(time.hour, 2, f),
        "MI" => number(time.minute, 2, f),
        "SS" => number(time.second, 2, f),
        "FF1" => number(time.micros / 100_000, 1, f),
        "FF2" => number(time.micros / 10_000, 2, f),
        "FF3" | "MS" => number(time.micros / 1000, 3, &Field { fill: false, ..*f }),
        "FF4" => number(time.micros / 100, 4, f),
        "FF5" => number(time.micros / 10, 5, f),
        "FF6" | "US" => number(time.micros, 6, &Field { fill: false, ..*f }),
        "SSSS" | "SSSSS" => number(time.hour * 3600 + time.minute * 60 + time.second, 0, &Field { fill: true, ..*f }),
        "TZ" => {
            of_date(time)?;
            let zone = time.zone.as_ref().map_or("", |z| z.1.as_str());
            if f.case == Case::Lower { zone.to_lowercase() } else { zone.to_string() }
        }
        "TZH" => {
            of_date(time)?;
            let offset = offset(time);
            let sign = if offset < 0 { '-' } else { '+' };
            format!("{sign}{:02}", offset.abs() / 3600)
        }
        "TZM" => format!("{:02}", offset(time).abs() / 60 % 60),
        "OF" => {
            of_date(time)?;
            let offset = offset(time);
            let sign = if offset < 0 { '-' } else { '+' };
            let hours = if f.fill { format!("{}", offset.abs() / 3600) } else { format!("{:02}", offset.abs() / 3600) };
            match offset.abs() / 60 % 60 {
                0 => format!("{sign}{hours}"),
                minutes => format!("{sign}{hours}:{minutes:02}"),
            }
        }
        "A.D." | "B.C." => {
            of_date(time)?;
            cased(if time.year <= 0 { "B.C." } else { "A.D." }, f.case)
        }
        "AD" | "BC" => {
            of_date(time)?;
            cased(if time.year <= 0 { "BC" } else { "AD" }, f.case)
        }
        "MONTH" | "MON" => {
            of_date(time)?;
            month_name(time, f, f.key == "MONTH")
        }
        "MM" => number(time.month, 2, f),
        "DAY" => name(weekday(of_date(time)?), f),
        "DY" => cased(&weekday(of_date(time)?)[..3], f.case),
        "DDD" => match &time.date {
            Some(date) => number(date - days_from_civil(time.year, 1, 1) + 1, 3, f),
            None => {
                let days = (time.year * 12 + time.month) * 30 + time.day;
                number(days, if days < 0 { 2 } else { 3 }, f)
            }
        },
        "IDDD" => {
            let date = of_date(time)?;
            number((iso_week(date).1 - 1) * 7 + from_monday(date), 3, f)
        }
        // The width of these counts a sign in.
        "DD" => number(time.day, if time.day < 0 { 1 } else { 2 }, f),
        "D" => number(from_monday(of_date(time)?) % 7 + 1, 0, &Field { fill: true, ..*f }),
        "ID" => number(from_monday(of_date(time)?), 0, &Field { fill: true, ..*f }),
        "WW" => number((of_date(time)? - days_from_civil(time.year, 1, 1)) / 7 + 1, 2, f),
        "IW" => number(iso_week(of_date(time)?).1, 2, f),
        "W" => number((time.day - 1) / 7 + 1, 0, &Field { fill: true, ..*f }),
        "Q" => match time.month {
            0 => String::new(),
            month => number((month - 1) / 3 + 1, 0, &Field { fill: true, ..*f }),
        },
        "CC" => {
            let century = if time.is_interval() {
                time.year / 100
            } else if time.year > 0 {
                (time.year - 1) / 100 + 1
            } else {
                time.year / 100 - 1
            };
            let width = if (-99..=99).contains(&century) { 2 } else { 0 };
            number(century, width, f)
        }
        "Y,YYY" => {
            let year = time.civil_year();
            let text = format!("{},{:03}", year / 1000, year % 1000);
            with_ordinal(text, year, f)
        }
        "YYYY" => number(time.civil_year(), 4, f),
        "YYY" => number(time.civil_year() % 1000, 3, f),
        "YY" => number(time.civil_year() % 100, 2, f),
        "Y" => number(time.civil_year() % 10, 1, &Field { fill: true, ..*f }),
        "IYYY" => number(iso_year(time)?, 4, f),
        "IYY" => number(iso_year(time)? % 1000, 3, f),
        "IY" => number(iso_year(time)? % 100, 2, f),
        "I" => number(iso_year(time)? % 10, 1, &Field { fill: true, ..*f }),
        "RM" => roman_month(time, f),
        "J" => number(julian(of_date(time)?), 0, &Field { fill: true, ..*f }),
        _ => String::new(),
    };
    out.push_str(&text);
    Ok(())
}

fn with_ordinal(mut text: String, value: i64, f: &Field) -> String {
    if let Some(case) = f.ordinal {
        let digits = value.unsigned_abs().to_string();
        text.push_str(&cased(ordinal(digits.as_bytes()), case));
    }
    text
}

fn offset(time: &Time) -> i32 {
    time.zone.as_ref().map_or(0, |z| z.0)
}

/// The name in full or its first three letters; nothing for an interval without months.
fn month_name(time: &Time, f: &Field, full: bool) -> String {
    let index = usize::try_from(time.month - 1).ok();
    let Some(month) = index.and_then(|i| MONTHS.get(i)) else { return String::new() };
    if full { name(month, f) } else { cased(&month[..3], f.case) }
}

fn roman_month(time: &Time, f: &Field) -> String {
    if time.month == 0 && time.year == 0 {
        return String::new();
    }
    let index = usize::try_from((time.month + 11) % 12).unwrap_or(0);
    let text = cased(ROMAN_MONTHS[index], f.case);
    if f.fill { text } else { format!("{text:<4}") }
}

/// The day of the week, Monday being 1; 1 January 1970 was a Thursday.
fn from_monday(date: i64) -> i64 {
    (date + 3).rem_euclid(7) + 1
}

fn weekday(date: i64) -> &'static str {
    DAYS[(from_monday(date) % 7) as usize]
}

fn iso_year(time: &Time) -> Result<i64> {
    Ok(match time.date {
        Some(date) => {
            let (year, _) = iso_week(date);
            if year <= 0 { 1 - year } else { year }
        }
        None => time.year,
    })
}

/// Days since 24 November 4714 BC.
fn julian(date: i64) -> i64 {
    date + 2_440_588
}
