//! `width_bucket(x, low, high, count)`: which of `count` equal buckets between `low` and `high` holds `x`.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type};
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::{refuse, refused};
use crate::numeric::Numbers;
use crate::udf::{Call, Form, Function, Type};

const CODE: &str = "2201G";

pub(super) const FUNCTION: Function = Function::new(
    "width_bucket",
    "The number of the bucket that a value falls into, 0 below all and count + 1 above all.",
    &[
        Form::new(&[Type::Float8, Type::Float8, Type::Float8, Type::Int4], Type::Int4, buckets),
        Form::new(&[Type::Numeric, Type::Numeric, Type::Numeric, Type::Int4], Type::Int4, numeric_buckets),
    ],
);

fn buckets(call: &Call) -> Result<ArrayRef> {
    let float = |n: usize| call.primitive::<Float64Type>(n);
    let (x, low, high, count) = (float(0), float(1), float(2), call.primitive::<Int32Type>(3));
    let found =
        call.map::<Int32Type>(|row| bucket(x.value(row), low.value(row), high.value(row), count.value(row)).map(Some))?;
    Ok(Arc::new(found))
}

fn numeric_buckets(call: &Call) -> Result<ArrayRef> {
    let number = |n: usize| Numbers::new(&call.args[n]);
    let (x, low, high, count) = (number(0)?, number(1)?, number(2)?, call.primitive::<Int32Type>(3));
    let found = call.map::<Int32Type>(|row| {
        numeric_bucket(&x.value(row), &low.value(row), &high.value(row), count.value(row)).map(Some)
    })?;
    Ok(Arc::new(found))
}

fn numeric_bucket(x: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
    if count <= 0 {
        return refuse(CODE, "count must be greater than zero");
    }
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return refuse(CODE, "operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refuse(CODE, "lower and upper bounds must be finite");
    }
    let ascending = match low.compare(high) {
        Ordering::Equal => return refuse(CODE, "lower bound cannot equal upper bound"),
        order => order.is_lt(),
    };
    let (from_low, from_high) = (x.compare(low), x.compare(high));
    let (below, above) =
        if ascending { (from_low.is_lt(), from_high.is_ge()) } else { (from_low.is_gt(), from_high.is_le()) };
    if below {
        return Ok(0);
    }
    if above {
        return match count.checked_add(1) {
            Some(next) => Ok(next),
            None => refuse("22003", "integer out of range"),
        };
    }
    let place = || -> sightline_numeric::Result<i64> {
        let part = x.subtract(low)?.multiply(&Numeric::new(count.into(), 0))?;
        part.quotient(&high.subtract(low)?)?.to_integer(0, i64::from(count) - 1, "integer")
    };
    Ok(i32::try_from(place().map_err(refused)?).unwrap_or(count - 1) + 1)
}

fn bucket(x: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    if count <= 0 {
        return refuse(CODE, "count must be greater than zero");
    }
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return refuse(CODE, "operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return refuse(CODE, "lower and upper bounds must be finite");
    }
    if low == high {
        return refuse(CODE, "lower bound cannot equal upper bound");
    }
    let (below, above) = if low < high { (x < low, x >= high) } else { (x > low, x <= high) };
    if below {
        return Ok(0);
    }
    if above {
        return match count.checked_add(1) {
            Some(next) => Ok(next),
            None => refuse("22003", "integer out of range"),
        };
    }
    let bucket = (f64::from(count) * ((x - low) / (high - low))) as i32;
    Ok(bucket.min(count - 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_are_postgresqls() {
        let found = |x, low, high, n| bucket(x, low, high, n).expect("valid");
        assert_eq!(found(5.35, 0.024, 10.06, 5), 3);
        assert_eq!(found(-1.0, 0.0, 10.0, 5), 0);
        assert_eq!(found(10.0, 0.0, 10.0, 5), 6);
        assert_eq!(found(9.0, 10.0, 0.0, 5), 1);
        assert!(bucket(1.0, 1.0, 1.0, 5).is_err());
        assert!(bucket(1.0, 0.0, 1.0, 0).is_err());
    }
}
