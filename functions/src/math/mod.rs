//! Numbers.

mod abs;
mod bit_count;
mod degrees;
mod div;
mod divisors;
mod domain;
mod factorial;
mod gcd;
mod modulo;
mod negate;
mod num_nulls;
mod round;
mod scale;
mod send;
mod sign;
mod trigonometry;
mod width_bucket;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    abs::FUNCTION,
    bit_count::FUNCTION,
    degrees::ACOSD,
    degrees::ASIND,
    degrees::ATAN2D,
    degrees::ATAND,
    degrees::COSD,
    degrees::COTD,
    degrees::SIND,
    degrees::TAND,
    div::FUNCTION,
    divisors::GCD,
    divisors::LCM,
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
    gcd::GCD,
    gcd::LCM,
    modulo::FUNCTION,
    negate::FUNCTION,
    negate::PLUS,
    num_nulls::NUM_NONNULLS,
    num_nulls::NUM_NONNULLS_ARRAY,
    num_nulls::NUM_NULLS,
    num_nulls::NUM_NULLS_ARRAY,
    round::CEIL,
    round::CEILING,
    round::FLOOR,
    round::ROUND,
    round::TRUNC,
    scale::MIN_SCALE,
    scale::SCALE,
    scale::TRIM_SCALE,
    send::FLOAT4,
    send::FLOAT8,
    send::INT2,
    send::INT4,
    send::INT8,
    sign::FUNCTION,
    trigonometry::ACOSH,
    trigonometry::ASINH,
    trigonometry::ATAN,
    trigonometry::ATAN2,
    trigonometry::ATANH,
    trigonometry::COS,
    trigonometry::COSH,
    trigonometry::COT,
    trigonometry::DEGREES,
    trigonometry::RADIANS,
    trigonometry::SIN,
    trigonometry::SINH,
    trigonometry::TAN,
    trigonometry::TANH,
    width_bucket::FUNCTION,
];
