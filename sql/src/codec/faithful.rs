//! Whether a text comes back as it was once it is read as a value of a type: by this the types of a file's columns are chosen,
//! and the values further down are held to it, since a reader takes much more than it gives back. `+86` and `007` are
//! numbers of telephones and codes, `1.10` beside `1.9` is a version, `01/02/2024` a day in January or in February.

use sightline_storage::types::SqlType;

/// Digits that `double precision` keeps whatever they are …
const DIGITS_SAFE: usize = 15;
/// … and those that it can keep.
const DIGITS_MAX: usize = 17;
/// Beyond so many places before or behind the point …
const PLACES_MAX: usize = 25;
/// … or with an exponent beyond this a number may be out of the range of `double precision`.
const EXPONENT_MAX: i32 = 280;

/// A text that is a number, and would not lose a sign or a zero in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// It has neither point nor exponent, and is not `-0`.
    pub whole: bool,
    /// Digits without zeros in front and behind.
    digits: usize,
    /// Digits behind the point, unless there is an exponent.
    fraction: usize,
    /// Two or more of them end in a zero. (`1.0` is how programs write the float 1.)
    padded: bool,
    /// It has many places.
    wide: bool,
}

impl Number {
    /// The number that a text is.
    pub fn of(text: &str) -> Option<Number> {
        let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let (mut point, mut exponent, mut first, mut last) = (None, None, None, 0);
        for (n, byte) in unsigned.iter().enumerate() {
            match byte {
                b'0' => {}
                b'1'..=b'9' => (first, last) = (first.or(Some(n)), n),
                b'.' if point.is_none() => point = Some(n),
                b'e' | b'E' => {
                    exponent = Some(n);
                    break;
                }
                _ => return None,
            }
        }
        let end = exponent.unwrap_or(unsigned.len());
        let (before, behind) = (point.unwrap_or(end), point.map_or(0, |p| end - p - 1));
        let loses = before > 1 && unsigned[0] == b'0';
        if before + behind == 0 || loses || !exponent.is_none_or(|n| is_exponent(&unsigned[n + 1..])) {
            return None;
        }
        let within = |first: usize| point.is_some_and(|p| (first..last).contains(&p));
        let digits = first.map_or(0, |first| last - first + 1 - usize::from(within(first)));
        let minus_zero = first.is_none() && unsigned.len() < text.len();
        Some(Number {
            whole: point.is_none() && exponent.is_none() && !minus_zero,
            digits,
            fraction: if exponent.is_none() { behind } else { 0 },
            padded: exponent.is_none() && behind > 1 && unsigned[end - 1] == b'0',
            wide: before > PLACES_MAX || behind > PLACES_MAX,
        })
    }

    /// Whether `double precision` has all its digits.
    pub fn fits_double(self, text: &str) -> bool {
        if self.wide || self.digits > DIGITS_MAX {
            return false;
        }
        self.digits <= DIGITS_SAFE
            || text.parse::<f64>().is_ok_and(|value| {
                let mut buffer = zmij::Buffer::new();
                significant(buffer.format(value)).take(DIGITS_MAX + 1).eq(significant(text).take(self.digits))
            })
    }
}

/// Whether this stands behind an `e`.
fn is_exponent(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let value = digits
        .iter()
        .try_fold(0_i32, |v, b| b.is_ascii_digit().then(|| v.saturating_mul(10).saturating_add(i32::from(b - b'0'))));
    !digits.is_empty() && value.is_some_and(|v| v <= EXPONENT_MAX)
}

/// The digits of a number from the first that is no zero, without those zeros behind that say nothing.
fn significant(text: &str) -> impl Iterator<Item = u8> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default().as_bytes();
    let some = mantissa.iter().rposition(|b| matches!(b, b'1'..=b'9')).map_or(0, |last| last + 1);
    mantissa[..some].iter().copied().filter(u8::is_ascii_digit).skip_while(|b| *b == b'0')
}

