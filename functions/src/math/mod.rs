//! Numbers.

mod div;
mod modulo;
mod round;
mod sign;
mod width_bucket;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] =
    &[div::FUNCTION, modulo::FUNCTION, round::FUNCTION, sign::FUNCTION, width_bucket::FUNCTION];
