//! `pg_sleep(seconds)` and its kin (<https://www.postgresql.org/docs/15/functions-datetime.html#FUNCTIONS-DATETIME-DELAY>).
//! They wait without a thread, and end with the statement: a cancel or a deadline drops what waits.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNanoType, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use sightline_functions::numeric::cast_array;
use sightline_storage::types::SqlType;

use super::QueryContext;

/// The names of the functions.
pub(crate) const NAMES: [&str; 3] = ["pg_sleep", "pg_sleep_for", "pg_sleep_until"];

/// The longest wait, as long as a statement may reasonably run: a hundred years.
const SECONDS_MAX: f64 = 3_155_760_000.0;

/// The type of a function's argument, if it is one of these: what a literal is read as.
pub(super) fn argument(name: &str) -> Option<SqlType> {
    Some(match name {
        "pg_sleep" => SqlType::Double,
        "pg_sleep_for" => SqlType::Interval,
        "pg_sleep_until" => SqlType::TimestampTz,
        _ => return None,
    })
}

/// The function of this name, if it is one of these.
pub(super) fn function(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    let name = NAMES.into_iter().find(|n| *n == name)?;
    let function = Sleep { name, ctx: ctx.clone(), signature: Signature::any(1, Volatility::Volatile) };
    Some(Arc::new(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()))
}

struct Sleep {
    name: &'static str,
    ctx: Arc<QueryContext>,
    signature: Signature,
}

impl Sleep {
    fn argument(&self) -> DataType {
        argument(self.name).map_or(DataType::Float64, |ty| ty.arrow())
    }

    /// How long a row waits from now on, none if not at all.
    fn seconds(&self, array: &ArrayRef, row: usize) -> Option<f64> {
        if array.is_null(row) {
            return None;
        }
        let seconds = match self.name {
            "pg_sleep" => array.as_primitive::<Float64Type>().value(row),
            "pg_sleep_for" => {
                let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let days = f64::from(interval.months) * 30.0 + f64::from(interval.days);
                days * 86_400.0 + interval.nanoseconds as f64 / 1e9
            }
            _ => {
                let until = array.as_primitive::<TimestampMicrosecondType>().value(row);
                until.saturating_sub(self.ctx.database.engine.clock().now_us()) as f64 / 1e6
            }
        };
        (seconds > 0.0).then(|| seconds.min(SECONDS_MAX))
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Sleep {
    fn eq(&self, other: &Sleep) -> bool {
        self.name == other.name
    }
}

impl Eq for Sleep {}

impl Hash for Sleep {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a wait is asynchronous")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let given = args.args.first().map(|a| a.to_array(rows)).transpose()?;
        let Some(given) = given else { return exec_err!("a wait without an argument") };
        let given = cast_array(&given, &self.argument())?;
        for row in 0..rows {
            if let Some(seconds) = self.seconds(&given, row) {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
        }
        let waited = (0..rows).map(|row| given.is_valid(row).then_some(""));
        Ok(ColumnarValue::Array(Arc::new(waited.collect::<StringViewArray>())))
    }
}