/// How long the fractions of a column's numbers are. Where one ends in a zero all must be as long, or the zero means
/// something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fractions {
    least: usize,
    most: usize,
    padded: bool,
}

impl Default for Fractions {
    fn default() -> Fractions {
        Fractions { least: usize::MAX, most: 0, padded: false }
    }
}

impl Fractions {
    /// Takes a number into account.
    pub fn add(&mut self, number: Number) {
        if number.fraction > 0 {
            *self = self.with(Fractions { least: number.fraction, most: number.fraction, padded: number.padded });
        }
    }

    /// Those of both.
    #[must_use]
    pub fn with(self, other: Fractions) -> Fractions {
        Fractions {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            padded: self.padded || other.padded,
        }
    }

    /// Whether no zero at an end means anything.
    pub fn are_even(self) -> bool {
        !self.padded || self.least == self.most
    }
}

/// What a text looks like, of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Date(Form),
    /// Eight digits that may be a day.
    Digits,
    Time,
    Timestamp(Form),
    TimestampTz(Form),
    Other,
}

/// Which part of a date is the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The year is in front, or day and month are the same.
    Plain,
    /// It cannot be told: `01/02/2024`.
    Open,
    /// It is told by the other, which is more than 12.
    Settled,
}

impl Shape {
    /// What a text looks like; PostgreSQL's readers of dates take much that no file means as a date.
    pub fn of(text: &str) -> Shape {
        let bytes = text.as_bytes();
        if bytes.len() == 8 && bytes.iter().all(u8::is_ascii_digit) {
            return if matches!(bytes[..2], [b'1', b'9'] | [b'2', b'0']) { Shape::Digits } else { Shape::Other };
        }
        // Nearly all dates and timestamps of files, without a look at each part.
        if let Some((day, rest)) = bytes.split_at_checked(10)
            && matches(day, b"0000-00-00")
        {
            if rest.is_empty() {
                return Shape::Date(Form::Plain);
            }
            if rest.len() == 9 && matches!(rest[0], b' ' | b'T') && matches(&rest[1..], b"00:00:00") {
                return Shape::Timestamp(Form::Plain);
            }
        }
        if let Some(form) = date(text) {
            return Shape::Date(form);
        }
        if is_time(text) {
            return Shape::Time;
        }
        let Some((day, time)) = text.split_once([' ', 'T']) else { return Shape::Other };
        let Some(form) = date(day) else { return Shape::Other };
        if is_time(time) {
            return Shape::Timestamp(form);
        }
        let zone = time.strip_suffix('Z').or_else(|| {
            let at = time.rfind(['+', '-'])?;
            let zone = &time[at + 1..];
            (!zone.is_empty() && zone.len() <= 5 && zone.bytes().all(|b| b.is_ascii_digit() || b == b':'))
                .then(|| &time[..at])
        });
        if zone.is_some_and(|time| is_time(time.trim_end())) { Shape::TimestampTz(form) } else { Shape::Other }
    }
}

/// Whether a text has a digit wherever the pattern has a zero, and the pattern's signs elsewhere.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.iter().zip(pattern).all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b == p })
}

fn date(text: &str) -> Option<Form> {
    let separator = text.bytes().find(|b| !b.is_ascii_digit()).filter(|b| matches!(b, b'-' | b'/' | b'.'))?;
    let mut parts = text.split(char::from(separator));
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |part: &str, least: usize, most: usize| {
        (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    if parts.next().is_some() || !number(b, 1, 2) {
        return None;
    }
    if number(a, 4, 4) && number(c, 1, 2) {
        return Some(Form::Plain);
    }
    if !number(a, 1, 2) || !number(c, 4, 4) {
        return None;
    }
    let (a, b) = (a.parse::<u8>().ok()?, b.parse::<u8>().ok()?);
    let settled = if a > 12 || b > 12 { Form::Settled } else { Form::Open };
    Some(if a == b { Form::Plain } else { settled })
}

/// A time of day, with no more of a second than a microsecond.
fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let parts = clock.split(':').count();
    let fits = |f: &str| {
        parts == 3 && !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()) && f.trim_end_matches('0').len() <= 6
    };
    (2..=3).contains(&parts) && clock.split(':').all(number) && fraction.is_none_or(fits)
}

