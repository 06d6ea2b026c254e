//! `date_part(unit, time)`, which is also what EXTRACT is planned as.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use chrono::Datelike;
use datafusion_common::Result;

use super::civil::{DAY_US, civil};
use super::unit::{Unit, unsupported};
use super::zone::is_infinite;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "date_part",
    "A field of a date, a time or an interval, e.g. year, dow or epoch.",
    &[
        Form::new(&[Type::Text, Type::Timestamp], Type::Float8, timestamp),
        Form::new(&[Type::Text, Type::TimestampTz], Type::Float8, timestamptz),
        Form::new(&[Type::Text, Type::Date], Type::Float8, date),
        Form::new(&[Type::Text, Type::Time], Type::Float8, time),
        Form::new(&[Type::Text, Type::Interval], Type::Float8, interval),
    ],
)
.stable();

/// Applies `f` to each row with its unit, which is read once if it is the same for all.
fn each(call: &Call, of: &str, f: impl Fn(Unit, &str, usize) -> Result<Option<f64>>) -> Result<ArrayRef> {
    let names = call.text(0);
    let last = std::cell::RefCell::new(None::<(String, Unit)>);
    let parts = call.map::<Float64Type>(|row| {
        let name = names.value(row);
        let known = last.borrow().as_ref().filter(|(n, _)| n == name).map(|(_, u)| *u);
        let unit = match known {
            Some(unit) => unit,
            None => {
                let unit = Unit::parse(name, of)?;
                *last.borrow_mut() = Some((name.to_string(), unit));
                unit
            }
        };
        f(unit, name, row)
    })?;
    Ok(Arc::new(parts))
}

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

fn timestamp(call: &Call) -> Result<ArrayRef> {
    let times = call.primitive::<TimestampMicrosecondType>(1);
    each(call, TIMESTAMP, |unit, name, row| match unit {
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => Err(unsupported(name, TIMESTAMP).into()),
        unit => of_local(unit, times.value(row)),
    })
}

fn timestamptz(call: &Call) -> Result<ArrayRef> {
    let times = call.primitive::<TimestampMicrosecondType>(1);
    let zone = call.zone();
    each(call, TIMESTAMPTZ, |unit, _, row| {
        let utc = times.value(row);
        let offset = zone.offset_at(utc);
        Ok(Some(match unit {
            Unit::Timezone => f64::from(offset),
            Unit::TimezoneHour => f64::from(offset / 3600),
            Unit::TimezoneMinute => f64::from(offset / 60 % 60),
            Unit::Epoch if !is_infinite(utc) => utc as f64 / 1e6,
            unit => return of_local(unit, zone.local(utc)?),
        }))
    })
}

fn date(call: &Call) -> Result<ArrayRef> {
    let dates = call.primitive::<Date32Type>(1);
    each(call, "date", |unit, name, row| match unit {
        Unit::Hour
        | Unit::Minute
        | Unit::Second
        | Unit::Millisecond
        | Unit::Microsecond
        | Unit::Timezone
        | Unit::TimezoneHour
        | Unit::TimezoneMinute => Err(unsupported(name, "date").into()),
        unit => match dates.value(row) {
            i32::MAX => Ok(infinite(unit, f64::INFINITY)),
            i32::MIN => Ok(infinite(unit, f64::NEG_INFINITY)),
            days => match i64::from(days).checked_mul(DAY_US) {
                Some(us) => of_local(unit, us),
                None => refuse("22008", "date out of range"),
            },
        },
    })
}

fn time(call: &Call) -> Result<ArrayRef> {
    const TIME: &str = "time without time zone";
    let times = call.args[1].as_primitive::<Time64MicrosecondType>();
    each(call, TIME, |unit, name, row| {
        let us = times.value(row);
        Ok(Some(match unit {
            Unit::Epoch => us as f64 / 1e6,
            Unit::Hour => (us / 3_600_000_000) as f64,
            Unit::Minute => (us / 60_000_000 % 60) as f64,
            Unit::Second => (us % 60_000_000) as f64 / 1e6,
            Unit::Millisecond => (us % 60_000_000) as f64 / 1e3,
            Unit::Microsecond => (us % 60_000_000) as f64,
            _ => return Err(unsupported(name, TIME).into()),
        }))
    })
}

/// A field of an infinite time: those that only grow are infinite, the others unknown.
fn infinite(unit: Unit, infinity: f64) -> Option<f64> {
    let grows = matches!(
        unit,
        Unit::Year | Unit::IsoYear | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::Epoch
    );
    grows.then_some(infinity)
}

