//! Dates and times in: ISO 8601 by a short path, and PostgreSQL's other common forms word by word.
//!
//! Not read: Julian days, `yyyy.ddd`, time zones that are words of two.

use sightline_storage::error::{Error, Result, SqlState};

use super::datetime::{
    END_DAY_OF_DATE, END_DAY_OF_TIMESTAMP, FIRST_DAY, US_PER_DAY, US_PER_SECOND, days_from_civil, days_in_month,
};
use super::{DateOrder, Style};
use sightline_functions::zone::{Zone, parse_offset};

/// Why a text is no date.
enum Fault {
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

type Parsed<T> = std::result::Result<T, Fault>;

/// A text taken apart.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    /// Whether the year was written with at most two digits.
    short_year: bool,
    month: Option<u32>,
    day: Option<u32>,
    /// Time of day in microseconds; 24:00:00 is allowed.
    time: Option<i64>,
    zone: Option<Zone>,
    bc: bool,
    /// AM (false) or PM (true).
    half: Option<bool>,
    special: Option<Special>,
}

#[derive(Clone, Copy, PartialEq)]
enum Special {
    Infinity,
    MinusInfinity,
    Epoch,
    Now,
    /// Days from today.
    Today(i64),
}

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
    let fields = Fields::parse(text, style.date_order).map_err(|f| fault(f, text, "date"))?;
    let days = match fields.special {
        Some(Special::Infinity) => return Ok(i32::MAX),
        Some(Special::MinusInfinity) => return Ok(i32::MIN),
        Some(special) => special_us(special, style)
            .map(|us| (us + i64::from(style.zone.offset_at(us)) * US_PER_SECOND).div_euclid(US_PER_DAY))
            .ok_or_else(|| fault(Fault::Syntax, text, "date"))?,
        None => fields.days().map_err(|f| fault(f, text, "date"))?,
    };
    if !(FIRST_DAY..END_DAY_OF_DATE).contains(&days) {
        return Err(out_of_range(text, "date"));
    }
    Ok(days as i32)
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
    let fields = Fields::parse(text, style.date_order).map_err(|f| fault(f, text, ty))?;
    let shift = |us: i64| if with_zone { us } else { us + i64::from(style.zone.offset_at(us)) * US_PER_SECOND };
    match fields.special {
        Some(Special::Infinity) => return Ok(i64::MAX),
        Some(Special::MinusInfinity) => return Ok(i64::MIN),
        Some(Special::Epoch) => return Ok(0),
        Some(special) => {
            return special_us(special, style).map(shift).ok_or_else(|| fault(Fault::Syntax, text, ty));
        }
        None => {}
    }
    let days = fields.days().map_err(|f| fault(f, text, ty))?;
    let time = fields.time().map_err(|f| fault(f, text, ty))?;
    let local = days.checked_mul(US_PER_DAY).and_then(|us| us.checked_add(time));
    let us = match (local, with_zone) {
        (Some(local), true) => fields.zone.unwrap_or(style.zone).to_utc(local),
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
    const TYPE: &str = "time";
    let fields = Fields::parse_time(text, style.date_order).map_err(|f| fault(f, text, TYPE))?;
    if fields.time.is_none() {
        return Err(fault(Fault::Syntax, text, TYPE));
    }
    fields.time().map_err(|f| fault(f, text, TYPE))
}

