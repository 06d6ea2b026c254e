//! Types that DataFusion's planner loses or takes for strings, put right on a plan fresh from it: `CASE` and `coalesce` of
//! `jsonb` are `jsonb`; its order and its equality are not those of its text
//! (<https://www.postgresql.org/docs/15/datatype-json.html>).

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::functions_nested::make_array::make_array;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Case, Distinct, Expr, ExprSchemable, LogicalPlan, Sort, Union};
use sightline_functions::json::SORT_KEY;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::{as_type, equality, function, is_json, subscripts, type_of};
use crate::error::to_datafusion;
use crate::plan::agreement::is_literal_column;
use crate::plan::beside::{self, is_set_operation, set_operation, with_column};
use crate::plan::elements::said;

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
        let sorted = changed.transform_data(|node| match node {
            LogicalPlan::Union(union) => united(union),
            LogicalPlan::Join(join) if is_set_operation(&join) => set_operation(join, &is_json),
            other => sorted(other, &schema),
        })?;
        // A child's columns may have got their types only now.
        sorted.map_data(LogicalPlan::recompute_schema)
    });
    plan.map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(in crate::plan) fn typed_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| rewrite(e, schema)).map(|t| t.data)
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
        Expr::Case(case) => {
            let case = equality::conditions(case, schema)?;
            let changed = case.transformed;
            let mut typed = case_of(case.data, schema)?;
            typed.transformed |= changed;
            Ok(typed)
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nullif" | "greatest" | "least") => {
            alternatives(call, schema)
        }
        Expr::ScalarFunction(call) if call.func.name().starts_with("any_") || call.func.name().starts_with("all_") => {
            equality::over_array(call, schema)
        }
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
        Expr::BinaryExpr(_) | Expr::InList(_) | Expr::Between(_) | Expr::InSubquery(_) => {
            equality::rewrite(expr, schema)
        }
        Expr::AggregateFunction(mut call) => {
            let mut changed = order(&mut call.params.order_by, schema)?;
            if call.params.distinct && call.func.name() == "count" {
                changed |= equality::by_keys(&mut call.params.args, schema)?;
            }
            Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { ..call }), changed))
        }
        Expr::WindowFunction(mut call) => {
            let sorted = order(&mut call.params.order_by, schema)?;
            let changed = equality::by_keys(&mut call.params.partition_by, schema)? || sorted;
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

/// Refuses results that are not all of the one type that is JSON.
fn matched(what: &str, types: &[SqlType], ty: &SqlType) -> Result<()> {
    let Some(other) = types.iter().find(|t| *t != ty && **t != SqlType::Unknown) else { return Ok(()) };
    let first = types.iter().find(|t| **t != SqlType::Unknown).unwrap_or(ty);
    let (first, other) = if first == ty { (ty, other) } else { (other, ty) };
    let text = format!("{what} types {first} and {other} cannot be matched");
    Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text)))
}

fn case_of(case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let ty = type_of(&Expr::Case(case.clone()), schema);
    if !is_json(&ty) {
        return Ok(Transformed::no(Expr::Case(case)));
    }
    // PostgreSQL looks at ELSE first.
    let results = case.else_expr.iter().chain(case.when_then_expr.iter().map(|(_, then)| then));
    matched("CASE", &results.map(|e| type_of(e, schema)).collect::<Vec<_>>(), &ty)?;
    let result = |e: Box<Expr>| {
        let from = type_of(&e, schema);
        if from == SqlType::Unknown { Box::new(as_type(*e, &from, &ty)) } else { e }
    };
    let case = Case {
        expr: case.expr,
        when_then_expr: case.when_then_expr.into_iter().map(|(when, then)| (when, result(then))).collect(),
        else_expr: case.else_expr.map(result),
    };
    Ok(Transformed::yes(said(Expr::Case(case), &ty)))
}

/// `coalesce` and its kin: literals among their arguments are JSON, too.
fn alternatives(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let types = call.args.iter().map(|e| type_of(e, schema)).collect::<Vec<_>>();
    let Some(ty) = types.iter().find(|t| is_json(t)).cloned() else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    if call.func.name() == "nullif" {
        return equality::null_if(call, &ty, schema).map(Transformed::yes);
    }
    matched(&call.func.name().to_uppercase(), &types, &ty)?;
    for (arg, from) in call.args.iter_mut().zip(&types) {
        *arg = as_type(std::mem::take(arg), from, &ty);
    }
    if call.func.name() != "coalesce" {
        return equality::extreme(call, &ty).map(Transformed::yes);
    }
    Ok(Transformed::yes(said(Expr::ScalarFunction(call), &ty)))
}

/// Literals beside JSON in the same column of a UNION.
fn united(mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for n in 0..union.schema.fields().len() {
        let fields = union.inputs.iter().filter(|input| !is_literal_column(input, n));
        let fields = fields.filter_map(|input| input.schema().fields().get(n).cloned()).collect::<Vec<_>>();
        let Some(ty) = fields.iter().map(|f| SqlType::of_field(f)).find(is_json) else { continue };
        for pair in fields.windows(2) {
            beside::matched("UNION", &pair[0], &pair[1], &is_json)?;
        }
        for input in &mut union.inputs {
            if is_literal_column(input, n) {
                *input = Arc::new(with_column(input.as_ref().clone(), n, &ty)?);
                changed = true;
            }
        }
    }
    let plan = if changed { Union::try_new_with_loose_types(union.inputs)? } else { union };
    Ok(Transformed::new_transformed(LogicalPlan::Union(plan), changed))
}

/// `ARRAY[…]` with JSON in it: literals beside it are JSON, too.
pub(in crate::plan) fn array(elements: &[Expr], schema: &DFSchema) -> Option<Expr> {
    let types = elements.iter().map(|e| type_of(e, schema)).collect::<Vec<_>>();
    let ty = types.iter().find(|t| is_json(t)).cloned()?;
    if types.iter().any(|t| *t != ty && *t != SqlType::Unknown) {
        return None;
    }
    let typed = elements.iter().zip(&types).map(|(e, from)| as_type(e.clone(), from, &ty)).collect();
    Some(said(make_array(typed), &SqlType::Array(Box::new(ty))))
}
