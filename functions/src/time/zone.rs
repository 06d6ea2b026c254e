//! Time zones: an IANA name, a fixed offset, POSIX's notation or one of PostgreSQL's abbreviations.
//!
//! Moments and local times are microseconds since 1970; the two ends of their range are PostgreSQL's infinities, which are
//! the same everywhere.

pub mod abbreviations;
mod posix;

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};
use datafusion_common::Result;

use self::abbreviations::Abbreviation;
pub use self::posix::Posix;
use super::civil::{civil_from_days, days_from_civil, is_leap};
use crate::error::refuse;

const US_PER_SECOND: i64 = 1_000_000;
const US_PER_DAY: i64 = 86_400 * US_PER_SECOND;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(Tz),
    Posix(Posix),
    /// What the zone means by the abbreviation, in lower case, at the time in question.
    Abbreviated(Tz, &'static str),
}

/// From here on rules are those of an earlier year with the same calendar: the tables of `chrono-tz` end in 2099.
const TABLES_END: i64 = 3_786_912_000;
/// What the zones that are called after both their clocks kept before their cities' own rules ended: standard time,
/// except in the wars (<https://data.iana.org/time-zones/tzdb/NEWS>, 2024b, which Debian does not follow).
const WARS: [std::ops::Range<i64>; 2] = [-1_633_280_400..-1_577_923_200, -880_236_000..-765_385_200];
const RULES_OF_1967: i64 = -94_694_400;

impl Zone {
    /// Greenwich.
    pub const UTC: Zone = Zone::Named(Tz::UTC);

    /// A zone as `SET TIME ZONE` takes it: hours east of Greenwich as a bare number (`-7`, `5.5`), an IANA name in any
    /// case, or POSIX (`<+02>-02`, `UTC+3`, whose sign is that of the west).
    pub fn of_setting(name: &str) -> Option<Zone> {
        let name = name.trim();
        if let Ok(hours) = name.parse::<f64>() {
            return (hours.abs() <= 168.0).then_some(Zone::Fixed((hours * 3600.0) as i32));
        }
        Zone::named(name)
    }

    /// A zone as a timestamp literal names it: an abbreviation or a full name.
    pub fn of_literal(name: &str) -> Option<Zone> {
        Zone::abbreviation(name).or_else(|| Zone::named(name))
    }

    /// A zone as AT TIME ZONE takes it: as a literal does.
    ///
    /// # Errors
    /// 22023 if there is none.
    pub fn of_operator(name: &str) -> Result<Zone> {
        match Zone::of_literal(name) {
            Some(zone) => Ok(zone),
            None => refuse("22023", format!("time zone \"{name}\" not recognized")),
        }
    }

    /// An IANA name or POSIX's notation.
    pub fn named(name: &str) -> Option<Zone> {
        Zone::iana(name).or_else(|| Posix::parse(name).map(Zone::Posix))
    }

    fn iana(name: &str) -> Option<Zone> {
        if let Ok(tz) = name.parse::<Tz>() {
            return Some(Zone::Named(tz));
        }
        chrono_tz::TZ_VARIANTS.iter().find(|t| t.name().eq_ignore_ascii_case(name)).map(|t| Zone::Named(*t))
    }

    /// A zone by its abbreviation, in any case.
    pub fn abbreviation(name: &str) -> Option<Zone> {
        let (name, found) = Abbreviation::find(name)?;
        match found {
            Abbreviation::Fixed(seconds, _) => Some(Zone::Fixed(seconds)),
            dynamic @ Abbreviation::Dynamic(_) => dynamic.zone().map(|zone| Zone::Abbreviated(zone, name)),
        }
    }

