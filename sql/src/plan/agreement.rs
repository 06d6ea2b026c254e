//! Types that do not go together: PostgreSQL refuses `text = integer` where DataFusion would cast one to the other, and
//! fail on a row or answer nonsense (<https://www.postgresql.org/docs/15/typeconv-oper.html>,
//! <https://www.postgresql.org/docs/15/typeconv-union-case.html>).
//!
//! This looks at a plan fresh from the planner, before types are coerced: a string literal has no type yet there, and
//! goes with everything.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, InSubquery};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, cast};
use datafusion::scalar::ScalarValue;
use sightline_functions::numeric::NUMERIC;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::numeric::{as_numeric, is_exact};
use super::pass::over_node;
use crate::error::to_datafusion;

/// Looks through a plan and its subqueries.
///
/// # Errors
/// 42883 for operators between types that have none, 42804 for types that can't be matched.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                check_expr(e, &schema)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if let LogicalPlan::Union(union) = node {
            let mut inputs = union.inputs.iter();
            let Some(first) = inputs.next() else { return Ok(TreeNodeRecursion::Continue) };
            for other in inputs {
                for (n, (a, b)) in first.schema().fields().iter().zip(other.schema().fields()).enumerate() {
                    let known = !is_literal_column(first, n) && !is_literal_column(other, n);
                    if known && !go_together(a.data_type(), b.data_type()) {
                        return Err(unmatched("UNION", a, b));
                    }
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Looks through one expression over the columns of `schema`.
///
/// # Errors
/// As [`check`].
pub(super) fn check_in(expr: &Expr, schema: &DFSchema) -> Result<()> {
    expr.apply(|e| {
        check_expr(e, schema)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Gives string literals without a type that of the results they stand among: `CASE … THEN 1 ELSE '2' END` and
/// `SELECT 1 UNION SELECT '2'` are integers.
pub(super) fn resolved(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            return Ok(union_resolved(union));
        }
        over_node(node, |e, schema| Ok(expr_resolved(e, schema)))
    })?;
    Ok(done.data)
}

/// As [`resolved`], of one expression.
pub(super) fn resolved_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| Ok(expr_resolved(e, schema))).map(|t| t.data)
}

/// The type that those which have one have in common, if it is not text: that is what literals are anyway. Those beside
/// numerics are read later, each with a scale of its own ([`super::numeric`]).
fn known_type<'a>(exprs: impl Iterator<Item = &'a Expr>, schema: &DFSchema) -> Option<DataType> {
    let types = exprs.filter(|e| !is_open(e)).filter_map(|e| e.get_type(schema).ok());
    let types = types.filter(|t| kind(t).is_some()).collect::<Vec<_>>();
    type_union_resolution(&types).filter(|t| kind(t) != Some(Kind::Text) && !is_exact(t))
}

/// The type that literals compared with the expression take; those beside numbers find it by themselves, and JSON is no
/// type of Arrow's.
fn compared_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    let (_, field) = (!is_open(expr)).then(|| expr.to_field(schema).ok()).flatten()?;
    let own = matches!(kind(field.data_type()), Some(Kind::Boolean | Kind::Uuid | Kind::List | Kind::Interval));
    (own && field.metadata().is_empty()).then(|| field.data_type().clone())
}

/// The parameters without a type that stand among values of a type, by number from 0, and that type.
pub(super) fn parameters(expr: &Expr, schema: &DFSchema) -> Vec<(usize, SqlType)> {
    let among = match expr {
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "coalesce" | "greatest" | "least" | "make_array" | "nullif") =>
        {
            call.args.iter().collect::<Vec<_>>()
        }
        Expr::Case(case) => {
            case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref()).collect()
        }
        _ => return Vec::new(),
    };
    let open = among.iter().filter_map(|e| match e {
        Expr::Placeholder(p) if p.field.is_none() => p.id.trim_start_matches('$').parse::<usize>().ok(),
        _ => None,
    });
    let open = open.filter_map(|n| n.checked_sub(1)).collect::<Vec<_>>();
    if open.is_empty() {
        return Vec::new();
    }
    let known = among.iter().filter(|e| !is_open(e)).find_map(|e| e.to_field(schema).ok());
    let Some((_, field)) = known.filter(|(_, field)| kind(field.data_type()).is_some()) else { return Vec::new() };
    let ty = match SqlType::of_field(&field).plain() {
        SqlType::Numeric(_) => SqlType::Numeric(None),
        other => other,
    };
    open.into_iter().map(|n| (n, ty.clone())).collect()
}

fn give(expr: &mut Expr, ty: &DataType) -> bool {
    let open = matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), None));
    if open {
        *expr = cast(std::mem::take(expr), ty.clone());
    }
    open
}

