//! Columns of queries further out in the select lists of subqueries, which LATERAL brings: they keep their names, and `t.*`
//! has the columns of t (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-LATERAL>).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned,
    TableAlias, TableAliasColumnDef, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::analysis::Meanings;
use crate::parser::clauses;
use crate::plan::columns::{column_name, hide, unhide};
use crate::plan::names::fold;

/// Whether a query has a LATERAL subquery, one without FROM, or a SEARCH or CYCLE clause.
pub(super) fn may_have(query: &Query) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let searches = query.with.iter().flat_map(|w| &w.cte_tables).any(|cte| clauses(cte).is_some());
            if searches { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::Derived { lateral: true, .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if value_of(expr).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    Visit::visit(query, &mut Find).is_break()
}

/// The expression of a subquery that is nothing else: `(SELECT x)`.
fn value_of(expr: &Expr) -> Option<&Expr> {
    let Expr::Subquery(query) = expr else { return None };
    let Query { with: None, body, order_by: None, limit_clause: None, fetch: None, .. } = query.as_ref() else {
        return None;
    };
    let SetExpr::Select(select) = body.as_ref() else { return None };
    let plain = select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] if plain => Some(value),
        _ => None,
    }
}

/// Whether an aggregate of a query further out is in it.
fn has_outer_aggregate(expr: &Expr, meanings: &Meanings) -> bool {
    let found = ast::visit_expressions(expr, |e| match e {
        Expr::Function(f) if meanings.aggregates.contains(&f.name.span().start) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Names such columns, and puts those of `t.*` in its place.
pub(super) fn named(query: &mut Query, meanings: &Meanings) {
    if !meanings.outer.is_empty() || !meanings.stars.is_empty() || !meanings.aggregates.is_empty() {
        let _: ControlFlow<()> = VisitMut::visit(query, &mut Outer { meanings });
    }
}

struct Outer<'a> {
    meanings: &'a Meanings,
}

impl Outer<'_> {
    /// The columns of `t.*` of an outer t, under names that hide what they are called.
    fn expand(&self, select: &mut Select) {
        for item in std::mem::take(&mut select.projection) {
            let columns = match &item {
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    self.meanings.stars.get(&name.span().start).map(|columns| (name, columns))
                }
                _ => None,
            };
            let Some((name, columns)) = columns else {
                select.projection.push(item);
                continue;
            };
            for column in columns {
                let mut parts = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect::<Vec<_>>();
                parts.push(Ident::with_quote('"', column));
                let alias = hidden(column, select.projection.len());
                select.projection.push(SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(parts), alias });
            }
        }
    }

    /// Says the names of all columns behind the alias of a LATERAL subquery that has such columns: inside of it their names
    /// are hidden, since the planner could not tell them from the columns that they are.
    fn listed(&self, select: &mut Select, alias: &mut TableAlias) {
        self.expand(select);
        let stars = |i: &SelectItem| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if select.projection.iter().any(stars) {
            return;
        }
        let mut names: Vec<String> = Vec::with_capacity(select.projection.len());
        let mut found = false;
        for (n, item) in select.projection.iter_mut().enumerate() {
            let name = match &*item {
                SelectItem::ExprWithAlias { alias, .. } => {
                    let name = fold(alias);
                    found |= unhide(&name) != name;
                    unhide(&name).to_string()
                }
                SelectItem::UnnamedExpr(expr) => column_name(expr),
                _ => return,
            };
            if let SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) = &*item
                && self.meanings.outer.contains(&expr.span().start)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: hidden(&name, n) };
                found = true;
            }
            names.push(if names.contains(&name) { hide(&name, n) } else { name });
        }
        if found {
            let rest = names.iter().skip(alias.columns.len());
            let column = |name: &String| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None };
            alias.columns.extend(rest.map(column).collect::<Vec<_>>());
        }
    }
}

/// A name that hides the real one.
fn hidden(name: &str, n: usize) -> Ident {
    const APART: usize = 10_000;
    Ident::with_quote('"', hide(name, APART + n))
}

impl VisitorMut for Outer<'_> {
    type Break = ();

    /// `(SELECT sum(t.x))` of an outer t is that query's `sum(t.x)`.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(value) = value_of(expr)
            && has_outer_aggregate(value, self.meanings)
        {
            *expr = Expr::Nested(Box::new(value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: true, subquery, alias: Some(alias), .. } = factor
            && let SetExpr::Select(select) = subquery.body.as_mut()
        {
            self.listed(select, alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.expand(select);
        ControlFlow::Continue(())
    }
}
