//! Zones in POSIX's notation, `EST5EDT` or `<+02>-02`
//! (<https://www.postgresql.org/docs/15/datetime-posix-timezone-specs.html>): a name, the hours west of Greenwich, and
//! perhaps the name of daylight-saving time and its rules, by default those of the USA since 2007.

use super::{US_PER_DAY, US_PER_SECOND};
use crate::time::civil::{civil_from_days, days_from_civil, days_in_month, is_leap};

const HOUR: i32 = 3600;

/// The name of a zone, short enough to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    bytes: [u8; 16],
    length: u8,
}

impl Name {
    fn new(name: &str) -> Option<Name> {
        let mut bytes = [0; 16];
        let length = u8::try_from(name.len()).ok()?;
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Name { bytes, length })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

/// A day of the year and the second of that day, by the clock before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    day: Day,
    second: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Mm.w.d`: the `w`th weekday `d` of the month, 5 being the last; Sunday is 0.
    Weekday(u32, i64, i64),
    /// `Jn`: from 1 to 365, 29 February not counted.
    Julian(i64),
    /// `n`: from 0.
    Ordinal(i64),
}

/// From 2:00 on the second Sunday of March to 2:00 on the first Sunday of November.
const OF_THE_USA: (Rule, Rule) =
    (Rule { day: Day::Weekday(3, 2, 0), second: 2 * HOUR }, Rule { day: Day::Weekday(11, 1, 0), second: 2 * HOUR });

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (day, second) = match text.split_once('/') {
            Some((day, time)) => (day, offset(time).filter(|(_, rest)| rest.is_empty())?.0),
            None => (text, 2 * HOUR),
        };
        let day = if let Some(parts) = day.strip_prefix('M') {
            let mut numbers = parts.split('.').map(|n| n.parse::<u32>().ok());
            let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
            let valid =
                (1..=12).contains(&month) && (1..=5).contains(&week) && weekday <= 6 && numbers.next().is_none();
            valid.then_some(Day::Weekday(month, week.into(), weekday.into()))?
        } else if let Some(n) = day.strip_prefix('J') {
            Day::Julian(n.parse().ok().filter(|n| (1..=365).contains(n))?)
        } else {
            Day::Ordinal(day.parse().ok().filter(|n| (0..=365).contains(n))?)
        };
        Some(Rule { day, second })
    }

    /// Microseconds since 1970 by a clock that is so many seconds east.
    fn moment(&self, year: i64, offset: i32) -> i64 {
        let day = match self.day {
            Day::Weekday(month, week, weekday) => {
                let first = days_from_civil(year, month, 1);
                // 1 January 1970 was a Thursday.
                let mut day = first + (weekday - 4 - first).rem_euclid(7) + 7 * (week - 1);
                if day >= first + i64::from(days_in_month(year, month)) {
                    day -= 7;
                }
                day
            }
            Day::Julian(n) => days_from_civil(year, 1, 1) + n - 1 + i64::from(n >= 60 && is_leap(year)),
            Day::Ordinal(n) => days_from_civil(year, 1, 1) + n,
        };
        day * US_PER_DAY + i64::from(self.second - offset) * US_PER_SECOND
    }
}

/// A zone of this kind. Offsets are seconds east of Greenwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posix {
    standard: (Name, i32),
    summer: Option<(Name, i32)>,
    /// When summer begins and ends.
    rules: (Rule, Rule),
}

impl Posix {
    /// Reads one; the name may be missing, as PostgreSQL allows.
    pub(super) fn parse(text: &str) -> Option<Posix> {
        let upper = text.to_ascii_uppercase();
        let (standard, rest) = name(&upper)?;
        let (offset, rest) = offset(rest)?;
        if rest.is_empty() {
            return Some(Posix { standard: (standard, -offset), summer: None, rules: OF_THE_USA });
        }
        let (summer, rest) = name(rest)?;
        let own = !rest.is_empty() && !rest.starts_with(',');
        let (summer_offset, rest) = if own { self::offset(rest)? } else { (offset - HOUR, rest) };
        let rules = match rest.strip_prefix(',') {
            Some(rules) => {
                let (begin, end) = rules.split_once(',')?;
                (Rule::parse(begin)?, Rule::parse(end)?)
            }
            None if rest.is_empty() => OF_THE_USA,
            None => return None,
        };
        (summer.length > 0).then_some(Posix {
            standard: (standard, -offset),
            summer: Some((summer, -summer_offset)),
            rules,
        })
    }

    pub(super) fn constant_offset(&self) -> Option<i32> {
        self.summer.is_none().then_some(self.standard.1)
    }

    /// Seconds east of Greenwich and the name at a moment, microseconds since 1970.
    pub(super) fn at(&self, utc_us: i64) -> (i32, &str) {
        let (name, offset) = match &self.summer {
            Some(summer) if self.is_summer(utc_us, summer.1) => summer,
            _ => &self.standard,
        };
        (*offset, name.as_str())
    }

    fn is_summer(&self, utc_us: i64, summer_offset: i32) -> bool {
        let local_us = utc_us.saturating_add(i64::from(self.standard.1) * US_PER_SECOND);
        let (year, _, _) = civil_from_days(local_us.div_euclid(US_PER_DAY));
        let begin = self.rules.0.moment(year, self.standard.1);
        let end = self.rules.1.moment(year, summer_offset);
        // In the south the year begins in summer.
        if begin < end { (begin..end).contains(&utc_us) } else { !(end..begin).contains(&utc_us) }
    }
}

/// A name in front of a text: letters, or anything in angle brackets.
fn name(text: &str) -> Option<(Name, &str)> {
    let (name, rest) = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?,
        None => text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())),
    };
    Some((Name::new(name)?, rest))
}

/// `5`, `+5:30`, `-05:30:15` in front of a text, in seconds.
fn offset(text: &str) -> Option<(i32, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    let mut seconds = 0;
    let mut parts = number.split(':');
    for (size, most) in [(HOUR, 167), (60, 59), (1, 60)] {
        let Some(part) = parts.next() else { break };
        let value: i32 = part.parse().ok().filter(|v| *v <= most)?;
        seconds += value * size;
    }
    parts.next().is_none().then_some((sign * seconds, rest))
}
