//! Modifiers of the date and time types: `timestamp(3)`, `interval day to second(2)`
//! (<https://www.postgresql.org/docs/15/datatype-datetime.html>). Values are held as those of the plain type.

use super::SqlType;

/// A date or time type with a modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precise {
    /// Digits of a second, 0 to 6.
    Time(u8),
    Timestamp(u8),
    TimestampTz(u8),
    /// The fields that are kept, and the digits of a second if limited.
    Interval(IntervalFields, Option<u8>),
}

/// Which fields an interval keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntervalFields {
    All,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearToMonth,
    DayToHour,
    DayToMinute,
    DayToSecond,
    HourToMinute,
    HourToSecond,
    MinuteToSecond,
}

/// Names and PostgreSQL's bits (`INTERVAL_MASK` of month 1, year 2, day 3, hour 10, minute 11, second 12).
const FIELDS: [(IntervalFields, &str, i32); 14] = [
    (IntervalFields::All, "", 0x7fff),
    (IntervalFields::Year, "year", 1 << 2),
    (IntervalFields::Month, "month", 1 << 1),
    (IntervalFields::Day, "day", 1 << 3),
    (IntervalFields::Hour, "hour", 1 << 10),
    (IntervalFields::Minute, "minute", 1 << 11),
    (IntervalFields::Second, "second", 1 << 12),
    (IntervalFields::YearToMonth, "year to month", 0b110),
    (IntervalFields::DayToHour, "day to hour", 1 << 3 | 1 << 10),
    (IntervalFields::DayToMinute, "day to minute", 1 << 3 | 0b11 << 10),
    (IntervalFields::DayToSecond, "day to second", 1 << 3 | 0b111 << 10),
    (IntervalFields::HourToMinute, "hour to minute", 0b11 << 10),
    (IntervalFields::HourToSecond, "hour to second", 0b111 << 10),
    (IntervalFields::MinuteToSecond, "minute to second", 0b11 << 11),
];

impl IntervalFields {
    fn entry(self) -> (&'static str, i32) {
        FIELDS.iter().find(|(f, _, _)| *f == self).map_or(("", 0x7fff), |(_, name, mask)| (name, *mask))
    }
}

impl Precise {
    /// The type without the modifier.
    pub fn plain(self) -> SqlType {
        match self {
            Precise::Time(_) => SqlType::Time,
            Precise::Timestamp(_) => SqlType::Timestamp,
            Precise::TimestampTz(_) => SqlType::TimestampTz,
            Precise::Interval(..) => SqlType::Interval,
        }
    }

    /// The digits of a second that are kept, if limited.
    pub fn digits(self) -> Option<u8> {
        match self {
            Precise::Time(p) | Precise::Timestamp(p) | Precise::TimestampTz(p) => Some(p),
            Precise::Interval(_, p) => p,
        }
    }

    /// `pg_attribute.atttypmod`.
    pub(super) fn typmod(self) -> i32 {
        match self {
            Precise::Time(p) | Precise::Timestamp(p) | Precise::TimestampTz(p) => p.into(),
            Precise::Interval(fields, p) => fields.entry().1 << 16 | p.map_or(0xffff, i32::from),
        }
    }

    /// The type with the modifier that `pg_attribute.atttypmod` tells; none if it tells none.
    pub fn of_typmod(plain: &SqlType, typmod: i32) -> Option<Precise> {
        let digits = |n: i32| u8::try_from(n).ok().filter(|p| *p <= 6);
        Some(match plain {
            SqlType::Time => Precise::Time(digits(typmod)?),
            SqlType::Timestamp => Precise::Timestamp(digits(typmod)?),
            SqlType::TimestampTz => Precise::TimestampTz(digits(typmod)?),
            SqlType::Interval if typmod >= 0 => {
                let (fields, _, _) = FIELDS.iter().find(|(_, _, mask)| *mask == (typmod >> 16) & 0x7fff)?;
                Precise::Interval(*fields, digits(typmod & 0xffff))
            }
            _ => return None,
        })
    }

    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub(super) fn parse(text: &str) -> Option<Precise> {
        let (digits, rest) = match text.split_once('(') {
            Some((before, after)) => {
                let (digits, after) = after.split_once(')')?;
                (Some(digits.parse::<u8>().ok().filter(|p| *p <= 6)?), format!("{before}{after}"))
            }
            None => (None, text.to_string()),
        };
        match (rest.as_str(), digits) {
            ("time without time zone", Some(p)) => Some(Precise::Time(p)),
            ("timestamp without time zone", Some(p)) => Some(Precise::Timestamp(p)),
            ("timestamp with time zone", Some(p)) => Some(Precise::TimestampTz(p)),
            (rest, digits) => {
                let name = rest.strip_prefix("interval")?.trim_start();
                let (fields, _, _) = FIELDS.iter().find(|(_, n, _)| *n == name)?;
                let modified = *fields != IntervalFields::All || digits.is_some();
                modified.then_some(Precise::Interval(*fields, digits))
            }
        }
    }
}

impl std::fmt::Display for Precise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Precise::Time(p) => write!(f, "time({p}) without time zone"),
            Precise::Timestamp(p) => write!(f, "timestamp({p}) without time zone"),
            Precise::TimestampTz(p) => write!(f, "timestamp({p}) with time zone"),
            Precise::Interval(fields, p) => {
                f.write_str("interval")?;
                if *fields != IntervalFields::All {
                    write!(f, " {}", fields.entry().0)?;
                }
                p.map_or(Ok(()), |p| write!(f, "({p})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (fields, _, _) in FIELDS {
            for digits in [None, Some(2)] {
                if fields == IntervalFields::All && digits.is_none() {
                    continue;
                }
                let ty = Precise::Interval(fields, digits);
                assert_eq!(Precise::parse(&ty.to_string()), Some(ty));
            }
        }
        for ty in [Precise::Time(0), Precise::Timestamp(6), Precise::TimestampTz(3)] {
            assert_eq!(SqlType::parse(&ty.to_string()), Some(SqlType::Precise(ty)));
        }
        assert_eq!(Precise::parse("interval"), None);
    }
}
