//! `generate_series` as a list, with a limit: a series in FROM between plain numbers streams, but any other one is made
//! whole, in memory that no pool counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::functions_nested::range::gen_series_udf;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use sightline_functions::interval::comparable;
use sightline_functions::numeric;
use sightline_functions::shift::shift;
use sightline_functions::zone::Zone;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use crate::error::to_datafusion;

/// The most values of the series of one batch: 80 MB of numbers.
const VALUES_MAX: i64 = 10_000_000;

/// DataFusion's function behind the limit.
pub(super) fn generate_series() -> ScalarUDF {
    let inner = gen_series_udf();
    let signature = Signature::user_defined(inner.signature().volatility);
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
        match types.first() {
            Some(moment @ DataType::Timestamp(..)) => Ok(DataType::new_list(moment.clone(), true)),
            _ if is_exact(types) => Ok(DataType::new_list(numeric::NUMERIC, true)),
            _ => self.inner.return_type(types),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if is_exact(types) {
            return Ok(types.to_vec());
        }
        match of_moments(types) {
            Some(coerced) => Ok(coerced),
            None => {
                let field = |ty: &DataType| Arc::new(Field::new("", ty.clone(), true));
                let fields = types.iter().map(field).collect::<Vec<_>>();
                Ok(fields_with_udf(&fields, self.inner.as_ref())?.iter().map(|f| f.data_type().clone()).collect())
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(DataType::Timestamp(_, zone)) = args.args.first().map(ColumnarValue::data_type) {
            return moments(&args, zone.is_some());
        }
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        if is_exact(&arrays.iter().map(|a| a.data_type().clone()).collect::<Vec<_>>()) {
            return Ok(ColumnarValue::Array(numeric::series(&arrays, VALUES_MAX)?));
        }
        if lengths(&arrays)? > i128::from(VALUES_MAX) {
            return Err(too_long());
        }
        self.inner.invoke_with_args(args)
    }
}

fn too_long() -> datafusion::error::DataFusionError {
    let message = format!("a series of more than {VALUES_MAX} values cannot be made here");
    to_datafusion(
        Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Write it in FROM with plain numbers, as in FROM generate_series(1, 100000000): that streams."),
    )
}

/// The types of a series of timestamps; dates are moments, as PostgreSQL prefers.
fn of_moments(types: &[DataType]) -> Option<Vec<DataType>> {
    let [start, stop, _] = types else { return None };
    let moment = |t: &DataType| matches!(t, DataType::Timestamp(..) | DataType::Date32);
    let local = |t: &DataType| matches!(t, DataType::Timestamp(_, None));
    let zoned = |t: &DataType| matches!(t, DataType::Timestamp(_, Some(_)));
    if !moment(start) && !moment(stop) {
        return None;
    }
    let any_local = (local(start) || local(stop)) && !zoned(start) && !zoned(stop);
    let ty = if any_local { SqlType::Timestamp } else { SqlType::TimestampTz };
    Some(vec![ty.arrow(), ty.arrow(), SqlType::Interval.arrow()])
}

/// Each time is the one before moved by the step, in the session's time zone if they are moments.
fn moments(args: &ScalarFunctionArgs, zoned: bool) -> Result<ColumnarValue> {
    let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
    let [starts, stops, steps] = arrays.as_slice() else {
        return datafusion::common::internal_err!("generate_series of timestamps takes three arguments");
    };
    let name = args.config_options.execution.time_zone.as_deref();
    let zone = zoned.then(|| name.and_then(Zone::of_setting).unwrap_or(Zone::UTC));
    let (starts, stops) =
        (starts.as_primitive::<TimestampMicrosecondType>(), stops.as_primitive::<TimestampMicrosecondType>());
    let steps = steps.as_primitive::<IntervalMonthDayNanoType>();
    let tz = zoned.then_some("UTC");
    let values = TimestampMicrosecondBuilder::new().with_timezone_opt(tz);
    let mut lists = ListBuilder::new(values);
    let mut total = 0;
    for row in 0..starts.len() {
        if starts.is_null(row) || stops.is_null(row) || steps.is_null(row) {
            lists.append_null();
            continue;
        }
        let (mut at, stop, step) = (starts.value(row), stops.value(row), steps.value(row));
        let direction = comparable(step).signum();
        if direction == 0 {
            let message = "step size cannot equal zero";
            return Err(to_datafusion(Error::new(SqlState::INVALID_PARAMETER_VALUE, message)));
        }
        // PostgreSQL starts on a series without end, for a LIMIT; this one would be made whole first.
        if stop == i64::MAX && direction > 0 || stop == i64::MIN && direction < 0 {
            return Err(too_long());
        }
        while if direction > 0 { at <= stop } else { at >= stop } {
            total += 1;
            if total > VALUES_MAX {
                return Err(too_long());
            }
            lists.values().append_value(at);
            at = shift(zone, at, step, 1).ok_or_else(|| {
                to_datafusion(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
            })?;
        }
        lists.append(true);
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

/// Whether the arguments are numbers, and one of them a numeric.
fn is_exact(types: &[DataType]) -> bool {
    let exact = |t: &DataType| *t == numeric::NUMERIC || t.is_decimal();
    types.iter().any(exact) && types.iter().all(|t| exact(t) || t.is_integer() || t.is_null())
}

/// The number of values of all rows together, never too small by more than one a row.
fn lengths(arrays: &[ArrayRef]) -> Result<i128> {
    let (Some(start), Some(stop)) = (arrays.first(), arrays.get(1)) else { return Ok(0) };
    let wide = |array: &ArrayRef| arrow::compute::cast(array, &DataType::Int64);
    let step = arrays.get(2).map(wide).transpose()?;
    let (start, stop) = (wide(start)?, wide(stop)?);
    let value = |array: &ArrayRef, row: usize| array.as_primitive::<Int64Type>().value(row);
    let mut total = 0;
    for row in 0..start.len() {
        if start.is_null(row) || stop.is_null(row) || step.as_ref().is_some_and(|s| s.is_null(row)) {
            continue;
        }
        let step = step.as_ref().map_or(1, |step| value(step, row));
        let span = i128::from(value(&stop, row)) - i128::from(value(&start, row));
        if step != 0 {
            total += (span / i128::from(step)).max(0) + 1;
        }
    }
    Ok(total)
}
