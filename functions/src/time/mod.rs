//! Times, dates and intervals.

mod age;
mod isfinite;
mod justify;
mod make;
mod timezone;
pub(crate) mod zone;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    age::FUNCTION,
    isfinite::FUNCTION,
    justify::DAYS,
    justify::HOURS,
    justify::INTERVAL,
    make::INTERVAL,
    make::TIMESTAMP,
    make::TIMESTAMPTZ,
    timezone::FUNCTION,
];
