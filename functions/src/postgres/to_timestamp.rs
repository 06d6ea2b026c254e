//! `to_timestamp(text, template)`, `to_date(text, template)`: times read by a template
//! (<https://www.postgresql.org/docs/15/functions-formatting.html>). `to_timestamp(double)` counts seconds since 1970.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Date32Type, Float64Type, TimestampMicrosecondType};
use datafusion_common::Result;

use super::template::{self, DAYS, Field, MONTHS, Piece, ROMAN_MONTHS};
use crate::error::{FunctionError, refuse};
use crate::time::civil::{DAY_US, civil_from_days, day_of_iso_week, days_from_civil, days_in_month};
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

/// Years of a date, and those of a timestamp in microseconds since 1970.
const DATE_YEARS: std::ops::Range<i64> = -4713..5_874_898;
const TIMESTAMP_YEARS: std::ops::Range<i64> = -4713..294_247;

fn to_date(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    Ok(Arc::new(call.map::<Date32Type>(|row| {
        let text = texts.value(row);
        let read = Parsed::read(text, &template::parse(templates.value(row)))?.resolve(text)?;
        if !DATE_YEARS.contains(&read.year) {
            return refuse("22008", format!("date out of range: \"{text}\""));
        }
        Ok(Some(read.days() as i32))
    })?))
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    let zone = call.zone();
    let times = call.map::<TimestampMicrosecondType>(|row| {
        let text = texts.value(row);
        let read = Parsed::read(text, &template::parse(templates.value(row)))?.resolve(text)?;
        if !TIMESTAMP_YEARS.contains(&read.year) {
            return refuse("22008", "timestamp out of range");
        }
        let local = read.days() * DAY_US + read.time;
        match read.offset {
            Some(seconds) => Ok(Some(local - i64::from(seconds) * 1_000_000)),
            None => zone.moment(local).map(Some),
        }
    })?;
    Ok(Arc::new(times.with_timezone("UTC")))
}

