//! Operators that PostgreSQL has on dates and times and DataFusion reads otherwise.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast as cast_to};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use sightline_functions::numeric::NUMERIC;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::{arithmetic, enums, numeric, temporal};
use crate::error::to_datafusion;

/// `date + integer` is a date, `date - date` an integer, `timestamp - timestamp` an interval of days and time.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let expr = known_parameters(enums::binary(expr, schema)?, schema);
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        // A string literal beside an array is an array literal.
        if let DataType::List(_) = &left
            && is_string_literal(&expr.right)
        {
            let right = cast_to(expr.right, left);
            return Ok(PlannerResult::Original(RawBinaryExpr { op: expr.op, left: expr.left, right }));
        }
        if let DataType::List(_) = &right
            && is_string_literal(&expr.left)
        {
            let left = cast_to(expr.left, right);
            return Ok(PlannerResult::Original(RawBinaryExpr { op: expr.op, left, right: expr.right }));
        }
        let (mut expr, left, right) = known_literals(expr, left, right);
        if let Some(op) = number_operator(&expr.op) {
            match numeric::planned(expr.left, op, expr.right, schema)? {
                Ok(planned) => return Ok(PlannerResult::Planned(planned)),
                Err((left, right)) => (expr.left, expr.right) = (left, right),
            }
        }
        use DataType::{Date32, Interval, Time64, Timestamp};
        let any = |op: &BinaryOperator| match op {
            BinaryOperator::Plus => Some(Operator::Plus),
            BinaryOperator::Minus => Some(Operator::Minus),
            _ => None,
        };
        let planned = match (&expr.op, &left, &right) {
            (BinaryOperator::Plus | BinaryOperator::Minus, Date32, n) if n.is_integer() => {
                arithmetic::shifted_date(expr.left, expr.op == BinaryOperator::Minus, expr.right)
            }
            (BinaryOperator::Plus, n, Date32) if n.is_integer() => {
                arithmetic::shifted_date(expr.right, false, expr.left)
            }
            (BinaryOperator::Minus, Date32, Date32) => arithmetic::days_between(expr.left, expr.right),
            (BinaryOperator::Minus, Timestamp(..), Timestamp(..)) if left == right => {
                arithmetic::difference(expr.left, expr.right)
            }
            (BinaryOperator::Minus, Timestamp(..) | Date32, Timestamp(..) | Date32) => {
                let zoned = matches!((&left, &right), (Timestamp(_, Some(_)), _) | (_, Timestamp(_, Some(_))));
                let ty = if zoned { SqlType::TimestampTz.arrow() } else { SqlType::Timestamp.arrow() };
                arithmetic::difference(cast_to(expr.left, ty.clone()), cast_to(expr.right, ty))
            }
            (BinaryOperator::Plus, Date32, Time64(_)) => arithmetic::date_and_time(expr.left, expr.right),
            (BinaryOperator::Plus, Time64(_), Date32) => arithmetic::date_and_time(expr.right, expr.left),
            (BinaryOperator::Minus, Time64(_), Time64(_)) => arithmetic::time_between(expr.left, expr.right),
            // A time of day is cast to an interval where that is what may be subtracted.
            (BinaryOperator::Minus, Date32, Time64(_)) => {
                binary(midnight(expr.left), Operator::Minus, cast_to(expr.right, SqlType::Interval.arrow()))
            }
            (op, Timestamp(..), Time64(_)) if let Some(op) = any(op) => {
                binary(expr.left, op, cast_to(expr.right, SqlType::Interval.arrow()))
            }
            (BinaryOperator::Plus, Time64(_), Timestamp(..)) => {
                binary(expr.right, Operator::Plus, cast_to(expr.left, SqlType::Interval.arrow()))
            }
            (BinaryOperator::Plus, Time64(_), Time64(_)) => {
                let time = SqlType::Time;
                let message = format!("operator is not unique: {time} + {time}");
                let hint = "Could not choose a best candidate operator. You might need to add explicit type casts.";
                return Err(to_datafusion(Error::new(SqlState::AMBIGUOUS_FUNCTION, message).hint(hint)));
            }
            (BinaryOperator::Plus | BinaryOperator::Minus, Time64(_), Interval(_)) => {
                arithmetic::shifted_time(expr.left, expr.op == BinaryOperator::Minus, expr.right)
            }
            (BinaryOperator::Plus, Interval(_), Time64(_)) => arithmetic::shifted_time(expr.right, false, expr.left),
            (op, Date32, Interval(_)) if let Some(op) = any(op) => binary(midnight(expr.left), op, expr.right),
            (BinaryOperator::Plus, Interval(_), Date32) => binary(midnight(expr.right), Operator::Plus, expr.left),
            (op, Interval(_), Interval(_)) if let Some(op) = any(op) => {
                arithmetic::interval_sum(expr.left, op == Operator::Minus, expr.right)
            }
            (BinaryOperator::Multiply, n, Interval(_)) if is_number(n) => {
                arithmetic::scaled(expr.right, false, expr.left)
            }
            (BinaryOperator::Multiply, Interval(_), n) if is_number(n) => {
                arithmetic::scaled(expr.left, false, expr.right)
            }
            (BinaryOperator::Divide, Interval(_), n) if is_number(n) => arithmetic::scaled(expr.left, true, expr.right),
            (BinaryOperator::Multiply, n, Time64(_)) if is_number(n) => {
                arithmetic::scaled(cast_to(expr.right, SqlType::Interval.arrow()), false, expr.left)
            }
            (BinaryOperator::Multiply | BinaryOperator::Divide, Time64(_), n) if is_number(n) => {
                let divide = expr.op == BinaryOperator::Divide;
                arithmetic::scaled(cast_to(expr.left, SqlType::Interval.arrow()), divide, expr.right)
            }
            (op, Date32 | Timestamp(..), Date32 | Timestamp(..))
                if let Some(op) = comparison(op)
                    && left != right =>
            {
                let zoned = matches!((&left, &right), (Timestamp(_, Some(_)), _) | (_, Timestamp(_, Some(_))));
                let ty = if zoned { SqlType::TimestampTz } else { SqlType::Timestamp };
                let side = |expr: Expr, from: &DataType| temporal::compared(expr, from, &ty);
                binary(side(expr.left, &left), op, side(expr.right, &right))
            }
            // A shift is of its left side's type.
            (BinaryOperator::PGBitwiseShiftLeft | BinaryOperator::PGBitwiseShiftRight, l, r)
                if l.is_integer() && r.is_integer() && l.primitive_width() < r.primitive_width() =>
            {
                let Some(op) = number_operator(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
                binary(expr.left, op, cast_to(expr.right, left))
            }
            (op, _, _) if let Some(no) = no_operator(op, &left, &right) => return Err(no),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

fn is_number(t: &DataType) -> bool {
    t.is_numeric() || *t == NUMERIC
}

fn number_operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        BinaryOperator::BitwiseAnd => Operator::BitwiseAnd,
        BinaryOperator::BitwiseOr => Operator::BitwiseOr,
        BinaryOperator::PGBitwiseXor => Operator::BitwiseXor,
        BinaryOperator::PGBitwiseShiftLeft => Operator::BitwiseShiftLeft,
        BinaryOperator::PGBitwiseShiftRight => Operator::BitwiseShiftRight,
        _ => return None,
    })
}

