//! Intervals in: PostgreSQL's forms read from right to left, units before their numbers, and ISO 8601
//! (<https://www.postgresql.org/docs/15/datatype-datetime.html#DATATYPE-INTERVAL-INPUT>).

use arrow::datatypes::IntervalMonthDayNano;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::IntervalFields;

use super::datetime::{US_PER_DAY, US_PER_SECOND};
use super::datetime_input::fields::{Field, Kind, split};
use super::datetime_input::{Fault, Parsed};
use super::{IntervalStyle, Style};

const MINUTE_US: i64 = 60 * US_PER_SECOND;
const HOUR_US: i64 = 60 * MINUTE_US;

/// Reads an interval: `1 year 2 mons 3 days 04:05:06.789`, `1.5 h ago`, `P1Y2MT3H`, `1-2`, `3 4:05`. What a number
/// without a unit means, `fields` tells.
///
/// # Errors
/// 22007 for what is no interval, 22015 for a part that is too long, 22008 for the whole.
pub fn parse(text: &str, style: &Style, fields: IntervalFields) -> Result<IntervalMonthDayNano> {
    let sum = match words(text, style.interval, fields) {
        Err(Fault::Syntax) => iso(text),
        other => other,
    };
    let sum = sum.map_err(|fault| match fault {
        Fault::Syntax => {
            Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type interval: \"{text}\""))
        }
        _ => Error::new(SqlState::INTERVAL_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\"")),
    })?;
    sum.finish().ok_or_else(|| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))
}

/// What a unit is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Years(i32),
    Month,
    Week,
    Day,
    /// So many microseconds.
    Time(i64),
    /// Only EXTRACT knows it.
    Other,
}

impl Unit {
    const SECOND: Unit = Unit::Time(US_PER_SECOND);

    /// By name; ten letters count.
    fn named(name: &str) -> Option<Unit> {
        let end = name.char_indices().nth(10).map_or(name.len(), |(at, _)| at);
        Some(match &name[..end] {
            "millennium" | "millennia" | "mil" | "mils" => Unit::Years(1000),
            "century" | "centuries" | "c" | "cent" => Unit::Years(100),
            "decade" | "decades" | "dec" | "decs" => Unit::Years(10),
            "year" | "years" | "y" | "yr" | "yrs" => Unit::Years(1),
            "month" | "months" | "mon" | "mons" => Unit::Month,
            "week" | "weeks" | "w" => Unit::Week,
            "day" | "days" | "d" => Unit::Day,
            "hour" | "hours" | "h" | "hr" | "hrs" => Unit::Time(HOUR_US),
            "minute" | "minutes" | "min" | "mins" | "m" => Unit::Time(MINUTE_US),
            "second" | "seconds" | "sec" | "secs" | "s" => Unit::SECOND,
            "msec" | "msecs" | "ms" | "millisecon" | "msecond" | "mseconds" => Unit::Time(1_000),
            "usec" | "usecs" | "us" | "microsecon" | "usecond" | "useconds" => Unit::Time(1),
            "qtr" | "quarter" | "timezone" | "timezone_h" | "timezone_m" => Unit::Other,
            _ => return None,
        })
    }

    /// The unit of the rightmost number, where none is written.
    fn last_of(fields: IntervalFields) -> Unit {
        use IntervalFields as F;
        match fields {
            F::Year => Unit::Years(1),
            F::Month | F::YearToMonth => Unit::Month,
            F::Day => Unit::Day,
            F::Hour | F::DayToHour => Unit::Time(HOUR_US),
            F::Minute | F::HourToMinute | F::DayToMinute => Unit::Time(MINUTE_US),
            F::All | F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond => Unit::SECOND,
        }
    }

    /// A bit of its own: no unit may come twice.
    fn mask(self, fraction: bool) -> u16 {
        const SECONDS: u16 = 0b111 << 8;
        match self {
            Unit::Years(1) => 1,
            Unit::Years(10) => 1 << 1,
            Unit::Years(100) => 1 << 2,
            Unit::Years(_) => 1 << 3,
            Unit::Month => 1 << 4,
            Unit::Week => 1 << 5,
            Unit::Day => 1 << 6,
            Unit::Time(1) => 1 << 8,
            Unit::Time(1_000) => 1 << 9,
            Unit::Time(US_PER_SECOND) => {
                if fraction {
                    SECONDS
                } else {
                    1 << 10
                }
            }
            Unit::Time(MINUTE_US) => 1 << 11,
            Unit::Time(_) => 1 << 12,
            Unit::Other => 0,
        }
    }
}

/// Hours, minutes and seconds, as `10:30:15` has them.
const CLOCK: u16 = 0b111 << 8 | 1 << 11 | 1 << 12;

