//! `date_trunc(unit, time [, zone])`: a time cut to a unit, in the session's time zone or the one given.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion_common::Result;

use super::civil::{DAY_US, civil_from_days, days_from_civil};
use super::unit::{Unit, unsupported};
use super::zone::{Zone, is_infinite};
use crate::error::FunctionError;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "date_trunc",
    "Truncates a timestamp or an interval to a unit, e.g. to the hour or the month.",
    &[
        Form::new(&[Type::Text, Type::TimestampTz], Type::TimestampTz, |call| {
            let zone = call.zone();
            timestamptz(call, |_| Ok(zone))
        }),
        Form::new(&[Type::Text, Type::Timestamp], Type::Timestamp, timestamp),
        Form::new(&[Type::Text, Type::Interval], Type::Interval, interval),
        Form::new(&[Type::Text, Type::Time], Type::Interval, |call| {
            let times = call.args[1].as_primitive::<Time64MicrosecondType>();
            let of = |us: i64| IntervalMonthDayNano::new(0, 0, us * 1000);
            of_intervals(call, &times.unary::<_, IntervalMonthDayNanoType>(of))
        }),
        Form::new(&[Type::Text, Type::TimestampTz, Type::Text], Type::TimestampTz, |call| {
            timestamptz(call, |row| Zone::of_operator(call.text(2).value(row)))
        }),
    ],
)
.stable();

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

/// The last unit read: mostly it is the same for all rows.
#[derive(Default)]
struct Units {
    last: std::cell::RefCell<Option<(String, Unit)>>,
}

impl Units {
    fn get(&self, name: &str, of: &str) -> Result<Unit, FunctionError> {
        if let Some((known, unit)) = self.last.borrow().as_ref()
            && known == name
        {
            return Ok(*unit);
        }
        let unit = Unit::parse(name, of)?;
        // EXTRACT knows these, but nothing can be cut to them.
        let special = matches!(
            unit,
            Unit::IsoYear | Unit::DayOfWeek | Unit::IsoDayOfWeek | Unit::DayOfYear | Unit::Epoch | Unit::Julian
        );
        if special {
            let name = name.to_lowercase();
            return Err(FunctionError::new("22023", format!("unit \"{name}\" not recognized for type {of}")));
        }
        *self.last.borrow_mut() = Some((name.to_string(), unit));
        Ok(unit)
    }
}

fn timestamp(call: &Call) -> Result<ArrayRef> {
    let (names, times, units) = (call.text(0), call.primitive::<TimestampMicrosecondType>(1), Units::default());
    let cut = call.map::<TimestampMicrosecondType>(|row| {
        let unit = units.get(names.value(row), TIMESTAMP)?;
        if is_infinite(times.value(row)) {
            return Ok(Some(times.value(row)));
        }
        truncated(unit, times.value(row), names.value(row), TIMESTAMP).map(Some)
    })?;
    Ok(Arc::new(cut))
}

fn timestamptz(call: &Call, zone: impl Fn(usize) -> Result<Zone>) -> Result<ArrayRef> {
    let (names, times, units) = (call.text(0), call.primitive::<TimestampMicrosecondType>(1), Units::default());
    let cut = call.map::<TimestampMicrosecondType>(|row| {
        let (zone, utc) = (zone(row)?, times.value(row));
        let unit = units.get(names.value(row), TIMESTAMPTZ)?;
        if is_infinite(utc) {
            return Ok(Some(utc));
        }
        let offset = i64::from(zone.offset_at(utc)) * 1_000_000;
        let local = truncated(unit, zone.local(utc)?, names.value(row), TIMESTAMPTZ)?;
        // Below a day the offset stays: an hour that comes twice is cut to its own start.
        let below_a_day =
            matches!(unit, Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond | Unit::Microsecond);
        if below_a_day { Ok(Some(local - offset)) } else { zone.moment(local).map(Some) }
    })?;
    Ok(Arc::new(cut.with_timezone("UTC")))
}

