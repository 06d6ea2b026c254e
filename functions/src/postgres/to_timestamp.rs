//! `to_timestamp(text, template)`, `to_date(text, template)`: times read by a template, as PostgreSQL's `DCH_from_char`
//! does it. `to_timestamp(double)` counts seconds since 1970.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array};
use arrow::datatypes::{Date32Type, Float64Type, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate, Weekday};
use datafusion_common::Result;

use super::template::{self, DAYS, Field, MONTHS, Piece, ROMAN_MONTHS};
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const TO_DATE: Function = Function::new(
    "to_date",
    "Converts text to a date by a template.",
    &[Form::new(&[Type::Text, Type::Text], Type::Date, to_date)],
);
pub(super) const TO_TIMESTAMP: Function = Function::new(
    "to_timestamp",
    "Converts text to a timestamp by a template, or seconds since 1970 to a timestamp.",
    &[
        Form::new(&[Type::Text, Type::Text], Type::TimestampTz, to_timestamp),
        Form::new(&[Type::Float8], Type::TimestampTz, from_seconds),
    ],
)
.stable();

fn to_date(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    let dates: Date32Array = call.map::<Date32Type>(|row| {
        let parsed = read(texts.value(row), &template::parse(templates.value(row)))?;
        parsed.date(texts.value(row)).map(|d| Some(d.num_days_from_ce() - 719_163))
    })?;
    Ok(Arc::new(dates))
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    let zone = call.zone();
    let times = call.map::<TimestampMicrosecondType>(|row| {
        let text = texts.value(row);
        let parsed = read(text, &template::parse(templates.value(row)))?;
        let days = i64::from(parsed.date(text)?.num_days_from_ce()) - 719_163;
        let local = days * 86_400_000_000 + parsed.time_us(text)?;
        match parsed.offset {
            Some(seconds) => Ok(Some(local - i64::from(seconds) * 1_000_000)),
            None => zone.moment(local).map(Some),
        }
    })?;
    Ok(Arc::new(times.with_timezone("UTC")))
}

fn from_seconds(call: &Call) -> Result<ArrayRef> {
    let seconds = call.primitive::<Float64Type>(0);
    let times = call.map::<TimestampMicrosecondType>(|row| {
        let us = (seconds.value(row) * 1e6).round();
        if !us.is_finite() || us.abs() > 9.2e18 {
            return refuse("22008", format!("timestamp out of range: \"{}\"", seconds.value(row)));
        }
        Ok(Some(us as i64))
    })?;
    Ok(Arc::new(times.with_timezone("UTC")))
}

/// What was read; what was not is none.
#[derive(Debug, Default)]
struct Parsed {
    year: Option<i32>,
    bc: bool,
    century: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    iso_year: Option<i32>,
    iso_week: Option<u32>,
    iso_day: Option<u32>,
    week_of_year: Option<u32>,
    julian: Option<i32>,
    hour: Option<i64>,
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    of_day: Option<i64>,
    offset: Option<i32>,
}

fn out_of_range<T>(text: &str) -> Result<T> {
    refuse("22008", format!("date/time field value out of range: \"{text}\""))
}

impl Parsed {
    fn date(&self, text: &str) -> Result<NaiveDate> {
        if let Some(days) = self.julian {
            return match NaiveDate::from_num_days_from_ce_opt(days - 1_721_425) {
                Some(date) => Ok(date),
                None => out_of_range(text),
            };
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let day = Weekday::try_from(u8::try_from(self.iso_day.unwrap_or(1).max(1) - 1).unwrap_or(0));
            let date = day.ok().and_then(|d| NaiveDate::from_isoywd_opt(year, week, d));
            return date.map_or_else(|| out_of_range(text), Ok);
        }
        // No year means 1 BC, as PostgreSQL prints it.
        let mut year = match (self.year, self.century) {
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        if self.bc {
            year = 1 - year;
        }
        let date = match (self.day_of_year, self.week_of_year) {
            (Some(day), _) if self.month.is_none() => NaiveDate::from_yo_opt(year, day),
            (None, Some(week)) if self.month.is_none() => NaiveDate::from_yo_opt(year, (week - 1) * 7 + 1),
            _ => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        date.map_or_else(|| out_of_range(text), Ok)
    }

    fn time_us(&self, text: &str) -> Result<i64> {
        if let Some(seconds) = self.of_day {
            return Ok(seconds * 1_000_000 + self.micros);
        }
        let mut hour = self.hour.unwrap_or(0);
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(crate::error::FunctionError::new(
                    "22007",
                    format!("hour \"{hour}\" is invalid for the 12-hour clock"),
                )
                .hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                .into());
            }
            if self.afternoon == Some(true) && hour < 12 {
                hour += 12;
            } else if self.afternoon == Some(false) && hour == 12 {
                hour = 0;
            }
        }
        if hour > 24 || self.minute > 59 || self.second > 60 {
            return out_of_range(text);
        }
        Ok(((hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.micros)
    }
}

/// The rest of the text to be read.
struct Input<'a> {
    rest: &'a str,
}

impl<'a> Input<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// A number of at most `width` digits; of any length if the next pattern does not start with a digit.
    fn number(&mut self, field: &Field, width: usize, bounded: bool) -> Result<i64> {
        self.blanks();
        let signed = self.rest.strip_prefix(['-', '+']);
        let digits = signed.unwrap_or(self.rest);
        let limit = if bounded { width } else { usize::MAX };
        let length = digits.bytes().take(limit).take_while(u8::is_ascii_digit).count();
        if length == 0 {
            let shown = self.rest.chars().take(width).collect::<String>();
            return refuse("22007", format!("invalid value \"{shown}\" for \"{}\"", field.key));
        }
        let negative = self.rest.starts_with('-');
        let Ok(value) = digits[..length].parse::<i64>() else {
            return refuse("22008", format!("value for \"{}\" in source string is out of range", field.key));
        };
        self.rest = &digits[length..];
        if field.ordinal.is_some() {
            self.rest = self.rest.get(2..).unwrap_or("");
        }
        Ok(if negative { -value } else { value })
    }