/// What the further values of a column must be like, whose type was found out from some.
#[derive(Clone, Debug, PartialEq)]
pub struct Faithful {
    pub ty: SqlType,
    /// One of the dates told which part the month is.
    pub settled: bool,
    /// Eight digits are a day.
    pub days: bool,
}

impl Faithful {
    /// Whether a text, which the type's reader took, is what the type gives back but for the way it is written.
    pub fn keeps(&self, text: &str) -> bool {
        let text = match text.as_bytes() {
            [first, .., last] if first.is_ascii_whitespace() || last.is_ascii_whitespace() => text.trim(),
            _ => text,
        };
        let day = |form: Form| form != Form::Open || self.settled;
        match &self.ty {
            SqlType::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
            SqlType::BigInt => matches!(text.as_bytes(), [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..]),
            SqlType::Double => match Number::of(text) {
                // Zeros at the end may differ further down: prices are written so, and the number is the same.
                Some(number) => number.fits_double(text),
                None => is_special(text),
            },
            SqlType::Numeric(_) => Number::of(text).is_some() || is_special(text),
            SqlType::Date => match Shape::of(text) {
                Shape::Date(form) => day(form),
                Shape::Digits => self.days,
                _ => false,
            },
            SqlType::Timestamp => match Shape::of(text) {
                Shape::Date(form) | Shape::Timestamp(form) => day(form),
                Shape::Digits => self.days,
                _ => false,
            },
            SqlType::TimestampTz => matches!(Shape::of(text), Shape::TimestampTz(form) if day(form)),
            SqlType::Time => Shape::of(text) == Shape::Time,
            SqlType::Uuid => text.len() == 36,
            _ => true,
        }
    }
}

/// What is no number of digits, and comes back as it was.
fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_that_keep_all_digits() {
        for (text, fits) in [
            ("1.5", true),
            ("-0", true),
            ("0.30000000000000004", true),
            ("1234567890.1234567", true),
            ("9007199254740993", false),
            ("1234567890.12345678", false),
            ("123456789012345678901", false),
            ("1000000000000000000000", true),
            ("1.5e-10", true),
            ("0.1000000000000000055511151231257827", false),
        ] {
            assert_eq!(Number::of(text).unwrap().fits_double(text), fits, "{text}");
        }
        for text in ["", "-", "+1", "007", "00.5", "1e", "1e400", "1.2.3", "0x10", "1 ", "."] {
            assert_eq!(Number::of(text), None, "{text}");
        }
    }

    #[test]
    fn shapes_of_times() {
        for (text, shape) in [
            ("2024-01-31", Shape::Date(Form::Plain)),
            ("2024/1/31", Shape::Date(Form::Plain)),
            ("01/02/2024", Shape::Date(Form::Open)),
            ("3.3.2024", Shape::Date(Form::Plain)),
            ("31.01.2024", Shape::Date(Form::Settled)),
            ("20240131", Shape::Digits),
            ("2024-01-31 10:00:00", Shape::Timestamp(Form::Plain)),
            ("2024-01-31T10:00:00.123456000", Shape::Timestamp(Form::Plain)),
            ("2024-01-31 10:00:00.1234567", Shape::Other),
            ("2024-01-31 10:00:00+08", Shape::TimestampTz(Form::Plain)),
            ("1/2/2024 10:00", Shape::Timestamp(Form::Open)),
            ("10:00", Shape::Time),
            ("2024-01-3x", Shape::Other),
            ("now", Shape::Other),
        ] {
            assert_eq!(Shape::of(text), shape, "{text}");
        }
    }
}
