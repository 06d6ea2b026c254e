//! Subqueries and clauses of a query said in another way.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArguments, GroupByExpr, Ident, LimitClause, OrderByExpr, OrderByKind, Query,
    SelectItem, SetExpr, TableFactor, TableWithJoins, Value,
};

use sightline_storage::error::{Error, Result, SqlState};

use super::calls::call;
use super::relations::{is_number, table_alias};
use crate::plan::multisets::WITH_TIES;
use crate::plan::names::fold;

/// `FETCH FIRST n ROWS ONLY` is LIMIT n; with ties, the number is marked.
///
/// # Errors
/// 42601 for ties without an order.
pub(super) fn fetch_as_limit(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take_if(|f| !f.percent) else { return Ok(()) };
    let one = || Expr::Value(Value::Number("1".to_string(), false).with_empty_span());
    let mut rows = fetch.quantity.unwrap_or_else(one);
    if fetch.with_ties {
        if query.order_by.is_none() {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "WITH TIES cannot be specified without ORDER BY clause"));
        }
        rows = call(WITH_TIES, vec![rows]);
    }
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
        _ => query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: vec![] }),
    }
    Ok(())
}

/// `x = ANY (SELECT …)` is `x IN (SELECT …)`.
pub(super) fn in_subquery(left: &Expr, subquery: &Query, negated: bool) -> Expr {
    Expr::InSubquery { expr: Box::new(left.clone()), subquery: Box::new(subquery.clone()), negated }
}

/// `ARRAY(SELECT x …)` is `array_or_empty((SELECT array_agg(x) FROM (SELECT x …)))`.
pub(super) fn array_subquery(f: &mut Function) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &f.args else { return None };
    if !f.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let inner = gathered(query).or_else(|| gathered_rows(query))?;
    Some(call("array_or_empty", vec![Expr::Subquery(Box::new(inner))]))
}

/// A query of all rows of its FROM and WHERE gathers them itself.
fn gathered(query: &Query) -> Option<Query> {
    let mut inner = query.clone();
    let SetExpr::Select(select) = inner.body.as_mut() else { return None };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || inner.limit_clause.is_some() || select.distinct.is_some() || select.having.is_some() {
        return None;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return None;
    };
    if !computes(item) {
        return None;
    }
    let item = item.clone();
    let alias = match select.projection.as_slice() {
        [SelectItem::ExprWithAlias { alias, .. }] => Some(fold(alias)),
        _ => None,
    };
    // A bare name is that of the output first.
    let is_output = |e: &Expr| matches!(e, Expr::Identifier(name) if alias.as_ref() == Some(&fold(name)));
    let mut order_by = match inner.order_by.take().map(|o| o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs,
        _ => vec![],
    };
    for by in order_by.iter_mut().filter(|by| is_position(&by.expr) || is_output(&by.expr)) {
        by.expr = item.clone();
    }
    select.projection = vec![SelectItem::UnnamedExpr(aggregate(item, order_by))];
    Some(inner)
}

/// Whether the expression is computed of its row alone: no aggregate, no window, no set.
fn computes(expr: &Expr) -> bool {
    let mut alone = true;
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        alone &= match e {
            Expr::Function(f) => {
                let name = f.name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                f.over.is_none() && sightline_functions::scalar_function(&name).is_some()
            }
            _ => true,
        };
        ControlFlow::Continue(())
    });
    alone
}

/// Of any other query the rows are gathered in their order, which columns behind the first tell.
fn gathered_rows(query: &Query) -> Option<Query> {
    let mut inner = query.clone();
    let mut order = match inner.order_by.as_ref().map(|o| &o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs.clone(),
        _ => vec![],
    };
    let column = |n: usize| Ident::with_quote('"', format!("_{n}"));
    let mut columns = 1;
    match inner.body.as_mut() {
        SetExpr::Select(select) if !matches!(select.distinct, Some(ast::Distinct::Distinct)) => {
            let alias = match select.projection.as_slice() {
                [SelectItem::ExprWithAlias { alias, .. }] => Some(Expr::Identifier(alias.clone())),
                _ => None,
            };
            for by in &mut order {
                let expr = std::mem::replace(&mut by.expr, Expr::Identifier(column(1)));
                if !is_position(&expr) && alias.as_ref() != Some(&expr) {
                    columns += 1;
                    by.expr = Expr::Identifier(column(columns));
                    select.projection.push(SelectItem::ExprWithAlias { expr, alias: column(columns) });
                }
            }
        }
        // What is distinct, or comes of several queries, can be ordered by its only column alone.
        _ => order.iter_mut().for_each(|by| by.expr = Expr::Identifier(column(1))),
    }
    let mut alias = table_alias("_rows");
    alias.columns = (1..=columns).map(|n| ast::TableAliasColumnDef::from_name(format!("_{n}"))).collect();
    let mut outer = crate::parser::query("SELECT 1").ok()?;
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    select.projection = vec![SelectItem::UnnamedExpr(aggregate(Expr::Identifier(column(1)), order))];
    let relation = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: Some(alias), sample: None };
    select.from = vec![TableWithJoins { relation, joins: vec![] }];
    Some(outer)
}

/// A column's number as written, which has been made an integer.
fn is_position(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_)) || is_number(expr)
}

fn aggregate(item: Expr, order_by: Vec<OrderByExpr>) -> Expr {
    let mut aggregate = call("array_agg", vec![item]);
    if let Expr::Function(g) = &mut aggregate
        && let FunctionArguments::List(list) = &mut g.args
        && !order_by.is_empty()
    {
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(order_by));
    }
    aggregate
}
