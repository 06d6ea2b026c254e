//! `date_part(unit, time)` and `extract(unit from time)`
//! (<https://www.postgresql.org/docs/15/functions-datetime.html#FUNCTIONS-DATETIME-EXTRACT>).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion_common::{Result, internal_err};
use sightline_numeric::Numeric;

use super::civil::{DAY_US, civil_from_days, days_from_civil, iso_week};
use super::unit::{Unit, unsupported};
use super::zone::is_infinite;
use crate::error::{refuse, refused};
use crate::numeric::map;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "date_part",
    "A field of a date, a time or an interval, e.g. year, dow or epoch.",
    &[
        Form::new(&[Type::Text, Type::Timestamp], Type::Float8, |call| timestamp(call, floats)),
        Form::new(&[Type::Text, Type::TimestampTz], Type::Float8, |call| timestamptz(call, floats)),
        Form::new(&[Type::Text, Type::Date], Type::Float8, |call| midnight(call, floats)),
        Form::new(&[Type::Text, Type::Time], Type::Float8, |call| time(call, floats)),
        Form::new(&[Type::Text, Type::Interval], Type::Float8, |call| interval(call, floats)),
    ],
)
.stable();

pub(super) const EXTRACT: Function = Function::new(
    "extract",
    "A field of a date, a time or an interval: what EXTRACT (field FROM value) is planned as.",
    &[
        Form::new(&[Type::Text, Type::Timestamp], Type::Numeric, |call| timestamp(call, numerics)),
        Form::new(&[Type::Text, Type::TimestampTz], Type::Numeric, |call| timestamptz(call, numerics)),
        Form::new(&[Type::Text, Type::Date], Type::Numeric, |call| date(call, numerics)),
        Form::new(&[Type::Text, Type::Time], Type::Numeric, |call| time(call, numerics)),
        Form::new(&[Type::Text, Type::Interval], Type::Numeric, |call| interval(call, numerics)),
    ],
)
.stable();

/// The same of fields that are whole numbers, for who groups by them; no name that SQL can say.
pub const WHOLE: &str = "extract whole";

/// Whether a field of a date or timestamp is a whole number, and NULL for the infinite.
pub fn is_whole(field: &str) -> bool {
    matches!(field, "minute" | "hour" | "day" | "dow" | "isodow" | "doy" | "week" | "month" | "quarter")
}

pub(super) const EXTRACT_WHOLE: Function = Function::new(
    WHOLE,
    "As extract, of fields that are whole numbers.",
    &[
        Form::new(&[Type::Text, Type::Timestamp], Type::Int8, |call| timestamp(call, wholes)),
        Form::new(&[Type::Text, Type::TimestampTz], Type::Int8, |call| timestamptz(call, wholes)),
        Form::new(&[Type::Text, Type::Date], Type::Int8, |call| date(call, wholes)),
    ],
)
.stable();

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Whole(i64),
    /// So many of 10^-scale.
    Decimal(i128, u16),
    /// A Julian day and the microseconds of the day after it.
    Julian(i64, i64),
    /// Infinity, or minus infinity.
    Infinite(bool),
    /// NULL: what an infinite time has no number for.
    None,
}

impl Part {
    fn float(self) -> Option<f64> {
        Some(match self {
            Part::Whole(n) => n as f64,
            Part::Decimal(n, scale) => n as f64 / 10_f64.powi(scale.into()),
            Part::Julian(days, us) => days as f64 + us as f64 / DAY_US as f64,
            Part::Infinite(false) => f64::INFINITY,
            Part::Infinite(true) => f64::NEG_INFINITY,
            Part::None => return None,
        })
    }
}

impl Part {
    /// The exact value: a Julian day with the digits of a quotient.
    fn numeric(self) -> sightline_numeric::Result<Option<Numeric>> {
        Ok(Some(match self {
            Part::Whole(n) => Numeric::new(n.into(), 0),
            Part::Decimal(n, scale) => Numeric::new(n, scale),
            Part::Julian(days, us) => {
                let fraction = Numeric::new(us.into(), 0).divide(&Numeric::new(DAY_US.into(), 0))?;
                Numeric::new(days.into(), 0).add(&fraction)?
            }
            Part::Infinite(false) => Numeric::Infinity,
            Part::Infinite(true) => Numeric::NegativeInfinity,
            Part::None => return Ok(None),
        }))
    }
}

/// How the fields of a batch become an array.
type Collect = fn(&Call, &dyn Fn(usize) -> Result<Part>) -> Result<ArrayRef>;

fn floats(call: &Call, part: &dyn Fn(usize) -> Result<Part>) -> Result<ArrayRef> {
    Ok(Arc::new(call.map::<Float64Type>(|row| part(row).map(Part::float))?))
}