fn from_seconds(call: &Call) -> Result<ArrayRef> {
    let seconds = call.primitive::<Float64Type>(0);
    let times = call.map::<TimestampMicrosecondType>(|row| {
        let seconds = seconds.value(row);
        if seconds.is_nan() {
            return refuse("22008", "timestamp cannot be NaN");
        }
        if seconds.is_infinite() {
            return Ok(Some(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
        }
        // From 4714 BC to where 64 bits of microseconds end.
        if !(-210_866_803_200.0..9_223_371_936_000.0).contains(&seconds) {
            return refuse("22008", format!("timestamp out of range: \"{}\"", general(seconds)));
        }
        // PostgreSQL rounds what it counts from 2000 on.
        const SECONDS_TO_2000: f64 = 946_684_800.0;
        let us = ((seconds - SECONDS_TO_2000) * 1e6).round_ties_even();
        Ok(Some(us as i64 + 946_684_800_000_000))
    })?;
    Ok(Arc::new(times.with_timezone("UTC")))
}

/// As C prints with `%g`, for the large numbers of a message.
fn general(v: f64) -> String {
    let text = format!("{v:.5e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}e+{exponent:0>2}")
}

/// Which calendar a template speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calendar {
    Gregorian,
    IsoWeek,
}

impl Calendar {
    /// The calendar that a pattern belongs to, if to one.
    fn of(key: &str) -> Option<Calendar> {
        match key {
            "DDD" | "DD" | "D" | "MONTH" | "MON" | "MM" | "RM" | "W" | "WW" | "Y,YYY" | "YYYY" | "YYY" | "YY" | "Y" => {
                Some(Calendar::Gregorian)
            }
            "IDDD" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" => Some(Calendar::IsoWeek),
            _ => None,
        }
    }
}

/// What was read; 0 is nothing, as in PostgreSQL.
#[derive(Debug, Default)]
struct Parsed {
    calendar: Option<Calendar>,
    hour: i64,
    twelve: bool,
    afternoon: i64,
    minute: i64,
    second: i64,
    of_day: i64,
    millis: i64,
    micros: i64,
    /// From Sunday, 1.
    weekday: i64,
    day: i64,
    day_of_year: i64,
    month: i64,
    week_of_month: i64,
    week: i64,
    year: i64,
    year_digits: usize,
    bc: i64,
    century: i64,
    julian: i64,
    sign: i32,
    offset_hours: i64,
    offset_minutes: i64,
}

/// A date and a time.
struct Resolved {
    /// Astronomical.
    year: i64,
    month: i64,
    day: i64,
    /// Microseconds.
    time: i64,
    /// Seconds east.
    offset: Option<i32>,
}

impl Resolved {
    fn days(&self) -> i64 {
        days_from_civil(self.year, self.month as u32, self.day as u32)
    }

    fn set_days(&mut self, days: i64) {
        let (year, month, day) = civil_from_days(days);
        (self.year, self.month, self.day) = (year, month.into(), day.into());
    }
}

fn out_of_range<T>(text: &str) -> Result<T> {
    refuse("22008", format!("date/time field value out of range: \"{text}\""))
}

/// Days from 24 November 4714 BC, Julian day 0, to 1970.
const JULIAN_OF_1970: i64 = 2_440_588;

impl Parsed {
    /// The date and time that the fields make.
    fn resolve(mut self, text: &str) -> Result<Resolved> {
        let mut r = Resolved { year: 0, month: 1, day: 1, time: self.time(text)?, offset: self.offset(text)? };
        if self.year != 0 || self.century != 0 {
            r.year = self.year_of_era();
        }
        if self.julian != 0 {
            r.set_days(self.julian - JULIAN_OF_1970);
        }
        let iso = self.calendar == Some(Calendar::IsoWeek);
        if self.week != 0 && iso {
            let monday = day_of_iso_week(r.year, self.week);
            let after = match self.weekday {
                0 => 0,
                1 => 6,
                other => other - 2,
            };
            r.set_days(monday + after);
        } else if self.week != 0 {
            self.day_of_year = (self.week - 1) * 7 + 1;
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            r.day = self.day;
        }
        if self.month != 0 {
            r.month = self.month;
        }
        if self.day_of_year != 0 && (r.month <= 1 || r.day <= 1) {
            if r.year == 0 && self.bc == 0 {
                return refuse("22007", "cannot calculate day of year without year information");
            }
            if iso {
                r.set_days(day_of_iso_week(r.year, 1) - 1 + self.day_of_year);
            } else {
                self.set_day_of_year(&mut r);
            }
        }
        let valid = (1..=12).contains(&r.month)
            && (1..=31).contains(&r.day)
            && r.day <= i64::from(days_in_month(r.year, r.month as u32));
        if !valid {
            return out_of_range(text);
        }
        Ok(r)
    }

    fn set_day_of_year(&self, r: &mut Resolved) {
        let lengths = (1..=12).map(|m| i64::from(days_in_month(r.year, m)));
        let mut before = 0;
        let mut month = 1;
        for length in lengths {
            if self.day_of_year <= before + length {
                break;
            }
            before += length;
            month += 1;
        }
        if r.month <= 1 {
            r.month = month;
        }
        if r.day <= 1 {
            r.day = self.day_of_year - before;
        }
    }

    /// The year counted astronomically, a century put in.
    fn year_of_era(&self) -> i64 {
        let century = if self.bc != 0 { -self.century } else { self.century };
        if self.year == 0 {
            return if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
        }
        if self.century != 0 && self.year_digits <= 2 {
            return match (self.year % 100, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (year, true) => year + (century - 1) * 100,
                (year, false) => (century + 1) * 100 - year + 1,
            };
        }
        let year = if self.bc != 0 { -self.year } else { self.year };
        if year < 0 { year + 1 } else { year }
    }

    fn time(&self, text: &str) -> Result<i64> {
        let (mut hour, mut minute, mut second) = (self.of_day / 3600, self.of_day / 60 % 60, self.of_day % 60);
        if self.second != 0 {
            second = self.second;
        }
        if self.minute != 0 {
            minute = self.minute;
        }
        if self.hour != 0 {
            hour = self.hour;
        }
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(FunctionError::new("22007", format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                    .into());
            }
            if self.afternoon != 0 && hour < 12 {
                hour += 12;
            } else if self.afternoon == 0 && hour == 12 {
                hour = 0;
            }
        }
        let micros = self.millis * 1000 + self.micros;
        let valid = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        if !valid || !(0..1_000_000).contains(&micros) {
            return out_of_range(text);
        }
        Ok(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }

    fn offset(&self, text: &str) -> Result<Option<i32>> {
        if self.sign == 0 {
            return Ok(None);
        }
        if !(0..=15).contains(&self.offset_hours) || !(0..60).contains(&self.offset_minutes) {
            return out_of_range(text);
        }
        Ok(Some(self.sign * (self.offset_hours * 3600 + self.offset_minutes * 60) as i32))
    }

    fn read(text: &str, pieces: &[Piece]) -> Result<Parsed> {
        let mut parsed = Parsed::default();
        let mut input = Input { rest: text, before: None, extra: 0, exact: false };
        for (i, piece) in pieces.iter().enumerate() {
            if input.rest.is_empty() {
                break;
            }
            if !input.exact && (i == 0 || matches!(piece, Piece::Field(_) | Piece::Exact)) {
                input.skip_blanks();
            }
            match piece {
                Piece::Literal(c) if c.is_ascii_whitespace() || is_separator(*c) => {
                    let found = input.rest.chars().next().is_some_and(|s| s.is_ascii_whitespace() || is_separator(s));
                    if input.exact || found {
                        input.skip();
                    } else {
                        input.extra -= 1;
                    }
                }
                Piece::Literal(_) | Piece::Quoted(_) => {
                    // What was skipped beyond the template stands for it.
                    if !input.exact && input.extra > 0 {
                        input.extra -= 1;
                    } else {
                        input.skip();
                    }
                }
                Piece::Exact => input.exact = true,
                Piece::Field(field) => {
                    parsed.field(&mut input, field, number_ends(field, pieces.get(i + 1)))?;
                    if !input.exact {
                        input.extra = 0;
                        input.skip_blanks();
                    }
                }
            }
        }
        Ok(parsed)
    }

    fn set_calendar(&mut self, key: &str) -> Result<()> {
        let Some(new) = Calendar::of(key) else { return Ok(()) };
        if self.calendar.is_some_and(|c| c != new) {
            return Err(FunctionError::new("22007", "invalid combination of date conventions")
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template.")
                .into());
        }
        self.calendar = Some(new);
        Ok(())
    }

    /// Reads one field. `ends` tells that a number ends where its digits end.
    fn field(&mut self, input: &mut Input<'_>, f: &Field, ends: bool) -> Result<()> {
        self.set_calendar(f.key)?;
        let width = f.key.len();
        match f.key {
            "A.M." | "P.M." => {
                let found = input.name(f, &["A.M.", "P.M."], usize::MAX)?;
                set(&mut self.afternoon, found, f)?;
                self.twelve = true;
            }
            "AM" | "PM" => {
                let found = input.name(f, &["AM", "PM"], usize::MAX)?;
                set(&mut self.afternoon, found, f)?;
                self.twelve = true;
            }
            "A.D." | "B.C." => set(&mut self.bc, input.name(f, &["A.D.", "B.C."], usize::MAX)?, f)?,
            "AD" | "BC" => set(&mut self.bc, input.name(f, &["AD", "BC"], usize::MAX)?, f)?,
            "HH" | "HH12" | "HH24" => {
                input.number(&mut self.hour, f, 2, ends)?;
                self.twelve |= f.key != "HH24";
            }
            "MI" => drop(input.number(&mut self.minute, f, width, ends)?),
            "SS" => drop(input.number(&mut self.second, f, width, ends)?),
            "SSSS" | "SSSSS" => drop(input.number(&mut self.of_day, f, width, ends)?),
            "MS" => {
                let digits = input.number(&mut self.millis, f, 3, ends)?;
                self.millis *= [100, 100, 10].get(digits).copied().unwrap_or(1);
            }
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = f.key[2..].parse().unwrap_or(6);
                let digits = input.number(&mut self.micros, f, width, ends)?;
                self.micros *= 10_i64.pow(6_u32.saturating_sub(u32::try_from(digits.max(1)).unwrap_or(6)));
            }
            "TZ" | "OF" => {
                return refuse("0A000", format!("formatting field \"{}\" is only supported in to_char", f.key));
            }
            "TZH" => {
                self.sign = match input.rest.as_bytes()[0] {
                    b'-' => -1,
                    b'+' | b' ' => 1,
                    // A minus may have been taken for a separator.
                    _ if input.extra > 0 && input.before == Some('-') => -1,
                    _ => 1,
                };
                if input.rest.starts_with(['-', '+', ' ']) {
                    input.skip();
                }
                input.number(&mut self.offset_hours, f, 2, ends)?;
            }
            "TZM" => {
                self.sign = if self.sign == 0 { 1 } else { self.sign };
                input.number(&mut self.offset_minutes, f, 2, ends)?;
            }
            "MONTH" => set(&mut self.month, input.name(f, &MONTHS, usize::MAX)? + 1, f)?,
            "MON" => set(&mut self.month, input.name(f, &MONTHS, 3)? + 1, f)?,
            "MM" => drop(input.number(&mut self.month, f, width, ends)?),
            "RM" => {
                let mut longest_first = ROMAN_MONTHS;
                longest_first.reverse();
                set(&mut self.month, 12 - input.name(f, &longest_first, usize::MAX)?, f)?;
            }
            "DAY" | "DY" => {
                let found = input.name(f, &DAYS, if f.key == "DY" { 3 } else { usize::MAX })?;
                set(&mut self.weekday, found, f)?;
                self.weekday = found + 1;
            }
            "DDD" | "IDDD" => drop(input.number(&mut self.day_of_year, f, 3, ends)?),
            "DD" => drop(input.number(&mut self.day, f, width, ends)?),
            "D" => drop(input.number(&mut self.weekday, f, width, ends)?),
            "ID" => {
                input.number(&mut self.weekday, f, 1, ends)?;
                self.weekday = if self.weekday >= 7 { 1 } else { self.weekday + 1 };
            }
            "WW" | "IW" => drop(input.number(&mut self.week, f, width, ends)?),
            "W" => drop(input.number(&mut self.week_of_month, f, width, ends)?),
            "Q" => drop(input.number(&mut 0, f, width, ends)?),
            "CC" => drop(input.number(&mut self.century, f, width, ends)?),
            "J" => drop(input.number(&mut self.julian, f, width, ends)?),
            "Y,YYY" => {
                set(&mut self.year, input.thousands()?, f)?;
                self.year_digits = 4;
            }
            _ => {
                let letters = if f.key.starts_with('I') { width } else { width.min(4) };
                let digits = input.number(&mut self.year, f, width, ends)?;
                if letters < 4 && digits < 4 {
                    self.year = near_2020(self.year);
                }
                self.year_digits = letters;
            }
        }
        if f.ordinal.is_some() {
            input.skip();
            input.skip();
        }
        Ok(())
    }
}

