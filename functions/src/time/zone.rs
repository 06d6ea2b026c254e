//! Time zones: an IANA name, a fixed offset or one of PostgreSQL's abbreviations.
//!
//! Moments and local times are microseconds since 1970; the two ends of their range are PostgreSQL's infinities, which are
//! the same everywhere.

use std::borrow::Cow;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};
use datafusion_common::Result;

use crate::error::refuse;

const US_PER_SECOND: i64 = 1_000_000;
const US_PER_DAY: i64 = 86_400 * US_PER_SECOND;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(Tz),
}

/// The abbreviations that appear in data; seconds east. PostgreSQL's `Default` set has more.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("z", 0),
    ("zulu", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("bst", 3_600),
    ("west", 3_600),
    ("cet", 3_600),
    ("met", 3_600),
    ("cest", 7_200),
    ("eet", 7_200),
    ("eest", 10_800),
    ("msk", 10_800),
    ("sast", 7_200),
    ("jst", 32_400),
    ("kst", 32_400),
    ("hkt", 28_800),
    ("est", -18_000),
    ("edt", -14_400),
    ("cst", -21_600),
    ("cdt", -18_000),
    ("mst", -25_200),
    ("mdt", -21_600),
    ("pst", -28_800),
    ("pdt", -25_200),
    ("akst", -32_400),
    ("akdt", -28_800),
    ("hst", -36_000),
];

impl Zone {
    /// Greenwich.
    pub const UTC: Zone = Zone::Fixed(0);

    /// A zone as `SET TIME ZONE` takes it: hours east of Greenwich as a bare number (`-7`, `5.5`), an IANA name in any
    /// case, or POSIX (`<+02>-02`, `UTC+3`, whose sign is that of the west).
    pub fn of_setting(name: &str) -> Option<Zone> {
        let name = name.trim();
        if let Ok(hours) = name.parse::<f64>() {
            return (hours.abs() <= 168.0).then_some(Zone::Fixed((hours * 3600.0) as i32));
        }
        Zone::iana(name).or_else(|| posix(name))
    }

    /// A zone as a timestamp literal names it: an abbreviation or an IANA name.
    pub fn of_literal(name: &str) -> Option<Zone> {
        Zone::abbreviation(name).or_else(|| Zone::iana(name))
    }

    /// A zone as AT TIME ZONE takes it: as a literal does, or POSIX, of which the name may be missing.
    ///
    /// # Errors
    /// 22023 if there is none.
    pub(crate) fn of_operator(name: &str) -> Result<Zone> {
        let trimmed = name.trim();
        match Zone::of_literal(trimmed).or_else(|| posix(trimmed)) {
            Some(zone) => Ok(zone),
            None => refuse("22023", format!("time zone \"{name}\" not recognized")),
        }
    }

    fn iana(name: &str) -> Option<Zone> {
        if let Ok(tz) = name.parse::<Tz>() {
            return Some(Zone::Named(tz));
        }
        chrono_tz::TZ_VARIANTS.iter().find(|t| t.name().eq_ignore_ascii_case(name)).map(|t| Zone::Named(*t))
    }

    fn abbreviation(name: &str) -> Option<Zone> {
        ABBREVIATIONS.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, s)| Zone::Fixed(*s))
    }

    /// Seconds east of Greenwich at a moment, in microseconds since 1970.
    pub fn offset_at(self, utc_us: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => tz.offset_from_utc_datetime(&naive(utc_us)).fix().local_minus_utc(),
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

    /// What the zone is called at a moment, e.g. `CEST`; an offset such as `-03` where it has no name.
    pub fn abbreviation_at(self, utc_us: i64) -> Cow<'static, str> {
        let seconds = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => {
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

    /// The moment of a local time, or none if it leaves the range. As in PostgreSQL, a time that a change of clocks
    /// skipped or doubled is read in standard time.
    pub fn to_utc(self, local_us: i64) -> Option<i64> {
        if is_infinite(local_us) {
            return Some(local_us);
        }
        let seconds = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => match tz.offset_from_local_datetime(&naive(local_us)) {
                MappedLocalTime::Single(offset) => offset.fix().local_minus_utc(),
                MappedLocalTime::Ambiguous(_, later) => later.fix().local_minus_utc(),
                MappedLocalTime::None => self.offset_at(local_us.saturating_sub(US_PER_DAY)),
            },
        };
        local_us.checked_sub(i64::from(seconds) * US_PER_SECOND)
    }
}

fn out_of_range<T>() -> Result<T> {
    refuse("22008", "timestamp out of range")
}

/// True for `infinity` and `-infinity`.
pub(crate) fn is_infinite(us: i64) -> bool {
    us == i64::MIN || us == i64::MAX
}

/// chrono's form of a moment; beyond its range the nearest it has, which only chooses an offset.
fn naive(us: i64) -> NaiveDateTime {
    let seconds = us.div_euclid(US_PER_SECOND).clamp(-8_000_000_000_000, 8_000_000_000_000);
    DateTime::from_timestamp(seconds, 0).expect("clamped into chrono's range").naive_utc()
}

/// `<+02>-02`, `UTC+3`, `EST5`, `+3`: a name, which may be missing, and the hours west.
fn posix(name: &str) -> Option<Zone> {
    let rest = match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => name.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let seconds = parse_offset(rest).or_else(|| parse_offset(&format!("+{rest}")))?;
    Some(Zone::Fixed(-seconds))
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