fn wholes(call: &Call, part: &dyn Fn(usize) -> Result<Part>) -> Result<ArrayRef> {
    Ok(Arc::new(call.map::<Int64Type>(|row| match part(row)? {
        Part::Whole(n) => Ok(Some(n)),
        Part::None => Ok(None),
        other => internal_err!("{other:?} is no whole number"),
    })?))
}

fn numerics(call: &Call, part: &dyn Fn(usize) -> Result<Part>) -> Result<ArrayRef> {
    map(&call.args, call.rows, |row| part(row)?.numeric().map_err(refused))
}

/// Applies `f` to each row with its unit, which is read once if it is the same for all.
fn each(call: &Call, of: &str, collect: Collect, f: impl Fn(Unit, &str, usize) -> Result<Part>) -> Result<ArrayRef> {
    let names = call.text(0);
    let last = std::cell::RefCell::new(None::<(String, Unit)>);
    collect(call, &|row| {
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
    })
}

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

fn timestamp(call: &Call, collect: Collect) -> Result<ArrayRef> {
    let times = call.primitive::<TimestampMicrosecondType>(1);
    each(call, TIMESTAMP, collect, |unit, name, row| match unit {
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute if !is_infinite(times.value(row)) => {
            Err(unsupported(name, TIMESTAMP).into())
        }
        unit => Ok(of_local(unit, times.value(row))),
    })
}

/// A date as its midnight: unlike EXTRACT, `date_part` knows the hour of a date.
fn midnight(call: &Call, collect: Collect) -> Result<ArrayRef> {
    let dates = call.primitive::<Date32Type>(1);
    each(call, TIMESTAMP, collect, |unit, name, row| match (unit, dates.value(row)) {
        (Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute, _) => Err(unsupported(name, TIMESTAMP).into()),
        (unit, i32::MAX) => Ok(infinite(unit, false)),
        (unit, i32::MIN) => Ok(infinite(unit, true)),
        (unit, days) => match i64::from(days).checked_mul(DAY_US) {
            Some(us) => Ok(of_local(unit, us)),
            None => refuse("22008", "date out of range for timestamp"),
        },
    })
}

fn timestamptz(call: &Call, collect: Collect) -> Result<ArrayRef> {
    let times = call.primitive::<TimestampMicrosecondType>(1);
    let zone = call.zone();
    each(call, TIMESTAMPTZ, collect, |unit, _, row| {
        let utc = times.value(row);
        if is_infinite(utc) {
            return Ok(of_local(unit, utc));
        }
        let offset = zone.offset_at(utc);
        Ok(match unit {
            Unit::Timezone => Part::Whole(offset.into()),
            Unit::TimezoneHour => Part::Whole((offset / 3600).into()),
            Unit::TimezoneMinute => Part::Whole((offset / 60 % 60).into()),
            Unit::Epoch => Part::Decimal(utc.into(), 6),
            unit => of_local(unit, zone.local(utc)?),
        })
    })
}

fn date(call: &Call, collect: Collect) -> Result<ArrayRef> {
    let dates = call.primitive::<Date32Type>(1);
    each(call, "date", collect, |unit, name, row| match unit {
        Unit::Hour
        | Unit::Minute
        | Unit::Second
        | Unit::Millisecond
        | Unit::Microsecond
        | Unit::Timezone
        | Unit::TimezoneHour
        | Unit::TimezoneMinute => Err(unsupported(name, "date").into()),
        unit => Ok(match (dates.value(row), unit) {
            (i32::MAX, _) => infinite(unit, false),
            (i32::MIN, _) => infinite(unit, true),
            (days, Unit::Epoch) => Part::Whole(i64::from(days) * 86_400),
            (days, Unit::Julian) => Part::Whole(i64::from(days) + JULIAN_OF_1970),
            (days, unit) => of_day(unit, days.into()),
        }),
    })
}

fn time(call: &Call, collect: Collect) -> Result<ArrayRef> {
    const TIME: &str = "time without time zone";
    let times = call.args[1].as_primitive::<Time64MicrosecondType>();
    each(call, TIME, collect, |unit, name, row| match (unit, of_clock(unit, times.value(row))) {
        (Unit::Epoch, _) => Ok(Part::Decimal(times.value(row).into(), 6)),
        (_, Some(part)) => Ok(part),
        (_, None) => Err(unsupported(name, TIME).into()),
    })
}

/// A field of an infinite time: those that only grow are infinite, the others unknown.
fn infinite(unit: Unit, negative: bool) -> Part {
    match unit {
        Unit::Year | Unit::IsoYear | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::Epoch => {
            Part::Infinite(negative)
        }
        _ => Part::None,
    }
}

/// Days from 24 November 4714 BC, Julian day 0, to 1970.
const JULIAN_OF_1970: i64 = 2_440_588;

