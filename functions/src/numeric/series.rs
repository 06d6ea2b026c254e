//! `generate_series(start, stop, step)` of numerics, as a list for each row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, NullBufferBuilder};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion_common::Result;
use sightline_numeric::Numeric;

use super::{NUMERIC, Numbers, NumericBuilder};
use crate::error::{refuse, refused};

/// The lists; NULL where an argument is. `values_max` bounds all of them together.
///
/// # Errors
/// 22023 for a bound or a step that is not finite, or no step; 54000 beyond the bound.
pub fn series(args: &[ArrayRef], values_max: i64) -> Result<ArrayRef> {
    let numbers = args.iter().map(Numbers::new).collect::<Result<Vec<_>>>()?;
    let rows = args[0].len();
    let (mut values, mut lengths, mut nulls) = (NumericBuilder::new(rows), Vec::new(), NullBufferBuilder::new(rows));
    let mut total = 0;
    for row in 0..rows {
        if args.iter().any(|a| a.is_null(row) || *a.data_type() == DataType::Null) {
            lengths.push(0);
            nulls.append_null();
            continue;
        }
        let step = numbers.get(2).map_or(Numeric::ONE, |n| n.value(row));
        let (mut value, stop) = (numbers[0].value(row), numbers[1].value(row));
        finite(&value, "start value")?;
        finite(&stop, "stop value")?;
        finite(&step, "step size")?;
        let direction = step.signum();
        if direction == 0 {
            return refuse("22023", "step size cannot equal zero");
        }
        let mut length = 0;
        loop {
            let order = value.compare(&stop);
            if if direction > 0 { order.is_gt() } else { order.is_lt() } {
                break;
            }
            total += 1;
            if total > values_max {
                return refuse("54000", format!("a series of more than {values_max} values cannot be made here"));
            }
            values.append(&value);
            length += 1;
            value = value.add(&step).map_err(refused)?;
        }
        lengths.push(length);
        nulls.append_non_null();
    }
    let item = Arc::new(Field::new_list_field(NUMERIC, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, values.finish(), nulls.finish())?))
}

fn finite(value: &Numeric, what: &str) -> Result<()> {
    match value {
        Numeric::Finite(_) => Ok(()),
        Numeric::NaN => refuse("22023", format!("{what} cannot be NaN")),
        Numeric::Infinity | Numeric::NegativeInfinity => refuse("22023", format!("{what} cannot be infinity")),
    }
}