fn of_local(unit: Unit, us: i64) -> Result<Option<f64>> {
    if is_infinite(us) {
        return Ok(infinite(unit, if us > 0 { f64::INFINITY } else { f64::NEG_INFINITY }));
    }
    let in_day = us.rem_euclid(DAY_US);
    let day = us.div_euclid(DAY_US);
    Ok(Some(match unit {
        Unit::Epoch => us as f64 / 1e6,
        Unit::Hour => (in_day / 3_600_000_000) as f64,
        Unit::Minute => (in_day / 60_000_000 % 60) as f64,
        Unit::Second => (in_day % 60_000_000) as f64 / 1e6,
        Unit::Millisecond => (in_day % 60_000_000) as f64 / 1e3,
        Unit::Microsecond => (in_day % 60_000_000) as f64,
        // 1 January 1970 was a Thursday, and Julian day 2440588.
        Unit::DayOfWeek => (day + 4).rem_euclid(7) as f64,
        Unit::IsoDayOfWeek => ((day + 3).rem_euclid(7) + 1) as f64,
        Unit::Julian => (day + 2_440_588) as f64 + in_day as f64 / DAY_US as f64,
        unit => of_calendar(unit, us)?,
    }))
}

fn of_calendar(unit: Unit, us: i64) -> Result<f64> {
    let date = civil(us)?;
    let year = i64::from(date.year());
    Ok(match unit {
        Unit::Year => historic(year) as f64,
        Unit::Month => f64::from(date.month()),
        Unit::Day => f64::from(date.day()),
        Unit::Quarter => f64::from(date.month0() / 3 + 1),
        Unit::Week => f64::from(date.iso_week().week()),
        Unit::DayOfYear => f64::from(date.ordinal()),
        Unit::IsoYear => historic(date.iso_week().year().into()) as f64,
        Unit::Decade => year.div_euclid(10) as f64,
        Unit::Century => era(year, 100) as f64,
        Unit::Millennium => era(year, 1000) as f64,
        other => return datafusion_common::internal_err!("{other:?} is no field of a calendar"),
    })
}

/// There is no year 0: 1 BC is -1.
fn historic(year: i64) -> i64 {
    if year <= 0 { year - 1 } else { year }
}

/// Centuries and millennia begin with year 1, and there is no number 0 of them.
fn era(year: i64, length: i64) -> i64 {
    if year > 0 { (year - 1) / length + 1 } else { -((-year) / length) - 1 }
}

fn interval(call: &Call) -> Result<ArrayRef> {
    let intervals = call.primitive::<IntervalMonthDayNanoType>(1);
    each(call, "interval", |unit, name, row| {
        of_interval(unit, &intervals.value(row)).map(Some).ok_or_else(|| unsupported(name, "interval").into())
    })
}

fn of_interval(unit: Unit, i: &IntervalMonthDayNano) -> Option<f64> {
    let us = i.nanoseconds / 1000;
    let year = i.months / 12;
    Some(match unit {
        Unit::Epoch => {
            // A year of 365.25 days, a month of 30.
            let days = f64::from(year) * 365.25 + f64::from(i.months % 12) * 30.0 + f64::from(i.days);
            days * 86_400.0 + us as f64 / 1e6
        }
        Unit::Millennium => f64::from(year / 1000),
        Unit::Century => f64::from(year / 100),
        Unit::Decade => f64::from(year / 10),
        Unit::Year => f64::from(year),
        Unit::Quarter => f64::from(i.months % 12 / 3 + 1),
        Unit::Month => f64::from(i.months % 12),
        Unit::Day => f64::from(i.days),
        Unit::Hour => (us / 3_600_000_000) as f64,
        Unit::Minute => (us / 60_000_000 % 60) as f64,
        Unit::Second => (us % 60_000_000) as f64 / 1e6,
        Unit::Millisecond => (us % 60_000_000) as f64 / 1e3,
        Unit::Microsecond => (us % 60_000_000) as f64,
        Unit::IsoYear
        | Unit::Week
        | Unit::DayOfWeek
        | Unit::IsoDayOfWeek
        | Unit::DayOfYear
        | Unit::Julian
        | Unit::Timezone
        | Unit::TimezoneHour
        | Unit::TimezoneMinute => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::unit::Unit;
    use super::{era, of_local};

    #[test]
    fn fields_are_postgresqls() {
        // 2021-01-03 12:34:56.789
        let us = 1_609_677_296_789_000;
        let cases = [
            (Unit::Year, 2021.0),
            (Unit::IsoYear, 2020.0),
            (Unit::Week, 53.0),
            (Unit::DayOfWeek, 0.0),
            (Unit::IsoDayOfWeek, 7.0),
            (Unit::DayOfYear, 3.0),
            (Unit::Second, 56.789),
            (Unit::Millisecond, 56789.0),
            (Unit::Quarter, 1.0),
            (Unit::Century, 21.0),
            (Unit::Decade, 202.0),
            (Unit::Millennium, 3.0),
        ];
        for (unit, expected) in cases {
            assert_eq!(of_local(unit, us).expect("a date"), Some(expected), "{unit:?}");
        }
        assert_eq!((era(2000, 100), era(2001, 100), era(0, 100), era(-99, 100), era(-100, 100)), (20, 21, -1, -1, -2));
    }
}
