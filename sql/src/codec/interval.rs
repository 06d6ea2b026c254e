//! `interval`: months, days and a time, out in the four IntervalStyles and in as PostgreSQL reads it.

use std::io::Write;

use arrow::datatypes::IntervalMonthDayNano;
use sightline_storage::error::{Error, Result, SqlState};

use super::IntervalStyle;
use super::datetime::{US_PER_DAY, US_PER_SECOND, push_fraction, push_padded};

/// An interval in its parts as they are shown.
struct Parts {
    years: i32,
    months: i32,
    days: i32,
    /// Microseconds.
    time: i64,
}

impl Parts {
    fn of(v: IntervalMonthDayNano) -> Parts {
        Parts { years: v.months / 12, months: v.months % 12, days: v.days, time: v.nanoseconds / 1000 }
    }
}

/// Writes an interval.
pub fn write(out: &mut Vec<u8>, v: IntervalMonthDayNano, style: IntervalStyle) {
    let parts = Parts::of(v);
    match style {
        IntervalStyle::Postgres => write_postgres(out, &parts),
        IntervalStyle::PostgresVerbose => write_verbose(out, &parts),
        IntervalStyle::SqlStandard => write_sql(out, &parts),
        IntervalStyle::Iso8601 => write_iso(out, &parts),
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec does not fail");
}

/// `04:05:06.789` of a time that is not negative.
fn push_clock(out: &mut Vec<u8>, us: u64, hour_width: usize) {
    let second = US_PER_SECOND as u64;
    push_padded(out, us / (3600 * second), hour_width);
    out.push(b':');
    push_padded(out, us / (60 * second) % 60, 2);
    out.push(b':');
    push_padded(out, us / second % 60, 2);
    push_fraction(out, (us % second) as u32);
}

/// `1 year 2 mons -3 days +04:05:06`: a plus follows a minus, to be clear.
fn write_postgres(out: &mut Vec<u8>, p: &Parts) {
    let (mut first, mut after_minus) = (true, false);
    for (n, unit) in [(p.years, "year"), (p.months, "mon"), (p.days, "day")] {
        if n == 0 {
            continue;
        }
        let blank = if first { "" } else { " " };
        let plus = if after_minus && n > 0 { "+" } else { "" };
        push(out, format_args!("{blank}{plus}{n} {unit}{}", if n == 1 { "" } else { "s" }));
        after_minus = n < 0;
        first = false;
    }
    if first || p.time != 0 {
        let sign = if p.time < 0 { "-" } else { if after_minus { "+" } else { "" } };
        push(out, format_args!("{}{sign}", if first { "" } else { " " }));
        push_clock(out, p.time.unsigned_abs(), 2);
    }
}

/// `@ 1 year 2 mons 4 hours 5.5 secs ago`.
fn write_verbose(out: &mut Vec<u8>, p: &Parts) {
    let mut negative = None;
    out.push(b'@');
    let seconds = p.time / US_PER_SECOND;
    let units = [
        (i64::from(p.years), "year"),
        (i64::from(p.months), "mon"),
        (i64::from(p.days), "day"),
        (seconds / 3600, "hour"),
        (seconds / 60 % 60, "min"),
    ];
    for (n, unit) in units {
        if n != 0 {
            let flip = *negative.get_or_insert(n < 0);
            let n = if flip { -n } else { n };
            push(out, format_args!(" {n} {unit}{}", if n == 1 { "" } else { "s" }));
        }
    }
    let rest = p.time % (60 * US_PER_SECOND);
    if rest != 0 {
        let flip = *negative.get_or_insert(rest < 0);
        out.push(b' ');
        if (rest < 0) != flip {
            out.push(b'-');
        }
        push_seconds(out, rest.unsigned_abs());
        out.extend_from_slice(if rest.abs() == US_PER_SECOND { b" sec" } else { b" secs" });
    }
    match negative {
        None => out.extend_from_slice(b" 0"),
        Some(true) => out.extend_from_slice(b" ago"),
        Some(false) => {}
    }
}

fn push_seconds(out: &mut Vec<u8>, us: u64) {
    push_padded(out, us / US_PER_SECOND as u64, 1);
    push_fraction(out, (us % US_PER_SECOND as u64) as u32);
}

/// `1-2`, `3 4:05:06`, or with everything and signs `+1-2 +3 +4:05:06`.
fn write_sql(out: &mut Vec<u8>, p: &Parts) {
    let signs = [i64::from(p.years), i64::from(p.months), i64::from(p.days), p.time];
    let (minus, plus) = (signs.iter().any(|n| *n < 0), signs.iter().any(|n| *n > 0));
    let (year_month, day_time) = (p.years != 0 || p.months != 0, p.days != 0 || p.time != 0);
    let clock = |out: &mut Vec<u8>| push_clock(out, p.time.unsigned_abs(), 1);
    if !minus && !plus {
        out.push(b'0');
    } else if (minus && plus) || (year_month && day_time) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let (years, months) = (p.years.unsigned_abs(), p.months.unsigned_abs());
        push(out, format_args!("{}{years}-{months} ", sign(p.years < 0 || p.months < 0)));
        push(out, format_args!("{}{} {}", sign(p.days < 0), p.days.unsigned_abs(), sign(p.time < 0)));
        clock(out);
    } else {
        if minus {
            out.push(b'-');
        }
        if year_month {
            push(out, format_args!("{}-{}", p.years.unsigned_abs(), p.months.unsigned_abs()));
        } else {
            if p.days != 0 {
                push(out, format_args!("{} ", p.days.unsigned_abs()));
            }
            clock(out);
        }
    }
}

