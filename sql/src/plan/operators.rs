//! Operators that PostgreSQL has on dates and times and DataFusion reads otherwise.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Months, TimeDelta};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast as cast_to};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use sightline_functions::zone::Zone;
use sightline_storage::error::{Error, SqlState};

use super::kernel::{Body, Kernel};
use crate::codec::{Format, Style};
use crate::error::to_datafusion;

const DAY_US: i64 = 86_400_000_000;

/// `date + integer` is a date, `date - date` an integer, `timestamp - timestamp` an interval of days and time.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
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
        let (expr, left, right) = known_literals(expr, left, right);
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
            (BinaryOperator::Plus, DataType::Date32, DataType::Interval(_)) => {
                binary(midnight(expr.left), Operator::Plus, expr.right)
            }
            (BinaryOperator::Plus, DataType::Interval(_), DataType::Date32) => {
                binary(midnight(expr.right), Operator::Plus, expr.left)
            }
            (BinaryOperator::Minus, DataType::Date32, DataType::Interval(_)) => {
                binary(midnight(expr.left), Operator::Minus, expr.right)
            }
            (BinaryOperator::Multiply, n, DataType::Interval(_)) if n.is_numeric() => {
                scaled("interval_mul", expr.right, expr.left, |v, n| v * n)
            }
            (BinaryOperator::Multiply, DataType::Interval(_), n) if n.is_numeric() => {
                scaled("interval_mul", expr.left, expr.right, |v, n| v * n)
            }
            (BinaryOperator::Divide, DataType::Interval(_), n) if n.is_numeric() => {
                scaled("interval_div", expr.left, expr.right, |v, n| v / n)
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

fn is_string_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if matches!(value.data_type(), DataType::Utf8 | DataType::Utf8View))
}

/// A literal without a type takes the type of what it is compared or computed with.
fn known_literals(mut expr: RawBinaryExpr, left: DataType, right: DataType) -> (RawBinaryExpr, DataType, DataType) {
    if untyped(&expr.right) && takes(&expr.op, &left) {
        expr.right = cast_to(expr.right, left.clone());
        return (expr, left.clone(), left);
    }
    if untyped(&expr.left) && takes(&expr.op, &right) {
        expr.left = cast_to(expr.left, right.clone());
        return (expr, right.clone(), right);
    }
    (expr, left, right)
}

fn untyped(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion::scalar::ScalarValue::Utf8(Some(_)), None))
}

/// Whether the operator makes a literal beside this type one of this type. Of `date - '…'` it could be several.
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

/// An interval times or divided by a number: what is left of months goes to days of 30, of days to time
/// (`interval_mul` of PostgreSQL's timestamp.c).
fn scaled(name: &str, interval: Expr, number: Expr, apply: fn(f64, f64) -> f64) -> Expr {
    let field = Field::new("", DataType::Interval(IntervalUnit::MonthDayNano), true);
    let number = cast_to(number, DataType::Float64);
    let body: Body = Arc::new(move |arrays| {
        let intervals = cast(&arrays[0], &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = arrays[1].as_primitive::<Float64Type>();
        let out = intervals
            .iter()
            .zip(numbers)
            .map(|pair| match pair {
                (Some(interval), Some(n)) => scale(interval, n, apply).map(Some),
                _ => Ok(None),
            })
            .collect::<Result<IntervalMonthDayNanoArray>>()?;
        Ok(Arc::new(out) as ArrayRef)
    });
    Kernel::call(name, Arc::new(field), vec![interval, number], body)
}

#[expect(clippy::cast_possible_truncation, reason = "the ranges are checked before")]
fn scale(interval: IntervalMonthDayNano, n: f64, apply: fn(f64, f64) -> f64) -> Result<IntervalMonthDayNano> {
    let out_of_range = || to_datafusion(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"));
    let months = apply(f64::from(interval.months), n);
    let days = apply(f64::from(interval.days), n);
    let us = apply((interval.nanoseconds / 1000) as f64, n);
    if n == 0.0 && (!months.is_finite() || !days.is_finite() || !us.is_finite()) {
        return Err(to_datafusion(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")));
    }
    let days_of_months = (months.fract() * 30.0 * 1e6).round() / 1e6;
    let us_of_days = ((days.fract() + days_of_months.fract()) * DAY_US as f64).round();
    let days = days.trunc() + days_of_months.trunc();
    let us = (us + us_of_days).round();
    let fits = months.abs() < f64::from(i32::MAX) && days.abs() < f64::from(i32::MAX) && us.abs() < 9.2e15;
    if !fits {
        return Err(out_of_range());
    }
    Ok(IntervalMonthDayNano::new(months.trunc() as i32, days as i32, us as i64 * 1000))
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
        let infinite = |us: i64| us == i64::MIN || us == i64::MAX;
        let fault = |text| to_datafusion(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, text));
        let out = left
            .iter()
            .zip(right)
            .map(|pair| {
                let (Some(l), Some(r)) = pair else { return Ok(None) };
                if infinite(l) || infinite(r) {
                    return Err(fault("cannot subtract infinite timestamps"));
                }
                let us = l.checked_sub(r).ok_or_else(|| fault("interval out of range"))?;
                let days = i32::try_from(us / DAY_US).map_err(|_| fault("interval out of range"))?;
                Ok(Some(IntervalMonthDayNano::new(0, days, (us % DAY_US) * 1000)))
            })
            .collect::<Result<IntervalMonthDayNanoArray>>()?;
        Ok(Arc::new(out) as ArrayRef)
    })
}

/// Moments (UTC, microseconds) and intervals, added or with `sign` -1 subtracted, by the session's clock.
pub(super) fn shift_moment(sign: i64, format: &Format) -> Body {
    let zone = Style::new(format).zone;
    Arc::new(move |arrays| {
        let moments = cast(&arrays[0], &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
        let intervals = cast(&arrays[1], &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let out = moments
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .zip(intervals.as_primitive::<IntervalMonthDayNanoType>())
            .map(|pair| {
                let (Some(us), Some(by)) = pair else { return Ok(None) };
                let out_of_range =
                    || to_datafusion(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"));
                shifted_by(zone, us, by, sign).map(Some).ok_or_else(out_of_range)
            })
            .collect::<Result<TimestampMicrosecondArray>>()?;
        Ok(Arc::new(out.with_timezone("UTC")) as ArrayRef)
    })
}

/// None beyond the range of timestamps.
fn shifted_by(zone: Zone, us: i64, by: IntervalMonthDayNano, sign: i64) -> Option<i64> {
    if us == i64::MIN || us == i64::MAX {
        return Some(us);
    }
    let mut moved = us;
    if by.months != 0 || by.days != 0 {
        let local = zone.to_local(moved)?;
        let mut date = DateTime::from_timestamp_micros(local)?.naive_utc();
        let months = Months::new(by.months.unsigned_abs());
        let back = (sign < 0) != (by.months < 0);
        date = if back { date.checked_sub_months(months)? } else { date.checked_add_months(months)? };
        date = date.checked_add_signed(TimeDelta::try_days(sign * i64::from(by.days))?)?;
        moved = zone.to_utc(date.and_utc().timestamp_micros())?;
    }
    moved.checked_add(sign * (by.nanoseconds / 1000))
}