    /// Seconds east of Greenwich at a moment, in microseconds since 1970.
    pub fn offset_at(self, utc_us: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(Tz::UTC) => 0,
            Zone::Named(tz) => match always_standard(tz, utc_us) {
                Some((seconds, _)) => seconds,
                None => tz.offset_from_utc_datetime(&naive(utc_us)).fix().local_minus_utc(),
            },
            Zone::Posix(posix) => posix.at(utc_us).0,
            Zone::Abbreviated(tz, name) => meant(tz, name, utc_us),
        }
    }

    /// What the zone is called at a moment, e.g. `CEST`; an offset such as `-03` where it has no name.
    pub fn abbreviation_at(self, utc_us: i64) -> Cow<'static, str> {
        let seconds = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Posix(posix) => return Cow::Owned(posix.at(utc_us).1.to_string()),
            Zone::Named(tz) | Zone::Abbreviated(tz, _) => {
                if let Some((_, name)) = always_standard(tz, utc_us) {
                    return Cow::Borrowed(name);
                }
                let offset = tz.offset_from_utc_datetime(&naive(utc_us));
                if let Some(name) = offset.abbreviation() {
                    return Cow::Owned(name.to_string());
                }
                offset.fix().local_minus_utc()
            }
        };
        let (sign, s) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
        match (s / 60 % 60, s % 60) {
            (0, 0) => format!("{sign}{:02}", s / 3600),
            (minutes, 0) => format!("{sign}{:02}:{minutes:02}", s / 3600),
            (minutes, seconds) => format!("{sign}{:02}:{minutes:02}:{seconds:02}", s / 3600),
        }
        .into()
    }

    /// The offset of a zone that has only ever had one.
    pub fn constant_offset(self) -> Option<i32> {
        match self {
            Zone::Fixed(seconds) => Some(seconds),
            Zone::Named(tz) => matches!(tz, Tz::UTC | Tz::GMT | Tz::Etc__UTC | Tz::Etc__GMT | Tz::Zulu | Tz::UCT)
                .then_some(0)
                .or_else(|| tz.name().starts_with("Etc/").then(|| self.offset_at(0))),
            Zone::Posix(posix) => posix.constant_offset(),
            Zone::Abbreviated(..) => None,
        }
    }

    /// The local time of a moment, or none if it leaves the range.
    pub fn to_local(self, utc_us: i64) -> Option<i64> {
        if is_infinite(utc_us) {
            return Some(utc_us);
        }
        utc_us.checked_add(i64::from(self.offset_at(utc_us)) * US_PER_SECOND)
    }

    /// As [`to_local`](Zone::to_local).
    ///
    /// # Errors
    /// 22008 beyond the range.
    pub(crate) fn local(self, utc_us: i64) -> Result<i64> {
        self.to_local(utc_us).map_or_else(out_of_range, Ok)
    }

    /// As [`to_utc`](Zone::to_utc).
    ///
    /// # Errors
    /// 22008 beyond the range.
    pub(crate) fn moment(self, local_us: i64) -> Result<i64> {
        self.to_utc(local_us).map_or_else(out_of_range, Ok)
    }

    /// The moment of a local time, or none if it leaves the range. As in PostgreSQL, a time that a change of clocks
    /// skipped or doubled is read in standard time.
    pub fn to_utc(self, local_us: i64) -> Option<i64> {
        if is_infinite(local_us) {
            return Some(local_us);
        }
        let at = |seconds: i32| local_us.checked_sub(i64::from(seconds) * US_PER_SECOND);
        let before = match self {
            Zone::Fixed(seconds) => return at(seconds),
            Zone::Named(Tz::UTC) => return Some(local_us),
            Zone::Abbreviated(tz, name) => {
                // The offset of the abbreviation at about that time.
                return at(meant(tz, name, Zone::Named(tz).to_utc(local_us)?));
            }
            zone => zone.offset_at(local_us.saturating_sub(US_PER_DAY)),
        };
        let after = self.offset_at(local_us.saturating_add(US_PER_DAY));
        if before == after {
            return at(before);
        }
        // Skipped or doubled times are standard time: of a skipped one that before the change, of a doubled one that after.
        match (at(before), at(after)) {
            (_, Some(later)) if self.offset_at(later) == after => Some(later),
            (earlier, _) => earlier,
        }
    }
}