/// An interval that grows.
#[derive(Default)]
struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

impl Sum {
    /// Adds `whole` and a fraction of a unit. Fractions of a month go to days of a 30-day month, of a day into the time.
    fn add(&mut self, whole: i64, fraction: f64, unit: Unit) -> Parsed<()> {
        let done = match unit {
            Unit::Years(size) => self.add_years(whole, size).and_then(|()| self.add_part_of_years(fraction, size)),
            Unit::Month => self.add_months(whole).and_then(|()| self.add_part_of_days(fraction, 30)),
            Unit::Week => self.add_days(whole, 7).and_then(|()| self.add_part_of_days(fraction, 7)),
            Unit::Day => self.add_days(whole, 1).and_then(|()| self.add_part(fraction, US_PER_DAY)),
            Unit::Time(size) => self.add_time(whole, size).and_then(|()| self.add_part(fraction, size)),
            Unit::Other => return Err(Fault::Syntax),
        };
        done.ok_or(Fault::Range)
    }

    fn add_time(&mut self, whole: i64, size: i64) -> Option<()> {
        self.micros = self.micros.checked_add(whole.checked_mul(size)?)?;
        Some(())
    }

    fn add_part(&mut self, fraction: f64, size: i64) -> Option<()> {
        let exact = fraction * size as f64;
        let rest = exact - exact.trunc();
        let rounding = i64::from(rest > 0.5) - i64::from(rest < -0.5);
        self.micros = self.micros.checked_add(exact as i64 + rounding)?;
        Some(())
    }

    fn add_days(&mut self, whole: i64, size: i32) -> Option<()> {
        self.days = self.days.checked_add(i32::try_from(whole).ok()?.checked_mul(size)?)?;
        Some(())
    }

    fn add_part_of_days(&mut self, fraction: f64, size: i32) -> Option<()> {
        let exact = fraction * f64::from(size);
        self.days = self.days.checked_add(exact as i32)?;
        self.add_part(exact - exact.trunc(), US_PER_DAY)
    }

    fn add_months(&mut self, whole: i64) -> Option<()> {
        self.months = self.months.checked_add(i32::try_from(whole).ok()?)?;
        Some(())
    }

    fn add_years(&mut self, whole: i64, size: i32) -> Option<()> {
        self.years = self.years.checked_add(i32::try_from(whole).ok()?.checked_mul(size)?)?;
        Some(())
    }

    fn add_part_of_years(&mut self, fraction: f64, size: i32) -> Option<()> {
        self.months = self.months.checked_add((fraction * f64::from(size) * 12.0).round_ties_even() as i32)?;
        Some(())
    }

    fn negated(&self) -> Parsed<Sum> {
        let negated = || {
            Some(Sum {
                years: self.years.checked_neg()?,
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negated().ok_or(Fault::Range)
    }

    fn finish(&self) -> Option<IntervalMonthDayNano> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        Some(IntervalMonthDayNano::new(i32::try_from(months).ok()?, self.days, self.micros.checked_mul(1000)?))
    }
}

/// A whole number in front of a text, and what follows it.
fn whole(text: &str) -> Parsed<(i64, &str)> {
    let from = usize::from(text.starts_with(['-', '+']));
    let end = text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| n + from);
    if end == from {
        return Ok((
            0,
            if from == 0 || text.len() == from || !text[from..].starts_with('.') { text } else { &text[from..] },
        ));
    }
    Ok((text[..end].parse().map_err(|_| Fault::Range)?, &text[end..]))
}

/// `.5` as a fraction; nothing may follow.
fn fraction(text: &str) -> Parsed<f64> {
    match text {
        "." => Ok(0.0),
        _ if text[1..].bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| Fault::Syntax),
        _ => Err(Fault::Syntax),
    }
}

/// `[h]h:mm[:ss[.f]]`, or `mm:ss.f`, in microseconds.
fn clock(text: &str, fields: IntervalFields) -> Parsed<i64> {
    let (first, rest) = whole(text)?;
    let (second, rest) = whole(rest.strip_prefix(':').ok_or(Fault::Syntax)?)?;
    let (mut hours, mut minutes, mut seconds, mut part) = (first, second, 0, 0.0);
    if rest.starts_with('.') {
        (hours, minutes, seconds, part) = (0, first, second, fraction(rest)?);
    } else if let Some(rest) = rest.strip_prefix(':') {
        let (third, rest) = whole(rest)?;
        seconds = third;
        if !rest.is_empty() {
            part = if rest.starts_with('.') { fraction(rest)? } else { return Err(Fault::Syntax) };
        }
    } else if !rest.is_empty() {
        return Err(Fault::Syntax);
    } else if fields == IntervalFields::MinuteToSecond {
        (hours, minutes, seconds) = (0, first, second);
    }
    if hours < 0 || !(0..60).contains(&minutes) || !(0..=60).contains(&seconds) {
        return Err(Fault::Range);
    }
    let micros = (part * 1e6).round_ties_even() as i64 + seconds * US_PER_SECOND + minutes * MINUTE_US;
    hours.checked_mul(HOUR_US).and_then(|us| us.checked_add(micros)).ok_or(Fault::Range)
}

