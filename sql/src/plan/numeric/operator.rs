//! Operators and other expressions one of whose sides is a numeric.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator, cast, not};
use datafusion::scalar::ScalarValue;
use sightline_functions::numeric::{self, NUMERIC};
use sightline_numeric::bytes;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::{
    LONG_DIGITS, SHORT_DIGITS, as_float, as_numeric, call, decimal, functions, integer_digits, is_exact, is_numeric,
    is_open, is_text_literal, key, literal, parameter, settled, shape, unify,
};
use crate::error::to_datafusion;

/// How many digits more than it holds a product of decimals may have by its type, and is a decimal all the same: columns
/// are declared wider than their values are, and `price * (1 - discount) * (1 + tax)` shall be fast.
const OPTIMISM: i32 = 12;

/// Whoever declares a column of more digits than this means it.
const COMMON_DIGITS: i32 = 20;

fn kernel(op: Operator) -> Option<numeric::Operator> {
    Some(match op {
        Operator::Plus => numeric::Operator::Add,
        Operator::Minus => numeric::Operator::Subtract,
        Operator::Multiply => numeric::Operator::Multiply,
        Operator::Divide => numeric::Operator::Divide,
        Operator::Modulo => numeric::Operator::Modulo,
        _ => return None,
    })
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

/// An expression with its numerics understood; whatever else comes back as it is.
///
/// # Errors
/// 22P02 for a literal that is no number, 42883 for an operator that is not there.
pub(in crate::plan) fn expression(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::Cast(_) => settled(expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match planned(*left, op, *right, schema)? {
            Ok(planned) => Ok(planned),
            Err((left, right)) => Ok(binary(left, op, right)),
        },
        Expr::Negative(inner) => Ok(match inner.get_type(schema) {
            Ok(t) if is_numeric(&t) => negated(*inner),
            _ => Expr::Negative(inner),
        }),
        Expr::Between(between) => bounded(between, schema),
        Expr::InList(list) => listed(list, schema),
        Expr::Case(case) => unify::case(case, schema),
        Expr::ScalarFunction(call) if call.func.name() == "array_has" => match functions::converted(call, schema)? {
            Expr::ScalarFunction(call) => Ok(member(call, schema)),
            other => Ok(other),
        },
        Expr::ScalarFunction(call) => functions::converted(call, schema),
        Expr::AggregateFunction(mut call) => {
            functions::aggregated(&call.func, &mut call.params.args, schema)?;
            Ok(Expr::AggregateFunction(call))
        }
        other => Ok(other),
    }
}

fn negated(expr: Expr) -> Expr {
    let body = |arrays: &[arrow::array::ArrayRef]| numeric::operate(numeric::Operator::Negate, arrays);
    call(numeric::Operator::Negate.name(), NUMERIC, vec![expr], Arc::new(body))
}

/// The operation, if it is one of numerics; else both sides as they were.
///
/// # Errors
/// As [`expression`].
pub(in crate::plan) fn planned(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Result<Expr, (Expr, Expr)>> {
    let bits = matches!(op, Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor)
        || matches!(op, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight);
    if kernel(op).is_none() && !compares(op) && !bits {
        return Ok(Err((left, right)));
    }
    let (mut left, mut right) = (known(left, schema)?, known(right, schema)?);
    let (Ok(mut l), Ok(mut r)) = (left.get_type(schema), right.get_type(schema)) else { return Ok(Err((left, right))) };
    if let (true, Some(text)) = (is_exact(&l), is_text_literal(&right)) {
        right = literal(text)?;
        r = right.get_type(schema)?;
    }
    if let (true, Some(text)) = (is_exact(&r), is_text_literal(&left)) {
        left = literal(text)?;
        l = left.get_type(schema)?;
    }
    if compares(op)
        && let (DataType::List(a), DataType::List(b)) = (&l, &r)
        && (is_numeric(a.data_type()) || is_numeric(b.data_type()))
        && (is_exact(a.data_type()) && is_exact(b.data_type()))
    {
        return Ok(Ok(binary(list_key(left, &l), op, list_key(right, &r))));
    }
    if !is_exact(&l) && !is_exact(&r) {
        return Ok(Err((left, right)));
    }
    if bits {
        return missing(&l, op, &r);
    }
    if is_open(&left) || is_open(&right) {
        (left, right) = (parameter(left), parameter(right));
        (l, r) = (left.get_type(schema)?, right.get_type(schema)?);
    }
    if l.is_floating() || r.is_floating() {
        return Ok(Ok(floats(left, &l, op, right, &r)));
    }
    let number = |t: &DataType| is_exact(t) || integer_digits(t).is_some() || t.is_null();
    // Times and intervals have rules of their own.
    let timed = |t: &DataType| t.is_temporal() || matches!(t, DataType::Interval(_));
    if timed(&l) || timed(&r) {
        return Ok(Err((left, right)));
    }
    if !number(&l) || !number(&r) {
        return if is_numeric(&l) || is_numeric(&r) { missing(&l, op, &r) } else { Ok(Err((left, right))) };
    }
    Ok(Ok(match kernel(op) {
        Some(kernel) => arithmetic(left, &l, op, kernel, right, &r),
        None => comparison(left, &l, op, right, &r),
    }))
}

/// A CASE as an operand has the type of its first branch until its branches are united.
fn known(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::Case(case) => unify::case(case, schema),
        other => settled(other, schema),
    }
}

fn missing<T>(l: &DataType, op: Operator, r: &DataType) -> Result<T> {
    // Times and intervals have rules of their own, which are asked later.
    let name = |t: &DataType| match SqlType::from_arrow(t) {
        SqlType::Numeric(_) => "numeric".to_string(),
        other => other.to_string(),
    };
    let op = if op == Operator::BitwiseXor { "#".to_string() } else { op.to_string() };
    let error =
        Error::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {} {op} {}", name(l), name(r)))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.");
    Err(to_datafusion(error))
}

