//! Subqueries and clauses of a query said in another way.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArguments, LimitClause, OrderByKind, Query, SelectItem, SetExpr, Value,
};

use sightline_storage::error::{Error, Result, SqlState};

use super::calls::call;
use crate::plan::multisets::WITH_TIES;

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
    let mut inner = query.clone();
    let SetExpr::Select(select) = inner.body.as_mut() else { return None };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    let order_by = match inner.order_by.take().map(|o| o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs
            .into_iter()
            .map(|mut e| {
                if matches!(&e.expr, Expr::Value(_)) {
                    e.expr = item.clone();
                }
                e
            })
            .collect::<Vec<_>>(),
        _ => vec![],
    };
    let mut aggregate = call("array_agg", vec![item.clone()]);
    if let Expr::Function(g) = &mut aggregate
        && let FunctionArguments::List(list) = &mut g.args
        && !order_by.is_empty()
    {
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(order_by));
    }
    select.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    Some(call("array_or_empty", vec![Expr::Subquery(inner)]))
}
