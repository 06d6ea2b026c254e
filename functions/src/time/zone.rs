//! Time zones by name, abbreviation or offset.

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone, Utc};
use chrono_tz::{OffsetName, Tz};
use datafusion_common::Result;

use crate::error::refuse;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Named(Tz),
    /// Seconds east of UTC.
    Fixed(i32),
}

const US_PER_SECOND: i64 = 1_000_000;

impl Zone {
    /// A zone by what it is called, as in `AT TIME ZONE`.
    ///
    /// # Errors
    /// 22023 if there is none.
    pub(crate) fn parse(name: &str) -> Result<Zone> {
        let trimmed = name.trim();
        if let Ok(tz) = trimmed.parse::<Tz>() {
            return Ok(Zone::Named(tz));
        }
        if let Some(tz) = chrono_tz::TZ_VARIANTS.iter().find(|t| t.name().eq_ignore_ascii_case(trimmed)) {
            return Ok(Zone::Named(*tz));
        }
        if trimmed.eq_ignore_ascii_case("z") {
            return Ok(Zone::Fixed(0));
        }
        match offset(trimmed) {
            Some(seconds) => Ok(Zone::Fixed(seconds)),
            None => refuse("22023", format!("time zone \"{name}\" not recognized")),
        }
    }

    /// Seconds east of UTC at a moment.
    pub(crate) fn offset_at(self, utc_us: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => match Utc.timestamp_micros(utc_us) {
                MappedLocalTime::Single(t) => tz.offset_from_utc_datetime(&t.naive_utc()).fix().local_minus_utc(),
                MappedLocalTime::Ambiguous(..) | MappedLocalTime::None => 0,
            },
        }
    }

    /// What the zone is called at a moment, e.g. `CEST`; empty for an offset.
    pub(crate) fn abbreviation_at(self, utc_us: i64) -> String {
        match self {
            Zone::Fixed(_) => String::new(),
            Zone::Named(tz) => match Utc.timestamp_micros(utc_us) {
                MappedLocalTime::Single(t) => {
                    tz.offset_from_utc_datetime(&t.naive_utc()).abbreviation().unwrap_or_default().to_string()
                }
                MappedLocalTime::Ambiguous(..) | MappedLocalTime::None => String::new(),
            },
        }
    }

    /// The moment of a local time. In the hour that comes twice it is the later one, standard time; in the hour that
    /// does not come, the clock has not been moved yet, as PostgreSQL has it.
    pub(crate) fn to_utc(self, local_us: i64) -> i64 {
        match self {
            Zone::Fixed(seconds) => local_us - i64::from(seconds) * US_PER_SECOND,
            Zone::Named(tz) => {
                let local = DateTime::UNIX_EPOCH.naive_utc() + chrono::Duration::microseconds(local_us);
                let offset = match tz.offset_from_local_datetime(&local) {
                    MappedLocalTime::Single(o) => o.fix().local_minus_utc(),
                    MappedLocalTime::Ambiguous(_, later) => later.fix().local_minus_utc(),
                    MappedLocalTime::None => self.offset_at(local_us - 86_400 * US_PER_SECOND),
                };
                local_us - i64::from(offset) * US_PER_SECOND
            }
        }
    }
}

/// `+02`, `-03:30`, `+0530` as seconds east of UTC.
fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((h, m)) => (h.parse::<i32>().ok()?, m.parse::<i32>().ok()?),
        None if rest.len() > 2 => {
            let (h, m) = rest.split_at(rest.len() - 2);
            (h.parse().ok()?, m.parse().ok()?)
        }
        None => (rest.parse().ok()?, 0),
    };
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}
