//! The column that a RANGE with offsets goes by: which values lie within an offset of a row's own
//! (<https://www.postgresql.org/docs/15/btree-support-funcs.html>, `in_range`).

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, Float64Array, Int64Array, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{Float64Type, Int64Type, IntervalMonthDayNanoType};
use datafusion::common::{Result, exec_err};
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, SqlState};

use super::{Bound, Frame, Keyed};
use crate::error::to_datafusion;

/// The column and the offsets of one partition.
pub(super) struct Keys {
    nulls: Vec<bool>,
    nulls_first: bool,
    descending: bool,
    values: Values,
}

enum Values {
    Integers {
        keys: Int64Array,
        start: i128,
        end: i128,
    },
    Floats {
        keys: Float64Array,
        start: f64,
        end: f64,
    },
    /// How the keys compare with the bounds of each row.
    Bounds {
        start: Option<DynComparator>,
        end: Option<DynComparator>,
    },
}

fn size() -> datafusion::error::DataFusionError {
    let message = "invalid preceding or following size in window function";
    to_datafusion(Error::new(SqlState::new("22013"), message))
}

fn missing(which: &str) -> datafusion::error::DataFusionError {
    let message = format!("frame {which} offset must not be null");
    to_datafusion(Error::new(SqlState::new("22004"), message))
}

/// The first value of the offsets that a frame has: of its start, and of its end.
fn offsets<'a>(frame: &Frame, rest: &mut &'a [ArrayRef]) -> Result<[Option<&'a ArrayRef>; 2]> {
    let mut take = |bound: Bound, which: &str| -> Result<Option<&'a ArrayRef>> {
        if !bound.has_offset() {
            return Ok(None);
        }
        let Some((first, others)) = rest.split_first() else { return exec_err!("a frame lacks its offset") };
        *rest = others;
        if first.is_null(0) { Err(missing(which)) } else { Ok(Some(first)) }
    };
    let start = take(frame.start, "starting")?;
    Ok([start, take(frame.end, "ending")?])
}

/// The offsets of ROWS and GROUPS; zero where there is none.
///
/// # Errors
/// 22004 for NULL, 22013 for a negative one.
pub(super) fn counts(frame: &Frame, mut rest: &[ArrayRef]) -> Result<(i64, i64)> {
    let [start, end] = offsets(frame, &mut rest)?;
    let count = |offset: Option<&ArrayRef>, which: &str| {
        let count = offset.map_or(0, |o| o.as_primitive::<Int64Type>().value(0));
        if count < 0 {
            let message = format!("frame {which} offset must not be negative");
            return Err(to_datafusion(Error::new(SqlState::new("22013"), message)));
        }
        Ok(count)
    };
    Ok((count(start, "starting")?, count(end, "ending")?))
}

impl Keys {
    /// From the arguments behind those of the order.
    ///
    /// # Errors
    /// 22004 for an offset that is NULL, 22013 for a negative one.
    pub(super) fn new(frame: &Frame, keyed: Keyed, order: SortOptions, mut rest: &[ArrayRef]) -> Result<Keys> {
        let [start, end] = offsets(frame, &mut rest)?;
        let Some((keys, bounds)) = rest.split_first() else { return exec_err!("a frame lacks its column") };
        let nulls = (0..keys.len()).map(|n| keys.is_null(n)).collect();
        let values = match keyed {
            Keyed::Integers => {
                let of = |o: Option<&ArrayRef>| o.map_or(0, |o| i128::from(o.as_primitive::<Int64Type>().value(0)));
                integers(keys, of(start), of(end))?
            }
            Keyed::Times => {
                let of = |o: Option<&ArrayRef>| {
                    o.map_or(0, |o| {
                        i128::from(o.as_primitive::<IntervalMonthDayNanoType>().value(0).nanoseconds) / 1000
                    })
                };
                integers(keys, of(start), of(end))?
            }
            Keyed::Floats => {
                let of = |o: Option<&ArrayRef>| o.map_or(0.0, |o| o.as_primitive::<Float64Type>().value(0));
                let (start, end) = (of(start), of(end));
                if [start, end].iter().any(|o| o.is_nan() || *o < 0.0) {
                    return Err(size());
                }
                Values::Floats { keys: keys.as_primitive::<Float64Type>().clone(), start, end }
            }
            Keyed::Bounds | Keyed::No => {
                for offset in [start, end].into_iter().flatten() {
                    let value = ScalarValue::try_from_array(offset, 0)?;
                    let zero = ScalarValue::new_zero(&value.data_type())?;
                    let unknown = matches!(value, ScalarValue::Float64(Some(v)) if v.is_nan());
                    if unknown || value.partial_cmp(&zero) == Some(Ordering::Less) {
                        return Err(size());
                    }
                }
                let mut bounds = bounds.iter();
                let mut compare = |given: Option<&ArrayRef>| match given.and_then(|_| bounds.next()) {
                    Some(bound) => make_comparator(keys, bound, SortOptions::default()).map(Some),
                    None => Ok(None),
                };
                let start = compare(start)?;
                Values::Bounds { start, end: compare(end)? }
            }
        };
        Ok(Keys { nulls, nulls_first: order.nulls_first, descending: order.descending, values })
    }

