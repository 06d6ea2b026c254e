//! What a `numeric` of any size is: its arithmetic, its text, its wire form, and the bytes it is held in.
//!
//! A [`Numeric`] is a decimal number with a display scale of its own, an infinity or NaN
//! (<https://www.postgresql.org/docs/15/datatype-numeric.html#DATATYPE-NUMERIC-DECIMAL>). Most have fewer than 38 digits
//! and are computed in `i128`; the others in big integers. Columns hold them as [`bytes`], in an order that needs no
//! decoding. Pure: storage converts old rows by it, functions compute by it, the codec reads and writes by it.

mod arithmetic;
pub mod bytes;
mod convert;
mod error;
mod integer;
mod root;
mod round;
mod text;
mod transcendental;
mod value;
pub mod wire;

pub use error::NumericError;
pub use value::{Decimal, Numeric};

/// What this crate answers.
pub type Result<T> = std::result::Result<T, NumericError>;

/// The least significant digits of a quotient, a root, a logarithm.
const SIGNIFICANT_MIN: i32 = 16;
/// The most digits after the point of a quotient, a root, a logarithm.
const DISPLAY_SCALE_MAX: i32 = 1000;
/// Where `round` and the exponential stop.
const RESULT_SCALE_MAX: i32 = 2000;
/// The most digits after the point.
pub const SCALE_MAX: i32 = 16_383;
/// The most digits before the point.
pub const WHOLE_DIGITS_MAX: i64 = 131_072;

#[cfg(test)]
mod tests;