/// `P1Y2M3DT4H5M6.5S`.
fn write_iso(out: &mut Vec<u8>, p: &Parts) {
    out.push(b'P');
    let start = out.len();
    for (n, unit) in [(p.years, 'Y'), (p.months, 'M'), (p.days, 'D')] {
        if n != 0 {
            push(out, format_args!("{n}{unit}"));
        }
    }
    if p.time != 0 || out.len() == start {
        out.push(b'T');
    }
    let seconds = p.time / US_PER_SECOND;
    for (n, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
        if n != 0 {
            push(out, format_args!("{n}{unit}"));
        }
    }
    let rest = p.time % (60 * US_PER_SECOND);
    if rest != 0 || out.len() == start + usize::from(p.time == 0) {
        if rest < 0 {
            out.push(b'-');
        }
        push_seconds(out, rest.unsigned_abs());
        out.push(b'S');
    }
}

/// What a unit is worth: months, days or microseconds.
#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

fn unit(name: &str) -> Option<Unit> {
    const MINUTE: i64 = 60 * US_PER_SECOND;
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "millennium" | "millennia" | "mil" | "mils" => Unit::Months(12_000),
        "century" | "centuries" | "c" | "cent" => Unit::Months(1_200),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120),
        "year" | "years" | "y" | "yr" | "yrs" => Unit::Months(12),
        "month" | "months" | "mon" | "mons" => Unit::Months(1),
        "week" | "weeks" | "w" => Unit::Days(7),
        "day" | "days" | "d" => Unit::Days(1),
        "hour" | "hours" | "h" | "hr" | "hrs" => Unit::Micros(60 * MINUTE),
        "minute" | "minutes" | "min" | "mins" | "m" => Unit::Micros(MINUTE),
        "second" | "seconds" | "sec" | "secs" | "s" => Unit::Micros(US_PER_SECOND),
        "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" | "millisecon" => Unit::Micros(1_000),
        "microsecond" | "microseconds" | "usec" | "usecs" | "us" | "microsecon" => Unit::Micros(1),
        _ => return None,
    })
}

/// A sum of parts, wide enough that nothing is lost before the end.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

/// A number with a fraction in millionths, as one word of the text has it.
#[derive(Clone, Copy)]
struct Number {
    negative: bool,
    whole: i128,
    millionths: i128,
}

impl Number {
    fn parse(text: &str) -> Option<Number> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let padded: String = fraction.chars().chain("0000000".chars()).take(7).collect();
        let tenth_of_millionths: i128 = padded.parse().ok()?;
        Some(Number {
            negative,
            whole: if whole.is_empty() { 0 } else { whole.parse().ok()? },
            millionths: (tenth_of_millionths + 5) / 10,
        })
    }

    fn signed(self, v: i128) -> i128 {
        if self.negative { -v } else { v }
    }
}

impl Sum {
    /// Adds `n` units; fractions of a month spill into days of a 30-day month, of a day into the time.
    fn add(&mut self, n: Number, unit: Unit) {
        let part = |size: i64| (n.signed(n.whole * i128::from(size)), n.signed(n.millionths * i128::from(size)));
        match unit {
            Unit::Months(size) => {
                let (whole, millionths) = part(size);
                self.months += whole + millionths / 1_000_000;
                if size == 1 {
                    self.add_days(millionths % 1_000_000 * 30);
                }
            }
            Unit::Days(size) => {
                let (whole, millionths) = part(size);
                self.days += whole;
                self.add_days(millionths);
            }
            Unit::Micros(size) => {
                let (whole, millionths) = part(size);
                self.micros += whole + millionths / 1_000_000;
            }
        }
    }

    fn add_days(&mut self, millionths: i128) {
        self.days += millionths / 1_000_000;
        self.micros += millionths % 1_000_000 * i128::from(US_PER_DAY) / 1_000_000;
    }

    fn negate(&mut self) {
        self.months = -self.months;
        self.days = -self.days;
        self.micros = -self.micros;
    }

    fn finish(&self) -> Option<IntervalMonthDayNano> {
        let nanoseconds = i64::try_from(self.micros.checked_mul(1000)?).ok()?;
        Some(IntervalMonthDayNano::new(self.months.try_into().ok()?, self.days.try_into().ok()?, nanoseconds))
    }
}

