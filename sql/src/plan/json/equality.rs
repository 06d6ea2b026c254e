//! What is equal and what is less among values of `jsonb`, wherever DataFusion would compare their texts: `1` is `1.0`, and
//! a literal without a type beside one is one (<https://www.postgresql.org/docs/15/datatype-json.html#JSON-INDEXING>).
//! Where values are compared in many, as by IN and in groups, each is put as its key, a text that has their order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, LogicalPlanBuilder, Operator, binary_expr, lit, not,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;
use sightline_functions::json::SORT_KEY;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::operators::{no_operator, of_two};
use super::{as_type, function, is_json, type_of};
use crate::error::to_datafusion;
use crate::plan::elements::{elementwise, said};
use crate::plan::kernel::{Body, Kernel};

/// A text that is equal where values are, and sorts as they do.
///
/// # Errors
/// None but those of a function that is not there.
pub(in crate::plan) fn key(value: Expr) -> Result<Expr> {
    function(SORT_KEY, vec![value])
}

/// Puts the values of `jsonb` among these as their keys.
pub(super) fn by_keys(exprs: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for expr in exprs {
        if type_of(expr, schema) == SqlType::Jsonb {
            *expr = key(std::mem::take(expr))?;
            changed = true;
        }
    }
    Ok(changed)
}

/// `a op b`, by the values where one of both is a `jsonb`.
fn compared(op: Op, otherwise: Operator, a: Expr, b: Expr, schema: &DFSchema) -> Result<Expr> {
    let (left, right) = (type_of(&a, schema), type_of(&b, schema));
    if !is_json(&left) && !is_json(&right) {
        return Ok(binary_expr(a, otherwise, b));
    }
    match of_two(&op, &left, &right) {
        Some(name) => {
            let arguments = vec![as_type(a, &left, &SqlType::Jsonb), as_type(b, &right, &SqlType::Jsonb)];
            function(name, arguments)
        }
        None => Err(no_operator(&left, &op, &right)),
    }
}

/// A side of a comparison of keys.
fn keyed(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let from = type_of(&expr, schema);
    key(as_type(expr, &from, &SqlType::Jsonb))
}