/// A float beside a numeric makes the numeric a float.
fn floats(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Expr {
    let wide = |expr: Expr, t: &DataType| if *t == DataType::Float64 { expr } else { as_float(expr, t) };
    binary(wide(left, l), op, wide(right, r))
}

/// The digits of an operand: those of its type, or of its value if it is an integer's literal.
fn operand(expr: &Expr, t: &DataType) -> Option<(i32, i32)> {
    let value = match unaliased(expr) {
        Expr::Literal(ScalarValue::Int16(Some(v)), _) => i64::from(*v),
        Expr::Literal(ScalarValue::Int32(Some(v)), _) => i64::from(*v),
        Expr::Literal(ScalarValue::Int64(Some(v)), _) => *v,
        _ => return shape(t),
    };
    Some((value.unsigned_abs().checked_ilog10().map_or(1, |n| n as i32 + 1), 0))
}

/// The literal under the cast that makes it an `integer`.
fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if cast.field.data_type().is_integer() && matches!(cast.expr.as_ref(), Expr::Literal(..)) => {
            &cast.expr
        }
        other => other,
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(unaliased(expr), Expr::Literal(..))
}

/// Sums and products of decimals are decimals as long as one holds them; all else goes to the kernels.
fn arithmetic(left: Expr, l: &DataType, op: Operator, kernel: numeric::Operator, right: Expr, r: &DataType) -> Expr {
    if let (Some((p1, s1)), Some((p2, s2))) = (operand(&left, l), operand(&right, r))
        && op != Operator::Divide
    {
        let (precision, scale) = match op {
            Operator::Multiply => (p1 + p2, s1 + s2),
            Operator::Modulo => ((p1 - s1).max(p2 - s2) + s1.max(s2), s1.max(s2)),
            _ => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
        };
        let constant = is_constant(&left) && is_constant(&right);
        let limit = if p1 > SHORT_DIGITS || p2 > SHORT_DIGITS { LONG_DIGITS } else { SHORT_DIGITS };
        let declared = |e: &Expr, p: i32| p > COMMON_DIGITS && matches!(e, Expr::Column(_) | Expr::Cast(_));
        let long = declared(&left, p1) || declared(&right, p2);
        let exact = constant || long || op == Operator::Modulo || limit == LONG_DIGITS;
        let optimism = if exact { 0 } else { OPTIMISM };
        if scale <= limit && precision <= limit + optimism {
            let side = |expr: Expr, t: &DataType, p: i32| match decimal(p, 0) {
                Some(ty) if integer_digits(t).is_some() => integer_as(expr, ty),
                _ => expr,
            };
            return binary(side(left, l, p1), op, side(right, r, p2));
        }
    }
    let body = move |arrays: &[arrow::array::ArrayRef]| numeric::operate(kernel, arrays);
    let side = |expr: Expr, t: &DataType| if t.is_null() { as_numeric(expr, t) } else { expr };
    call(kernel.name(), NUMERIC, vec![side(left, l), side(right, r)], Arc::new(body))
}

