//! Functions that need the catalog or the session. Each is made for one statement and holds its context; it works value
//! by value, which is quick enough for catalogs.

mod comment;
mod definition;
mod function_definition;
mod pg_typeof;
mod privilege;
mod reg;
mod sequence;
mod session;
mod setting;
mod size;
mod visibility;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::rows::{Value, array};
use crate::codec::input::only_scalar;
use crate::error::to_datafusion;
use crate::plan::QueryContext;

/// What an argument is made to before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arg {
    Text,
    Int,
    Bool,
    /// An OID; text is read as a number.
    Oid,
    /// An OID, or the name of what it stands for.
    Named,
    /// A list of OIDs.
    Oids,
}

/// One function: its name, arguments, what it answers, and how.
struct Function {
    name: &'static str,
    args: &'static [Arg],
    /// How many of `args` must be there.
    required: usize,
    returns: fn() -> SqlType,
    /// With it a NULL argument answers NULL without a call.
    strict: bool,
    call: fn(&QueryContext, &[Value]) -> sightline_storage::error::Result<Value>,
}

impl Function {
    /// A strict function, all of whose arguments must be there.
    const fn new(
        name: &'static str,
        args: &'static [Arg],
        returns: fn() -> SqlType,
        call: fn(&QueryContext, &[Value]) -> sightline_storage::error::Result<Value>,
    ) -> Function {
        Function { name, args, required: args.len(), returns, strict: true, call }
    }

    /// Only the first `required` arguments must be there.
    const fn required(mut self, required: usize) -> Function {
        self.required = required;
        self
    }

    /// NULL arguments reach the call.
    const fn called_on_null(mut self) -> Function {
        self.strict = false;
        self
    }
}

/// Types by name, for the tables of functions.
mod returns {
    use sightline_storage::types::{RegKind, SqlType};

    pub(super) fn bool() -> SqlType {
        SqlType::Boolean
    }
    pub(super) fn int4() -> SqlType {
        SqlType::Integer
    }
    pub(super) fn int8() -> SqlType {
        SqlType::BigInt
    }
    pub(super) fn text() -> SqlType {
        SqlType::Text
    }
    pub(super) fn name() -> SqlType {
        SqlType::Name
    }
    pub(super) fn names() -> SqlType {
        SqlType::Array(Box::new(SqlType::Name))
    }
    pub(super) fn texts() -> SqlType {
        SqlType::Array(Box::new(SqlType::Text))
    }
    pub(super) fn int4s() -> SqlType {
        SqlType::Array(Box::new(SqlType::Integer))
    }
    pub(super) fn oid() -> SqlType {
        SqlType::Oid
    }
    pub(super) fn timestamptz() -> SqlType {
        SqlType::TimestampTz
    }
    pub(super) fn void() -> SqlType {
        SqlType::Text
    }
    pub(super) fn regclass() -> SqlType {
        SqlType::Reg(RegKind::Class)
    }
    pub(super) fn regclasses() -> SqlType {
        SqlType::Array(Box::new(SqlType::Reg(RegKind::Class)))
    }
    pub(super) fn regtype() -> SqlType {
        SqlType::Reg(RegKind::Type)
    }
    pub(super) fn regproc() -> SqlType {
        SqlType::Reg(RegKind::Proc)
    }
    pub(super) fn regnamespace() -> SqlType {
        SqlType::Reg(RegKind::Namespace)
    }
    pub(super) fn regrole() -> SqlType {
        SqlType::Reg(RegKind::Role)
    }
}

const FAMILIES: [&[Function]; 10] = [
    comment::FUNCTIONS,
    definition::FUNCTIONS,
    function_definition::FUNCTIONS,
    privilege::FUNCTIONS,
    reg::FUNCTIONS,
    sequence::FUNCTIONS,
    session::FUNCTIONS,
    setting::FUNCTIONS,
    size::FUNCTIONS,
    visibility::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.into_iter().flatten()
}

/// The names of all functions here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|f| f.name).chain([pg_typeof::NAME])
}

/// The function of this name, bound to the statement.
pub(super) fn find(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    if name == pg_typeof::NAME {
        return Some(Arc::new(ScalarUDF::new_from_impl(pg_typeof::PgTypeof::new())));
    }
    let function = all().find(|f| f.name == name)?;
    let signature = match function.args {
        [] => Signature::nullary(Volatility::Stable),
        _ => Signature::user_defined(Volatility::Stable),
    };
    Some(Arc::new(ScalarUDF::new_from_impl(Bound { ctx: ctx.clone(), function, signature })))
}

/// A function with its statement.
struct Bound {
    ctx: Arc<QueryContext>,
    function: &'static Function,
    signature: Signature,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Bound) -> bool {
        self.function.name == other.function.name && Arc::ptr_eq(&self.ctx, &other.ctx)
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok((self.function.returns)().arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok((self.function.returns)().field_ref(self.function.name))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() < self.function.required || given.len() > self.function.args.len() {
            return Err(to_datafusion(undefined(self.function.name, given)));
        }
        Ok(self.function.args.iter().zip(given).map(|(arg, given)| coerced(*arg, given)).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let count = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(count)).collect::<Result<Vec<_>>>()?;
        let mut values = Vec::with_capacity(count);
        for row in 0..count {
            let row = arrays.iter().map(|a| Value::of(a, row)).collect::<Vec<_>>();
            if self.function.strict && row.contains(&Value::Null) {
                values.push(Value::Null);
            } else {
                values.push((self.function.call)(&self.ctx, &row).map_err(to_datafusion)?);
            }
        }
        let result = array(&(self.function.returns)(), &values).map_err(to_datafusion)?;
        if constant {
            return Ok(ColumnarValue::Scalar(only_scalar(&result)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The type that an argument of type `given` is cast to.
fn coerced(arg: Arg, given: &DataType) -> DataType {
    let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match arg {
        Arg::Text => DataType::Utf8View,
        Arg::Int => DataType::Int64,
        Arg::Bool => DataType::Boolean,
        Arg::Named if text => DataType::Utf8View,
        Arg::Oid | Arg::Named => DataType::UInt32,
        Arg::Oids => SqlType::Array(Box::new(SqlType::Oid)).arrow(),
    }
}

/// 42883, as PostgreSQL says it.
fn undefined(name: &str, given: &[DataType]) -> Error {
    let given = given.iter().map(|t| SqlType::from_arrow(t).to_string()).collect::<Vec<_>>().join(", ");
    Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}({given}) does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// What a function answers where we never have what it asks for.
fn null(_: &QueryContext, _: &[Value]) -> sightline_storage::error::Result<Value> {
    Ok(Value::Null)
}
