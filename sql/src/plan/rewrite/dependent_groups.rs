//! `SELECT t.* FROM t GROUP BY t.id`: the columns of a table whose primary key is grouped by need not be named there
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-GROUP>). The planner wants them named.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned,
    Visit, VisitMut, Visitor, VisitorMut,
};

use crate::analysis::Meanings;

/// Whether a query groups by something.
pub(super) fn may_have(query: &Query) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            match &select.group_by {
                GroupByExpr::Expressions(keys, _) if !keys.is_empty() => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(query, &mut Find).is_break()
}

/// Adds the columns that hang on a grouped key to GROUP BY.
pub(super) fn named(query: &mut Query, meanings: &Meanings) {
    if !meanings.determined.is_empty() {
        let _: ControlFlow<()> = VisitMut::visit(query, &mut Dependent { meanings });
    }
}

struct Dependent<'a> {
    meanings: &'a Meanings,
}

impl<'a> Dependent<'a> {
    /// Takes what an expression needs.
    fn gather(&self, expr: &Expr, found: &mut Vec<&'a Expr>) {
        let _ = ast::visit_expressions(expr, |e| {
            if matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                found.extend(self.meanings.determined.get(&e.span().start).into_iter().flatten());
            }
            ControlFlow::<()>::Continue(())
        });
    }
}

impl VisitorMut for Dependent<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut found = Vec::new();
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|o| &o.kind) {
            keys.iter().for_each(|key| self.gather(&key.expr, &mut found));
        }
        self.grouped(query.body.as_mut(), found);
        ControlFlow::Continue(())
    }
}

impl<'a> Dependent<'a> {
    /// The selects of a query; `found` is what its ORDER BY needs.
    fn grouped(&self, body: &mut SetExpr, mut found: Vec<&'a Expr>) {
        let select = match body {
            SetExpr::Select(select) => select,
            SetExpr::SetOperation { left, right, .. } => {
                self.grouped(left, Vec::new());
                return self.grouped(right, Vec::new());
            }
            // One in brackets is visited by itself.
            _ => return,
        };
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.gather(expr, &mut found),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    found.extend(self.meanings.determined.get(&name.span().start).into_iter().flatten());
                }
                SelectItem::Wildcard(star) => {
                    let at = star.wildcard_token.0.span.start;
                    found.extend(self.meanings.determined.get(&at).into_iter().flatten());
                }
                _ => {}
            }
        }
        select.having.iter().for_each(|expr| self.gather(expr, &mut found));
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for column in found {
                if !keys.contains(column) {
                    keys.push(column.clone());
                }
            }
        }
    }
}