/// IS DISTINCT FROM, IN and BETWEEN with a `jsonb` in them.
///
/// # Errors
/// 42883 beside other types.
pub(super) fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let json = |e: &Expr| is_json(&type_of(e, schema));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
                && (json(&left) || json(&right)) =>
        {
            let (l, r) = (type_of(&left, schema), type_of(&right, schema));
            of_two(&Op::Eq, &l, &r).ok_or_else(|| no_operator(&l, &Op::Eq, &r))?;
            Ok(Transformed::yes(binary_expr(keyed(*left, schema)?, op, keyed(*right, schema)?)))
        }
        // Each item by itself: `'1' IN (j, '2')` compares texts where no `jsonb` stands.
        Expr::InList(list) if json(&list.expr) || list.list.iter().any(json) => {
            let InList { expr, list, negated } = list;
            let mut found: Option<Expr> = None;
            for item in list {
                let one = compared(Op::Eq, Operator::Eq, (*expr).clone(), item, schema)?;
                found = Some(match found {
                    Some(before) => before.or(one),
                    None => one,
                });
            }
            let Some(found) = found else { return Ok(Transformed::no(*expr)) };
            Ok(Transformed::yes(if negated { not(found) } else { found }))
        }
        Expr::Between(Between { expr, negated, low, high }) if json(&expr) || json(&low) || json(&high) => {
            let above = compared(Op::GtEq, Operator::GtEq, (*expr).clone(), *low, schema)?;
            let below = compared(Op::LtEq, Operator::LtEq, *expr, *high, schema)?;
            let within = above.and(below);
            Ok(Transformed::yes(if negated { not(within) } else { within }))
        }
        Expr::InSubquery(InSubquery { expr, mut subquery, negated }) => {
            let inner = subquery.subquery.schema().clone();
            let item = inner.fields().first().map_or(SqlType::Unknown, |f| SqlType::of_field(f));
            if type_of(&expr, schema) != SqlType::Jsonb || item != SqlType::Jsonb {
                return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
            }
            let (column, name) = (Column::from(inner.qualified_field(0)), inner.field(0).name().clone());
            let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .project(vec![key(Expr::Column(column))?.alias(name)])?
                .build()?;
            subquery.subquery = Arc::new(plan);
            let expr = Box::new(key(*expr)?);
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// `CASE j WHEN a THEN …` is `CASE WHEN j = a THEN …`.
pub(super) fn conditions(mut case: Case, schema: &DFSchema) -> Result<Transformed<Case>> {
    let json = |e: &Expr| is_json(&type_of(e, schema));
    let Some(operand) = &case.expr else { return Ok(Transformed::no(case)) };
    if !json(operand) && !case.when_then_expr.iter().any(|(when, _)| json(when)) {
        return Ok(Transformed::no(case));
    }
    for (when, _) in &mut case.when_then_expr {
        let value = std::mem::take(when.as_mut());
        **when = compared(Op::Eq, Operator::Eq, operand.as_ref().clone(), value, schema)?;
    }
    case.expr = None;
    Ok(Transformed::yes(case))
}

/// `nullif(a, b)` is `CASE WHEN a = b THEN NULL ELSE a END`, of the type of a.
///
/// # Errors
/// 42883 beside other types.
pub(super) fn null_if(call: ScalarFunction, ty: &SqlType, schema: &DFSchema) -> Result<Expr> {
    let Ok([a, b]) = <[Expr; 2]>::try_from(call.args) else {
        return Err(to_datafusion(Error::internal("nullif of other than two arguments")));
    };
    let equal = compared(Op::Eq, Operator::Eq, a.clone(), b, schema)?;
    let from = type_of(&a, schema);
    let ty = if from == SqlType::Unknown { ty } else { &from };
    let none = as_type(lit(ScalarValue::Utf8(None)), &SqlType::Unknown, ty);
    let case = Case {
        expr: None,
        when_then_expr: vec![(Box::new(equal), Box::new(none))],
        else_expr: Some(Box::new(as_type(a, &from, ty))),
    };
    Ok(said(Expr::Case(case), ty))
}

/// `greatest` and `least` of values, which are all of the type.
///
/// # Errors
/// 42883 of `json`, which has no order.
pub(super) fn extreme(call: ScalarFunction, ty: &SqlType) -> Result<Expr> {
    if *ty != SqlType::Jsonb {
        let text = format!("could not identify a comparison function for type {ty}");
        return Err(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text)));
    }
    let name = call.func.name().to_string();
    let greatest = name == "greatest";
    let count = call.args.len();
    let keys = call.args.iter().cloned().map(key).collect::<Result<Vec<_>>>()?;
    let body: Body = Arc::new(move |arrays| {
        let texts = arrays.iter().map(|a| Ok(cast(a, &DataType::Utf8View)?)).collect::<Result<Vec<ArrayRef>>>()?;
        let texts = texts.iter().map(|a| a.as_string_view()).collect::<Vec<_>>();
        let (values, keys) = texts.split_at(count);
        let rows = values.first().map_or(0, |v| v.len());
        let mut out = StringViewBuilder::with_capacity(rows);
        for row in 0..rows {
            let known = (0..count).filter(|n| keys[*n].is_valid(row));
            let by_key = |n: &usize| keys[*n].value(row);
            // Of equal ones the first.
            let best = if greatest { known.rev().max_by_key(by_key) } else { known.min_by_key(by_key) };
            out.append_option(best.map(|n| values[n].value(row)));
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    let args = call.args.into_iter().chain(keys).collect();
    Ok(Kernel::call(&format!("{name} jsonb"), SqlType::Jsonb.field_ref(""), args, body))
}

/// `j = ANY (array)` and its kin, by keys.
///
/// # Errors
/// 42883 beside other types.
pub(super) fn over_array(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [value, array] = call.args.as_mut_slice() else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let (item, list) = (type_of(value, schema), type_of(array, schema));
    let of = match &list {
        SqlType::Array(of) => of.as_ref().clone(),
        _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    if item != SqlType::Jsonb && of != SqlType::Jsonb {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    of_two(&Op::Eq, &item, &of).ok_or_else(|| no_operator(&item, &Op::Eq, &of))?;
    let (_, field) = array.to_field(schema)?;
    let text = SqlType::Text.field_ref("item");
    let keys = |element: Expr, _: &DFSchema| key(element);
    *array = elementwise("keys of jsonb", std::mem::take(array), &field, &text, None, keys)?;
    *value = keyed(std::mem::take(value), schema)?;
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}