/// Reads an interval: `1 year 2 mons 3 days 04:05:06.789`, `1.5 h ago`, `P1Y2MT3H`, `1-2`, `3 4:05`.
///
/// # Errors
/// 22007 for what is no interval, 22015 for one that is too long.
pub fn parse(text: &str) -> Result<IntervalMonthDayNano> {
    let invalid =
        || Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type interval: \"{text}\""));
    let t = text.trim();
    let sum = match t.strip_prefix('P') {
        Some(iso) => parse_iso(iso),
        None => parse_words(t),
    };
    sum.ok_or_else(invalid)?.finish().ok_or_else(|| {
        Error::new(SqlState::INTERVAL_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\""))
    })
}

fn parse_words(text: &str) -> Option<Sum> {
    let words = split_words(text);
    let mut sum = Sum::default();
    let (mut i, mut any) = (0, false);
    while i < words.len() {
        let word = words[i];
        i += 1;
        if word == "@" {
            continue;
        }
        if word.eq_ignore_ascii_case("ago") {
            if i != words.len() || !any {
                return None;
            }
            sum.negate();
            continue;
        }
        any = true;
        if word.contains(':') {
            sum.micros += parse_clock(word)?;
            continue;
        }
        if let Some(months) = parse_year_month(word) {
            sum.months += months;
            continue;
        }
        let n = Number::parse(word)?;
        match words.get(i).and_then(|w| unit(w)) {
            Some(u) => {
                i += 1;
                sum.add(n, u);
            }
            None if words.get(i).is_some_and(|w| w.contains(':')) => sum.add(n, Unit::Days(1)),
            None if i == words.len() => sum.add(n, Unit::Micros(US_PER_SECOND)),
            None => return None,
        }
    }
    any.then_some(sum)
}

/// Splits at blanks and between a number and its unit (`1h30m`).
fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for mut word in text.split_ascii_whitespace() {
        while let Some(at) = boundary(word) {
            words.push(&word[..at]);
            word = &word[at..];
        }
        words.push(word);
    }
    words
}

/// Where letters begin or end within a word.
fn boundary(word: &str) -> Option<usize> {
    let b = word.as_bytes();
    (1..b.len()).find(|i| b[*i].is_ascii_alphabetic() != b[*i - 1].is_ascii_alphabetic() && b[*i - 1] != b'@')
}

/// `[-]h:mm[:ss[.f]]`, or `mm:ss.f` if it has a fraction and one colon, in microseconds.
fn parse_clock(word: &str) -> Option<i128> {
    let (negative, rest) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let mut parts: Vec<&str> = rest.split(':').collect();
    if parts.len() == 2 && parts[1].contains('.') {
        parts.insert(0, "0");
    }
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut us = 0i128;
    for (i, part) in parts.iter().enumerate() {
        let n = Number::parse(part)?;
        if n.negative || part.starts_with('+') || (i > 0 && n.whole > 59) || (i < 2 && part.contains('.')) {
            return None;
        }
        let size = [3_600_000_000, 60_000_000, 1_000_000][i];
        us += n.whole * size + if i == 2 { n.millionths } else { 0 };
    }
    Some(if negative { -us } else { us })
}

/// `1-2`: years and months.
fn parse_year_month(word: &str) -> Option<i128> {
    let (sign, rest) = match word.as_bytes().first()? {
        b'-' => (-1, &word[1..]),
        b'+' => (1, &word[1..]),
        _ => (1, word),
    };
    let (years, months) = rest.split_once('-')?;
    let (years, months): (u32, u32) = (years.parse().ok()?, months.parse().ok()?);
    (months < 12).then_some(sign * (i128::from(years) * 12 + i128::from(months)))
}

/// What follows the `P` of ISO 8601 with designators.
fn parse_iso(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let (mut rest, mut in_time, mut any) = (text, false, false);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (rest, in_time) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let n = Number::parse(&rest[..end])?;
        let unit = match (rest.as_bytes()[end], in_time) {
            (b'Y', false) => Unit::Months(12),
            (b'M', false) => Unit::Months(1),
            (b'W', false) => Unit::Days(7),
            (b'D', false) => Unit::Days(1),
            (b'H', true) => Unit::Micros(3_600_000_000),
            (b'M', true) => Unit::Micros(60_000_000),
            (b'S', true) => Unit::Micros(1_000_000),
            _ => return None,
        };
        sum.add(n, unit);
        any = true;
        rest = &rest[end + 1..];
    }
    any.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str, style: IntervalStyle) -> String {
        let mut out = Vec::new();
        write(&mut out, parse(s).unwrap(), style);
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
        for t in ["", "x", "1 foo", "1:2:3:4", "1 2 3", "ago", "P", "12:99"] {
            assert_eq!(parse(t).unwrap_err().code(), SqlState::INVALID_DATETIME_FORMAT, "{t}");
        }
        assert_eq!(parse("3000000000 days").unwrap_err().code(), SqlState::INTERVAL_FIELD_OVERFLOW);
    }
}
