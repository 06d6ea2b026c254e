//! `j[0]`, `j[1]['a']` of a `jsonb`: the rewrite of the query makes calls of `array_subscript` and `array_section` of
//! subscripts, before it is known what they subscript. Here a call that turns out to be of a `jsonb` becomes steps of a
//! path (<https://www.postgresql.org/docs/15/datatype-json.html#JSONB-SUBSCRIPTING>).

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::RawFieldAccessExpr;
use datafusion::logical_expr::{
    ColumnarValue, Expr, GetFieldAccess, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::operators::subscript;
use super::type_of;
use crate::error::to_datafusion;

const SUBSCRIPT: &str = "array_subscript";
const SECTION: &str = "array_section";

/// The function that subscripts arrays, so that it can be planned over a `jsonb` as well.
pub(in crate::plan) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    if name != SUBSCRIPT && name != SECTION {
        return None;
    }
    let inner = sightline_functions::scalar(name)?;
    let signature = Signature::user_defined(Volatility::Immutable);
    Some(Arc::new(ScalarUDF::new_from_impl(Subscript { inner, signature })))
}

/// The call as what it is: of arrays, or the path into a `jsonb`.
///
/// # Errors
/// 42804 for subscripts that a `jsonb` does not take.
pub(super) fn resolved(call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let implementation: &dyn std::any::Any = call.func.inner().as_ref();
    let Some(subscripts) = implementation.downcast_ref::<Subscript>() else { return Ok(Expr::ScalarFunction(call)) };
    let mut arguments = call.args.into_iter();
    let Some(of) = arguments.next() else { return Ok(subscripts.inner.call(vec![])) };
    if type_of(&of, schema) != SqlType::Jsonb {
        return Ok(subscripts.inner.call(std::iter::once(of).chain(arguments).collect()));
    }
    if subscripts.inner.name() == SECTION {
        return Err(mismatch("jsonb subscript does not support slices"));
    }
    arguments.try_fold(of, |of, key| {
        let access = GetFieldAccess::ListIndex { key: Box::new(key) };
        subscript(RawFieldAccessExpr { field_access: access, expr: of }, schema)
    })
}

fn mismatch(message: &str) -> datafusion::error::DataFusionError {
    to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, message))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subscript {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Subscript {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(DataType::Utf8View) => Ok(DataType::Utf8View),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = args.arg_fields.first().map(|f| (f.data_type().clone(), SqlType::of_field(f)));
        match given {
            Some((_, SqlType::Jsonb)) => Ok(SqlType::Jsonb.field_ref(self.name())),
            // What is no list has no subscripts, which the inner function says.
            Some((DataType::Utf8View, _)) => {
                let types = args.arg_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
                self.inner.coerce_types(&types).map(|_| args.arg_fields[0].clone())
            }
            _ => self.inner.return_field_from_args(args),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.first() {
            Some(DataType::Utf8View) => Ok(types.to_vec()),
            _ => self.inner.coerce_types(types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}