fn special_us(special: Special, style: &Style) -> Option<i64> {
    match special {
        Special::Epoch => Some(0),
        Special::Now => style.now_us,
        Special::Today(days) => {
            let now = style.now_us?;
            let local = now + i64::from(style.zone.offset_at(now)) * US_PER_SECOND;
            style.zone.to_utc((local.div_euclid(US_PER_DAY) + days) * US_PER_DAY)
        }
        Special::Infinity | Special::MinusInfinity => None,
    }
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

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Whether `word` is `full` or one of its abbreviations of at least three letters.
fn abbreviates(word: &str, full: &str) -> bool {
    word == full || word.len() == 3 && full.starts_with(word) || word == "sept" && full == "september"
}

fn month_named(word: &str) -> Option<u32> {
    let w = word.to_ascii_lowercase();
    MONTHS.iter().position(|m| abbreviates(&w, m)).map(|i| i as u32 + 1)
}

fn weekday_named(word: &str) -> bool {
    let w = word.to_ascii_lowercase();
    WEEKDAYS.iter().any(|d| abbreviates(&w, d)) || matches!(w.as_str(), "tues" | "wednes" | "thur" | "thurs")
}

impl Fields {
    fn parse(text: &str, order: DateOrder) -> Parsed<Fields> {
        let mut f = Fields::default();
        let mut any = false;
        for word in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|w| !w.is_empty()) {
            any = true;
            match split_at_t(word) {
                Some((date, time)) => {
                    f.word(date, order)?;
                    f.word(time, order)?;
                }
                None => f.word(word, order)?,
            }
        }
        if !any || (f.special.is_some() && (f.year.is_some() || f.time.is_some())) {
            return Err(Fault::Syntax);
        }
        Ok(f)
    }

    /// As `parse`, but digits run together are a time.
    fn parse_time(text: &str, order: DateOrder) -> Parsed<Fields> {
        let t = text.trim();
        match t.len() {
            4 | 6 if t.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Fields { time: Some(run_together(t)?), ..Fields::default() })
            }
            _ => Fields::parse(text, order),
        }
    }

    fn word(&mut self, word: &str, order: DateOrder) -> Parsed<()> {
        let first = word.as_bytes()[0];
        if word.contains(':') && first.is_ascii_digit() {
            return self.clock(word);
        }
        match first {
            b'0'..=b'9' => self.numbers(word, order),
            b'+' | b'-' if word.eq_ignore_ascii_case("-infinity") => self.set_special(Special::MinusInfinity),
            b'+' | b'-' if self.time.is_some() && self.zone.is_none() => {
                self.zone = Some(Zone::Fixed(parse_offset(word).ok_or(Fault::Displacement)?));
                Ok(())
            }
            c if c.is_ascii_alphabetic() => self.name(word, order),
            _ => Err(Fault::Syntax),
        }
    }

    fn set_special(&mut self, special: Special) -> Parsed<()> {
        match self.special.replace(special) {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax),
        }
    }

    fn name(&mut self, word: &str, order: DateOrder) -> Parsed<()> {
        let lower = word.to_ascii_lowercase();
        let special = match lower.as_str() {
            "infinity" => Special::Infinity,
            "epoch" => Special::Epoch,
            "now" => Special::Now,
            "today" => Special::Today(0),
            "tomorrow" => Special::Today(1),
            "yesterday" => Special::Today(-1),
            "am" | "pm" if self.half.is_none() => {
                self.half = Some(lower == "pm");
                return Ok(());
            }
            "bc" | "ad" => {
                self.bc = lower == "bc";
                return Ok(());
            }
            "allballs" if self.time.is_none() => {
                self.time = Some(0);
                self.zone = Some(Zone::UTC);
                return Ok(());
            }
            "t" | "at" | "on" => return Ok(()),
            _ => return self.other_name(word, order),
        };
        self.set_special(special)
    }

    fn other_name(&mut self, word: &str, order: DateOrder) -> Parsed<()> {
        if let Some(month) = month_named(word) {
            if let (Some(m), None) = (self.month, self.day) {
                self.day = Some(m);
            } else if self.month.is_some() {
                return Err(Fault::Syntax);
            }
            self.month = Some(month);
            return Ok(());
        }
        if weekday_named(word) {
            return Ok(());
        }
        if word.contains('-') && month_named(word.split('-').next().unwrap_or("")).is_some() {
            return self.numbers(word, order);
        }
        if self.zone.is_some() || (self.time.is_none() && self.month.is_none()) {
            return Err(Fault::Syntax);
        }
        let found = Zone::of_literal(word);
        self.zone = Some(found.ok_or_else(|| match word.contains('/') {
            true => Fault::Zone(word.to_ascii_lowercase()),
            false => Fault::Syntax,
        })?);
        Ok(())
    }

    /// `hh:mm[:ss[.f]]` and what sticks to it: a zone, AM or PM.
    fn clock(&mut self, word: &str) -> Parsed<()> {
        let end = word.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(word.len());
        let (time, suffix) = word.split_at(end);
        if self.time.is_some() {
            return Err(Fault::Syntax);
        }
        self.time = Some(clock_us(time)?);
        match suffix.as_bytes().first() {
            None => Ok(()),
            Some(b'+' | b'-') => {
                self.zone = Some(Zone::Fixed(parse_offset(suffix).ok_or(Fault::Displacement)?));
                Ok(())
            }
            Some(_) => self.name(suffix, DateOrder::Mdy),
        }
    }

    /// A date in numbers, with separators or run together, or a single number.
    fn numbers(&mut self, word: &str, order: DateOrder) -> Parsed<()> {
        let parts: Vec<&str> = word.split(['-', '/', '.']).collect();
        match parts.as_slice() {
            [one] => self.number(one, order),
            [a, b, c] if self.year.is_none() => self.date_parts([a, b, c], order),
            _ => Err(Fault::Syntax),
        }
    }

    fn date_parts(&mut self, parts: [&str; 3], order: DateOrder) -> Parsed<()> {
        if let Some(at) = parts.iter().position(|p| month_named(p).is_some()) {
            self.month = month_named(parts[at]);
            let rest: Vec<&str> = parts.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, p)| *p).collect();
            let year_first = rest[0].len() > 2;
            self.set_year(rest[usize::from(!year_first)])?;
            self.day = Some(small(rest[usize::from(year_first)])?);
            return Ok(());
        }
        let order = if parts[0].len() > 2 { DateOrder::Ymd } else { order };
        let (year, month, day) = match order {
            DateOrder::Ymd => (parts[0], parts[1], parts[2]),
            DateOrder::Mdy => (parts[2], parts[0], parts[1]),
            DateOrder::Dmy => (parts[2], parts[1], parts[0]),
        };
        self.set_year(year)?;
        self.month = Some(small(month)?);
        self.day = Some(small(day)?);
        Ok(())
    }

    fn set_year(&mut self, digits: &str) -> Parsed<()> {
        if self.year.is_some() || digits.len() > 7 {
            return Err(Fault::Syntax);
        }
        self.year = Some(digits.parse::<u32>().map_err(|_| Fault::Syntax)?.into());
        self.short_year = digits.len() <= 2;
        Ok(())
    }

    fn number(&mut self, digits: &str, _order: DateOrder) -> Parsed<()> {
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::Syntax);
        }
        let nothing_yet = self.year.is_none() && self.month.is_none();
        match digits.len() {
            8 | 6 if nothing_yet => {
                let (year, rest) = digits.split_at(digits.len() - 4);
                self.set_year(year)?;
                self.month = Some(small(&rest[..2])?);
                self.day = Some(small(&rest[2..])?);
                Ok(())
            }
            6 | 4 if self.year.is_some() && self.day.is_some() && self.time.is_none() => {
                self.time = Some(run_together(digits)?);
                Ok(())
            }
            1 | 2 if self.month.is_some() && self.day.is_none() => {
                self.day = Some(small(digits)?);
                Ok(())
            }
            1 | 2 if nothing_yet => {
                self.month = Some(small(digits)?);
                Ok(())
            }
            _ => self.set_year(digits),
        }
    }

    /// The day since 1970.
    fn days(&self) -> Parsed<i64> {
        let (Some(year), Some(month), Some(day)) = (self.year, self.month, self.day) else {
            return Err(Fault::Syntax);
        };
        let year = match (year, self.bc, self.short_year) {
            (0, _, false) => return Err(Fault::Range),
            (y, true, _) => 1 - y,
            (y, false, true) => y + if y < 70 { 2000 } else { 1900 },
            (y, false, false) => y,
        };
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthDay);
        }
        if day > days_in_month(year, month) {
            return Err(Fault::Range);
        }
        Ok(days_from_civil(year, month, day))
    }

    /// Microseconds since midnight, AM and PM applied.
    fn time(&self) -> Parsed<i64> {
        const HOUR: i64 = 3600 * US_PER_SECOND;
        let us = self.time.unwrap_or(0);
        match self.half {
            Some(_) if us >= 13 * HOUR => Err(Fault::Range),
            Some(false) if us >= 12 * HOUR => Ok(us - 12 * HOUR),
            Some(true) if us < 12 * HOUR => Ok(us + 12 * HOUR),
            _ => Ok(us),
        }
    }
}