/// Whether the operator compares two values of one type.
pub(super) fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

/// 42883 for what PostgreSQL does not compute with dates and times.
fn no_operator(op: &BinaryOperator, left: &DataType, right: &DataType) -> Option<datafusion::error::DataFusionError> {
    use DataType::{Interval, Timestamp};
    let computes = matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
    );
    let (l, r) = (temporal::is_temporal(left), temporal::is_temporal(right));
    let known = |t: &DataType| !matches!(t, DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let moves = matches!(
        (op, left, right),
        (BinaryOperator::Plus | BinaryOperator::Minus, Timestamp(..), Interval(_))
            | (BinaryOperator::Plus, Interval(_), Timestamp(..))
    );
    if !computes || moves || !(l || r) || !known(left) || !known(right) {
        return None;
    }
    let message = format!("operator does not exist: {} {op} {}", SqlType::from_arrow(left), SqlType::from_arrow(right));
    let hint = "No operator matches the given name and argument types. You might need to add explicit type casts.";
    Some(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint)))
}

fn is_string_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if matches!(value.data_type(), DataType::Utf8 | DataType::Utf8View))
}

/// A parameter without a type takes that of a literal in its place, where this is another than the other side's.
fn known_parameters(mut expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let op = expr.op.clone();
    let give = |parameter: &mut Expr, other: &Expr| {
        let (Expr::Placeholder(parameter), Ok(ty)) = (parameter, other.get_type(schema)) else { return };
        if let (None, Some(taken)) = (&parameter.field, taken(&op, &ty).filter(|taken| *taken != ty)) {
            parameter.field = Some(SqlType::from_arrow(&taken).field_ref(""));
        }
    };
    give(&mut expr.left, &expr.right);
    give(&mut expr.right, &expr.left);
    expr
}

/// A literal without a type takes the type of what it is compared or computed with.
fn known_literals(mut expr: RawBinaryExpr, left: DataType, right: DataType) -> (RawBinaryExpr, DataType, DataType) {
    if untyped(&expr.right)
        && let Some(ty) = taken(&expr.op, &left)
    {
        expr.right = cast_to(expr.right, ty.clone());
        return (expr, left, ty);
    }
    if untyped(&expr.left)
        && let Some(ty) = taken(&expr.op, &right)
    {
        expr.left = cast_to(expr.left, ty.clone());
        return (expr, ty, right);
    }
    (expr, left, right)
}

fn untyped(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion::scalar::ScalarValue::Utf8(Some(_)), None))
}

/// The type of a literal beside this type: the same, where there is such an operator, else what the only one takes
/// (<https://www.postgresql.org/docs/15/typeconv-oper.html>).
fn taken(op: &BinaryOperator, ty: &DataType) -> Option<DataType> {
    use BinaryOperator as Op;
    match (op, ty) {
        (Op::Minus, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)) => Some(ty.clone()),
        (Op::Plus, DataType::Timestamp(..)) => Some(SqlType::Interval.arrow()),
        (Op::Plus | Op::Minus, DataType::Interval(_)) => Some(ty.clone()),
        (Op::Multiply | Op::Divide, DataType::Interval(_)) => Some(DataType::Float64),
        (op, ty) => takes(op, ty).then(|| ty.clone()),
    }
}

/// Whether the operator makes a literal beside this type one of this type.
fn takes(op: &BinaryOperator, ty: &DataType) -> bool {
    use BinaryOperator as Op;
    let number = ty.is_integer() || ty.is_floating();
    match op {
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
            number
                || ty.is_temporal()
                || matches!(ty, DataType::Boolean | DataType::FixedSizeBinary(16) | DataType::Binary)
                || matches!(ty, DataType::Interval(_))
        }
        Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => number,
        _ => false,
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

fn midnight(date: Expr) -> Expr {
    cast_to(date, DataType::Timestamp(TimeUnit::Microsecond, None))
}
