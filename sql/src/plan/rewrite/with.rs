//! Names of WITH queries: one may hide another of a query further out, and those of WITH RECURSIVE may name what follows
//! (<https://www.postgresql.org/docs/15/queries-with.html>). The planner knows neither.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, ObjectNamePart, Query, SetExpr, TableFactor, VisitMut, VisitorMut, visit_expressions,
};

use super::recursion::references;
use super::relations::{series_query, table_alias};
use crate::plan::columns::hide;
use crate::plan::ctes::MARK;
use crate::plan::names::fold;

/// The names of the WITH queries around the one that is visited, and how many got another name.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    outer: Vec<Vec<String>>,
    renamed: usize,
}

impl Scopes {
    /// Inside of something of this name.
    pub(super) fn inside(name: &str) -> Scopes {
        Scopes { outer: vec![vec![name.to_string()]], renamed: 0 }
    }

    /// Comes to a query.
    pub(super) fn enter(&mut self, query: &mut Query) {
        if let Some(mut with) = query.with.take() {
            if with.recursive {
                order(&mut with.cte_tables);
            }
            for n in 0..with.cte_tables.len() {
                let name = fold(&with.cte_tables[n].alias.name);
                if !self.outer.iter().flatten().any(|o| *o == name) {
                    continue;
                }
                self.renamed += 1;
                let mut pass = Rename { to: hide(&name, self.renamed), name, hidden: 0 };
                with.cte_tables[n].alias.name = Ident::with_quote('"', &pass.to);
                let first = if with.recursive { n } else { n + 1 };
                for cte in &mut with.cte_tables[first..] {
                    let _: ControlFlow<()> = cte.query.visit(&mut pass);
                }
                let _: ControlFlow<()> = query.body.visit(&mut pass);
                let _: ControlFlow<()> = query.order_by.visit(&mut pass);
                let _: ControlFlow<()> = query.limit_clause.visit(&mut pass);
            }
            query.with = Some(with);
        }
        self.outer.push(own_names(query));
    }

    /// Leaves it.
    pub(super) fn leave(&mut self) {
        self.outer.pop();
    }
}

fn own_names(query: &Query) -> Vec<String> {
    query.with.iter().flat_map(|w| &w.cte_tables).map(|cte| fold(&cte.alias.name)).collect()
}

/// `WITH c(a) AS (SELECT 1, 2)` names the first columns, and the others keep theirs, as with an alias in FROM.
pub(super) fn name_columns(query: &mut Query) {
    let Some(with) = query.with.as_mut().filter(|with| !with.recursive) else { return };
    for cte in &mut with.cte_tables {
        let named = cte.alias.columns.len();
        let SetExpr::Select(select) = cte.query.body.as_ref() else { continue };
        if named == 0 || select.projection.len() <= named {
            continue;
        }
        let mut alias = cte.alias.clone();
        alias.explicit = true;
        let factor =
            TableFactor::Derived { lateral: false, subquery: cte.query.clone(), alias: Some(alias), sample: None };
        if let Some(query) = series_query(factor) {
            *cte.query = query;
            cte.alias.columns.clear();
        }
    }
}

/// Marks the queries that are named more than once, for [`ctes`](crate::plan::ctes): `(…) AS mark` is their only relation.
/// One that names itself is left alone, and so is one that makes rows for others.
pub(super) fn share(query: &mut Query) {
    let Some(mut with) = query.with.take() else { return };
    for n in 0..with.cte_tables.len() {
        let name = fold(&with.cte_tables[n].alias.name);
        let (before, rest) = with.cte_tables.split_at_mut(n + 1);
        let Some(cte) = before.last_mut() else { continue };
        let within = rest.iter().map(|c| references(c.query.as_ref(), &name)).sum::<usize>();
        let around = references(query.body.as_ref(), &name) + references(&query.order_by, &name);
        // One that answers otherwise each time is computed once, even where it is named in a subquery for each row.
        let enough = if is_volatile(&cte.query) { 1 } else { 2 };
        if within + around < enough || (with.recursive && references(cte.query.as_ref(), &name) > 0) {
            continue;
        }
        let alias = Some(table_alias(MARK));
        let factor = TableFactor::Derived { lateral: false, subquery: cte.query.clone(), alias, sample: None };
        if let Some(marked) = series_query(factor) {
            *cte.query = marked;
        }
    }
    query.with = Some(with);
}

/// Functions that answer otherwise each time.
const VOLATILE: [&str; 5] = ["random", "gen_random_uuid", "clock_timestamp", "timeofday", "pg_sleep"];

fn is_volatile(query: &Query) -> bool {
    let found = visit_expressions(query, |e| match e {
        Expr::Function(f)
            if f.name.0.last().and_then(|p| p.as_ident()).is_some_and(|i| VOLATILE.contains(&&*fold(i))) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Puts each query behind those that it names, as far as that goes; else they stay where they are.
fn order(tables: &mut Vec<Cte>) {
    let names = tables.iter().map(|cte| fold(&cte.alias.name)).collect::<Vec<_>>();
    let needs = |cte: &Cte, name: &String| references(cte.query.as_ref(), name) > 0;
    let forward = |n: usize| names[n + 1..].iter().any(|later| needs(&tables[n], later));
    if !(0..tables.len()).any(forward) {
        return;
    }
    let mut rest = std::mem::take(tables);
    while !rest.is_empty() {
        let names = rest.iter().map(|cte| fold(&cte.alias.name)).collect::<Vec<_>>();
        let free = |n: &usize| !names.iter().enumerate().any(|(m, name)| m != *n && needs(&rest[*n], name));
        let next = (0..rest.len()).find(free).unwrap_or(0);
        tables.push(rest.remove(next));
    }
}

/// Gives a relation of this name another, and the old one as its alias.
struct Rename {
    name: String,
    to: String,
    /// How many queries that have a WITH query of this name are around.
    hidden: usize,
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.hidden += usize::from(own_names(query).contains(&self.name));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.hidden -= usize::from(own_names(query).contains(&self.name));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && self.hidden == 0
            && let [part] = name.0.as_mut_slice()
            && part.as_ident().is_some_and(|i| fold(i) == self.name)
        {
            *part = ObjectNamePart::Identifier(Ident::with_quote('"', &self.to));
            alias.get_or_insert_with(|| table_alias(&self.name));
        }
        ControlFlow::Continue(())
    }
}