    /// The first row of the frame of `row`, `from` that of the row before.
    pub(super) fn start(&self, bound: Bound, row: usize, from: usize) -> usize {
        let mut at = from;
        while at < self.nulls.len() {
            let stays = match (self.nulls[at], self.nulls[row]) {
                (false, false) => self.within(at, row, bound, false),
                // The order depends on where NULLs are only.
                (here, current) if self.nulls_first => !here || current,
                (here, current) => here || !current,
            };
            if stays {
                break;
            }
            at += 1;
        }
        at
    }

    /// The row behind the frame of `row`, `from` that of the row before.
    pub(super) fn end(&self, bound: Bound, row: usize, from: usize) -> usize {
        let mut at = from;
        while at < self.nulls.len() {
            let behind = match (self.nulls[at], self.nulls[row]) {
                (false, false) => !self.within(at, row, bound, true),
                (here, _) if self.nulls_first => !here,
                (_, current) => !current,
            };
            if behind {
                break;
            }
            at += 1;
        }
        at
    }

    /// Whether the value of row `at` is on the inner side of a bound of `row`: at most the end's, at least the start's, or
    /// the other way round where the order descends.
    fn within(&self, at: usize, row: usize, bound: Bound, end: bool) -> bool {
        let minus = (bound == Bound::Preceding) != self.descending;
        let less = end != self.descending;
        let fits = |o: Ordering| if less { o != Ordering::Greater } else { o != Ordering::Less };
        match &self.values {
            Values::Integers { keys, start: first, end: last } => {
                let offset = if end { *last } else { *first };
                let base = i128::from(keys.value(row));
                fits(i128::from(keys.value(at)).cmp(&if minus { base - offset } else { base + offset }))
            }
            Values::Floats { keys, start: first, end: last } => {
                let offset = if end { *last } else { *first };
                let (value, base) = (keys.value(at), keys.value(row));
                match (value.is_nan(), base.is_nan()) {
                    (true, true) => return true,
                    (true, false) => return !less,
                    (false, true) => return less,
                    (false, false) => {}
                }
                let away = if minus { base > 0.0 } else { base < 0.0 };
                if offset.is_infinite() && base.is_infinite() && away {
                    return true;
                }
                let sum = if minus { base - offset } else { base + offset };
                value.partial_cmp(&sum).is_some_and(fits)
            }
            Values::Bounds { start: first, end: last } => {
                let compare = if end { last } else { first };
                compare.as_ref().is_none_or(|c| fits(c(at, row)))
            }
        }
    }
}

fn integers(keys: &ArrayRef, start: i128, end: i128) -> Result<Values> {
    if start < 0 || end < 0 {
        return Err(size());
    }
    Ok(Values::Integers { keys: keys.as_primitive::<Int64Type>().clone(), start, end })
}