/// A month or day in at most two digits.
fn small(digits: &str) -> Parsed<u32> {
    match digits.parse() {
        Ok(n) if !digits.starts_with('+') => Ok(n),
        _ => Err(Fault::Syntax),
    }
}

/// `0405` or `040506`: a time without colons.
fn run_together(digits: &str) -> Parsed<i64> {
    let parts = [&digits[..2], &digits[2..4], digits.get(4..).unwrap_or("")];
    clock_us(parts.join(":").trim_end_matches(':'))
}

/// `2024-01-01T10:00` in two words; none if the word is something else.
fn split_at_t(word: &str) -> Option<(&str, &str)> {
    let (date, time) = word.split_once(['T', 't'])?;
    let starts_with_digit = |s: &str| s.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let ends_with_digit = date.as_bytes().last().is_some_and(u8::is_ascii_digit);
    (starts_with_digit(date) && ends_with_digit && starts_with_digit(time)).then_some((date, time))
}

fn clock_us(text: &str) -> Parsed<i64> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    let hour: i64 = parse_digits(next().ok_or(Fault::Syntax)?)?;
    let minute: i64 = parse_digits(next().ok_or(Fault::Syntax)?)?;
    let seconds = next().unwrap_or("0");
    if parts.next().is_some() {
        return Err(Fault::Syntax);
    }
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second: i64 = parse_digits(whole)?;
    let us = if fraction.is_empty() { 0 } else { fraction_us(fraction)? };
    let total = (hour * 3600 + minute * 60 + second) * US_PER_SECOND + us;
    if hour > 24 || minute > 59 || second > 60 || total > US_PER_DAY {
        return Err(Fault::Range);
    }
    Ok(total)
}

fn parse_digits(text: &str) -> Parsed<i64> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    text.parse().map_err(|_| Fault::Syntax)
}

/// The digits after the point in microseconds, rounded.
fn fraction_us(digits: &str) -> Parsed<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    let first_seven: String = digits.chars().chain("0000000".chars()).take(7).collect();
    Ok((parse_digits(&first_seven)? + 5) / 10)
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
