//! One type for several expressions: the branches of a CASE, the rows of VALUES, the inputs of a UNION, the items of an
//! array. Decimals of one scale stay decimals; others would be shown with zeros that PostgreSQL does not show.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, cast};
use sightline_functions::numeric::NUMERIC;

use super::functions::moved;
use super::{
    SHORT_DIGITS, as_float, as_numeric, decimal, integer_digits, is_exact, is_numeric, is_text_literal, key, literal,
    settled, shape,
};

/// The type that numbers of these types have together; none if they are no numerics, or others are among them.
pub(super) fn common(types: &[DataType]) -> Option<DataType> {
    let known = types.iter().filter(|t| !t.is_null()).collect::<Vec<_>>();
    if !known.iter().any(|t| is_exact(t)) {
        return None;
    }
    if known.iter().any(|t| t.is_floating()) {
        return known.iter().all(|t| t.is_floating() || number(t)).then_some(DataType::Float64);
    }
    if !known.iter().all(|t| number(t)) {
        return None;
    }
    let shapes = known.iter().map(|t| shape(t)).collect::<Option<Vec<_>>>();
    let same = shapes.as_ref().is_some_and(|s| s.iter().all(|(_, scale)| *scale == s[0].1));
    let wide = shapes.filter(|_| same).and_then(|s| {
        let (most, scale) = s.iter().copied().max()?;
        decimal(most, scale)
    });
    Some(wide.unwrap_or(NUMERIC))
}

/// As [`common`], but decimals of several scales get the greatest: for values that are only added up.
pub(super) fn summable(types: &[DataType]) -> Option<DataType> {
    let shapes = types.iter().filter(|t| !t.is_null()).map(shape).collect::<Option<Vec<_>>>()?;
    let scale = shapes.iter().map(|(_, s)| *s).max()?;
    let whole = shapes.iter().map(|(p, s)| p - s).max()?;
    if !types.iter().any(DataType::is_decimal) || scale > SHORT_DIGITS {
        return None;
    }
    decimal((whole + scale).min(SHORT_DIGITS), scale)
}

fn number(t: &DataType) -> bool {
    is_exact(t) || integer_digits(t).is_some()
}

/// The expression, a number, in the type that [`common`] found.
pub(super) fn converted(expr: Expr, from: &DataType, to: &DataType) -> Result<Expr> {
    if let Some(text) = is_text_literal(&expr) {
        let read = literal(text)?;
        let from = read.get_type(&DFSchema::empty())?;
        return converted(read, &from, to);
    }
    Ok(match to {
        _ if from == to => expr,
        to if is_numeric(to) => as_numeric(expr, from),
        DataType::Float64 => as_float(expr, from),
        to => cast(expr, to.clone()),
    })
}

/// The types of expressions, those of text literals left open.
fn types(exprs: &[&Expr], schema: &DFSchema) -> Result<Vec<DataType>> {
    let of = |e: &&Expr| if is_text_literal(e).is_some() { Ok(DataType::Null) } else { e.get_type(schema) };
    exprs.iter().map(of).collect()
}

/// A CASE whose branches are numbers, with one type for all.
pub(super) fn case(case: Case, schema: &DFSchema) -> Result<Expr> {
    with_branches(compared(case, schema)?, schema, common)
}

/// A CASE whose branches are added up.
pub(super) fn summed(case: Case, schema: &DFSchema) -> Result<Expr> {
    with_branches(case, schema, summable)
}

/// A `coalesce` whose arguments are added up.
pub(super) fn summed_call(mut call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let types = types(&call.args.iter().collect::<Vec<_>>(), schema)?;
    if let Some(to) = summable(&types) {
        for (slot, from) in call.args.iter_mut().zip(&types) {
            *slot = converted(std::mem::take(slot), from, &to)?;
        }
    }
    Ok(Expr::ScalarFunction(call))
}

fn with_branches(mut case: Case, schema: &DFSchema, common: fn(&[DataType]) -> Option<DataType>) -> Result<Expr> {
    let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
    let branches = branches.collect::<Vec<_>>();
    let types = types(&branches, schema)?;
    let Some(to) = common(&types) else { return Ok(Expr::Case(case)) };
    let slots = case.when_then_expr.iter_mut().map(|(_, then)| then).chain(case.else_expr.as_mut());
    for (slot, from) in slots.zip(&types) {
        **slot = converted(std::mem::take(slot.as_mut()), from, &to)?;
    }
    Ok(Expr::Case(case))
}

/// `CASE x WHEN 1.0 …` compares by keys.
fn compared(mut case: Case, schema: &DFSchema) -> Result<Case> {
    let Some(operand) = &case.expr else { return Ok(case) };
    let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
    let sides = std::iter::once(operand.as_ref()).chain(whens).collect::<Vec<_>>();
    let types = types(&sides, schema)?;
    let numbers = types.iter().all(|t| t.is_null() || number(t));
    let read = types[0] != DataType::Null && is_exact(&types[0]) && sides.iter().any(|e| is_text_literal(e).is_some());
    if !numbers || !(types.iter().any(is_numeric) || read) {
        return Ok(case);
    }
    let slots = case.expr.iter_mut().chain(case.when_then_expr.iter_mut().map(|(when, _)| when));
    for (slot, ty) in slots.zip(&types) {
        let expr = std::mem::take(slot.as_mut());
        let (expr, ty) = match is_text_literal(&expr) {
            Some(text) => (literal(text)?, NUMERIC),
            None => (expr, ty.clone()),
        };
        **slot = key(expr, &ty);
    }
    Ok(case)
}

/// The type of the items of a list in all its dimensions.
fn base(t: &DataType) -> &DataType {
    if let DataType::List(item) = t { base(item.data_type()) } else { t }
}

/// The list with other items.
fn with_base(t: &DataType, to: &DataType) -> DataType {
    match t {
        DataType::List(item) => DataType::new_list(with_base(item.data_type(), to), true),
        _ => to.clone(),
    }
}

/// The items of ARRAY[…] in one type, if they are numerics.
pub(in crate::plan) fn array_items(items: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let items = items.into_iter().map(|item| settled(item, schema)).collect::<Result<Vec<_>>>()?;
    let Ok(types) = types(&items.iter().collect::<Vec<_>>(), schema) else { return Ok(items) };
    if types.iter().any(|t| matches!(t, DataType::List(_))) {
        let Some(to) = common(&types.iter().map(|t| base(t).clone()).collect::<Vec<_>>()) else { return Ok(items) };
        let one = |(item, from): (Expr, &DataType)| moved(item, from, &with_base(from, &to));
        return Ok(items.into_iter().zip(&types).map(one).collect());
    }
    let Some(to) = common(&types) else { return Ok(items) };
    items.into_iter().zip(&types).map(|(item, from)| converted(item, from, &to)).collect()
}
