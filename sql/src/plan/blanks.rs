//! `character(n)`: blanks at the end do not count. They are taken off where a text is wanted, and where two such values
//! are compared (<https://www.postgresql.org/docs/15/datatype-character.html>).
//!
//! A pass over a plan fresh from the planner, before types are coerced. Values lie blank padded in tables, so that a
//! column compared with a literal stays a column, which prunes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Join, Like, LogicalPlan, LogicalPlanBuilder, Operator,
};
use datafusion::scalar::ScalarValue;
use sightline_storage::types::SqlType;

use super::elements::elementwise;
use super::kernel::{Body, Kernel};
use super::operators::compares;
use super::pass::over_node;

/// Functions that take values of any type as they are.
const ANY_TYPE: [&str; 15] = [
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "explicit",
    "format",
    "greatest",
    "least",
    "make_array",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "octet_length",
    "pg_typeof",
    "single_value",
];

/// Rewrites a plan fresh from the planner.
pub(super) fn insignificant(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let node = over_node(node, rewrite)?;
        node.transform_data(|node| match node {
            LogicalPlan::Join(join) => Ok(joined(join)),
            other => Ok(Transformed::no(other)),
        })
    })
    .map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(super) fn insignificant_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| rewrite(e, schema)).map(|t| t.data)
}

/// The type of an expression. A cast has that which it casts to: what it casts may have left a mark on its field.
fn type_of(expr: &Expr, schema: &DFSchema) -> Option<SqlType> {
    match expr {
        Expr::Cast(cast) => Some(SqlType::of_field(&cast.field)),
        Expr::Alias(alias) => type_of(&alias.expr, schema),
        other => other.to_field(schema).ok().map(|(_, field)| SqlType::of_field(&field)),
    }
}

/// The length of a `character(n)`.
fn length(expr: &Expr, schema: &DFSchema) -> Option<u32> {
    match type_of(expr, schema)? {
        SqlType::Char(n) => Some(n),
        _ => None,
    }
}

/// The text of a literal without a type.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), None) => Some(text),
        _ => None,
    }
}

