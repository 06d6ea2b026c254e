//! Times, dates and intervals.

mod age;
mod civil;
mod date_part;
mod date_trunc;
mod isfinite;
mod justify;
mod make;
mod timezone;
mod unit;
pub mod zone;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    age::FUNCTION,
    date_part::FUNCTION,
    date_trunc::FUNCTION,
    isfinite::FUNCTION,
    justify::DAYS,
    justify::HOURS,
    justify::INTERVAL,
    make::INTERVAL,
    make::TIMESTAMP,
    make::TIMESTAMPTZ,
    timezone::FUNCTION,
];