fn expr_resolved(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    match &mut expr {
        Expr::Case(case) => {
            let operand = case.expr.as_deref().filter(|e| !is_open(e)).and_then(|e| e.get_type(schema).ok());
            if let Some(ty) = operand.filter(|t| kind(t).is_some_and(|k| k != Kind::Text) && !is_exact(t)) {
                for (when, _) in &mut case.when_then_expr {
                    changed |= give(when, &ty);
                }
            }
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            if let Some(ty) = known_type(results.chain(case.else_expr.as_deref()), schema) {
                for (_, then) in &mut case.when_then_expr {
                    changed |= give(then, &ty);
                }
                if let Some(otherwise) = &mut case.else_expr {
                    changed |= give(otherwise, &ty);
                }
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            if let Some(ty) = compared_type(expr, schema) {
                for item in list {
                    changed |= give(item, &ty);
                }
            }
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            if let Some(ty) = compared_type(expr, schema) {
                changed |= give(low, &ty);
                changed |= give(high, &ty);
            }
        }
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "coalesce" | "greatest" | "least" | "make_array" | "nullif") =>
        {
            if let Some(ty) = known_type(call.args.iter(), schema) {
                for arg in &mut call.args {
                    changed |= give(arg, &ty);
                }
            }
        }
        _ => {}
    }
    Transformed::new_transformed(expr, changed)
}

fn union_resolved(mut union: Union) -> Transformed<LogicalPlan> {
    let mut changed = false;
    for n in 0..union.schema.fields().len() {
        let typed = union.inputs.iter().filter(|i| i.schema().fields().len() > n && !is_literal_column(i, n));
        let types = typed.flat_map(|i| column_types(i, n)).collect::<Vec<_>>();
        let Some(first) = types.first().cloned() else { continue };
        let ty = type_union_resolution(&types).unwrap_or(first);
        let ty = if types.iter().any(is_exact) && !ty.is_floating() { NUMERIC } else { ty };
        if kind(&ty).is_none_or(|k| k == Kind::Text) {
            continue;
        }
        let literal = union.inputs.iter().any(|i| i.schema().fields().len() > n && is_literal_column(i, n));
        for input in &mut union.inputs {
            let Some(from) = input.schema().fields().get(n).map(|f| f.data_type().clone()) else { continue };
            let number = literal && ty == NUMERIC && (from.is_integer() || from.is_decimal());
            if !(number || kind(&from) == Some(Kind::Text) && is_literal_column(input, n)) {
                continue;
            }
            let given = |column: Expr| match number {
                true => as_numeric(column, &from),
                false => cast(column, ty.clone()),
            };
            let columns = input.schema().columns().into_iter().enumerate().map(|(m, column)| {
                let name = column.name.clone();
                if m == n { given(Expr::Column(column)).alias(name) } else { Expr::Column(column) }
            });
            if let Ok(projection) = Projection::try_new(columns.collect(), input.clone()) {
                *input = Arc::new(LogicalPlan::Projection(projection));
                changed = true;
            }
        }
    }
    let plan = if changed {
        match Union::try_new_with_loose_types(union.inputs.clone()) {
            Ok(again) => again,
            Err(_) => union,
        }
    } else {
        union
    };
    Transformed::new_transformed(LogicalPlan::Union(plan), changed)
}

/// The type of a column, or those that a union has not brought together yet.
fn column_types(plan: &LogicalPlan, n: usize) -> Vec<DataType> {
    match plan {
        LogicalPlan::Union(union) => {
            let typed = union.inputs.iter().filter(|i| !is_literal_column(i, n));
            typed.flat_map(|input| column_types(input, n)).collect()
        }
        other => other.schema().fields().get(n).map(|f| f.data_type().clone()).into_iter().collect(),
    }
}

/// What a type can be compared with: its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Number,
    Text,
    Moment,
    Time,
    Interval,
    Uuid,
    Bytes,
    List,
}

/// None for what goes with everything: NULL, and what PostgreSQL has not got.
fn kind(ty: &DataType) -> Option<Kind> {
    Some(match ty {
        DataType::Boolean => Kind::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Kind::Moment,
        DataType::Time32(_) | DataType::Time64(_) => Kind::Time,
        DataType::Interval(_) | DataType::Duration(_) => Kind::Interval,
        DataType::FixedSizeBinary(16) => Kind::Uuid,
        DataType::Binary | DataType::BinaryView => Kind::Bytes,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => Kind::List,
        DataType::Dictionary(_, value) => return kind(value),
        DataType::LargeBinary => Kind::Number,
        ty if ty.is_numeric() => Kind::Number,
        _ => return None,
    })
}

fn go_together(a: &DataType, b: &DataType) -> bool {
    match (kind(a), kind(b)) {
        // A time is cast to an interval.
        (Some(Kind::Time), Some(Kind::Interval)) | (Some(Kind::Interval), Some(Kind::Time)) => true,
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// A literal that has no type yet, a NULL, or a parameter.
fn is_open(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Utf8(_), None) | Expr::Placeholder(_) => true,
        Expr::Literal(value, _) => value.is_null(),
        Expr::Alias(alias) => is_open(&alias.expr),
        _ => false,
    }
}

