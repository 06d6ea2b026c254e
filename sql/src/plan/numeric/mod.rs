//! Plans over numerics: what operators, CASE, unions, groups and aggregates mean where a number has a scale of its own.
//!
//! There are two forms. `numeric(p,s)` is an Arrow decimal, and what stays one under PostgreSQL's rules (sums, products,
//! comparisons) is left to Arrow, which is fast. What has a scale for each value (quotients, `numeric` without precision,
//! logarithms …) is [`NUMERIC`], bytes in the order of the values, and computed by kernels of ours. Two such values are
//! compared by their *keys*, which leave out the scale: so `1.0 = 1.00`, also in groups, joins and DISTINCT.
//!
//! All of this is done once, on the plan as it comes from the planner, before DataFusion coerces types.

mod aggregate;
mod functions;
mod nodes;
mod operator;
mod unify;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::scalar::ScalarValue;
use sightline_functions::numeric::{self, NUMERIC};
use sightline_numeric::{Numeric, bytes};
use sightline_storage::types::SqlType;

use super::kernel::{Body, Kernel};
use crate::error::to_datafusion;

pub(super) use aggregate::{aggregates, lenient};
pub(super) use functions::wrapped;
pub(super) use nodes::{rewrite as rewrite_node, rewrite_subquery};
pub(super) use operator::{expression, planned};
pub(super) use unify::array_items;

/// The most digits that a `Decimal128` has.
const SHORT_DIGITS: i32 = 38;
/// The most digits that a `Decimal256` has.
const LONG_DIGITS: i32 = 76;

fn is_numeric(t: &DataType) -> bool {
    *t == NUMERIC
}

/// A type that numeric arithmetic is meant of, if one side of an operator has it.
pub(super) fn is_exact(t: &DataType) -> bool {
    is_numeric(t) || t.is_decimal()
}

/// The digits of an integer type.
fn integer_digits(t: &DataType) -> Option<i32> {
    Some(match t {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => return None,
    })
}

/// Precision and scale of a decimal or an integer type.
fn shape(t: &DataType) -> Option<(i32, i32)> {
    match t {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Some((i32::from(*p), i32::from(*s))),
        other => integer_digits(other).map(|p| (p, 0)),
    }
}

/// The decimal of so many digits; none if there is no such.
fn decimal(precision: i32, scale: i32) -> Option<DataType> {
    let (p, s) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    match precision {
        _ if scale < 0 || scale > precision => None,
        1..=SHORT_DIGITS => Some(DataType::Decimal128(p, s)),
        _ if (1..=LONG_DIGITS).contains(&precision) => Some(DataType::Decimal256(p, s)),
        _ => None,
    }
}

fn is_text_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), None) => Some(text),
        _ => None,
    }
}

/// A number read from a literal's text: a decimal if one holds it.
///
/// # Errors
/// 22P02, 22003.
fn literal(text: &str) -> Result<Expr> {
    let value = Numeric::parse(text).map_err(|e| to_datafusion(e.into()))?;
    if let Some(d) = value.decimal()
        && let Some(int) = d.small()
        && let digits = d.digits().len().max(usize::try_from(d.scale()).unwrap_or(usize::MAX)).max(1)
        && digits <= SHORT_DIGITS as usize
    {
        return Ok(Expr::Literal(ScalarValue::Decimal128(Some(int), digits as u8, d.scale() as i8), None));
    }
    let mut encoded = Vec::new();
    bytes::encode(&value, &mut encoded);
    Ok(Expr::Literal(ScalarValue::LargeBinary(Some(encoded)), None))
}

fn field(ty: DataType) -> FieldRef {
    Arc::new(Field::new("", ty, true))
}

/// A call of a kernel, or its answer if the arguments are literals and it has one.
fn call(name: &str, ty: DataType, args: Vec<Expr>, body: Body) -> Expr {
    let constants = args.iter().map(|a| if let Expr::Literal(v, _) = a { v.to_array().ok() } else { None });
    if let Some(arrays) = constants.collect::<Option<Vec<ArrayRef>>>()
        && let Ok(answer) = body(&arrays)
        && let Ok(value) = ScalarValue::try_from_array(&answer, 0)
    {
        return Expr::Literal(value, None);
    }
    Kernel::call(name, field(ty), args, body)
}

/// A parameter of which nothing is known yet.
fn is_open(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(Placeholder { field: None, .. }))
}

/// A parameter beside a numeric is a numeric.
fn parameter(expr: Expr) -> Expr {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            Expr::Placeholder(Placeholder { id, field: Some(field(NUMERIC)) })
        }
        other => other,
    }
}

