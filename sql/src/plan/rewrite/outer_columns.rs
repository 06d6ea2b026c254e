//! Columns of queries further out in the select lists of subqueries, which LATERAL brings: they keep their names, and `t.*`
//! has the columns of t (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-LATERAL>).

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned,
    TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::analysis::Meanings;
use crate::parser::clauses;
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
        let _: ControlFlow<()> = VisitMut::visit(query, &mut Outer { meanings, sorted: HashMap::new() });
    }
}

struct Outer<'a> {
    meanings: &'a Meanings,
    /// The names of the columns by which queries are sorted, by the address of their SELECT: an alias of such a name would be
    /// taken for the column.
    sorted: HashMap<usize, Vec<String>>,
}

/// The last names of the columns in ORDER BY.
fn sorted_by(query: &Query) -> Vec<String> {
    let mut names = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(&query.order_by, |e| {
        if let Expr::CompoundIdentifier(parts) = e {
            names.extend(parts.last().map(fold));
        }
        ControlFlow::Continue(())
    });
    names
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

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = sorted_by(query);
        if let SetExpr::Select(select) = query.body.as_ref() {
            self.sorted.insert(std::ptr::from_ref(select.as_ref()) as usize, names);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let sorted = self.sorted.remove(&(std::ptr::from_ref(&*select) as usize)).unwrap_or_default();
        let items = std::mem::take(&mut select.projection);
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
                    if self.meanings.outer.contains(&expr.span().start) =>
                {
                    let last = match &expr {
                        Expr::Identifier(name) => Some(name),
                        Expr::CompoundIdentifier(parts) => parts.last(),
                        _ => None,
                    };
                    let name = last.map(fold).unwrap_or_default();
                    if sorted.contains(&name) {
                        select.projection.push(SelectItem::UnnamedExpr(expr));
                        continue;
                    }
                    let alias = Ident::with_quote('"', name);
                    select.projection.push(SelectItem::ExprWithAlias { expr, alias });
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    match self.meanings.stars.get(&name.span().start) {
                        Some(columns) => select.projection.extend(columns.iter().map(|column| {
                            let mut parts = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect::<Vec<_>>();
                            let alias = Ident::with_quote('"', column);
                            parts.push(alias.clone());
                            SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(parts), alias }
                        })),
                        None => {
                            let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                            select.projection.push(SelectItem::QualifiedWildcard(kind, options));
                        }
                    }
                }
                other => select.projection.push(other),
            }
        }
        ControlFlow::Continue(())
    }
}