    /// Which of the names comes, matched by full name or `short` letters of it.
    fn name(&mut self, field: &Field, names: &[&str], short: Option<usize>) -> Result<usize> {
        self.blanks();
        let found = names.iter().position(|name| {
            let name = short.map_or(*name, |n| &name[..n]);
            self.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
        match found {
            Some(i) => {
                self.rest = &self.rest[short.unwrap_or(names[i].len())..];
                Ok(i)
            }
            None => {
                let shown = self.rest.split_whitespace().next().unwrap_or_default();
                Err(crate::error::FunctionError::new(
                    "22007",
                    format!("invalid value \"{shown}\" for \"{}\"", field.key),
                )
                .hint("The given value did not match any of the allowed values for this field.")
                .into())
            }
        }
    }
}

/// Whether the piece takes digits, so that the number before it must stop in time.
fn takes_digits(piece: Option<&Piece>) -> bool {
    const WORDS: [&str; 16] =
        ["AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.", "MONTH", "MON", "DAY", "DY", "RM", "TZ", "TZH", "OF"];
    match piece {
        Some(Piece::Field(f)) => !WORDS.contains(&f.key),
        Some(Piece::Literal(c)) => c.is_ascii_digit(),
        Some(Piece::Quoted(c)) => c.is_ascii_digit(),
        None => false,
    }
}

fn read(text: &str, pieces: &[Piece]) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut input = Input { rest: text };
    for (i, piece) in pieces.iter().enumerate() {
        if input.rest.is_empty() {
            break;
        }
        match piece {
            Piece::Quoted(_) => input.rest = skip(input.rest),
            Piece::Literal(c) if c.is_alphanumeric() => input.rest = skip(input.rest),
            Piece::Literal(_) => {
                // A separator of the template takes one of the text, or nothing.
                let blanks = input.rest.trim_start();
                input.rest = match blanks.chars().next() {
                    Some(s) if !s.is_alphanumeric() && !matches!(s, '+' | '-') => skip(blanks),
                    Some('-') if !takes_sign(pieces.get(i + 1)) => skip(blanks),
                    _ => blanks,
                };
            }
            Piece::Field(field) => read_field(&mut parsed, &mut input, field, takes_digits(pieces.get(i + 1)))?,
        }
    }
    Ok(parsed)
}

fn skip(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

fn takes_sign(piece: Option<&Piece>) -> bool {
    matches!(piece, Some(Piece::Field(f)) if matches!(f.key, "TZH" | "OF"))
}

fn unsigned(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

fn year(value: i64, width: usize) -> i32 {
    let value = i32::try_from(value).unwrap_or(i32::MAX);
    // Two digits are taken as the nearest year to 2020.
    match width {
        1 | 2 if value < 70 => value + 2000,
        1 | 2 if value < 100 => value + 1900,
        3 if value < 100 => value + 2000,
        3 if (100..520).contains(&value) => value + 2000,
        3 if value < 1000 => value + 1000,
        _ => value,
    }
}

fn read_field(p: &mut Parsed, input: &mut Input<'_>, f: &Field, bounded: bool) -> Result<()> {
    let fixed = bounded || f.fill;
    match f.key {
        "AM" | "PM" => p.afternoon = Some(input.name(f, &["AM", "PM"], None)? == 1),
        "A.M." | "P.M." => p.afternoon = Some(input.name(f, &["A.M.", "P.M."], None)? == 1),
        "AD" | "BC" => p.bc = input.name(f, &["AD", "BC"], None)? == 1,
        "A.D." | "B.C." => p.bc = input.name(f, &["A.D.", "B.C."], None)? == 1,
        "HH" | "HH12" => {
            p.hour = Some(input.number(f, 2, fixed)?);
            p.twelve = true;
        }
        "HH24" => p.hour = Some(input.number(f, 2, fixed)?),
        "MI" => p.minute = input.number(f, 2, fixed)?,
        "SS" => p.second = input.number(f, 2, fixed)?,
        "SSSS" | "SSSSS" => p.of_day = Some(input.number(f, 5, fixed)?),
        "MS" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" | "US" => {
            let width = match f.key {
                "MS" | "FF3" => 3,
                "US" | "FF6" => 6,
                key => key[2..].parse().unwrap_or(6),
            };
            input.blanks();
            let before = input.rest.len();
            let value = input.number(f, width, true)?;
            let digits = u32::try_from(before - input.rest.len()).unwrap_or(6);
            p.micros = value * 10_i64.pow(6_u32.saturating_sub(digits));
        }
        "MONTH" => p.month = u32::try_from(input.name(f, &MONTHS, None)? + 1).ok(),
        "MON" => p.month = u32::try_from(input.name(f, &MONTHS, Some(3))? + 1).ok(),
        "MM" => p.month = unsigned(input.number(f, 2, fixed)?),
        "RM" => {
            let mut longest = ROMAN_MONTHS;
            longest.sort_by_key(|m| std::cmp::Reverse(m.len()));
            let found = longest[input.name(f, &longest, None)?];
            p.month = ROMAN_MONTHS.iter().position(|m| *m == found).and_then(|i| u32::try_from(i + 1).ok());
        }
        "DAY" => {
            input.name(f, &DAYS, None)?;
        }
        "DY" => {
            input.name(f, &DAYS, Some(3))?;
        }
        "DDD" => p.day_of_year = unsigned(input.number(f, 3, fixed)?),
        "DD" => p.day = unsigned(input.number(f, 2, fixed)?),
        "D" => {
            input.number(f, 1, fixed)?;
        }
        "ID" => p.iso_day = unsigned(input.number(f, 1, fixed)?),
        "IDDD" => {
            let day = unsigned(input.number(f, 3, fixed)?).unwrap_or(1).max(1) - 1;
            p.iso_week = Some(day / 7 + 1);
            p.iso_day = Some(day % 7 + 1);
        }
        "IW" => p.iso_week = unsigned(input.number(f, 2, fixed)?),
        "WW" => p.week_of_year = unsigned(input.number(f, 2, fixed)?),
        "W" | "Q" => {
            input.number(f, 1, fixed)?;
        }
        "CC" => p.century = i32::try_from(input.number(f, 2, fixed)?).ok(),
        "J" => p.julian = i32::try_from(input.number(f, 7, bounded)?).ok(),
        "Y,YYY" => {
            let thousands = input.number(f, 3, true)?;
            input.rest = input.rest.strip_prefix(',').unwrap_or(input.rest);
            p.year = i32::try_from(thousands * 1000 + input.number(f, 3, true)?).ok();
        }
        "YYYY" | "YYY" | "YY" | "Y" => {
            let before = input.rest.trim_start().len();
            let value = input.number(f, f.key.len(), fixed)?;
            let digits = before - input.rest.len();
            p.year = Some(if digits < 4 && f.key != "YYYY" || f.key == "YYYY" && digits <= 2 && value < 100 {
                year(value, digits)
            } else {
                i32::try_from(value).unwrap_or(i32::MAX)
            });
        }
        "IYYY" | "IYY" | "IY" | "I" => {
            let value = input.number(f, f.key.len(), fixed)?;
            p.iso_year =
                Some(if f.key == "IYYY" { i32::try_from(value).unwrap_or(i32::MAX) } else { year(value, f.key.len()) });
        }
        "TZH" | "OF" => {
            input.blanks();
            let hours = i32::try_from(input.number(f, 2, true)?).unwrap_or(0);
            p.offset = Some(hours * 3600);
            if f.key == "OF"
                && let Some(minutes) = input.rest.strip_prefix(':')
            {
                input.rest = minutes;
                let minutes = i32::try_from(input.number(f, 2, true)?).unwrap_or(0);
                p.offset = Some(hours * 3600 + hours.signum() * minutes * 60);
            }
        }
        "TZM" => {
            let minutes = i32::try_from(input.number(f, 2, true)?).unwrap_or(0);
            let hours = p.offset.unwrap_or(0);
            p.offset = Some(hours + if hours < 0 { -minutes * 60 } else { minutes * 60 });
        }
        _ => {}
    }
    Ok(())
}
