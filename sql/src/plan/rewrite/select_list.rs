//! PostgreSQL's names for the columns of a select list, unique ones.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableFactor,
};

use super::SET_RETURNING;
use crate::plan::columns::{column_name, hide};
use crate::plan::names::fold;

/// Gives every select list PostgreSQL's names, unique ones.
pub(super) fn name_columns(query: &mut Query, top: bool) {
    if let Some(with) = &mut query.with {
        with.cte_tables.iter_mut().for_each(|cte| name_columns(&mut cte.query, false));
    }
    name_set(query.body.as_mut(), top);
    if top {
        order_by_inputs(query);
    }
}

/// A name by itself in ORDER BY is that of an output column, but inside of an expression that of an input column, where the
/// planner takes the output's again (<https://www.postgresql.org/docs/15/queries-order.html>): such output columns are
/// renamed. What orders by an expression of the select list orders by that column.
fn order_by_inputs(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_mut().map(|o| &mut o.kind) else { return };
    let mut inside = HashSet::new();
    for by in order.iter().filter(|by| !matches!(bare(&by.expr), Expr::Identifier(_))) {
        let _: ControlFlow<()> = ast::visit_expressions(&by.expr, |e| {
            if let Expr::Identifier(name) = e {
                inside.insert(fold(name));
            }
            ControlFlow::Continue(())
        });
    }
    if inside.is_empty() {
        return;
    }
    for (n, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let name = fold(alias);
        let same = match &*expr {
            Expr::Identifier(column) => fold(column) == name,
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|column| fold(column) == name),
            _ => false,
        };
        if same || !inside.contains(&name) {
            continue;
        }
        let hidden = Ident::with_quote('"', hide(&name, n));
        for by in order.iter_mut() {
            let names_it = matches!(bare(&by.expr), Expr::Identifier(i) if fold(i) == name);
            if names_it || by.expr == *expr {
                by.expr = Expr::Identifier(hidden.clone());
            }
        }
        *alias = hidden;
    }
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

pub(super) fn name_set(body: &mut SetExpr, top: bool) {
    match body {
        SetExpr::Select(select) => name_select(select, top),
        SetExpr::Query(query) => name_columns(query, top),
        SetExpr::SetOperation { left, right, .. } => {
            name_set(left, top);
            name_set(right, top);
        }
        _ => {}
    }
}

pub(super) fn name_select(select: &mut Select, top: bool) {
    let wildcard =
        select.projection.iter().any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(_, _)));
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (n, item) in select.projection.iter_mut().enumerate() {
        let (expr, name, plain, aliased) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let name = column_name(unwrap_unnest(expr));
                (expr.clone(), name, plain, false)
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), fold(alias), false, true),
            _ => continue,
        };
        let repeated = seen.insert(name.clone(), n).is_some();
        let cast_of_column = top && !aliased && cast_of_column(&expr);
        let unique = if repeated || (wildcard && !aliased) || cast_of_column { hide(&name, n) } else { name };
        if plain && !repeated && !wildcard {
            continue;
        }
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', unique) };
    }
    for table in &mut select.from {
        name_factor(&mut table.relation);
        table.joins.iter_mut().for_each(|j| name_factor(&mut j.relation));
    }
}

pub(super) fn unwrap_unnest(expr: &Expr) -> &Expr {
    if let Expr::Function(f) = expr
        && let FunctionArguments::List(list) = &f.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner @ Expr::Function(g)))] = list.args.as_slice()
        && f.name.to_string() == "unnest"
        && SET_RETURNING.contains(&g.name.to_string().as_str())
    {
        return inner;
    }
    expr
}

/// `a::text` is called `a`, but `ORDER BY a` beside it shall not be caught by that alias in a grouped query.
pub(super) fn cast_of_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { expr, .. } if matches!(expr.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

pub(super) fn name_factor(factor: &mut TableFactor) {
    match factor {
        TableFactor::Derived { subquery, .. } => name_columns(subquery, false),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            name_factor(&mut table_with_joins.relation);
            table_with_joins.joins.iter_mut().for_each(|j| name_factor(&mut j.relation));
        }
        _ => {}
    }
}
