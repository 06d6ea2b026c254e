//! Types that DataFusion's planner loses or takes for strings, put right on a plan fresh from it: `CASE` and `coalesce` of
//! `jsonb` are `jsonb`; its order and its equality are not those of its text
//! (<https://www.postgresql.org/docs/15/datatype-json.html>).

use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, InList, ScalarFunction, Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Case, Distinct, Expr, ExprSchemable, LogicalPlan, Sort, not};
use sightline_functions::json::SORT_KEY;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::{as_type, function, subscripts, type_of};
use crate::error::to_datafusion;
use crate::plan::kernel::Kernel;

/// Rewrites a plan fresh from the planner.
pub(in crate::plan) fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        check(&node, &schema)?;
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| rewrite(e, &schema))?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        let sorted = changed.transform_data(|node| sorted(node, &schema))?;
        // A child's columns may have got their types only now.
        sorted.map_data(LogicalPlan::recompute_schema)
    });
    plan.map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(in crate::plan) fn typed_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| rewrite(e, schema)).map(|t| t.data)
}

fn is_json(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Json | SqlType::Jsonb)
}

/// `json` is compared with nothing.
fn check(node: &LogicalPlan, schema: &DFSchema) -> Result<()> {
    let json = match node {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.iter().any(|e| type_of(e, schema) == SqlType::Json),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            input.schema().fields().iter().any(|f| SqlType::of_field(f) == SqlType::Json)
        }
        _ => false,
    };
    match json {
        true => Err(to_datafusion(Error::new(
            SqlState::UNDEFINED_FUNCTION,
            "could not identify an equality operator for type json",
        ))),
        false => Ok(()),
    }
}

fn sorted(node: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Sort(mut sort) = node else { return Ok(Transformed::no(node)) };
    let changed = order(&mut sort.expr, schema)?;
    Ok(Transformed::new_transformed(LogicalPlan::Sort(Sort { ..sort }), changed))
}

/// Sorts by the order of values.
fn order(by: &mut [SortExpr], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for sort in by {
        match type_of(&sort.expr, schema) {
            SqlType::Jsonb => {
                sort.expr = function(SORT_KEY, vec![std::mem::take(&mut sort.expr)])?;
                changed = true;
            }
            SqlType::Json => {
                let error =
                    Error::new(SqlState::UNDEFINED_FUNCTION, "could not identify an ordering operator for type json");
                return Err(to_datafusion(error.hint("Use an explicit ordering operator or modify the query.")));
            }
            _ => {}
        }
    }
    Ok(changed)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Case(case) => Ok(case_of(case, schema)),
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nullif") => Ok(first_of(call, schema)),
        Expr::ScalarFunction(call) if matches!(call.func.name(), "to_json" | "to_jsonb") => {
            match call.args.as_slice() {
                [arg] if type_of(arg, schema) == SqlType::Unknown => Err(to_datafusion(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    "could not determine polymorphic type because input has type unknown",
                ))),
                _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
            }
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "array_subscript" | "array_section") => {
            subscripts::resolved(call, schema).map(Transformed::yes)
        }
        Expr::ScalarFunction(call) if call.args.iter().any(|a| type_of(a, schema) == SqlType::Unknown) => {
            read_literals(call, schema)
        }
        Expr::InList(list) if type_of(&list.expr, schema) == SqlType::Jsonb => in_list(list, schema),
        Expr::AggregateFunction(mut call) => {
            let changed = order(&mut call.params.order_by, schema)?;
            Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { ..call }), changed))
        }
        Expr::WindowFunction(mut call) => {
            let changed = order(&mut call.params.order_by, schema)?;
            Ok(Transformed::new_transformed(Expr::WindowFunction(Box::new(WindowFunction { ..*call })), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Literals without a type are read as the JSON that the function takes.
fn read_literals(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given = call.args.iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>();
    let Ok(given) = given else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let mut changed = false;
    for (arg, wanted) in call.args.iter_mut().zip(sightline_functions::json_arguments(call.func.name(), &given)) {
        let ty = match wanted {
            Some("json") => SqlType::Json,
            Some(_) => SqlType::Jsonb,
            None => continue,
        };
        if type_of(arg, schema) == SqlType::Unknown {
            *arg = as_type(std::mem::take(arg), &SqlType::Unknown, &ty);
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}

/// The expression with its type said.
fn said(expr: Expr, ty: &SqlType) -> Expr {
    let body = Arc::new(|arrays: &[arrow::array::ArrayRef]| Ok(cast(&arrays[0], &DataType::Utf8View)?));
    Kernel::call(&ty.to_string(), ty.field_ref(""), vec![expr], body)
}

fn case_of(case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let ty = type_of(&Expr::Case(case.clone()), schema);
    if !is_json(&ty) {
        return Transformed::no(Expr::Case(case));
    }
    let result = |e: Box<Expr>| {
        let from = type_of(&e, schema);
        if from == SqlType::Unknown { Box::new(as_type(*e, &from, &ty)) } else { e }
    };
    let case = Case {
        expr: case.expr,
        when_then_expr: case.when_then_expr.into_iter().map(|(when, then)| (when, result(then))).collect(),
        else_expr: case.else_expr.map(result),
    };
    Transformed::yes(said(Expr::Case(case), &ty))
}

fn first_of(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let types = call.args.iter().map(|e| type_of(e, schema)).collect::<Vec<_>>();
    let Some(ty) = types.iter().find(|t| is_json(t)).cloned() else {
        return Transformed::no(Expr::ScalarFunction(call));
    };
    for (arg, from) in call.args.iter_mut().zip(&types) {
        if *from == SqlType::Unknown {
            *arg = as_type(std::mem::take(arg), from, &ty);
        }
    }
    Transformed::yes(said(Expr::ScalarFunction(call), &ty))
}

/// `j IN (a, b)` is `j = a OR j = b`, by the equality of values.
fn in_list(list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let InList { expr, list, negated } = list;
    let mut found: Option<Expr> = None;
    for item in list {
        let from = type_of(&item, schema);
        let item = as_type(item, &from, &SqlType::Jsonb);
        let one = function("jsonb_eq", vec![(*expr).clone(), item])?;
        found = Some(match found {
            Some(before) => before.or(one),
            None => one,
        });
    }
    let Some(found) = found else { return Ok(Transformed::no(*expr)) };
    Ok(Transformed::yes(if negated { not(found) } else { found }))
}