/// Standard time and its name, in the years in which these zones had no other.
fn always_standard(tz: Tz, utc_us: i64) -> Option<(i32, &'static str)> {
    let standard = match tz {
        Tz::EST5EDT => (-5 * 3600, "EST"),
        Tz::CST6CDT => (-6 * 3600, "CST"),
        Tz::MST7MDT => (-7 * 3600, "MST"),
        Tz::PST8PDT => (-8 * 3600, "PST"),
        _ => return None,
    };
    let second = utc_us.div_euclid(US_PER_SECOND);
    let other = second >= RULES_OF_1967 || WARS.iter().any(|war| war.contains(&second));
    (!other).then_some(standard)
}

/// The offset that a zone's abbreviation stands for: as it was used at the moment, or last before, or first after; if it
/// never was, the zone's own.
fn meant(tz: Tz, abbreviation: &str, utc_us: i64) -> i32 {
    const STEP_US: i64 = 30 * US_PER_DAY;
    /// Fifty years.
    const STEPS: i64 = 600;
    let probe = |us: i64| {
        let offset = tz.offset_from_utc_datetime(&naive(us));
        let same = offset.abbreviation().is_some_and(|name| name.eq_ignore_ascii_case(abbreviation));
        same.then(|| offset.fix().local_minus_utc())
    };
    (0..STEPS)
        .map(|n| -n)
        .chain(1..STEPS)
        .find_map(|n| probe(utc_us.saturating_add(n * STEP_US)))
        .unwrap_or_else(|| Zone::Named(tz).offset_at(utc_us))
}

fn out_of_range<T>() -> Result<T> {
    refuse("22008", "timestamp out of range")
}

/// True for `infinity` and `-infinity`.
pub(crate) fn is_infinite(us: i64) -> bool {
    us == i64::MIN || us == i64::MAX
}

/// chrono's form of a moment; far in the future one in a year with the same calendar, and beyond chrono's range the
/// nearest it has: it only chooses an offset.
fn naive(us: i64) -> NaiveDateTime {
    let mut seconds = us.div_euclid(US_PER_SECOND).clamp(-8_000_000_000_000, 8_000_000_000_000);
    if seconds >= TABLES_END {
        let (year, _, _) = civil_from_days(seconds.div_euclid(86_400));
        let new_year = days_from_civil(year, 1, 1);
        let alike = |y: &i64| is_leap(*y) == is_leap(year) && (days_from_civil(*y, 1, 1) - new_year) % 7 == 0;
        if let Some(earlier) = (2050..2078).find(alike) {
            seconds += (days_from_civil(earlier, 1, 1) - new_year) * 86_400;
        }
    }
    DateTime::from_timestamp(seconds, 0).expect("clamped into chrono's range").naive_utc()
}

/// `+02`, `-0730`, `+05:30:15` as seconds; none if it is no offset or more than PostgreSQL's ±15:59:59.
pub fn parse_offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let number = |s: &str| -> Option<i32> {
        (!s.is_empty() && s.len() <= 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok()).flatten()
    };
    let mut parts = digits.split(':');
    let first = parts.next()?;
    let (hours, mut minutes) = match first.len() {
        1 | 2 => (number(first)?, 0),
        3 | 4 if first.is_ascii() => {
            let (h, m) = first.split_at(first.len() - 2);
            (number(h)?, number(m)?)
        }
        _ => return None,
    };
    let mut seconds = 0;
    if let Some(m) = parts.next() {
        minutes = number(m)?;
    }
    if let Some(s) = parts.next() {
        seconds = number(s)?;
    }
    if parts.next().is_some() || hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(sign * (hours * 3600 + minutes * 60 + seconds))
}