/// Whether the column of a plan is such a literal.
pub(super) fn is_literal_column(plan: &LogicalPlan, n: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(n) {
            Some(expr) if is_open(expr) => true,
            Some(Expr::Column(column)) => match projection.input.schema().maybe_index_of_column(column) {
                Some(below) => is_literal_column(&projection.input, below),
                None => false,
            },
            _ => false,
        },
        LogicalPlan::SubqueryAlias(alias) => is_literal_column(&alias.input, n),
        LogicalPlan::Distinct(distinct) => is_literal_column(distinct.input(), n),
        LogicalPlan::Values(values) => values.values.iter().all(|row| row.get(n).is_some_and(is_open)),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_literal_column(input, n)),
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    }
}

/// A type as a message names it.
pub(super) fn shown(field: &Field) -> String {
    let text = SqlType::of_field(field).to_string();
    match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &text[..open], &text[close + 1..]),
        _ => text,
    }
}

fn unmatched(what: &str, a: &Field, b: &Field) -> datafusion::error::DataFusionError {
    let text = format!("{what} types {} and {} cannot be matched", shown(a), shown(b));
    to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text))
}

/// Refuses an operator between two expressions whose types don't go together.
fn compared(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    if is_open(left) || is_open(right) {
        return Ok(());
    }
    // What has no type has another fault, which others tell.
    let (Ok((_, l)), Ok((_, r))) = (left.to_field(schema), right.to_field(schema)) else { return Ok(()) };
    operator(&l, op, &r)
}

fn operator(l: &Field, op: &str, r: &Field) -> Result<()> {
    if go_together(l.data_type(), r.data_type()) {
        return Ok(());
    }
    let text = format!("operator does not exist: {} {op} {}", shown(l), shown(r));
    Err(to_datafusion(
        Error::new(SqlState::UNDEFINED_FUNCTION, text)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts."),
    ))
}

/// Refuses results of one expression that have no type in common.
fn matched<'a>(what: &str, exprs: impl Iterator<Item = &'a Expr>, schema: &DFSchema) -> Result<()> {
    let mut first = None;
    for expr in exprs.filter(|e| !is_open(e)) {
        let Ok((_, field)) = expr.to_field(schema) else { continue };
        match &first {
            None if kind(field.data_type()).is_some() => first = Some(field),
            Some(first) if !go_together(first.data_type(), field.data_type()) => {
                return Err(unmatched(what, first, &field));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a condition that is no boolean.
fn condition(what: &str, expr: &Expr, schema: &DFSchema) -> Result<()> {
    if is_open(expr) {
        return Ok(());
    }
    let Ok((_, field)) = expr.to_field(schema) else { return Ok(()) };
    if matches!(kind(field.data_type()), None | Some(Kind::Boolean)) {
        return Ok(());
    }
    let text = format!("argument of {what} must be type boolean, not type {}", shown(&field));
    Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text)))
}

fn check_expr(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                compared(left, &op.to_string(), right, schema)
            }
            Operator::NotEq => compared(left, "<>", right, schema),
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => compared(left, "=", right, schema),
            Operator::And | Operator::Or => {
                let what = if *op == Operator::And { "AND" } else { "OR" };
                condition(what, left, schema)?;
                condition(what, right, schema)
            }
            _ => Ok(()),
        },
        Expr::Not(inner) => condition("NOT", inner, schema),
        Expr::InList(InList { expr, list, .. }) => list.iter().try_for_each(|e| compared(expr, "=", e, schema)),
        Expr::Between(Between { expr, low, high, .. }) => {
            compared(expr, ">=", low, schema)?;
            compared(expr, "<=", high, schema)
        }
        Expr::InSubquery(InSubquery { expr, subquery, .. }) => {
            let plan = &subquery.subquery;
            let (false, Ok((_, field))) = (is_open(expr), expr.to_field(schema)) else { return Ok(()) };
            match plan.schema().fields().first() {
                Some(column) if !is_literal_column(plan, 0) => operator(&field, "=", column),
                _ => Ok(()),
            }
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            for (when, _) in when_then_expr {
                match expr {
                    Some(operand) => compared(operand, "=", when, schema)?,
                    None => condition("CASE/WHEN", when, schema)?,
                }
            }
            // PostgreSQL looks at ELSE first.
            let results =
                else_expr.iter().map(AsRef::as_ref).chain(when_then_expr.iter().map(|(_, then)| then.as_ref()));
            matched("CASE", results, schema)
        }
        Expr::ScalarFunction(call) => match call.func.name() {
            "coalesce" => matched("COALESCE", call.args.iter(), schema),
            "greatest" => matched("GREATEST", call.args.iter(), schema),
            "least" => matched("LEAST", call.args.iter(), schema),
            "make_array" => matched("ARRAY", call.args.iter(), schema),
            "nullif" => match call.args.as_slice() {
                [a, b] => compared(a, "=", b, schema),
                _ => Ok(()),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