fn truncated(unit: Unit, us: i64, name: &str, of: &str) -> Result<i64> {
    let to = |size: i64| us - us.rem_euclid(size);
    Ok(match unit {
        Unit::Microsecond => us,
        Unit::Millisecond => to(1000),
        Unit::Second => to(1_000_000),
        Unit::Minute => to(60_000_000),
        Unit::Hour => to(3_600_000_000),
        Unit::Day => to(DAY_US),
        // 1 January 1970 was a Thursday.
        Unit::Week => to(DAY_US) - (us.div_euclid(DAY_US) + 3).rem_euclid(7) * DAY_US,
        Unit::Month => first_of(us, |y, m| (y, m)),
        Unit::Quarter => first_of(us, |y, m| (y, m / 3 * 3)),
        Unit::Year => first_of(us, |y, _| (y, 0)),
        Unit::Decade => first_of(us, |y, _| (y.div_euclid(10) * 10, 0)),
        Unit::Century => first_of(us, |y, _| ((y - 1).div_euclid(100) * 100 + 1, 0)),
        Unit::Millennium => first_of(us, |y, _| ((y - 1).div_euclid(1000) * 1000 + 1, 0)),
        Unit::IsoYear
        | Unit::DayOfWeek
        | Unit::IsoDayOfWeek
        | Unit::DayOfYear
        | Unit::Epoch
        | Unit::Julian
        | Unit::Timezone
        | Unit::TimezoneHour
        | Unit::TimezoneMinute => return Err(unsupported(name, of).into()),
    })
}

/// The first day of the year and month (from 0) that `f` makes of a time's.
fn first_of(us: i64, f: impl Fn(i64, u32) -> (i64, u32)) -> i64 {
    let (year, month, _) = civil_from_days(us.div_euclid(DAY_US));
    let (year, month) = f(year, month - 1);
    days_from_civil(year, month + 1, 1) * DAY_US
}

fn interval(call: &Call) -> Result<ArrayRef> {
    of_intervals(call, call.primitive(1))
}

fn of_intervals(call: &Call, intervals: &PrimitiveArray<IntervalMonthDayNanoType>) -> Result<ArrayRef> {
    let (names, units) = (call.text(0), Units::default());
    let cut = call.map::<IntervalMonthDayNanoType>(|row| {
        let unit = units.get(names.value(row), "interval")?;
        match of_interval(unit, intervals.value(row)) {
            Some(cut) => Ok(Some(cut)),
            None => Err(unsupported(names.value(row), "interval").into()),
        }
    })?;
    Ok(Arc::new(cut))
}

fn of_interval(unit: Unit, i: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let months = |n: i32| IntervalMonthDayNano::new(i.months / n * n, 0, 0);
    let time = |us: i64| IntervalMonthDayNano::new(i.months, i.days, i.nanoseconds / (us * 1000) * us * 1000);
    Some(match unit {
        Unit::Millennium => months(12_000),
        Unit::Century => months(1200),
        Unit::Decade => months(120),
        Unit::Year => months(12),
        Unit::Quarter => months(3),
        Unit::Month => months(1),
        Unit::Day => IntervalMonthDayNano::new(i.months, i.days, 0),
        Unit::Hour => time(3_600_000_000),
        Unit::Minute => time(60_000_000),
        Unit::Second => time(1_000_000),
        Unit::Millisecond => time(1000),
        Unit::Microsecond => i,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::unit::Unit;
    use super::truncated;

    #[test]
    fn times_are_cut() {
        // 2021-01-03 12:34:56.789, a Sunday
        let us = 1_609_677_296_789_000;
        let day = 1_609_632_000_000_000;
        let cases = [
            (Unit::Second, 1_609_677_296_000_000),
            (Unit::Day, day),
            (Unit::Week, day - 6 * 86_400_000_000),
            (Unit::Month, day - 2 * 86_400_000_000),
            (Unit::Quarter, day - 2 * 86_400_000_000),
            (Unit::Century, 978_307_200_000_000),
        ];
        for (unit, expected) in cases {
            assert_eq!(truncated(unit, us, "", "").expect("a date"), expected, "{unit:?}");
        }
        assert!(truncated(Unit::Epoch, us, "epoch", "date").is_err());
    }
}
