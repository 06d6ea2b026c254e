//! `timezone(zone, time)`, which is what `time AT TIME ZONE zone` means.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion_common::Result;

use super::zone::Zone;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "timezone",
    "Converts a timestamp without time zone to the moment it means in a zone, or a moment to the zone's local time.",
    &[
        Form::new(&[Type::Text, Type::TimestampTz], Type::Timestamp, to_local),
        Form::new(&[Type::Text, Type::Timestamp], Type::TimestampTz, to_moment),
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

fn to_local(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(with_zone(call, Zone::local)?))
}

fn to_moment(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(with_zone(call, Zone::moment)?.with_timezone("UTC")))
}