/// A year of less than four digits as the nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// Sets a field; twice only to the same.
fn set(field: &mut i64, value: i64, f: &Field) -> Result<()> {
    if *field != 0 && *field != value {
        let message = format!("conflicting values for \"{}\" field in formatting string", shown(f));
        return refuse("22007", message);
    }
    *field = value;
    Ok(())
}

/// The pattern as a message shows it.
fn shown(f: &Field) -> String {
    match f.case {
        template::Case::Upper => f.key.to_string(),
        template::Case::Lower => f.key.to_lowercase(),
        template::Case::Title => format!("{}{}", &f.key[..1], f.key[1..].to_lowercase()),
    }
}

fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// Whether a number may have any number of digits, since no digit can follow it.
fn number_ends(field: &Field, next: Option<&Piece>) -> bool {
    const WORDS: [&str; 21] = [
        "AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.", "MONTH", "MON", "DAY", "DY", "RM", "TZ", "TZH", "OF",
        "FF1", "FF2", "FF3", "FF4", "FF5",
    ];
    field.fill
        || field.ordinal.is_some()
        || match next {
            Some(Piece::Field(f)) => WORDS.contains(&f.key) || f.key == "FF6",
            Some(Piece::Literal(c) | Piece::Quoted(c)) => !c.is_ascii_digit(),
            Some(Piece::Exact) | None => true,
        }
}

