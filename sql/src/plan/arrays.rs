//! Array constructors and the operators of arrays, as calls of our functions
//! (<https://www.postgresql.org/docs/15/functions-array.html>).

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::functions_nested::make_array::make_array;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{Expr, ExprSchemable, cast as cast_to, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::elements::said;
use super::numeric;
use crate::error::to_datafusion;

/// The planner of array constructors and operators.
#[derive(Debug)]
pub(super) struct Arrays;

fn is_list(ty: &DataType) -> bool {
    matches!(ty, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// A literal that nothing is known of: a string as written, or NULL.
fn is_unknown(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, metadata) => {
            value.data_type().is_null() || (metadata.is_none() && matches!(value, ScalarValue::Utf8(_)))
        }
        _ => false,
    }
}

fn dimensions(ty: &DataType) -> usize {
    match ty {
        DataType::List(item) => 1 + dimensions(item.data_type()),
        _ => 0,
    }
}

fn function(name: &str, args: Vec<Expr>) -> Result<Expr> {
    let found = sightline_functions::scalar(name);
    let missing = || to_datafusion(Error::internal(format!("there is no function {name}")));
    Ok(found.ok_or_else(missing)?.call(args))
}

/// `bytea || '…'`, where the literal is a bytea, too; and operators that these types do not have.
fn scalars(expr: RawBinaryExpr, left: &DataType, right: &DataType) -> Result<PlannerResult<RawBinaryExpr>> {
    let RawBinaryExpr { op, left: l, right: r } = expr;
    let bytes = |t: &DataType| matches!(t, DataType::Binary | DataType::BinaryView);
    let plain =
        |e: &Expr, t: &DataType| !is_unknown(e) && (t.is_numeric() || t.is_temporal() || *t == DataType::Boolean);
    let missing = match op {
        BinaryOperator::StringConcat if bytes(left) && is_unknown(&r) => {
            let r = cast_to(r, left.clone());
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left: l, right: r }));
        }
        BinaryOperator::StringConcat if bytes(right) && is_unknown(&l) => {
            let l = cast_to(l, right.clone());
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left: l, right: r }));
        }
        BinaryOperator::StringConcat => plain(&l, left) && plain(&r, right),
        BinaryOperator::Modulo => {
            (left.is_floating() && right.is_numeric()) || (right.is_floating() && left.is_numeric())
        }
        _ => false,
    };
    if missing {
        let shown = |t: &DataType| match SqlType::from_arrow(t) {
            SqlType::Numeric(_) => "numeric".to_string(),
            other => other.to_string(),
        };
        let message = format!("operator does not exist: {} {op} {}", shown(left), shown(right));
        let error = Error::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.");
        return Err(to_datafusion(error));
    }
    Ok(PlannerResult::Original(RawBinaryExpr { op, left: l, right: r }))
}

impl ExprPlanner for Arrays {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        if !is_list(&left) && !is_list(&right) {
            return scalars(expr, &left, &right);
        }
        let unknown_beside = is_unknown(&expr.left) || is_unknown(&expr.right);
        let arrays = (is_list(&left) && is_list(&right)) || unknown_beside;
        let RawBinaryExpr { op, left: l, right: r } = expr;
        let args = vec![l.clone(), r.clone()];
        let planned = match &op {
            // NULL and an unknown literal beside an array are arrays, as in PostgreSQL.
            BinaryOperator::StringConcat if arrays => function("array_cat", args)?,
            BinaryOperator::StringConcat => match dimensions(&left) > dimensions(&right) {
                true => function("array_append", args)?,
                false => function("array_prepend", args)?,
            },
            BinaryOperator::AtArrow if arrays => function("arraycontains", args)?,
            BinaryOperator::ArrowAt if arrays => function("arraycontained", args)?,
            BinaryOperator::PGOverlap if arrays => function("arrayoverlap", args)?,
            BinaryOperator::Lt if arrays => function("btarraycmp", args)?.lt(lit(0)),
            BinaryOperator::LtEq if arrays => function("btarraycmp", args)?.lt_eq(lit(0)),
            BinaryOperator::Gt if arrays => function("btarraycmp", args)?.gt(lit(0)),
            BinaryOperator::GtEq if arrays => function("btarraycmp", args)?.gt_eq(lit(0)),
            BinaryOperator::Eq if arrays && dimensions(&left) != dimensions(&right) && !unknown_beside => {
                function("btarraycmp", args)?.eq(lit(0))
            }
            BinaryOperator::NotEq if arrays && dimensions(&left) != dimensions(&right) && !unknown_beside => {
                function("btarraycmp", args)?.not_eq(lit(0))
            }
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left: l, right: r })),
        };
        Ok(PlannerResult::Planned(planned))
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        if exprs.is_empty() {
            let error = Error::new(SqlState::new("42P18"), "cannot determine type of empty array")
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].");
            return Err(to_datafusion(error));
        }
        if let Some(planned) = super::enums::array(&exprs, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        if let Some(planned) = super::json::array(&exprs, schema) {
            return Ok(PlannerResult::Planned(planned));
        }
        if let Some(ty) = one_marked_type(&exprs, schema) {
            return Ok(PlannerResult::Planned(said(make_array(exprs), &SqlType::Array(Box::new(ty)))));
        }
        let exprs = numeric::array_items(exprs, schema)?;
        let mut known = Vec::new();
        for expr in exprs.iter().filter(|e| !is_unknown(e)) {
            known.push(expr.get_type(schema)?);
        }
        if known.iter().any(is_list) {
            return function("array_rectangle", vec![make_array(exprs)]).map(PlannerResult::Planned);
        }
        let common = if known.is_empty() { Some(DataType::Utf8View) } else { type_union_resolution(&known) };
        let Some(common) = common else { return Ok(PlannerResult::Original(exprs)) };
        let typed = |expr: Expr| if is_unknown(&expr) { cast_to(expr, common.clone()) } else { expr };
        Ok(PlannerResult::Planned(make_array(exprs.into_iter().map(typed).collect())))
    }
}

/// The type of all items, if it is a `character(n)` or a row of a named type, which an array of them would lose.
fn one_marked_type(exprs: &[Expr], schema: &DFSchema) -> Option<SqlType> {
    let of = |e: &Expr| match e {
        Expr::Cast(cast) => Some(SqlType::of_field(&cast.field)),
        other => other.to_field(schema).ok().map(|(_, field)| SqlType::of_field(&field)),
    };
    let first = of(exprs.first()?)?;
    let marked = matches!(first, SqlType::Char(_)) || (matches!(first, SqlType::Composite(_)) && !first.is_record());
    (marked && exprs.iter().all(|e| of(e).as_ref() == Some(&first))).then_some(first)
}
