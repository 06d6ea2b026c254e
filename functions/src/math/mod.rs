//! Numbers.

mod abs;
mod bit_count;
mod div;
mod domain;
mod factorial;
mod modulo;
mod num_nulls;
mod round;
mod scale;
mod sign;
mod width_bucket;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    abs::FUNCTION,
    bit_count::FUNCTION,
    div::FUNCTION,
    domain::ACOS,
    domain::ASIN,
    domain::EXP,
    domain::LN,
    domain::LOG,
    domain::LOG10,
    domain::POW,
    domain::POWER,
    domain::SQRT,
    factorial::FUNCTION,
    modulo::FUNCTION,
    num_nulls::NUM_NONNULLS,
    num_nulls::NUM_NULLS,
    round::CEIL,
    round::CEILING,
    round::FLOOR,
    round::ROUND,
    round::TRUNC,
    scale::MIN_SCALE,
    scale::SCALE,
    scale::TRIM_SCALE,
    sign::FUNCTION,
    width_bucket::FUNCTION,
];