/// The rest of the text to be read.
struct Input<'a> {
    rest: &'a str,
    /// The character before it.
    before: Option<char>,
    /// Characters skipped beyond what the template says.
    extra: i32,
    exact: bool,
}

impl Input<'_> {
    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        if let Some(c) = chars.next() {
            self.before = Some(c);
            self.rest = chars.as_str();
        }
    }

    fn skip_blanks(&mut self) {
        while self.rest.starts_with(|c: char| c.is_ascii_whitespace()) {
            self.skip();
            self.extra += 1;
        }
    }

    /// A number of `width` characters, or of any length if it `ends` by itself; answers how many characters it took.
    fn number(&mut self, field: &mut i64, f: &Field, width: usize, ends: bool) -> Result<usize> {
        let start = self.rest.len();
        let text = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let limit = if ends { text.len() } else { text.char_indices().nth(width).map_or(text.len(), |(at, _)| at) };
        let copy = text.chars().take(width).collect::<String>();
        if !ends && copy.chars().count() < width {
            return refuse("22007", format!("source string too short for \"{}\" formatting field", shown(f)));
        }
        let window = &text[..limit];
        // As C reads a number: blanks, a sign, digits.
        let blanks = window.len() - window.trim_start().len();
        let signed = blanks + usize::from(window[blanks..].starts_with(['-', '+']));
        let digits = window[signed..].bytes().take_while(u8::is_ascii_digit).count();
        let used = if digits == 0 { 0 } else { signed + digits };
        if used == 0 || (!ends && used < window.len()) {
            return refuse("22007", format!("invalid value \"{copy}\" for \"{}\"", shown(f)));
        }
        let value = window[blanks..used].parse::<i64>().ok().filter(|v| i32::try_from(*v).is_ok());
        let Some(value) = value else {
            return refuse("22008", format!("value for \"{}\" in source string is out of range", shown(f)));
        };
        set(field, value, f)?;
        self.before = window[..used].chars().last();
        self.rest = &text[used..];
        Ok(start - self.rest.len())
    }

    /// `1,999`.
    fn thousands(&mut self) -> Result<i64> {
        let parse = || -> Option<(i64, usize)> {
            let (millennia, rest) = self.rest.split_once(',')?;
            let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let years: i64 = rest[..digits].parse().ok()?;
            let millennia: i32 = millennia.trim_start().parse().ok()?;
            Some((i64::from(millennia) * 1000 + years, self.rest.len() - rest.len() + digits))
        };
        let Some((year, used)) = parse() else { return refuse("22007", "invalid input string for \"Y,YYY\"") };
        self.rest = &self.rest[used..];
        Ok(year)
    }

    /// Which of the names comes, by so many letters of it.
    fn name(&mut self, f: &Field, names: &[&str], letters: usize) -> Result<i64> {
        let found = names.iter().position(|name| {
            let name = &name[..letters.min(name.len())];
            self.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
        let Some(at) = found else {
            let word = self.rest.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            return refuse("22007", format!("invalid value \"{word}\" for \"{}\"", shown(f)));
        };
        self.rest = &self.rest[letters.min(names[at].len())..];
        Ok(at as i64)
    }
}
