//! `x = ANY (array)` with PostgreSQL's NULLs: not found is unknown where the array holds a NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_nested::array_has::array_has_udf;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// The call in place of DataFusion's `array_has`, which answers false.
pub(super) fn any_equals(call: ScalarFunction) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::new_from_impl(AnyEquals { inner: array_has_udf(), signature }).call(call.args)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AnyEquals {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for AnyEquals {
    fn name(&self) -> &'static str {
        "any_equals"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// A list that does not vary becomes `IN (…)`, which prunes and knows NULLs.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let haystack = args.args[0].clone();
        match self.inner.invoke_with_args(args)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(false))) => {
                let holds = null_inside(&haystack.to_array(1)?).is_some_and(|holds| holds.value(0));
                Ok(ColumnarValue::Scalar(ScalarValue::Boolean((!holds).then_some(false))))
            }
            ColumnarValue::Array(found) => {
                let Some(holds) = null_inside(&haystack.to_array(rows)?) else {
                    return Ok(ColumnarValue::Array(found));
                };
                let found = found.as_boolean().iter().zip(holds.iter());
                let known = found.map(|(found, holds)| found.filter(|found| *found || holds != Some(true)));
                Ok(ColumnarValue::Array(Arc::new(known.collect::<BooleanArray>())))
            }
            known @ ColumnarValue::Scalar(_) => Ok(known),
        }
    }
}

/// For each list whether it holds a NULL; none if no list does.
fn null_inside(lists: &ArrayRef) -> Option<BooleanArray> {
    let lists = lists.as_list_opt::<i32>()?;
    let nulls = lists.values().nulls().filter(|nulls| nulls.null_count() > 0)?;
    let holds = lists.offsets().windows(2).map(|pair| {
        let range = usize::try_from(pair[0]).unwrap_or(0)..usize::try_from(pair[1]).unwrap_or(0);
        Some(nulls.slice(range.start, range.len()).null_count() > 0)
    });
    Some(holds.collect())
}
