//! `timezone(zone, time)`, which is what `time AT TIME ZONE zone` means.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion_common::Result;

use super::interval::text;
use super::zone::Zone;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "timezone",
    "Converts a timestamp without time zone to the moment it means in a zone, or a moment to the zone's local time.",
    &[
        Form::new(&[Type::Text, Type::TimestampTz], Type::Timestamp, to_local),
        Form::new(&[Type::Text, Type::Timestamp], Type::TimestampTz, to_moment),
        Form::new(&[Type::Interval, Type::TimestampTz], Type::Timestamp, |call| {
            Ok(Arc::new(at_offset(call, Zone::local)?))
        }),
        Form::new(&[Type::Interval, Type::Timestamp], Type::TimestampTz, |call| {
            Ok(Arc::new(at_offset(call, Zone::moment)?.with_timezone("UTC")))
        }),
    ],
);

/// The zone of each row, looked up once if it is the same for all.
fn with_zone(call: &Call, f: impl Fn(Zone, i64) -> Result<i64>) -> Result<arrow::array::TimestampMicrosecondArray> {
    let (zones, times) = (call.text(0), call.primitive::<TimestampMicrosecondType>(1));
    let last = std::cell::RefCell::new(None::<(String, Zone)>);
    call.map::<TimestampMicrosecondType>(|row| {
        let name = zones.value(row);
        let mut last = last.borrow_mut();
        let zone = match last.as_ref() {
            Some((known, zone)) if known == name => *zone,
            _ => {
                let zone = Zone::of_operator(name)?;
                *last = Some((name.to_string(), zone));
                zone
            }
        };
        f(zone, times.value(row)).map(Some)
    })
}

/// The zone that is so far east of Greenwich.
fn at_offset(call: &Call, f: impl Fn(Zone, i64) -> Result<i64>) -> Result<arrow::array::TimestampMicrosecondArray> {
    let (offsets, times) =
        (call.primitive::<IntervalMonthDayNanoType>(0), call.primitive::<TimestampMicrosecondType>(1));
    call.map::<TimestampMicrosecondType>(|row| {
        let offset = offsets.value(row);
        if offset.months != 0 || offset.days != 0 {
            let message = format!("interval time zone \"{}\" must not include months or days", text(offset));
            return refuse("22023", message);
        }
        let seconds = i32::try_from(offset.nanoseconds / 1_000_000_000).unwrap_or(i32::MAX);
        f(Zone::Fixed(seconds), times.value(row)).map(Some)
    })
}

fn to_local(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(with_zone(call, Zone::local)?))
}

fn to_moment(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(with_zone(call, Zone::moment)?.with_timezone("UTC")))
}
