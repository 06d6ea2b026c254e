//! The operators and subscripts of `json` and `jsonb`
//! (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING>): functions by which type stands
//! where. A literal without a type takes the one that the operator asks for.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, GetFieldAccess, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::{as_type, function, is_json, type_of};
use crate::error::to_datafusion;

/// Plans them.
#[derive(Debug)]
pub(in crate::plan) struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (left, right) = (type_of(&expr.left, schema), type_of(&expr.right, schema));
        if !is_json(&left) && !is_json(&right) {
            // Nothing else has these.
            let only = matches!(
                expr.op,
                Op::Arrow | Op::LongArrow | Op::HashArrow | Op::HashLongArrow | Op::Question | Op::AtQuestion
            );
            if only && left != SqlType::Unknown {
                return Err(no_operator(&left, &expr.op, &right));
            }
            return Ok(PlannerResult::Original(expr));
        }
        match call(&expr.op, &left, &right) {
            Some((name, arguments)) => {
                let [a, b] = arguments;
                let arguments = vec![as_type(expr.left, &left, &a), as_type(expr.right, &right, &b)];
                Ok(PlannerResult::Planned(function(name, arguments)?))
            }
            None if expr.op == Op::StringConcat => Ok(PlannerResult::Original(expr)),
            None => Err(no_operator(&left, &expr.op, &right)),
        }
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        match type_of(&access.expr, schema) {
            SqlType::Jsonb => subscript(access, schema).map(PlannerResult::Planned),
            SqlType::Json => {
                let message = "cannot subscript type json because it does not support subscripting";
                Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, message)))
            }
            _ => Ok(PlannerResult::Original(access)),
        }
    }
}

/// Whether a value of the type may stand where a string is asked for.
fn is_text(ty: &SqlType) -> bool {
    matches!(
        ty,
        SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Char(_)
            | SqlType::Name
            | SqlType::Unknown
            | SqlType::InternalChar
    )
}

/// The function that the operator is, and what its operands are cast to.
fn call(op: &Op, left: &SqlType, right: &SqlType) -> Option<(&'static str, [SqlType; 2])> {
    let number = matches!(right, SqlType::SmallInt | SqlType::Integer);
    let texts = || SqlType::Array(Box::new(SqlType::Text));
    let list = matches!(right, SqlType::Array(item) if is_text(item)) || *right == SqlType::Unknown;
    let jsonb = *left == SqlType::Jsonb;
    let access = |json: &'static str, binary: &'static str, right: SqlType| {
        Some((if jsonb { binary } else { json }, [left.clone(), right]))
    };
    match op {
        Op::Arrow if is_json(left) && is_text(right) => {
            access("json_object_field", "jsonb_object_field", SqlType::Text)
        }
        Op::Arrow if is_json(left) && number => access("json_array_element", "jsonb_array_element", SqlType::Integer),
        Op::LongArrow if is_json(left) && is_text(right) => {
            access("json_object_field_text", "jsonb_object_field_text", SqlType::Text)
        }
        Op::LongArrow if is_json(left) && number => {
            access("json_array_element_text", "jsonb_array_element_text", SqlType::Integer)
        }
        Op::HashArrow if is_json(left) && list => access("json_extract_path", "jsonb_extract_path", texts()),
        Op::HashLongArrow if is_json(left) && list => {
            access("json_extract_path_text", "jsonb_extract_path_text", texts())
        }
        Op::Question if jsonb && is_text(right) => Some(("jsonb_exists", [SqlType::Jsonb, SqlType::Text])),
        Op::QuestionPipe if jsonb && list => Some(("jsonb_exists_any", [SqlType::Jsonb, texts()])),
        Op::QuestionAnd if jsonb && list => Some(("jsonb_exists_all", [SqlType::Jsonb, texts()])),
        Op::AtQuestion if jsonb && is_text(right) => Some(("jsonb_path_exists_opr", [SqlType::Jsonb, SqlType::Text])),
        Op::AtAt if jsonb && is_text(right) => Some(("jsonb_path_match_opr", [SqlType::Jsonb, SqlType::Text])),
        Op::HashMinus if jsonb && list => Some(("jsonb_delete_path", [SqlType::Jsonb, texts()])),
        Op::Minus if jsonb && is_text(right) => Some(("jsonb_delete", [SqlType::Jsonb, SqlType::Text])),
        Op::Minus if jsonb && number => Some(("jsonb_delete", [SqlType::Jsonb, SqlType::Integer])),
        Op::Minus if jsonb && list => Some(("jsonb_delete", [SqlType::Jsonb, texts()])),
        _ => of_two(op, left, right).map(|name| (name, [SqlType::Jsonb, SqlType::Jsonb])),
    }
}

/// Operators between two values of `jsonb`.
pub(super) fn of_two(op: &Op, left: &SqlType, right: &SqlType) -> Option<&'static str> {
    let jsonb = |t: &SqlType| matches!(t, SqlType::Jsonb | SqlType::Unknown);
    if !jsonb(left) || !jsonb(right) {
        return None;
    }
    Some(match op {
        Op::AtArrow => "jsonb_contains",
        Op::ArrowAt => "jsonb_contained",
        Op::StringConcat => "jsonb_concat",
        Op::Eq => "jsonb_eq",
        Op::NotEq => "jsonb_ne",
        Op::Lt => "jsonb_lt",
        Op::LtEq => "jsonb_le",
        Op::Gt => "jsonb_gt",
        Op::GtEq => "jsonb_ge",
        _ => return None,
    })
}

pub(super) fn no_operator(left: &SqlType, op: &Op, right: &SqlType) -> datafusion::error::DataFusionError {
    let message = format!("operator does not exist: {left} {op} {right}");
    to_datafusion(
        Error::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts."),
    )
}

/// `j['a']` and `j[0]` are steps of a path.
pub(super) fn subscript(access: RawFieldAccessExpr, schema: &DFSchema) -> Result<Expr> {
    let mismatch = |message: String| Error::new(SqlState::DATATYPE_MISMATCH, message);
    let step = match access.field_access {
        GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
        GetFieldAccess::ListIndex { key } => match type_of(&key, schema) {
            SqlType::Unknown if matches!(*key, Expr::Literal(ref v, _) if v.is_null()) => lit(ScalarValue::Utf8(None)),
            ty if is_text(&ty) => *key,
            ty @ (SqlType::SmallInt | SqlType::Integer) => as_type(*key, &ty, &SqlType::Text),
            ty => {
                return Err(to_datafusion(
                    mismatch(format!("subscript type {ty} is not supported"))
                        .hint("jsonb subscript must be coercible to either integer or text."),
                ));
            }
        },
        GetFieldAccess::ListRange { .. } => {
            return Err(to_datafusion(mismatch("jsonb subscript does not support slices".to_string())));
        }
    };
    function("jsonb_extract_path", vec![access.expr, step])
}