/// Columns of USING, EXCEPT and INTERSECT.
fn joined(mut join: Join) -> Transformed<LogicalPlan> {
    let mut changed = false;
    for (l, r) in &mut join.on {
        let (ours, theirs) = (length(l, join.left.schema()), length(r, join.right.schema()));
        if ours != theirs {
            *l = unblank(std::mem::take(l), join.left.schema());
            *r = unblank(std::mem::take(r), join.right.schema());
            changed = true;
        }
    }
    Transformed::new_transformed(LogicalPlan::Join(join), changed)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let has_length = |e: &Expr| length(e, schema).is_some();
    Ok(match expr {
        Expr::ScalarFunction(call) if call.func.name() == "nullif" && call.args.iter().any(has_length) => {
            null_if(call, schema)
        }
        Expr::ScalarFunction(call) if call.func.name().starts_with("any_") || call.func.name().starts_with("all_") => {
            over_array(call, schema)?
        }
        Expr::ScalarFunction(mut call) if !takes_any(call.func.name()) => {
            let changed = trim_all(&mut call.args, schema);
            Transformed::new_transformed(Expr::ScalarFunction(call), changed)
        }
        Expr::AggregateFunction(mut call) if call.func.name().ends_with("string_agg") => {
            let changed = trim_all(&mut call.params.args, schema);
            Transformed::new_transformed(Expr::AggregateFunction(call), changed)
        }
        Expr::BinaryExpr(binary) => binary_expr(binary, schema),
        Expr::InList(mut list) if has_length(&list.expr) => {
            let n = length(&list.expr, schema).unwrap_or_default();
            if list.list.iter().all(|e| literal(e).is_some()) {
                list.list = list.list.into_iter().map(|e| padded(e, n)).collect();
                return Ok(Transformed::yes(Expr::InList(list)));
            }
            let InList { expr, list, negated } = list;
            let list = list.into_iter().map(|e| bare(e, schema)).collect();
            Transformed::yes(Expr::InList(InList { expr: Box::new(trimmed(*expr)), list, negated }))
        }
        Expr::InList(InList { expr, list, negated }) if literal(&expr).is_some() && list.iter().any(has_length) => {
            let expr = Box::new(bare(*expr, schema));
            let list = list.into_iter().map(|e| bare(e, schema)).collect();
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::Case(mut case)
            if case.expr.as_deref().is_some_and(has_length)
                || (case.expr.is_some() && case.when_then_expr.iter().any(|(when, _)| has_length(when))) =>
        {
            case.expr = case.expr.map(|e| Box::new(bare(*e, schema)));
            for (when, _) in &mut case.when_then_expr {
                **when = bare(std::mem::take(when), schema);
            }
            Transformed::yes(Expr::Case(case))
        }
        Expr::Between(between) if [&between.expr, &between.low, &between.high].into_iter().any(|e| has_length(e)) => {
            let Between { expr, negated, low, high } = between;
            let [expr, low, high] = [expr, low, high].map(|e| Box::new(bare(*e, schema)));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InSubquery(query) => in_subquery(query, schema)?,
        Expr::Like(like) => bytea_like(like, schema),
        other => Transformed::no(other),
    })
}

/// `nullif(c, 'a ')`, by what `=` says, and with the blanks of the first.
fn null_if(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let Ok([a, b]) = <[Expr; 2]>::try_from(std::mem::take(&mut call.args)) else {
        return Transformed::no(Expr::ScalarFunction(call));
    };
    if let (Some(n), Some(_)) = (length(&a, schema), literal(&b)) {
        call.args = vec![a, padded(b, n)];
        return Transformed::yes(Expr::ScalarFunction(call));
    }
    let equal = BinaryExpr { left: Box::new(a.clone()), op: Operator::Eq, right: Box::new(b) };
    let when = Box::new(binary_expr(equal, schema).data);
    let none = Box::new(Expr::Literal(ScalarValue::Utf8View(None), None));
    let case = Case { expr: None, when_then_expr: vec![(when, none)], else_expr: Some(Box::new(a)) };
    Transformed::yes(Expr::Case(case))
}

/// `c = ANY (array)` and its kin.
fn over_array(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [value, array] = call.args.as_mut_slice() else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let of_char = matches!(type_of(array, schema), Some(SqlType::Array(item)) if matches!(*item, SqlType::Char(_)));
    if length(value, schema).is_none() && !of_char {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    let (_, field) = array.to_field(schema)?;
    let text = SqlType::Text.field_ref("item");
    if matches!(field.data_type(), DataType::List(_)) {
        *array = elementwise("text[] (bpchar[])", std::mem::take(array), &field, &text, None, |e, _| Ok(trimmed(e)))?;
    }
    *value = unblank(std::mem::take(value), schema);
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// `c IN (SELECT …)`.
fn in_subquery(query: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let InSubquery { expr, mut subquery, negated } = query;
    let inner = subquery.subquery.schema().clone();
    let item = inner.fields().first().map(|f| SqlType::of_field(f));
    let theirs = match item {
        Some(SqlType::Char(n)) => Some(n),
        _ => None,
    };
    if length(&expr, schema) == theirs {
        return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
    }
    if theirs.is_some() {
        let column = Expr::Column(Column::from(inner.qualified_field(0)));
        let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
            .project(vec![trimmed(column).alias(inner.field(0).name())])?
            .build()?;
        subquery.subquery = Arc::new(plan);
    }
    let expr = Box::new(bare(*expr, schema));
    Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })))
}

/// LIKE of binary strings is a function of ours; the planner's knows texts only.
fn bytea_like(like: Like, schema: &DFSchema) -> Transformed<Expr> {
    let bytes = matches!(like.expr.get_type(schema), Ok(DataType::Binary | DataType::BinaryView));
    match sightline_functions::scalar("bytealike").filter(|_| bytes && !like.case_insensitive) {
        Some(function) => {
            let found = function.call(vec![*like.expr, *like.pattern]);
            Transformed::yes(if like.negated { !found } else { found })
        }
        None => Transformed::no(Expr::Like(like)),
    }
}

