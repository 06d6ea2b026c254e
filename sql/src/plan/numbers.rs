//! PostgreSQL's choice among number types, made once, before DataFusion coerces types: afterwards nobody can tell a
//! `bigint` from an `integer` that was coerced.

use std::cell::Cell;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition, cast,
};
use sightline_functions::aggregate::{array_agg_of_arrays, sum_real};

use super::numeric;
use super::pass::over_expressions;

/// Rewrites a plan fresh from the planner.
pub(super) fn chosen(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Once a column has another type, the nodes above may have, too.
    let stale = Cell::new(false);
    let plan = plan.transform_up_with_subqueries(|node| {
        let before = node.clone();
        let node = over_expressions(node, |e, schema| Ok(Transformed::yes(rewrite(e, schema)?)))?;
        let node = numeric::rewrite_node(node.data)?;
        if node == before && !stale.get() {
            return Ok(Transformed::no(node));
        }
        stale.set(true);
        Ok(Transformed::yes(node.recompute_schema()?))
    });
    plan.map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(super) fn chosen_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    rewrite(expr, schema)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let eased = expr.transform_down(|e| Ok(Transformed::yes(numeric::lenient(e, schema)?)))?;
    let done = eased.data.transform_up(|e| {
        let e = numeric::expression(real(e, schema), schema)?;
        Ok(Transformed::yes(numeric::rewrite_subquery(e, schema)?))
    });
    done.map(|t| t.data)
}

/// What concerns `real` and arrays, which numerics have no part in.
fn real(mut expr: Expr, schema: &DFSchema) -> Expr {
    match &mut expr {
        Expr::BinaryExpr(binary) => double_arithmetic(binary, schema),
        Expr::AggregateFunction(call) => {
            let arrays = |args: &[Expr]| matches!(args, [arg] if matches!(arg.get_type(schema), Ok(DataType::List(_))));
            if call.func.name() == "array_agg" && !call.params.distinct && arrays(&call.params.args) {
                call.func = array_agg_of_arrays();
            } else if call.func.name() == "sum" && is_real(&call.params.args, schema) {
                call.func = sum_real();
            }
        }
        Expr::WindowFunction(call) => {
            let sum = matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(f) if f.name() == "sum");
            if sum && is_real(&call.params.args, schema) {
                call.fun = WindowFunctionDefinition::AggregateUDF(sum_real());
            }
        }
        _ => {}
    }
    expr
}

/// `sum(real)` is a `real`, where DataFusion's is a double.
fn is_real(args: &[Expr], schema: &DFSchema) -> bool {
    matches!(args, [arg] if matches!(arg.get_type(schema), Ok(DataType::Float32)))
}

/// A real computed with an integer is a double.
fn double_arithmetic(binary: &mut BinaryExpr, schema: &DFSchema) {
    let computes = matches!(
        binary.op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
    );
    if !computes {
        return;
    }
    let (Ok(left), Ok(right)) = (binary.left.get_type(schema), binary.right.get_type(schema)) else { return };
    let mixed = |a: &DataType, b: &DataType| *a == DataType::Float32 && b.is_integer();
    if mixed(&left, &right) || mixed(&right, &left) {
        for side in [&mut binary.left, &mut binary.right] {
            let inner = std::mem::take(side.as_mut());
            **side = cast(inner, DataType::Float64);
        }
    }
}
