//! The units of `extract`, `date_part` and `date_trunc`.

use crate::error::FunctionError;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Epoch,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Unit {
    /// A unit by name, in any case.
    ///
    /// # Errors
    /// 22023 if there is none, naming the type it is asked of.
    pub(super) fn parse(name: &str, of: &str) -> Result<Unit, FunctionError> {
        // Ten letters count.
        let lower = name.trim().to_lowercase();
        let end = lower.char_indices().nth(10).map_or(lower.len(), |(at, _)| at);
        Ok(match &lower[..end] {
            "millennium" | "millennia" | "mil" | "mils" => Unit::Millennium,
            "century" | "centuries" | "cent" | "c" => Unit::Century,
            "decade" | "decades" | "dec" | "decs" => Unit::Decade,
            "year" | "years" | "y" | "yr" | "yrs" => Unit::Year,
            "isoyear" => Unit::IsoYear,
            "quarter" | "qtr" => Unit::Quarter,
            "month" | "months" | "mon" | "mons" => Unit::Month,
            "week" | "weeks" | "w" => Unit::Week,
            "day" | "days" | "d" => Unit::Day,
            "dow" => Unit::DayOfWeek,
            "isodow" => Unit::IsoDayOfWeek,
            "doy" => Unit::DayOfYear,
            "hour" | "hours" | "h" | "hr" | "hrs" => Unit::Hour,
            "minute" | "minutes" | "m" | "min" | "mins" => Unit::Minute,
            "second" | "seconds" | "s" | "sec" | "secs" => Unit::Second,
            "millisecon" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => Unit::Millisecond,
            "microsecon" | "us" | "usec" | "usecs" | "usecond" | "useconds" => Unit::Microsecond,
            "epoch" => Unit::Epoch,
            "julian" | "jd" => Unit::Julian,
            "timezone" => Unit::Timezone,
            "timezone_h" => Unit::TimezoneHour,
            "timezone_m" => Unit::TimezoneMinute,
            _ => {
                return Err(FunctionError::new("22023", format!("unit \"{name}\" not recognized for type {of}")));
            }
        })
    }
}

/// The unit is one of time, but not of this type.
pub(super) fn unsupported(name: &str, of: &str) -> FunctionError {
    FunctionError::new("0A000", format!("unit \"{}\" not supported for type {of}", name.to_lowercase()))
}
