//! What a WITH RECURSIVE must look like: a term that does not name itself, UNION [ALL], and one that names itself once, where
//! rows can be fed to it (<https://www.postgresql.org/docs/15/queries-with.html#QUERIES-WITH-RECURSIVE>).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Cte, Expr, Function, JoinOperator, LimitClause, Query, Select, SelectItem, SetExpr, SetOperator, TableFactor,
    Visit, Visitor, With,
};
use sightline_storage::error::{Error, Result, SqlState};

use super::calls::quoted_call;
use crate::plan::column_name;
use crate::plan::names::fold;
use crate::plan::steps::PLAIN;

/// Checks each query of the clause.
///
/// # Errors
/// 42P19 for what can't be computed step by step, 0A000 for what PostgreSQL has not got either.
pub(super) fn check(with: &With) -> Result<()> {
    if !with.recursive {
        return Ok(());
    }
    mutual(with)?;
    with.cte_tables.iter().try_for_each(check_one)
}

/// Puts the values of both terms in the plainest form of their types, which [`steps`](crate::plan::steps) tells.
pub(super) fn widen(with: &mut With) {
    for cte in with.cte_tables.iter_mut().filter(|_| with.recursive) {
        let name = fold(&cte.alias.name);
        if references(cte.query.as_ref(), &name) == 0 {
            continue;
        }
        let SetExpr::SetOperation { left, right, .. } = cte.query.body.as_mut() else { continue };
        for term in [left, right] {
            let SetExpr::Select(select) = term.as_mut() else { continue };
            for item in &mut select.projection {
                match item {
                    SelectItem::ExprWithAlias { expr, .. } => *expr = quoted_call(PLAIN, vec![expr.clone()]),
                    SelectItem::UnnamedExpr(expr) => {
                        let alias = ast::Ident::with_quote('"', column_name(expr));
                        *item = SelectItem::ExprWithAlias { expr: quoted_call(PLAIN, vec![expr.clone()]), alias };
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Refuses queries that need each other.
fn mutual(with: &With) -> Result<()> {
    let tables = &with.cte_tables;
    let names = tables.iter().map(|cte| fold(&cte.alias.name)).collect::<Vec<_>>();
    let needs = |n: usize, m: usize| references(tables[n].query.as_ref(), &names[m]) > 0;
    let count = tables.len();
    let mut reaches =
        (0..count).map(|n| (0..count).map(|m| n != m && needs(n, m)).collect()).collect::<Vec<Vec<bool>>>();
    for by in 0..count {
        for n in 0..count {
            if reaches[n][by] {
                let further = reaches[by].clone();
                reaches[n].iter_mut().zip(further).for_each(|(known, more)| *known |= more);
            }
        }
    }
    match (0..count).any(|n| reaches[n][n]) {
        true => Err(Error::unsupported("mutual recursion between WITH items is not implemented")),
        false => Ok(()),
    }
}

fn invalid(text: String) -> Error {
    Error::new(SqlState::new("42P19"), text)
}

fn misplaced(name: &str, place: &str) -> Error {
    invalid(format!("recursive reference to query \"{name}\" must not appear {place}"))
}

fn check_one(cte: &Cte) -> Result<()> {
    let name = fold(&cte.alias.name);
    let query = &cte.query;
    if references(query.as_ref(), &name) == 0 {
        return Ok(());
    }
    let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = query.body.as_ref() else {
        let text =
            format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term");
        return Err(invalid(text));
    };
    if references(left.as_ref(), &name) > 0 {
        return Err(misplaced(&name, "within its non-recursive term"));
    }
    let clause = match &query.limit_clause {
        _ if query.order_by.is_some() => Some("ORDER BY"),
        Some(LimitClause::LimitOffset { offset: Some(_), .. }) => Some("OFFSET"),
        Some(_) => Some("LIMIT"),
        None if !query.locks.is_empty() => Some("FOR UPDATE/SHARE"),
        None => None,
    };
    if let Some(clause) = clause {
        return Err(Error::unsupported(format!("{clause} in a recursive query is not implemented")));
    }
    check_term(right, &name)
}

fn check_term(term: &SetExpr, name: &str) -> Result<()> {
    match term {
        SetExpr::Select(select) => check_select(select, name),
        SetExpr::SetOperation { op, left, right, .. } => {
            let place = match op {
                SetOperator::Intersect => Some("within INTERSECT"),
                SetOperator::Except | SetOperator::Minus => Some("within EXCEPT"),
                SetOperator::Union => None,
            };
            let named = |side: &SetExpr| references(side, name);
            match place {
                Some(place) if named(left) + named(right) > 0 => Err(misplaced(name, place)),
                _ if named(left) + named(right) > 1 => Err(misplaced(name, "more than once")),
                _ => {
                    check_term(left, name)?;
                    check_term(right, name)
                }
            }
        }
        SetExpr::Query(query) if query.with.is_none() => check_term(&query.body, name),
        _ => Ok(()),
    }
}

fn check_select(select: &Select, name: &str) -> Result<()> {
    let mut own = 0;
    for table in &select.from {
        own += check_factor(&table.relation, name)?;
        let mut before = own;
        for join in &table.joins {
            let joined = check_factor(&join.relation, name)?;
            let (nullable_left, nullable_right) = match join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                JoinOperator::FullOuter(_) => (true, true),
                _ => (false, false),
            };
            if (nullable_left && before > 0) || (nullable_right && joined > 0) {
                return Err(misplaced(name, "within an outer join"));
            }
            before += joined;
            own += joined;
        }
    }
    if own > 1 {
        return Err(misplaced(name, "more than once"));
    }
    if references(select, name) > own {
        return Err(misplaced(name, "within a subquery"));
    }
    if own > 0 && aggregates(select) {
        return Err(invalid("aggregate functions are not allowed in a recursive query's recursive term".to_string()));
    }
    Ok(())
}

/// How often a factor names the query, itself and below.
fn check_factor(factor: &TableFactor, name: &str) -> Result<usize> {
    match factor {
        TableFactor::Table { name: table, .. } => Ok(usize::from(is(table, name))),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            let mut found = check_factor(&table_with_joins.relation, name)?;
            for join in &table_with_joins.joins {
                found += check_factor(&join.relation, name)?;
            }
            Ok(found)
        }
        TableFactor::Derived { subquery, .. } => Ok(references(subquery.as_ref(), name)),
        _ => Ok(0),
    }
}

fn is(table: &ast::ObjectName, name: &str) -> bool {
    matches!(table.0.as_slice(), [part] if part.as_ident().is_some_and(|i| fold(i) == name))
}

/// How often something names the query; a WITH of its own may hide it.
pub(super) fn references(thing: &impl Visit, name: &str) -> usize {
    struct Count<'a> {
        name: &'a str,
        found: usize,
        hidden: usize,
    }
    impl Visitor for Count<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.hidden += usize::from(self.hides(query));
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.hidden -= usize::from(self.hides(query));
            ControlFlow::Continue(())
        }

        fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
            self.found += usize::from(self.hidden == 0 && is(relation, self.name));
            ControlFlow::Continue(())
        }
    }
    impl Count<'_> {
        fn hides(&self, query: &Query) -> bool {
            let tables = query.with.iter().flat_map(|w| &w.cte_tables);
            tables.into_iter().any(|cte| fold(&cte.alias.name) == self.name)
        }
    }
    let mut count = Count { name, found: 0, hidden: 0 };
    let _: ControlFlow<()> = thing.visit(&mut count);
    count.found
}

/// Whether a select list has an aggregate of its own, of the usual ones.
fn aggregates(select: &Select) -> bool {
    struct Find {
        depth: usize,
        found: bool,
    }
    impl Visitor for Find {
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
            if let Expr::Function(Function { name, over: None, .. }) = expr
                && self.depth == 0
            {
                let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                self.found |= matches!(
                    name.as_str(),
                    "count"
                        | "sum"
                        | "avg"
                        | "min"
                        | "max"
                        | "array_agg"
                        | "string_agg"
                        | "bool_and"
                        | "bool_or"
                        | "every"
                );
            }
            ControlFlow::Continue(())
        }
    }
    let mut find = Find { depth: 0, found: false };
    let _: ControlFlow<()> = select.projection.visit(&mut find);
    find.found
}
