//! Times, dates and intervals.

mod age;
pub mod civil;
mod date_bin;
pub mod date_part;
mod date_trunc;
pub mod interval;
mod isfinite;
mod justify;
mod make;
mod overlaps;
pub mod shift;
mod timezone;
mod unit;
pub mod zone;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    age::FUNCTION,
    date_bin::FUNCTION,
    date_part::EXTRACT,
    date_part::EXTRACT_WHOLE,
    date_part::FUNCTION,
    date_trunc::FUNCTION,
    isfinite::FUNCTION,
    justify::DAYS,
    justify::HOURS,
    justify::INTERVAL,
    make::DATE,
    make::INTERVAL,
    make::TIME,
    make::TIMESTAMP,
    make::TIMESTAMPTZ,
    overlaps::FUNCTION,
    timezone::FUNCTION,
];
