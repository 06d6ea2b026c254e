//! PostgreSQL's choice among number types, made once, before DataFusion coerces types: afterwards nobody can tell a
//! `bigint` from an `integer` that was coerced.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition, cast,
};
use sightline_functions::aggregate::{array_agg_of_arrays, sum_real};

use super::pass::over_plan;

/// Rewrites a plan fresh from the planner.
pub(super) fn chosen(plan: LogicalPlan) -> Result<LogicalPlan> {
    over_plan(plan, |e, schema| Ok(rewrite(e, schema)))
}

/// Rewrites an expression fresh from the planner.
pub(super) fn chosen_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| Ok(rewrite(e, schema))).map(|t| t.data)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(binary) => float_arithmetic(binary, schema),
        Expr::AggregateFunction(mut call) => {
            if call.func.name() == "array_agg"
                && !call.params.distinct
                && matches!(call.params.args.as_slice(), [arg] if matches!(arg.get_type(schema), Ok(DataType::List(_))))
            {
                call.func = array_agg_of_arrays();
                return Transformed::yes(Expr::AggregateFunction(call));
            }
            let sum = call.func.name() == "sum";
            if sum && is_real(&call.params.args, schema) {
                call.func = sum_real();
                return Transformed::yes(Expr::AggregateFunction(call));
            }
            let wide = sum && widen(&mut call.params.args, schema);
            Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { ..call }), wide)
        }
        Expr::WindowFunction(mut call) => {
            let sum = matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(f) if f.name() == "sum");
            if sum && is_real(&call.params.args, schema) {
                call.fun = WindowFunctionDefinition::AggregateUDF(sum_real());
                return Transformed::yes(Expr::WindowFunction(call));
            }
            let wide = sum && widen(&mut call.params.args, schema);
            Transformed::new_transformed(Expr::WindowFunction(Box::new(WindowFunction { ..*call })), wide)
        }
        other => Transformed::no(other),
    }
}

/// `sum(real)` is a `real`, where DataFusion's is a double.
fn is_real(args: &[Expr], schema: &DFSchema) -> bool {
    matches!(args, [arg] if matches!(arg.get_type(schema), Ok(DataType::Float32)))
}

/// The digits of a `bigint`.
const BIGINT_DIGITS: u8 = 19;

/// `sum(bigint)` is numeric: DataFusion's wraps (<https://www.postgresql.org/docs/15/functions-aggregate.html>).
fn widen(args: &mut [Expr], schema: &DFSchema) -> bool {
    let [arg] = args else { return false };
    if !matches!(arg.get_type(schema), Ok(DataType::Int64 | DataType::UInt64)) {
        return false;
    }
    let inner = std::mem::take(arg);
    *arg = cast(inner, DataType::Decimal128(BIGINT_DIGITS, 0));
    true
}

/// A float beside a numeric makes the numeric a float.
fn float_arithmetic(mut binary: BinaryExpr, schema: &DFSchema) -> Transformed<Expr> {
    let computes = matches!(
        binary.op,
        Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    );
    if !computes {
        return Transformed::no(Expr::BinaryExpr(binary));
    }
    let (Ok(left), Ok(right)) = (binary.left.get_type(schema), binary.right.get_type(schema)) else {
        return Transformed::no(Expr::BinaryExpr(binary));
    };
    // A real computed with an integer is a double.
    let compares = matches!(
        binary.op,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    );
    let mixed = |a: &DataType, b: &DataType| *a == DataType::Float32 && b.is_integer();
    if !compares && (mixed(&left, &right) || mixed(&right, &left)) {
        for side in [&mut binary.left, &mut binary.right] {
            let inner = std::mem::take(side.as_mut());
            **side = cast(inner, DataType::Float64);
        }
        return Transformed::yes(Expr::BinaryExpr(binary));
    }
    let side = match (left.is_floating(), right.is_floating()) {
        (true, false) if right.is_decimal() => &mut binary.right,
        (false, true) if left.is_decimal() => &mut binary.left,
        _ => return Transformed::no(Expr::BinaryExpr(binary)),
    };
    let inner = std::mem::take(side.as_mut());
    **side = cast(inner, DataType::Float64);
    Transformed::yes(Expr::BinaryExpr(binary))
}
