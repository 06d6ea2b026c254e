//! A function of ours inside a plan, made for one place: a name, a result type, and arrays in, an array out.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::codec::input::only_scalar;

/// Arrays of equal length in, one of that length out.
pub(super) type Body = Arc<dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;

/// Such a function. Its name tells all about it but the result type: two of one name and type are the same.
pub(super) struct Kernel {
    name: String,
    field: FieldRef,
    signature: Signature,
    body: Body,
}

impl Kernel {
    /// A call of a kernel.
    pub(super) fn call(name: &str, field: FieldRef, args: Vec<Expr>, body: Body) -> Expr {
        let signature = Signature::any(args.len(), Volatility::Immutable);
        ScalarUDF::new_from_impl(Kernel { name: name.to_string(), field, signature, body }).call(args)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.field == other.field
    }
}

impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.field.data_type().hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        // One that makes NULLs by itself says so.
        let nullable = self.field.is_nullable() || args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(self.field.as_ref().clone().with_name(&self.name).with_nullable(nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let out = (self.body)(&arrays)?;
        let wanted = self.field.data_type();
        let out = if out.data_type() == wanted { out } else { cast(&out, wanted)? };
        if constant && out.len() == 1 {
            return Ok(ColumnarValue::Scalar(only_scalar(&out)?));
        }
        Ok(ColumnarValue::Array(out))
    }
}
