//! `pg_typeof(any)`: the type of its argument, as the planner knows it.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use sightline_storage::types::{RegKind, SqlType};

pub(super) const NAME: &str = "pg_typeof";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PgTypeof {
    signature: Signature,
}

impl PgTypeof {
    pub(super) fn new() -> PgTypeof {
        PgTypeof { signature: Signature::any(1, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for PgTypeof {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(SqlType::Reg(RegKind::Type).field_ref(NAME))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let field = args.arg_fields.first().map(|f| SqlType::of_field(f));
        let ty = match args.arg_fields.first().map(|f| f.data_type()) {
            Some(DataType::Null) | None => SqlType::Unknown,
            Some(_) => field.unwrap_or(SqlType::Unknown),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::UInt32(Some(ty.oid()))))
    }
}
