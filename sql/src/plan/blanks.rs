//! `character(n)`: blanks at the end do not count. They are taken off where a text is wanted, and where two such values
//! are compared (<https://www.postgresql.org/docs/15/datatype-character.html>).
//!
//! A pass over a plan fresh from the planner, before types are coerced. Values lie blank padded in tables, so that a
//! column compared with a literal stays a column, which prunes.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, InSubquery, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Join, Like, LogicalPlan, LogicalPlanBuilder, Operator, Union,
};
use datafusion::scalar::ScalarValue;
use sightline_storage::types::SqlType;

use super::elements::elementwise;
use super::kernel::{Body, Kernel};
use super::operators::compares;
use super::pass::over_node;

/// Functions that take values of any type as they are.
const ANY_TYPE: [&str; 18] = [
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
    "row",
    "single_value",
    "to_json",
    "to_jsonb",
];

/// Rewrites a plan fresh from the planner.
pub(super) fn insignificant(plan: LogicalPlan) -> Result<LogicalPlan> {
    // What stands above columns that have become longer has another type, too.
    let stale = Cell::new(false);
    plan.transform_up_with_subqueries(|node| {
        let node = if stale.get() { node.recompute_schema()? } else { node };
        let node = over_node(node, rewrite)?;
        let node = node.transform_data(|node| match node {
            LogicalPlan::Join(join) => Ok(joined(join)),
            LogicalPlan::Union(union) => {
                let done = united(union)?;
                stale.set(stale.get() || done.transformed);
                Ok(done)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(Transformed { transformed: node.transformed || stale.get(), ..node })
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
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "array_position" | "array_positions" | "array_remove" | "array_has") =>
        {
            in_array(call, schema)?
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
            let list = list.into_iter().map(|e| unblank(e, schema)).collect();
            Transformed::yes(Expr::InList(InList { expr: Box::new(trimmed(*expr)), list, negated }))
        }
        // A literal is what the others are; the blanks of a text count.
        Expr::InList(InList { expr, list, negated }) if list.iter().any(has_length) => {
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

/// `c = ANY (array)` and its kin. Blanks do not count where both are a `character` or a `character varying`; those of a
/// text do.
fn over_array(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [value, array] = call.args.as_mut_slice() else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let item = item_type(array, schema);
    let of_char = matches!(item, Some(SqlType::Char(_)));
    if length(value, schema).is_none() && !of_char {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    if of_char || matches!(item, Some(SqlType::Varchar(_))) {
        *array = trimmed_items(std::mem::take(array), schema)?;
    }
    *value = unblank(std::mem::take(value), schema);
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// The type of an array's elements.
fn item_type(array: &Expr, schema: &DFSchema) -> Option<SqlType> {
    match type_of(array, schema)? {
        SqlType::Array(item) => Some(*item),
        _ => None,
    }
}

fn trimmed_items(array: Expr, schema: &DFSchema) -> Result<Expr> {
    let (_, field) = array.to_field(schema)?;
    if !matches!(field.data_type(), DataType::List(_)) {
        return Ok(array);
    }
    let text = SqlType::Text.field_ref("item");
    elementwise("text[] (bpchar[])", array, &field, &text, None, |e, _| Ok(trimmed(e)))
}

/// `array_position(array, value)` and its kin: of a text and a `character` the latter is made a text.
fn in_array(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [array, value, ..] = call.args.as_mut_slice() else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    let item = item_type(array, schema);
    let is_text = |ty: &Option<SqlType>| matches!(ty, Some(SqlType::Text | SqlType::Varchar(_)));
    if is_text(&item) && length(value, schema).is_some() {
        *value = trimmed(std::mem::take(value));
    } else if let (Some(SqlType::Char(n)), Some(_)) = (&item, literal(value)) {
        *value = padded(std::mem::take(value), *n);
    } else if matches!(item, Some(SqlType::Char(_))) && is_text(&type_of(value, schema)) {
        *array = trimmed_items(std::mem::take(array), schema)?;
    } else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// The arms of a UNION with values of several lengths: all are as long as the longest.
fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let lengths = |n: usize| {
        let of = |input: &Arc<LogicalPlan>| match SqlType::of_field(input.schema().field(n)) {
            SqlType::Char(n) => Some(n),
            _ => None,
        };
        union.inputs.iter().map(of).collect::<Option<Vec<_>>>()
    };
    let longest = |all: Vec<u32>| all.iter().max().copied().filter(|max| all.iter().any(|n| n != max));
    let wanted = (0..width).map(|n| lengths(n).and_then(longest)).collect::<Vec<_>>();
    if wanted.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let padded = |input: Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let schema = input.schema().clone();
        let exprs = wanted.iter().enumerate().map(|(n, to)| {
            let (qualifier, field) = schema.qualified_field(n);
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            match to {
                Some(to) => lengthened(column, *to).alias_qualified(qualifier.cloned(), field.name()),
                None => column,
            }
        });
        Ok(Arc::new(LogicalPlanBuilder::from(input.as_ref().clone()).project(exprs.collect::<Vec<_>>())?.build()?))
    };
    let inputs = union.inputs.into_iter().map(padded).collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// A `character` of more characters.
fn lengthened(expr: Expr, n: u32) -> Expr {
    let body: Body = Arc::new(move |arrays| {
        let texts = cast(&arrays[0], &DataType::Utf8View)?;
        let texts = texts.as_string_view().iter().map(|t| t.map(|t| padded_text(t, n)));
        Ok(Arc::new(texts.collect::<StringViewArray>()) as ArrayRef)
    });
    Kernel::call(&format!("bpchar ({n})"), SqlType::Char(n).field_ref(""), vec![expr], body)
}

fn padded_text(text: &str, n: u32) -> String {
    let missing = (n as usize).saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
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
    Expr::Literal(ScalarValue::Utf8(Some(padded_text(text.trim_end_matches(' '), n))), None)
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
