//! Operators that PostgreSQL has on dates and times and DataFusion reads otherwise.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast as cast_to};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::kernel::{Body, Kernel};

const DAY_US: i64 = 86_400_000_000;

/// `date + integer` is a date, `date - date` an integer, `timestamp - timestamp` an interval of days and time.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let timestamp = |t: &DataType| matches!(t, DataType::Timestamp(_, _));
        let planned = match (&expr.op, &left, &right) {
            (BinaryOperator::Plus, DataType::Date32, n) if n.is_integer() => {
                shifted(expr.left, Operator::Plus, expr.right)
            }
            (BinaryOperator::Plus, n, DataType::Date32) if n.is_integer() => {
                shifted(expr.right, Operator::Plus, expr.left)
            }
            (BinaryOperator::Minus, DataType::Date32, n) if n.is_integer() => {
                shifted(expr.left, Operator::Minus, expr.right)
            }
            (BinaryOperator::Minus, DataType::Date32, DataType::Date32) => {
                binary(cast_to(expr.left, DataType::Int32), Operator::Minus, cast_to(expr.right, DataType::Int32))
            }
            (BinaryOperator::Minus, l, r) if timestamp(l) && timestamp(r) => {
                let field = Field::new("", DataType::Interval(IntervalUnit::MonthDayNano), true);
                Kernel::call("timestamp_mi", Arc::new(field), vec![expr.left, expr.right], difference())
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

fn shifted(date: Expr, op: Operator, days: Expr) -> Expr {
    cast_to(binary(cast_to(date, DataType::Int32), op, cast_to(days, DataType::Int32)), DataType::Date32)
}

fn difference() -> Body {
    Arc::new(|arrays| {
        let us = DataType::Timestamp(TimeUnit::Microsecond, None);
        let naive = |a: &ArrayRef| -> Result<ArrayRef> {
            Ok(cast(&cast(a, &DataType::Int64).or_else(|_| cast(a, &us))?, &us)?)
        };
        let (left, right) = (naive(&arrays[0])?, naive(&arrays[1])?);
        let left = left.as_primitive::<TimestampMicrosecondType>();
        let right = right.as_primitive::<TimestampMicrosecondType>();
        let out = arrow::compute::binary::<_, _, _, IntervalMonthDayNanoType>(left, right, |l, r| {
            let us = l.wrapping_sub(r);
            let days = i32::try_from(us / DAY_US).unwrap_or(i32::MAX);
            IntervalMonthDayNano::new(0, days, (us % DAY_US) * 1000)
        })?;
        Ok(Arc::new(out) as ArrayRef)
    })
}
