//! `to_char(value, template)`: numbers, times and intervals as text.

mod datetime;
mod number;
#[cfg(test)]
mod tests;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion_common::Result;

use super::template::{self, Piece};
use crate::numeric::Numbers;
use crate::time::zone::is_infinite;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "to_char",
    "Converts a number, a time or an interval to text by a template.",
    &[
        Form::new(&[Type::Timestamp, Type::Text], Type::Text, timestamp),
        Form::new(&[Type::TimestampTz, Type::Text], Type::Text, timestamptz),
        Form::new(&[Type::Interval, Type::Text], Type::Text, interval),
        Form::new(&[Type::Time, Type::Text], Type::Text, |call| {
            let times = call.args[0].as_primitive::<Time64MicrosecondType>();
            let of = |us: i64| IntervalMonthDayNano::new(0, 0, us * 1000);
            of_intervals(call, &times.unary::<_, IntervalMonthDayNanoType>(of))
        }),
        Form::new(&[Type::Int8, Type::Text], Type::Text, integer),
        Form::new(&[Type::Numeric, Type::Text], Type::Text, numeric),
        Form::new(&[Type::Float8, Type::Text], Type::Text, float),
    ],
)
.stable();

/// The template of each row, read once if it is the same for all.
struct Templates {
    last: std::cell::RefCell<(String, Vec<Piece>)>,
}

impl Templates {
    fn new() -> Templates {
        Templates { last: std::cell::RefCell::new((String::new(), Vec::new())) }
    }

    fn with<T>(&self, text: &str, f: impl FnOnce(&[Piece]) -> T) -> T {
        let mut last = self.last.borrow_mut();
        if last.0 != text {
            *last = (text.to_string(), template::parse(text));
        }
        f(&last.1)
    }
}

fn timestamp(call: &Call) -> Result<ArrayRef> {
    let (times, formats, templates) = (call.primitive::<TimestampMicrosecondType>(0), call.text(1), Templates::new());
    call.map_text(|row| {
        if is_infinite(times.value(row)) {
            return Ok(None);
        }
        let time = datetime::Time::of_timestamp(times.value(row), None);
        templates.with(formats.value(row), |t| datetime::print(&time, t))
    })
}

fn timestamptz(call: &Call) -> Result<ArrayRef> {
    let (times, formats, templates) = (call.primitive::<TimestampMicrosecondType>(0), call.text(1), Templates::new());
    let zone = call.zone();
    call.map_text(|row| {
        let utc = times.value(row);
        if is_infinite(utc) {
            return Ok(None);
        }
        let offset = zone.offset_at(utc);
        let time = datetime::Time::of_timestamp(utc, Some((offset, zone.abbreviation_at(utc).into_owned())));
        templates.with(formats.value(row), |t| datetime::print(&time, t))
    })
}

fn interval(call: &Call) -> Result<ArrayRef> {
    of_intervals(call, call.primitive(0))
}

fn of_intervals(call: &Call, intervals: &PrimitiveArray<IntervalMonthDayNanoType>) -> Result<ArrayRef> {
    let (formats, templates) = (call.text(1), Templates::new());
    call.map_text(|row| {
        let time = datetime::Time::of_interval(&intervals.value(row));
        templates.with(formats.value(row), |t| datetime::print(&time, t))
    })
}

fn integer(call: &Call) -> Result<ArrayRef> {
    let (numbers, formats) = (call.primitive::<Int64Type>(0), call.text(1));
    call.map_text(|row| {
        let text = numbers.value(row).to_string();
        number::to_char(&number::Input::Exact(&text), formats.value(row)).map(Some)
    })
}

fn float(call: &Call) -> Result<ArrayRef> {
    let (numbers, formats) = (call.primitive::<Float64Type>(0), call.text(1));
    call.map_text(|row| number::to_char(&number::Input::Float(numbers.value(row)), formats.value(row)).map(Some))
}

fn numeric(call: &Call) -> Result<ArrayRef> {
    let (numbers, formats) = (Numbers::new(&call.args[0])?, call.text(1));
    call.map_text(|row| {
        let value = numbers.value(row);
        let input = match value.decimal() {
            Some(_) => number::Input::Exact(&value.to_string()),
            None => number::Input::Float(value.to_f64().unwrap_or(f64::NAN)),
        };
        number::to_char(&input, formats.value(row)).map(Some)
    })
}