fn of_local(unit: Unit, us: i64) -> Part {
    if is_infinite(us) {
        return infinite(unit, us < 0);
    }
    let (day, in_day) = (us.div_euclid(DAY_US), us.rem_euclid(DAY_US));
    match unit {
        Unit::Epoch => Part::Decimal(us.into(), 6),
        Unit::Julian => Part::Julian(day + JULIAN_OF_1970, in_day),
        unit => of_clock(unit, in_day).unwrap_or_else(|| of_day(unit, day)),
    }
}

/// A field of a time of day, or of an interval's time.
fn of_clock(unit: Unit, us: i64) -> Option<Part> {
    Some(match unit {
        Unit::Hour => Part::Whole(us / 3_600_000_000),
        Unit::Minute => Part::Whole(us / 60_000_000 % 60),
        Unit::Second => Part::Decimal((us % 60_000_000).into(), 6),
        Unit::Millisecond => Part::Decimal((us % 60_000_000).into(), 3),
        Unit::Microsecond => Part::Whole(us % 60_000_000),
        _ => return None,
    })
}

/// A field of the calendar.
fn of_day(unit: Unit, day: i64) -> Part {
    let (year, month, day_of_month) = civil_from_days(day);
    Part::Whole(match unit {
        Unit::Year => historic(year),
        Unit::Month => month.into(),
        Unit::Day => day_of_month.into(),
        Unit::Quarter => i64::from((month - 1) / 3 + 1),
        Unit::Week => iso_week(day).1,
        Unit::DayOfYear => day - days_from_civil(year, 1, 1) + 1,
        Unit::IsoYear => historic(iso_week(day).0),
        Unit::Decade => year.div_euclid(10),
        Unit::Century => era(year, 100),
        Unit::Millennium => era(year, 1000),
        // 1 January 1970 was a Thursday.
        Unit::DayOfWeek => (day + 4).rem_euclid(7),
        Unit::IsoDayOfWeek => (day + 3).rem_euclid(7) + 1,
        Unit::Epoch
        | Unit::Julian
        | Unit::Hour
        | Unit::Minute
        | Unit::Second
        | Unit::Millisecond
        | Unit::Microsecond
        | Unit::Timezone
        | Unit::TimezoneHour
        | Unit::TimezoneMinute => return Part::None,
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

fn interval(call: &Call, collect: Collect) -> Result<ArrayRef> {
    let intervals = call.primitive::<IntervalMonthDayNanoType>(1);
    each(call, "interval", collect, |unit, name, row| {
        of_interval(unit, &intervals.value(row)).ok_or_else(|| unsupported(name, "interval").into())
    })
}

fn of_interval(unit: Unit, i: &IntervalMonthDayNano) -> Option<Part> {
    let us = i.nanoseconds / 1000;
    let (year, month) = (i64::from(i.months / 12), i64::from(i.months % 12));
    Some(Part::Whole(match unit {
        Unit::Epoch => {
            // A year of 365.25 days, a month of 30; in quarters of days.
            let quarters = 1461 * i128::from(year) + 120 * i128::from(month) + 4 * i128::from(i.days);
            return Some(Part::Decimal(quarters * 21_600_000_000 + i128::from(us), 6));
        }
        Unit::Millennium => year / 1000,
        Unit::Century => year / 100,
        Unit::Decade => year / 10,
        Unit::Year => year,
        Unit::Quarter => month / 3 + 1,
        Unit::Month => month,
        Unit::Day => i.days.into(),
        unit => return of_clock(unit, us),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::unit::Unit;
    use super::{Part, era, of_local};

    #[test]
    fn fields_are_postgresqls() {
        // 2021-01-03 12:34:56.789
        let us = 1_609_677_296_789_000;
        let cases = [
            (Unit::Year, Part::Whole(2021)),
            (Unit::IsoYear, Part::Whole(2020)),
            (Unit::Week, Part::Whole(53)),
            (Unit::DayOfWeek, Part::Whole(0)),
            (Unit::IsoDayOfWeek, Part::Whole(7)),
            (Unit::DayOfYear, Part::Whole(3)),
            (Unit::Second, Part::Decimal(56_789_000, 6)),
            (Unit::Millisecond, Part::Decimal(56_789_000, 3)),
            (Unit::Quarter, Part::Whole(1)),
            (Unit::Century, Part::Whole(21)),
            (Unit::Decade, Part::Whole(202)),
            (Unit::Millennium, Part::Whole(3)),
        ];
        for (unit, expected) in cases {
            assert_eq!(of_local(unit, us), expected, "{unit:?}");
        }
        assert_eq!((era(2000, 100), era(2001, 100), era(0, 100), era(-99, 100), era(-100, 100)), (20, 21, -1, -1, -2));
    }
}
