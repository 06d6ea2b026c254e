//! Where aggregates and window functions may stand (<https://www.postgresql.org/docs/15/sql-expressions.html>): the planner
//! would take some of them anywhere.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, JoinConstraint,
    JoinOperator, Query, Select, SelectItem, Value, Visit, Visitor, WindowType,
};
use sightline_storage::error::{Error, Result, SqlState};

use super::SET_RETURNING;
use super::calls::plain_name;

/// Window functions that are no aggregates.
const WINDOW: [&str; 11] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

static AGGREGATES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let theirs = datafusion::functions_aggregate::all_default_aggregate_functions();
    let all = theirs.into_iter().chain(sightline_functions::register_all_aggregates());
    let json = ["json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "grouping"].map(str::to_string);
    let named = all.flat_map(|f| [&[f.name().to_string()], f.aliases()].concat());
    named.filter(|name| !WINDOW.contains(&name.as_str())).chain(json).collect()
});

static SCALARS: LazyLock<HashSet<String>> =
    LazyLock::new(|| sightline_functions::register_all().iter().map(|f| f.name().to_string()).collect());

/// Looks through one SELECT, not through its subqueries.
///
/// # Errors
/// 42P20 and 42803 for a call where it may not stand, 42809 for OVER behind what is no window function, 0A000 for what
/// window functions have not got.
pub(super) fn check(select: &Select) -> Result<()> {
    if let Some(condition) = &select.selection {
        refuse(condition, "WHERE")?;
    }
    for join in select.from.iter().flat_map(|t| &t.joins) {
        use JoinOperator as J;
        if let J::Join(JoinConstraint::On(condition))
        | J::Inner(JoinConstraint::On(condition))
        | J::Left(JoinConstraint::On(condition))
        | J::LeftOuter(JoinConstraint::On(condition))
        | J::Right(JoinConstraint::On(condition))
        | J::RightOuter(JoinConstraint::On(condition))
        | J::FullOuter(JoinConstraint::On(condition)) = &join.join_operator
        {
            refuse(condition, "JOIN conditions")?;
        }
    }
    if let GroupByExpr::Expressions(exprs, _) = &select.group_by {
        for expr in exprs {
            refuse(positioned(expr, &select.projection), "GROUP BY")?;
        }
    }
    if let Some(condition) = &select.having {
        refuse_windows(condition, "HAVING")?;
    }
    each(select, |f| match &f.over {
        Some(over) => window(f, over),
        None => Ok(()),
    })
}

/// What a number in GROUP BY stands for.
fn positioned<'a>(expr: &'a Expr, list: &'a [SelectItem]) -> &'a Expr {
    let Expr::Value(v) = expr else { return expr };
    let Value::Number(digits, _) = &v.value else { return expr };
    let found = digits.parse::<usize>().ok().and_then(|n| list.get(n.checked_sub(1)?));
    match found {
        Some(SelectItem::UnnamedExpr(found) | SelectItem::ExprWithAlias { expr: found, .. }) => found,
        _ => expr,
    }
}

fn refuse(expr: &Expr, place: &str) -> Result<()> {
    each(expr, |f| {
        if f.over.is_none() && AGGREGATES.contains(&plain_name(f)) {
            let text = format!("aggregate functions are not allowed in {place}");
            return Err(Error::new(SqlState::GROUPING_ERROR, text));
        }
        Ok(())
    })?;
    refuse_windows(expr, place)
}

fn refuse_windows(expr: &Expr, place: &str) -> Result<()> {
    each(expr, |f| match &f.over {
        Some(_) => Err(windowing(format!("window functions are not allowed in {place}"))),
        None => Ok(()),
    })
}

fn windowing(text: String) -> Error {
    Error::new(SqlState::WINDOWING_ERROR, text)
}

/// One call with OVER.
fn window(f: &Function, over: &WindowType) -> Result<()> {
    let name = plain_name(f);
    let aggregate = AGGREGATES.contains(&name);
    let known = SCALARS.contains(&name) || SET_RETURNING.contains(&name.as_str());
    if !aggregate && !WINDOW.contains(&name.as_str()) && known {
        let text = format!("OVER specified, but {name} is not a window function nor an aggregate function");
        return Err(Error::new(SqlState::new("42809"), text));
    }
    if let FunctionArguments::List(list) = &f.args {
        if list.args.is_empty() && aggregate {
            let text = format!("{name}(*) must be used to call a parameterless aggregate function");
            return Err(Error::new(SqlState::new("42809"), text));
        }
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return Err(Error::unsupported("DISTINCT is not implemented for window functions"));
        }
        if list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::OrderBy(_))) {
            return Err(Error::unsupported("aggregate ORDER BY is not implemented for window functions"));
        }
    }
    if f.filter.is_some() && !aggregate && WINDOW.contains(&name.as_str()) {
        return Err(Error::unsupported("FILTER is not implemented for non-aggregate window functions"));
    }
    inner(&f.args, |_| windowing("window function calls cannot be nested".to_string()))?;
    match over {
        WindowType::WindowSpec(spec) => {
            let refused =
                |_: &Function| windowing("window functions are not allowed in window definitions".to_string());
            spec.partition_by.iter().try_for_each(|e| inner(e, refused))?;
            spec.order_by.iter().try_for_each(|o| inner(&o.expr, refused))
        }
        WindowType::NamedWindow(_) => Ok(()),
    }
}

/// Fails at the first call with OVER.
fn inner(thing: &impl Visit, error: impl Fn(&Function) -> Error) -> Result<()> {
    each(thing, |f| if f.over.is_some() { Err(error(f)) } else { Ok(()) })
}

/// Calls `look` for each call outside of subqueries.
fn each(thing: &impl Visit, look: impl FnMut(&Function) -> Result<()>) -> Result<()> {
    struct Calls<F> {
        depth: usize,
        look: F,
        failed: Option<Error>,
    }
    impl<F: FnMut(&Function) -> Result<()>> Visitor for Calls<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(f) = expr
                && self.depth == 0
                && let Err(error) = (self.look)(f)
            {
                self.failed = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls { depth: 0, look, failed: None };
    let _: ControlFlow<()> = thing.visit(&mut calls);
    calls.failed.map_or(Ok(()), Err)
}