/// The expression, a number, as a numeric with a scale per value.
pub(super) fn as_numeric(expr: Expr, ty: &DataType) -> Expr {
    match &expr {
        open if is_open(open) => parameter(expr),
        Expr::Literal(value, _) if value.is_null() => Expr::Literal(ScalarValue::LargeBinary(None), None),
        _ if is_numeric(ty) => expr,
        _ => call("numeric", NUMERIC, vec![expr], Arc::new(|arrays| numeric::to_numeric(&arrays[0], None))),
    }
}

/// What the expression, a number, is compared by.
pub(super) fn key(expr: Expr, ty: &DataType) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && value.is_null()
    {
        return Expr::Literal(ScalarValue::Binary(None), None);
    }
    let body: Body = Arc::new(|arrays| numeric::keys(&numeric::to_numeric(&arrays[0], None)?));
    let expr = parameter(expr);
    let name = if is_numeric(ty) { "numeric_key" } else { "numeric_key_of_number" };
    call(name, DataType::Binary, vec![expr], body)
}

/// The expression, a number, as a double.
fn as_float(expr: Expr, ty: &DataType) -> Expr {
    if is_numeric(ty) {
        let body: Body = Arc::new(|arrays| numeric::from_numeric(&arrays[0], &DataType::Float64));
        return Kernel::call("float8", field(DataType::Float64), vec![expr], body);
    }
    cast(expr, DataType::Float64)
}

/// A cast to `numeric` without precision: decimals and integers stay what they are, for they show what a numeric would.
/// Other expressions come back as they are.
///
/// # Errors
/// 22P02 for a literal that is no number.
pub(super) fn settled(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let Expr::Cast(cast) = expr else { return Ok(expr) };
    if cast.field.data_type() != &NUMERIC || SqlType::of_field(&cast.field) != SqlType::Numeric(None) {
        return Ok(Expr::Cast(cast));
    }
    if let Some(text) = is_text_literal(&cast.expr) {
        return literal(text);
    }
    let Ok(from) = cast.expr.get_type(schema) else { return Ok(Expr::Cast(cast)) };
    Ok(match from {
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => *cast.expr,
        DataType::Null => Expr::Literal(ScalarValue::LargeBinary(None), None),
        t if t.is_integer() => match shape(&t).and_then(|(p, s)| decimal(p, s)) {
            Some(decimal) => datafusion::logical_expr::cast(*cast.expr, decimal),
            None => as_numeric(*cast.expr, &t),
        },
        t if t.is_floating() || is_numeric(&t) => as_numeric(*cast.expr, &t),
        _ => Expr::Cast(cast),
    })
}

/// How a cast between number types is made, if Arrow would make it otherwise; `to` is the type with its modifier.
pub(super) fn cast_body(from: &DataType, to: &FieldRef) -> Option<Body> {
    if let (DataType::List(from), DataType::List(item)) = (from, to.data_type()) {
        let (body, item) = (cast_body(from.data_type(), item)?, item.clone());
        return Some(Arc::new(move |arrays| {
            let list = arrays[0].as_list::<i32>();
            let values = body(std::slice::from_ref(list.values()))?;
            let made = ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())?;
            Ok(Arc::new(made) as ArrayRef)
        }));
    }
    let modifier = match SqlType::of_field(to) {
        SqlType::Numeric(modifier) => modifier.map(|(p, s)| (i32::from(p), i32::from(s))),
        _ => None,
    };
    let number = is_exact(from) || from.is_integer() || from.is_floating();
    let to = to.data_type().clone();
    if is_numeric(&to) && number {
        return Some(Arc::new(move |arrays| numeric::to_numeric(&arrays[0], modifier)));
    }
    if is_exact(from) && (to.is_floating() || to.is_integer()) {
        let exact = is_numeric(from) || to.is_integer();
        return exact.then(|| -> Body { Arc::new(move |arrays| numeric::from_numeric(&arrays[0], &to)) });
    }
    if to.is_decimal() && number && !widens(from, &to) {
        return Some(Arc::new(move |arrays| numeric::to_decimal(&arrays[0], &to)));
    }
    None
}

/// Whether all values of a type are values of a decimal type.
fn widens(from: &DataType, to: &DataType) -> bool {
    match (shape(from), shape(to)) {
        (Some((p, s)), Some((wider, scale))) => scale >= s && wider - scale >= p - s,
        _ => false,
    }
}