/// Whether a function takes a value without a cast to text; what has a blank in its name is a cast of ours.
fn takes_any(name: &str) -> bool {
    ANY_TYPE.contains(&name)
        || name.contains([' ', '('])
        || ["array_", "any_", "all_", "reg", "json", "row_"].iter().any(|prefix| name.starts_with(prefix))
}

fn trim_all(args: &mut [Expr], schema: &DFSchema) -> bool {
    let mut changed = false;
    for arg in args {
        if length(arg, schema).is_some() {
            *arg = trimmed(std::mem::take(arg));
            changed = true;
        }
    }
    changed
}

fn binary_expr(mut binary: BinaryExpr, schema: &DFSchema) -> Transformed<Expr> {
    let compares = compares(binary.op);
    if !compares && binary.op != Operator::StringConcat {
        return Transformed::no(Expr::BinaryExpr(binary));
    }
    let (left, right) = (length(&binary.left, schema), length(&binary.right, schema));
    if left.is_none() && right.is_none() {
        return Transformed::no(Expr::BinaryExpr(binary));
    }
    let equality = matches!(binary.op, Operator::Eq | Operator::NotEq);
    match (left, right) {
        (Some(a), Some(b)) if compares && a == b => return Transformed::no(Expr::BinaryExpr(binary)),
        (Some(n), None) if equality && literal(&binary.right).is_some() => {
            *binary.right = padded(std::mem::take(&mut binary.right), n);
        }
        (None, Some(n)) if equality && literal(&binary.left).is_some() => {
            *binary.left = padded(std::mem::take(&mut binary.left), n);
        }
        _ => {
            for side in [&mut binary.left, &mut binary.right] {
                // Of a concatenation a literal is a text, whose blanks count.
                let inner = std::mem::take(side.as_mut());
                **side = if compares {
                    unblank(inner, schema)
                } else if length(&inner, schema).is_some() {
                    bare(inner, schema)
                } else {
                    inner
                };
            }
        }
    }
    Transformed::yes(Expr::BinaryExpr(binary))
}

/// What is compared with a `character` as one, without its blanks.
fn unblank(expr: Expr, schema: &DFSchema) -> Expr {
    if is_varchar(&expr, schema) { trimmed(expr) } else { bare(expr, schema) }
}

/// Whether it is a `character varying`, which is compared with a `character` as one.
fn is_varchar(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(type_of(expr, schema), Some(SqlType::Varchar(_)))
}

/// Without the blanks that do not count; a typed text stays.
fn bare(expr: Expr, schema: &DFSchema) -> Expr {
    if let Some(text) = literal(&expr) {
        return Expr::Literal(ScalarValue::Utf8(Some(text.trim_end_matches(' ').to_string())), None);
    }
    if length(&expr, schema).is_some() { trimmed(expr) } else { expr }
}

/// A literal as long as the values of the column.
fn padded(expr: Expr, n: u32) -> Expr {
    let Some(text) = literal(&expr) else { return expr };
    let text = text.trim_end_matches(' ');
    let missing = (n as usize).saturating_sub(text.chars().count());
    Expr::Literal(ScalarValue::Utf8(Some(format!("{text}{}", " ".repeat(missing)))), None)
}

/// The value as text.
pub(super) fn trimmed(expr: Expr) -> Expr {
    let body: Body = Arc::new(|arrays| {
        let texts = cast(&arrays[0], &DataType::Utf8View)?;
        let texts = texts.as_string_view().iter().map(|t| t.map(|t| t.trim_end_matches(' ')));
        Ok(Arc::new(texts.collect::<StringViewArray>()) as ArrayRef)
    });
    Kernel::call("text (bpchar)", SqlType::Text.field_ref(""), vec![expr], body)
}
