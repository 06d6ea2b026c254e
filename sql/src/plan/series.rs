//! `generate_series` as a list, with a limit: a series in FROM between plain numbers streams, but any other one is made
//! whole, in memory that no pool counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::functions_nested::range::gen_series_udf;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use sightline_storage::error::{Error, SqlState};

use crate::error::to_datafusion;

/// The most values of the series of one batch: 80 MB of numbers.
const VALUES_MAX: i64 = 10_000_000;
/// The least number of microseconds in a month.
const MONTH_US: i64 = 28 * 86_400_000_000;

/// DataFusion's function behind the limit.
pub(super) fn generate_series() -> ScalarUDF {
    let inner = gen_series_udf();
    let signature = inner.signature().clone();
    ScalarUDF::new_from_impl(Series { inner, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &'static str {
        "generate_series"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        if lengths(&arrays)? > i128::from(VALUES_MAX) {
            let message = format!("a series of more than {VALUES_MAX} values cannot be made here");
            return Err(to_datafusion(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint(
                "Write it in FROM with plain numbers, as in FROM generate_series(1, 100000000): that streams.",
            )));
        }
        self.inner.invoke_with_args(args)
    }
}

/// The number of values of all rows together, never too small by more than one a row.
fn lengths(arrays: &[ArrayRef]) -> Result<i128> {
    let (Some(start), Some(stop)) = (arrays.first(), arrays.get(1)) else { return Ok(0) };
    let wide = |array: &ArrayRef| -> Result<ArrayRef> {
        let moments = matches!(array.data_type(), DataType::Timestamp(..) | DataType::Date32);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        Ok(arrow::compute::cast(array, if moments { &micros } else { &DataType::Int64 })?)
    };
    let step = arrays.get(2);
    let (start, stop) = (wide(start)?, wide(stop)?);
    let value = |array: &ArrayRef, row: usize| match array.as_primitive_opt::<Int64Type>() {
        Some(numbers) => numbers.value(row),
        None => array.as_primitive::<TimestampMicrosecondType>().value(row),
    };
    let mut total = 0;
    for row in 0..start.len() {
        if start.is_null(row) || stop.is_null(row) || step.is_some_and(|s| s.is_null(row)) {
            continue;
        }
        let step = match step {
            None => 1,
            Some(step) => match step.as_primitive_opt::<IntervalMonthDayNanoType>() {
                Some(steps) => {
                    let by = steps.value(row);
                    let days = i64::from(by.months) * MONTH_US + i64::from(by.days) * 86_400_000_000;
                    days.saturating_add(by.nanoseconds / 1000)
                }
                None => value(&wide(step)?, row),
            },
        };
        let span = i128::from(value(&stop, row)) - i128::from(value(&start, row));
        if step != 0 {
            total += (span / i128::from(step)).max(0) + 1;
        }
    }
    Ok(total)
}
