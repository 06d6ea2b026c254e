//! Arrays and rows with elements that are equal though they look otherwise: `'{1.0}'` is `'{1.00}'`, `ARRAY['1 day']` is
//! `ARRAY['24:00:00']`. They are compared, joined, grouped and sorted by bytes that tell the values apart
//! ([`ordered_bytes`]); single values have passes of their own (`numeric`, `intervals`, `json`).
//!
//! A pass over a plan fresh from the planner, whose literals and numbers have their types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Between, InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Case, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr,
};
use datafusion::scalar::ScalarValue;
use sightline_functions::comparable::{comparable, is_plain, ordered_bytes, own_values};
use sightline_storage::types::SqlType;

use super::kernel::{Body, Kernel};
use super::operators::compares;
use super::pass::over_node;

/// Rewrites a plan fresh from the planner.
pub(super) fn keyed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let node = over_node(node, rewrite)?;
        node.transform_data(|node| match node {
            LogicalPlan::Sort(mut sort) => {
                let schema = sort.input.schema().clone();
                let changed = order(&mut sort.expr, &schema, bytes);
                Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
            }
            LogicalPlan::Distinct(Distinct::On(mut on)) => {
                let schema = on.input.schema().clone();
                let mut changed = false;
                for expr in &mut on.on_expr {
                    changed |= by_key(expr, &schema, is_nested, bytes);
                }
                if let Some(sort) = &mut on.sort_expr {
                    changed |= order(sort, &schema, bytes);
                }
                Ok(Transformed::new_transformed(LogicalPlan::Distinct(Distinct::On(on)), changed))
            }
            other => Ok(Transformed::no(other)),
        })
    })
    .map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(super) fn keyed_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| rewrite(e, schema)).map(|t| t.data)
}

/// Whether it is an array or a row with elements that are equal though they look otherwise.
pub(super) fn needed(field: &Field) -> bool {
    is_nested(field) && !is_plain(field)
}

/// Whether it is an array or a row: nothing below us orders structs within lists, or has windows by either.
fn is_nested(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_) | DataType::Struct(_))
}

/// Bytes that are equal where the values are, and in their order.
pub(super) fn bytes(expr: Expr, field: &FieldRef) -> Expr {
    let of = field.clone();
    let body: Body = Arc::new(move |arrays| Ok(Arc::new(ordered_bytes(&arrays[0], &of)?) as ArrayRef));
    call("key of ", DataType::Binary, expr, field, body)
}

/// The same in hexadecimal: windows know no order of bytes.
fn digits(expr: Expr, field: &FieldRef) -> Expr {
    let of = field.clone();
    let body: Body = Arc::new(move |arrays| {
        let mut out = StringViewBuilder::new();
        for key in &ordered_bytes(&arrays[0], &of)? {
            out.append_option(key.map(|key| {
                let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'a' + n - 10 });
                key.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect::<String>()
            }));
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    call("digits of ", DataType::Utf8View, expr, field, body)
}

/// A float: `-0` is `0`.
pub(super) fn one_zero(expr: Expr, field: &FieldRef) -> Expr {
    let of = field.clone();
    let body: Body = Arc::new(move |arrays| comparable(&arrays[0], &of));
    Kernel::call("one zero", field.clone(), vec![expr], body)
}

fn call(name: &str, ty: DataType, expr: Expr, field: &FieldRef, body: Body) -> Expr {
    let name = format!("{name}{} {}", SqlType::of_field(field), field.data_type());
    Kernel::call(&name, Arc::new(Field::new("", ty, true)), vec![expr], body)
}

/// Puts an expression of such a field as its key.
fn by_key(expr: &mut Expr, schema: &DFSchema, needed: fn(&Field) -> bool, key: fn(Expr, &FieldRef) -> Expr) -> bool {
    match expr.to_field(schema) {
        Ok((_, field)) if needed(&field) => {
            *expr = key(std::mem::take(expr), &field);
            true
        }
        _ => false,
    }
}

fn order(by: &mut [SortExpr], schema: &DFSchema, key: fn(Expr, &FieldRef) -> Expr) -> bool {
    let mut changed = false;
    for sort in by {
        changed |= by_key(&mut sort.expr, schema, is_nested, key);
    }
    changed
}

fn needs(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| needed(&field))
}

