//! GROUP BY with grouping sets, written out: nested ones, several side by side, tuples, DISTINCT
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-GROUPING-SETS>).

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, ObjectNamePart, Select, SelectItem,
    Value,
};
use sightline_storage::error::{Error, Result, SqlState};

use crate::parser::grouping::{CUBE, DISTINCT, EMPTY, ROLLUP, SETS};

/// PostgreSQL's limit.
const SETS_MAX: usize = 4096;
/// The most columns of all sets together: each is a copy of its expression.
const COLUMNS_MAX: usize = 100_000;
/// PostgreSQL's limit on what a CUBE multiplies.
const CUBE_MAX: usize = 12;

type Set = Vec<Expr>;

/// Puts one list of sets in the place of all that a GROUP BY says, if it says sets.
///
/// # Errors
/// 54001 for too many sets, 54011 for a CUBE of too many columns.
pub(super) fn expand(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(exprs, _) = &mut select.group_by else { return Ok(()) };
    let special = |e: &Expr| call(e).is_some() || matches!(e, Expr::Tuple(_));
    if !exprs.iter().any(special) {
        return Ok(());
    }
    let distinct = exprs.first().and_then(call).is_some_and(|(name, _)| name == DISTINCT);
    let items = std::mem::take(exprs).into_iter().skip(usize::from(distinct)).collect::<Vec<_>>();
    if !items.iter().any(|e| call(e).is_some() || matches!(e, Expr::Tuple(of) if of.is_empty())) {
        *exprs = items.into_iter().flat_map(columns).collect();
        return Ok(());
    }
    let items = items.into_iter().map(|item| positioned(item, &select.projection)).collect::<Result<Vec<_>>>()?;
    let mut all: Vec<Set> = vec![vec![]];
    for item in items {
        let sets = sets_of(item)?;
        let columns = |sets: &[Set]| sets.iter().map(Vec::len).sum::<usize>();
        let made = columns(&all).saturating_mul(sets.len()).saturating_add(columns(&sets).saturating_mul(all.len()));
        if all.len().saturating_mul(sets.len()) > SETS_MAX || made > COLUMNS_MAX {
            return Err(too_many());
        }
        all = all.iter().flat_map(|before| sets.iter().map(|set| [before.clone(), set.clone()].concat())).collect();
    }
    let mut sets: Vec<Set> = all.into_iter().map(once).collect();
    if distinct {
        let mut kept: Vec<Set> = Vec::new();
        for set in sets {
            let same = |other: &Set| other.len() == set.len() && other.iter().all(|e| set.contains(e));
            if !kept.iter().any(same) {
                kept.push(set);
            }
        }
        sets = kept;
    }
    *exprs = match sets.as_mut_slice() {
        [only] if !only.is_empty() => std::mem::take(only),
        _ => vec![Expr::GroupingSets(sets)],
    };
    Ok(())
}

/// A number stands for a column of the select list.
fn positioned(mut item: Expr, list: &[SelectItem]) -> Result<Expr> {
    match &mut item {
        Expr::Value(v) => {
            let Value::Number(digits, _) = &v.value else { return Ok(item) };
            let Ok(position) = digits.parse::<usize>() else { return Ok(item) };
            let found = position.checked_sub(1).and_then(|n| list.get(n));
            match found {
                Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => return Ok(expr.clone()),
                // What a star stands for, the planner knows.
                Some(_) => {}
                None if list.iter().any(|i| matches!(i, SelectItem::Wildcard(_))) => {}
                None => {
                    let text = format!("GROUP BY position {position} is not in select list");
                    return Err(Error::new(SqlState::new("42P10"), text));
                }
            }
        }
        Expr::Nested(inner) => **inner = positioned(inner.as_ref().clone(), list)?,
        Expr::Function(f) if [SETS, ROLLUP, CUBE].contains(&plain_name(f)) => {
            let FunctionArguments::List(arguments) = &mut f.args else { return Ok(item) };
            for argument in &mut arguments.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = argument {
                    *e = positioned(e.clone(), list)?;
                }
            }
        }
        _ => {}
    }
    Ok(item)
}

fn plain_name(f: &Function) -> &str {
    match f.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => &name.value,
        _ => "",
    }
}

fn too_many() -> Error {
    let text = format!("too many grouping sets present (maximum {SETS_MAX})");
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, text)
}

/// Name and arguments of a call that the parser has made.
fn call(expr: &Expr) -> Option<(&str, Vec<Expr>)> {
    let Expr::Function(f) = expr else { return None };
    let name = plain_name(f);
    if ![SETS, ROLLUP, CUBE, EMPTY, DISTINCT].contains(&name) {
        return None;
    }
    let FunctionArguments::List(list) = &f.args else { return None };
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    };
    Some((name, list.args.iter().map(value).collect::<Option<Vec<_>>>()?))
}

/// The sets that one item stands for.
fn sets_of(item: Expr) -> Result<Vec<Set>> {
    let Some((name, arguments)) = call(&item) else { return Ok(vec![columns(item)]) };
    Ok(match name {
        SETS if arguments.is_empty() => {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error at or near \")\""));
        }
        SETS => {
            let mut sets = Vec::new();
            for argument in arguments {
                sets.extend(sets_of(argument)?);
                if sets.len() > SETS_MAX {
                    return Err(too_many());
                }
            }
            sets
        }
        ROLLUP => {
            let parts = arguments.into_iter().map(columns).collect::<Vec<_>>();
            let columns = parts.iter().rev().zip(1..).map(|(part, sets)| part.len() * sets).sum::<usize>();
            if parts.len() >= SETS_MAX || columns > COLUMNS_MAX {
                return Err(too_many());
            }
            (0..=parts.len()).rev().map(|n| parts[..n].concat()).collect()
        }
        CUBE => {
            let parts = arguments.into_iter().map(columns).collect::<Vec<_>>();
            if parts.len() > CUBE_MAX {
                let text = format!("CUBE is limited to {CUBE_MAX} elements");
                return Err(Error::new(SqlState::TOO_MANY_COLUMNS, text));
            }
            let count = parts.len();
            if parts.iter().map(Vec::len).sum::<usize>() << count.saturating_sub(1) > COLUMNS_MAX {
                return Err(too_many());
            }
            let chosen = |mask: usize| (0..count).filter(move |n| mask & (1 << (count - 1 - n)) != 0);
            (0..1_usize << count).rev().map(|mask| chosen(mask).flat_map(|n| parts[n].clone()).collect()).collect()
        }
        _ => vec![vec![]],
    })
}

/// The columns of `a`, `(a)`, `(a, (b, c))`.
fn columns(item: Expr) -> Set {
    match item {
        Expr::Tuple(items) => items.into_iter().flat_map(columns).collect(),
        Expr::Nested(inner) => columns(*inner),
        other if call(&other).is_some() => vec![],
        other => vec![other],
    }
}

/// Each column once.
fn once(set: Set) -> Set {
    let mut kept: Set = Vec::with_capacity(set.len());
    for expr in set {
        if !kept.contains(&expr) {
            kept.push(expr);
        }
    }
    kept
}
