//! The columns of a recursive query: the planner wants each step to have the types of the first term to the letter, also
//! where PostgreSQL knows one type only. So both terms have their values in the plainest form of their type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sightline_functions::numeric::{NUMERIC, cast_array};
use sightline_storage::types::SqlType;

use crate::codec::input::only_scalar;

/// The function that a value of a term is put into; no name that SQL can say.
pub(super) const PLAIN: &str = "plain value";

/// The function of this name, if it is that one.
pub(super) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    let function = || Plain { signature: Signature::any(1, Volatility::Immutable) };
    (name == PLAIN).then(|| Arc::new(ScalarUDF::new_from_impl(function())))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Plain {
    signature: Signature,
}

/// The plainest form of a type: a text without a length, a numeric without a scale.
fn plain(given: &Field) -> Field {
    let field = |ty: DataType| Field::new(PLAIN, ty, true);
    match (given.data_type(), SqlType::of_field(given)) {
        (DataType::Null, _) => field(DataType::Utf8View),
        (DataType::UInt64, _) => field(DataType::Int64),
        (DataType::Decimal128(..) | DataType::Decimal256(..), _) => field(NUMERIC),
        (_, SqlType::Text | SqlType::Varchar(_) | SqlType::Unknown) => field(DataType::Utf8View),
        _ => given.clone().with_name(PLAIN).with_nullable(true),
    }
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        PLAIN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(plain(&Field::new("", given[0].clone(), true)).data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(plain(&args.arg_fields[0])))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if constant { 1 } else { args.number_rows };
        let array = cast_array(&args.args[0].to_array(rows)?, args.return_field.data_type())?;
        Ok(if constant { ColumnarValue::Scalar(only_scalar(&array)?) } else { ColumnarValue::Array(array) })
    }
}
