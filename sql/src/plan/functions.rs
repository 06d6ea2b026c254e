//! Functions whose answer hangs on the statement: the time of its transaction.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, SqlState};

use super::QueryContext;

/// The error for a function that does not exist.
pub(super) fn undefined(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// A function of no arguments with one value for the whole statement.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: String,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

const DAY_US: i64 = 86_400_000_000;

/// `now()` and its kin: fixed for the transaction, in the session's time zone where the type has none.
pub(super) fn session_function(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    let local = || ctx.settings.local_us(ctx.now_us);
    let utc = |us: i64| ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into()));
    let value = match name {
        "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" => utc(ctx.now_us),
        "clock_timestamp" => utc(ctx.database.engine.clock().now_us()),
        "localtimestamp" => ScalarValue::TimestampMicrosecond(Some(local()), None),
        "current_date" | "today" => {
            let day = i32::try_from(local().div_euclid(DAY_US)).ok()?;
            ScalarValue::Date32(Some(day))
        }
        "localtime" | "current_time" => ScalarValue::Time64Microsecond(Some(local().rem_euclid(DAY_US))),
        _ => return None,
    };
    let signature = Signature::nullary(Volatility::Stable);
    Some(Arc::new(ScalarUDF::new_from_impl(Constant { name: name.to_string(), value, signature })))
}