/// PostgreSQL's own forms and those of the SQL standard.
fn words(text: &str, style: IntervalStyle, range: IntervalFields) -> Parsed<Sum> {
    let fields = split(text)?;
    // In the standard one sign in front is that of all numbers.
    let signed = |f: &Field| f.text.starts_with(['-', '+']);
    let all_negative = style == IntervalStyle::SqlStandard
        && fields.first().is_some_and(|f| f.text.starts_with('-'))
        && !fields[1..].iter().any(signed);
    let mut sum = Sum::default();
    let (mut read, mut unit, mut ago) = (0, None, false);
    for field in fields.iter().rev() {
        let time = match field.kind {
            Kind::Time => Some(clock(&field.text, range)?),
            Kind::Signed if field.text.contains(':') => match clock(&field.text[1..], range) {
                Ok(us) => Some(if field.text.starts_with('-') { -us } else { us }),
                Err(_) => None,
            },
            _ => None,
        };
        let new = match (time, field.kind) {
            (Some(us), _) => {
                sum.micros = if all_negative { -us.abs() } else { us };
                // A number in front of a time counts days.
                unit = Some(Unit::Day);
                CLOCK
            }
            (None, Kind::Word | Kind::SignedWord) => {
                ago |= field.text == "ago";
                let known = if field.text == "ago" { Some(Unit::Other) } else { Unit::named(&field.text) };
                unit = Some(known.ok_or(Fault::Syntax)?);
                continue;
            }
            (None, _) => {
                let (number, part, of) = number(&field.text, unit.unwrap_or(Unit::last_of(range)))?;
                let (number, part) = if all_negative { (-number.abs(), -part.abs()) } else { (number, part) };
                sum.add(number, part, of)?;
                unit = Some(if of == Unit::Time(HOUR_US) { Unit::Day } else { of });
                of.mask(part != 0.0)
            }
        };
        if new & read != 0 {
            return Err(Fault::Syntax);
        }
        read |= new;
    }
    if read == 0 {
        return Err(Fault::Syntax);
    }
    if ago { sum.negated() } else { Ok(sum) }
}

/// A number of units, or `1-2` of years and months: its whole part, its fraction, and of what.
fn number(text: &str, unit: Unit) -> Parsed<(i64, f64, Unit)> {
    let (value, rest) = whole(text)?;
    let negative = text.starts_with('-');
    if let Some(months) = rest.strip_prefix('-') {
        let (months, rest) = whole(months)?;
        if !(0..12).contains(&months) {
            return Err(Fault::Range);
        }
        if !rest.is_empty() {
            return Err(Fault::Syntax);
        }
        let months = if negative { -months } else { months };
        let total = value.checked_mul(12).and_then(|v| v.checked_add(months)).ok_or(Fault::Range)?;
        return Ok((total, 0.0, Unit::Month));
    }
    if rest.is_empty() {
        return Ok((value, 0.0, unit));
    }
    if !rest.starts_with('.') {
        return Err(Fault::Syntax);
    }
    let part = fraction(rest)?;
    Ok((value, if negative { -part } else { part }, unit))
}