/// An integer as a decimal; a literal at once.
fn integer_as(expr: Expr, ty: DataType) -> Expr {
    if let Expr::Literal(value, _) = unaliased(&expr)
        && let Ok(value) = value.cast_to(&ty)
    {
        return Expr::Literal(value, None);
    }
    cast(expr, ty)
}

fn comparison(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Expr {
    if !is_numeric(l) && !is_numeric(r) {
        let (Some((p1, s1)), Some((p2, s2))) = (operand(&left, l), operand(&right, r)) else {
            return binary(left, op, right);
        };
        let digits = (p1 - s1).max(p2 - s2) + s1.max(s2);
        let side = |expr: Expr, t: &DataType, p: i32| match decimal(p, 0) {
            Some(ty) if integer_digits(t).is_some() => integer_as(expr, ty),
            _ => expr,
        };
        if digits <= SHORT_DIGITS {
            return binary(side(left, l, p1), op, side(right, r, p2));
        }
    }
    if let Some(bounded) = against_literal(&left, l, op, &right, r) {
        return bounded;
    }
    binary(key(left, l), op, key(right, r))
}

/// A column compared with a literal as a range of its bytes, which zone maps know: a key followed by the least scale is
/// not above any value that equals it, followed by the greatest possible not below.
fn against_literal(left: &Expr, l: &DataType, op: Operator, right: &Expr, r: &DataType) -> Option<Expr> {
    let (column, value, value_type, op) = match (left, right) {
        (Expr::Column(_), Expr::Literal(v, _)) if is_numeric(l) && !v.is_null() => (left, right, r, op),
        (Expr::Literal(v, _), Expr::Column(_)) if is_numeric(r) && !v.is_null() => (right, left, l, op.swap()?),
        _ => return None,
    };
    let Expr::Literal(ScalarValue::LargeBinary(Some(encoded)), _) = as_numeric(value.clone(), value_type) else {
        return None;
    };
    let bound = |suffix: u8| {
        let mut bytes = bytes::key(&encoded).to_vec();
        bytes.extend_from_slice(&[suffix; bytes::SCALE_BYTES]);
        Expr::Literal(ScalarValue::LargeBinary(Some(bytes)), None)
    };
    let compared = |op: Operator, bound: Expr| binary(column.clone(), op, bound);
    Some(match op {
        Operator::Lt | Operator::GtEq => compared(op, bound(0)),
        Operator::LtEq | Operator::Gt => compared(op, bound(0xff)),
        Operator::Eq => compared(Operator::GtEq, bound(0)).and(compared(Operator::LtEq, bound(0xff))),
        Operator::NotEq => compared(Operator::Lt, bound(0)).or(compared(Operator::Gt, bound(0xff))),
        _ => return None,
    })
}

fn bounded(between: Between, schema: &DFSchema) -> Result<Expr> {
    let Between { expr, negated, mut low, mut high } = between;
    if expr.get_type(schema).is_ok_and(|t| is_exact(&t)) {
        for bound in [&mut low, &mut high] {
            if let Some(read) = is_text_literal(bound).map(literal).transpose()? {
                **bound = read;
            }
        }
    }
    let types = [&expr, &low, &high].map(|e| e.get_type(schema).unwrap_or(DataType::Null));
    let has_float = types.iter().any(DataType::is_floating);
    let open = [&expr, &low, &high].iter().any(|e| is_open(e));
    if !types.iter().any(is_exact) || !(types.iter().any(is_numeric) || has_float || open) {
        return Ok(Expr::Between(Between { expr, negated, low, high }));
    }
    let op = |left: &Expr, op: Operator, right: &Expr| planned(left.clone(), op, right.clone(), schema);
    if let (Ok(Ok(above)), Ok(Ok(below))) = (op(&expr, Operator::GtEq, &low), op(&expr, Operator::LtEq, &high)) {
        let inside = above.and(below);
        return Ok(if negated { not(inside) } else { inside });
    }
    Ok(Expr::Between(Between { expr, negated, low, high }))
}

fn listed(list: InList, schema: &DFSchema) -> Result<Expr> {
    let InList { expr, list, negated } = list;
    let ty = expr.get_type(schema)?;
    let numbers =
        |e: &Expr| is_open(e) || is_text_literal(e).is_some() || e.get_type(schema).is_ok_and(|t| is_numeric(&t));
    // A literal is a number where another item is one.
    let exact = |e: &Expr| e.get_type(schema).is_ok_and(|t| is_exact(&t));
    let open = is_text_literal(&expr).is_some() || integer_digits(&ty).is_some();
    let mixed = open && list.iter().any(exact) && (is_text_literal(&expr).is_some() || list.iter().any(numbers));
    if !(is_numeric(&ty) || is_exact(&ty) && list.iter().any(numbers) || mixed) {
        return Ok(Expr::InList(InList { expr, list, negated }));
    }
    let (expr, ty) = match is_text_literal(&expr) {
        Some(text) => {
            let number = literal(text)?;
            let ty = number.get_type(schema)?;
            (Box::new(number), ty)
        }
        None => (expr, ty),
    };
    let mut keys = Vec::with_capacity(list.len());
    for item in list {
        let item = match is_text_literal(&item) {
            Some(text) => literal(text)?,
            None => item,
        };
        let item_type = item.get_type(schema)?;
        keys.push(key(item, &item_type));
    }
    Ok(Expr::InList(InList { expr: Box::new(key(*expr, &ty)), list: keys, negated }))
}

/// What an array of exact numbers is compared by.
fn list_key(list: Expr, ty: &DataType) -> Expr {
    let keys = DataType::new_list(DataType::Binary, true);
    let list = functions::moved(list, ty, &DataType::new_list(NUMERIC, true));
    call("numeric_keys", keys, vec![list], Arc::new(|arrays| numeric::list_keys(&arrays[0])))
}

/// `x = ANY (array)` of numerics goes by keys.
fn member(mut call_: ScalarFunction, schema: &DFSchema) -> Expr {
    let types = call_.args.iter().map(|a| a.get_type(schema).unwrap_or(DataType::Null)).collect::<Vec<_>>();
    if let [DataType::List(item), needle] = types.as_slice()
        && is_numeric(item.data_type())
        && (is_exact(needle) || integer_digits(needle).is_some())
    {
        let (needle_type, list_type) = (needle.clone(), types[0].clone());
        let needle = call_.args.pop().unwrap_or_default();
        let list = call_.args.pop().unwrap_or_default();
        call_.args = vec![list_key(list, &list_type), key(needle, &needle_type)];
    }
    Expr::ScalarFunction(call_)
}
