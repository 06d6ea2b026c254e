//! Columns outside of GROUP BY, and expressions told apart by what they mean rather than how they are written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Spanned, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};

use super::Analysis;
use super::scope::Place;

/// An expression's text, its columns by what they mean. Two of the same text mean the same.
pub(super) type Meaning = String;

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr) as usize
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

impl<'a> Analysis<'a> {
    /// What an expression means, as text.
    pub(super) fn meaning(&self, expr: &Expr) -> Meaning {
        let expr = bare(expr);
        let mut places = Vec::new();
        let _ = ast::visit_expressions(expr, |e| {
            if matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                places.push(self.meant.get(&address(e)).copied());
            }
            ControlFlow::<()>::Continue(())
        });
        let mut copy = expr.clone();
        let mut next = places.into_iter();
        let _ = ast::visit_expressions_mut(&mut copy, |e| {
            match e {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                    if let Some(Some(place)) = next.next() {
                        let name = format!("{}.{}.{}", place.level, place.table, place.column);
                        *e = Expr::Identifier(Ident::with_quote('"', name));
                    }
                }
                Expr::Function(f) => {
                    let name = f.name.to_string().to_lowercase();
                    f.name = ast::ObjectName::from(vec![Ident::new(name)]);
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        copy.to_string()
    }

    /// Refuses columns of this query that are neither grouped nor in an aggregate.
    ///
    /// # Errors
    /// 42803 at the first such column.
    pub(super) fn grouped(&self, exprs: &[&'a Expr], groups: &[&'a Expr], determined: &[usize]) -> Result<()> {
        let level = self.scopes.len() - 1;
        let mut columns = Vec::new();
        let mut others = Vec::new();
        for group in groups {
            match self.meant.get(&address(bare(group))) {
                Some(place) => columns.push(*place),
                None => others.push(self.meaning(group)),
            }
        }
        for expr in exprs {
            let mut search =
                Search { analysis: self, level, columns: &columns, others: &others, determined, inside: 0, queries: 0 };
            if let ControlFlow::Break(error) = Visit::visit(*expr, &mut search) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The tables of this query whose primary key is grouped by: their other columns hang on it.
    pub(super) fn determined(&self, groups: &[&'a Expr]) -> Vec<usize> {
        let level = self.scopes.len() - 1;
        let grouped = groups.iter().filter_map(|g| self.meant.get(&address(bare(g)))).filter(|p| p.level == level);
        let grouped = grouped.map(|p| (p.table, p.column)).collect::<Vec<_>>();
        let tables = self.scopes[level].tables.iter().enumerate();
        let whole = tables.filter(|(n, t)| !t.key.is_empty() && t.key.iter().all(|c| grouped.contains(&(*n, *c))));
        whole.map(|(n, _)| n).collect()
    }

    /// Where the first column of a query stands in an expression.
    pub(super) fn first_column(&self, expr: &Expr, level: usize) -> Option<Location> {
        let found = ast::visit_expressions(expr, |e| match self.meant.get(&address(e)) {
            Some(place) if place.level == level => ControlFlow::Break(self.places.start(e)),
            _ => ControlFlow::Continue(()),
        });
        found.break_value()
    }
}

/// Walks through an expression, past what is grouped or aggregated.
struct Search<'s, 'a> {
    analysis: &'s Analysis<'a>,
    level: usize,
    columns: &'s [Place],
    others: &'s [String],
    /// Tables whose columns all hang on what is grouped.
    determined: &'s [usize],
    /// How deep in something that may hold any column.
    inside: usize,
    /// How many subqueries deep.
    queries: usize,
}

impl Search<'_, '_> {
    /// The argument of a GROUPING that is not grouped by.
    fn not_grouped<'e>(&self, expr: &'e Expr) -> Option<&'e Expr> {
        let Expr::Function(f) = expr else { return None };
        if !f.name.to_string().eq_ignore_ascii_case("grouping") {
            return None;
        }
        let FunctionArguments::List(list) = &f.args else { return None };
        let arguments = list.args.iter().filter_map(|a| match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
            _ => None,
        });
        let mut arguments = arguments.filter(|e| match self.analysis.meant.get(&address(bare(e))) {
            Some(place) => place.level == self.level && !self.columns.contains(place),
            None => !self.others.contains(&self.analysis.meaning(e)),
        });
        arguments.next()
    }

    fn is_closed(&self, expr: &Expr) -> bool {
        if self.analysis.aggregates.get(&address(expr)) == Some(&self.level) {
            return true;
        }
        let leaf = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_));
        !leaf && !self.others.is_empty() && self.others.contains(&self.analysis.meaning(expr))
    }
}

impl Visitor for Search<'_, '_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        if self.inside == 0
            && let Some(argument) = self.not_grouped(expr)
        {
            let message = "arguments to GROUPING must be grouping expressions of the associated query level";
            return ControlFlow::Break(self.analysis.error_at(SqlState::GROUPING_ERROR, message, argument));
        }
        if self.inside > 0 || self.is_closed(expr) {
            self.inside += 1;
            return ControlFlow::Continue(());
        }
        let Some(place) = self.analysis.meant.get(&address(expr)) else { return ControlFlow::Continue(()) };
        if place.level != self.level || self.columns.contains(place) {
            return ControlFlow::Continue(());
        }
        if self.queries == 0 && self.determined.contains(&place.table) {
            let mut meanings = self.analysis.meanings.borrow_mut();
            meanings.determined.insert(expr.span().start, vec![expr.clone()]);
            return ControlFlow::Continue(());
        }
        let table = &self.analysis.scopes[place.level].tables[place.table];
        let column = &table.columns[place.column].name;
        // The columns of a join that is not named are those of its tables; which is not kept here.
        if table.join || !table.qualifies {
            return ControlFlow::Continue(());
        }
        let shown = format!("{}.{column}", table.name);
        let message = if self.queries > 0 {
            format!("subquery uses ungrouped column \"{shown}\" from outer query")
        } else {
            format!("column \"{shown}\" must appear in the GROUP BY clause or be used in an aggregate function")
        };
        ControlFlow::Break(self.analysis.error_at(SqlState::GROUPING_ERROR, message, expr))
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }
}