/// Puts all as keys if they are of one type and need to be.
fn all_by_key(exprs: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let fields = exprs.iter().map(|e| e.to_field(schema).map(|(_, field)| field)).collect::<Result<Vec<_>>>();
    let Ok(fields) = fields else { return false };
    let alike = |f: &FieldRef| f.data_type() == fields[0].data_type() || f.data_type().is_null();
    if !fields.iter().any(|f| needed(f)) || !fields.iter().all(alike) {
        return false;
    }
    for (expr, field) in exprs.iter_mut().zip(&fields) {
        **expr = match field.data_type().is_null() {
            true => Expr::Literal(ScalarValue::Binary(None), None),
            false => bytes(std::mem::take(*expr), field),
        };
    }
    true
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if compares(op) => {
            let mut changed = all_by_key(&mut [&mut left, &mut right], schema);
            // What may become a join: its filters take -0 for less than 0.
            let columns = matches!((left.as_ref(), right.as_ref()), (Expr::Column(_), Expr::Column(_)));
            if columns && is_float(&left, schema) && is_float(&right, schema) {
                for e in [&mut left, &mut right] {
                    changed |= by_key(e, schema, |f| f.data_type().is_floating(), one_zero);
                }
            }
            Transformed::new_transformed(Expr::BinaryExpr(BinaryExpr { left, op, right }), changed)
        }
        Expr::InList(InList { mut expr, mut list, negated })
            if is_float(&expr, schema) && list.iter().any(may_be_zero) =>
        {
            let mut changed = false;
            for e in std::iter::once(expr.as_mut()).chain(&mut list) {
                changed |= by_key(e, schema, |f| f.data_type().is_floating(), one_zero);
            }
            Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed)
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut all = std::iter::once(expr.as_mut()).chain(&mut list).collect::<Vec<_>>();
            let changed = all_by_key(&mut all, schema);
            Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed)
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let changed = all_by_key(&mut [&mut expr, &mut low, &mut high], schema);
            Transformed::new_transformed(Expr::Between(Between { expr, negated, low, high }), changed)
        }
        Expr::Case(mut case) => {
            let Some(operand) = case.expr.as_deref_mut() else { return Ok(Transformed::no(Expr::Case(case))) };
            if is_float(operand, schema) {
                let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
                let mut changed = false;
                for e in std::iter::once(operand).chain(whens) {
                    changed |= by_key(e, schema, |f| f.data_type().is_floating(), one_zero);
                }
                return Ok(Transformed::new_transformed(Expr::Case(case), changed));
            }
            let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
            let changed = all_by_key(&mut std::iter::once(operand).chain(whens).collect::<Vec<_>>(), schema);
            Transformed::new_transformed(Expr::Case(case), changed)
        }
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => null_if(call, schema),
        Expr::ScalarFunction(mut call)
            if call.func.name().starts_with("any_") || call.func.name().starts_with("all_") =>
        {
            let changed = among(&mut call.args, schema);
            Transformed::new_transformed(Expr::ScalarFunction(call), changed)
        }
        Expr::InSubquery(query) => in_subquery(query, schema)?,
        Expr::AggregateFunction(mut call) => {
            // What is made distinct is sorted by itself.
            let mut changed = !call.params.distinct && order(&mut call.params.order_by, schema, bytes);
            changed |= counts(&mut call, schema);
            Transformed::new_transformed(Expr::AggregateFunction(call), changed)
        }
        Expr::WindowFunction(mut call) => {
            let mut changed = order(&mut call.params.order_by, schema, digits);
            for expr in &mut call.params.partition_by {
                changed |= by_key(expr, schema, needed, bytes);
            }
            let order = call.params.order_by.iter_mut().map(|s| &mut s.expr);
            for expr in order.chain(&mut call.params.partition_by) {
                changed |= by_key(expr, schema, |f| f.data_type().is_floating(), one_zero);
            }
            Transformed::new_transformed(Expr::WindowFunction(call), changed)
        }
        other => Transformed::no(other),
    })
}

fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|t| t.is_floating())
}

/// Whether it is no literal of another number.
fn may_be_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => may_be_zero(&cast.expr),
        Expr::Literal(value, _) => match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(number))) => number == 0.0,
            _ => true,
        },
        _ => true,
    }
}

/// `count(DISTINCT x)`, also of floats, where there is one zero.
fn counts(call: &mut AggregateFunction, schema: &DFSchema) -> bool {
    let (true, "count", [arg]) = (call.params.distinct, call.func.name(), call.params.args.as_mut_slice()) else {
        return false;
    };
    by_key(arg, schema, |f| f.data_type().is_floating(), one_zero) || by_key(arg, schema, needed, bytes)
}

/// A row and an array of rows are compared by keys: nothing below us compares structs.
fn among(args: &mut [Expr], schema: &DFSchema) -> bool {
    let [value, array] = args else { return false };
    let (Ok((_, of)), Ok((_, list))) = (value.to_field(schema), array.to_field(schema)) else { return false };
    let item = match list.data_type() {
        DataType::List(item) if matches!(item.data_type(), DataType::Struct(_)) => item.clone(),
        _ => return false,
    };
    if !matches!(of.data_type(), DataType::Struct(_)) {
        return false;
    }
    *value = bytes(std::mem::take(value), &of);
    let keys = Arc::new(Field::new("item", DataType::Binary, true));
    let made = DataType::List(keys.clone());
    let body: Body = Arc::new(move |arrays| {
        let (offsets, values) = own_values(arrays[0].as_list());
        let values: ArrayRef = Arc::new(ordered_bytes(&values, &item)?);
        Ok(Arc::new(ListArray::try_new(keys.clone(), offsets, values, arrays[0].logical_nulls())?))
    });
    *array = call("keys in ", made, std::mem::take(array), &list, body);
    true
}

/// `nullif(a, b)`, with what the first looks like.
fn null_if(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let [a, b] = call.args.as_mut_slice() else { return Transformed::no(Expr::ScalarFunction(call)) };
    let shown = a.clone();
    // Of floats there is one zero to `=`.
    if !is_float(a, schema) && !all_by_key(&mut [a, b], schema) {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    let (left, right) = (Box::new(std::mem::take(a)), Box::new(std::mem::take(b)));
    let equal = Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right });
    let none = Expr::Literal(ScalarValue::Null, None);
    let case =
        Case { expr: None, when_then_expr: vec![(Box::new(equal), Box::new(none))], else_expr: Some(Box::new(shown)) };
    Transformed::yes(Expr::Case(case))
}

fn in_subquery(query: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let InSubquery { mut expr, mut subquery, negated } = query;
    let inner = subquery.subquery.schema().clone();
    let field = inner.field(0).clone();
    let alike = expr.get_type(schema).is_ok_and(|t| t == *field.data_type());
    let floats = field.data_type().is_floating() && is_float(&expr, schema);
    if floats {
        let column = Expr::Column(Column::from(inner.qualified_field(0)));
        let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
            .project(vec![one_zero(column, &field).alias(field.name())])?
            .build()?;
        subquery.subquery = Arc::new(plan);
        by_key(&mut expr, schema, |f| f.data_type().is_floating(), one_zero);
        return Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })));
    }
    if !alike || !(needed(&field) || needs(&expr, schema)) {
        return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
    }
    let column = Expr::Column(Column::from(inner.qualified_field(0)));
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .project(vec![bytes(column, &field).alias(field.name())])?
        .build()?;
    subquery.subquery = Arc::new(plan);
    by_key(&mut expr, schema, needed, bytes);
    Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })))
}