/// ISO 8601: with designators (`P1Y2M3DT4H5M6S`) or as a date and a time (`P0001-02-03T04:05:06`, `P00010203T040506`).
fn iso(text: &str) -> Parsed<Sum> {
    let mut rest = text.strip_prefix('P').filter(|r| !r.is_empty()).ok_or(Fault::Syntax)?;
    let mut sum = Sum::default();
    let (mut in_time, mut designated) = (false, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (in_time, designated, rest) = (true, false, after);
            continue;
        }
        let start = rest;
        let (value, part, after) = iso_number(rest)?;
        let unit = after.chars().next();
        let width = start.trim_start_matches('-').bytes().take_while(u8::is_ascii_digit).count();
        rest = after;
        let known = match (in_time, unit) {
            (false, Some('Y')) => Unit::Years(1),
            (false, Some('M')) => Unit::Month,
            (false, Some('W')) => Unit::Week,
            (false, Some('D')) => Unit::Day,
            (true, Some('H')) => Unit::Time(HOUR_US),
            (true, Some('M')) => Unit::Time(MINUTE_US),
            (true, Some('S')) => Unit::SECOND,
            (false, None | Some('T')) if width == 8 && !designated => {
                sum.add(value / 10_000, 0.0, Unit::Years(1))?;
                sum.add(value / 100 % 100, 0.0, Unit::Month)?;
                sum.add(value % 100, part, Unit::Day)?;
                continue;
            }
            (true, None) if width == 6 && !designated => {
                sum.add(value / 10_000, 0.0, Unit::Time(HOUR_US))?;
                sum.add(value / 100 % 100, 0.0, Unit::Time(MINUTE_US))?;
                sum.add(value % 100, 0.0, Unit::SECOND)?;
                sum.add(0, part, Unit::Time(1))?;
                continue;
            }
            (false, None | Some('T' | '-')) if !designated => {
                rest = separated(&mut sum, start, '-', [Unit::Years(1), Unit::Month, Unit::Day])?;
                if !rest.is_empty() && !rest.starts_with('T') {
                    return Err(Fault::Syntax);
                }
                continue;
            }
            (true, None | Some(':')) if !designated => {
                let units = [Unit::Time(HOUR_US), Unit::Time(MINUTE_US), Unit::SECOND];
                rest = separated(&mut sum, start, ':', units)?;
                if !rest.is_empty() {
                    return Err(Fault::Syntax);
                }
                continue;
            }
            _ => return Err(Fault::Syntax),
        };
        sum.add(value, part, known)?;
        designated = true;
        rest = &rest[1..];
    }
    Ok(sum)
}

/// Up to three numbers with a separator between them; what follows them.
fn separated<'a>(sum: &mut Sum, text: &'a str, separator: char, units: [Unit; 3]) -> Parsed<&'a str> {
    let mut rest = text;
    for (n, unit) in units.into_iter().enumerate() {
        let (value, part, after) = iso_number(rest)?;
        sum.add(value, part, unit)?;
        match after.strip_prefix(separator) {
            Some(next) if n < 2 => rest = next,
            _ => return Ok(after),
        }
    }
    Ok(rest)
}

/// A number as a float has it, its whole part, its fraction, and what follows it.
fn iso_number(text: &str) -> Parsed<(i64, f64, &str)> {
    let b = text.as_bytes();
    let digits = |from: usize| from + b[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let from = usize::from(b.first() == Some(&b'-'));
    let mut end = digits(from);
    let mut any = end > from;
    if b.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        any |= after > end + 1;
        end = after;
    }
    if !any {
        return Err(Fault::Syntax);
    }
    if matches!(b.get(end), Some(b'e' | b'E')) {
        let sign = end + 1 + usize::from(matches!(b.get(end + 1), Some(b'-' | b'+')));
        let after = if sign <= b.len() { digits(sign) } else { sign };
        if after > sign {
            end = after;
        }
    }
    let value: f64 = text[..end].parse().map_err(|_| Fault::Syntax)?;
    if value.abs() > 1e15 {
        return Err(Fault::Range);
    }
    Ok((value.trunc() as i64, value - value.trunc(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::super::interval::write;
    use super::*;

    fn text(s: &str, style: IntervalStyle) -> String {
        let mut out = Vec::new();
        write(&mut out, parse(s, &Style::default(), IntervalFields::All).unwrap(), style);
        String::from_utf8(out).unwrap()
    }

    /// Input and the four outputs, recorded from PostgreSQL 15.
    #[test]
    fn as_postgresql() {
        for line in include_str!("testdata/interval.txt").lines() {
            let f: Vec<&str> = line.split('|').collect();
            assert_eq!(text(f[0], IntervalStyle::Postgres), f[1], "{line}");
            assert_eq!(text(f[0], IntervalStyle::PostgresVerbose), f[2], "{line}");
            assert_eq!(text(f[0], IntervalStyle::SqlStandard), f[3], "{line}");
            assert_eq!(text(f[0], IntervalStyle::Iso8601), f[4], "{line}");
        }
    }

    #[test]
    fn refused() {
        let code = |t: &str| parse(t, &Style::default(), IntervalFields::All).unwrap_err().code();
        for t in ["", "x", "1 foo", "1:2:3:4", "1 2 3", "ago", "P"] {
            assert_eq!(code(t), SqlState::INVALID_DATETIME_FORMAT, "{t}");
        }
        assert_eq!(code("3000000000 days"), SqlState::INTERVAL_FIELD_OVERFLOW);
        assert_eq!(code("12:99"), SqlState::INTERVAL_FIELD_OVERFLOW);
    }
}
