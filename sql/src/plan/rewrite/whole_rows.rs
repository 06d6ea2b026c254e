//! `count(t.*)` counts rows of t, not those that an outer join makes up: a constant beside the columns of t tells
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html>).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr,
    TableFactor, Value, VisitMut, VisitorMut,
};

use super::calls::plain_name;
use super::relations::{series_query, table_alias};
use crate::plan::names::fold;

/// The name of the constant of a relation.
fn mark(table: &str) -> String {
    format!("\u{1}row of {table}")
}

/// Counts the rows that are asked for so.
pub(super) fn counted(select: &mut Select) {
    // A star would show the constant.
    let stars = |i: &SelectItem| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if select.projection.iter().any(stars) {
        return;
    }
    let mut pass = Counts { tables: vec![], marked: false, depth: 0 };
    let _: ControlFlow<()> = select.projection.visit(&mut pass);
    let _: ControlFlow<()> = select.having.visit(&mut pass);
    pass.tables.retain(|table| {
        let mut found = false;
        for from in &mut select.from {
            found |= with_mark(&mut from.relation, table);
            from.joins.iter_mut().for_each(|j| found |= with_mark(&mut j.relation, table));
        }
        found
    });
    if !pass.tables.is_empty() {
        pass.marked = true;
        let _: ControlFlow<()> = select.projection.visit(&mut pass);
        let _: ControlFlow<()> = select.having.visit(&mut pass);
    }
}

/// The relation with the constant, if it is the one: then true.
fn with_mark(factor: &mut TableFactor, table: &str) -> bool {
    let name = match &*factor {
        TableFactor::Table { alias: Some(alias), args: None, .. }
        | TableFactor::Derived { alias: Some(alias), lateral: false, .. } => Some(fold(&alias.name)),
        TableFactor::Table { name, args: None, .. } => name.0.last().and_then(|p| p.as_ident()).map(fold),
        TableFactor::NestedJoin { alias: None, .. } => None,
        _ => return false,
    };
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        let mut found = with_mark(&mut table_with_joins.relation, table);
        table_with_joins.joins.iter_mut().for_each(|j| found |= with_mark(&mut j.relation, table));
        return found;
    }
    if name.as_deref() != Some(table) {
        return false;
    }
    let Some(mut query) = series_query(factor.clone()) else { return false };
    if let SetExpr::Select(inner) = query.body.as_mut() {
        let alias = Ident::with_quote('"', mark(table));
        inner.projection.push(SelectItem::ExprWithAlias { expr: Expr::value(Value::Boolean(true)), alias });
    }
    let alias = Some(table_alias(table));
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None };
    true
}

/// Finds `count(t.*)`, outside of subqueries.
struct Counts {
    tables: Vec<String>,
    /// The relations have their constants, which are to be counted now.
    marked: bool,
    depth: usize,
}

impl VisitorMut for Counts {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(f) = expr
            && self.depth == 0
            && plain_name(f) == "count"
            && let FunctionArguments::List(list) = &mut f.args
            && let [FunctionArg::Unnamed(argument)] = list.args.as_mut_slice()
            && let FunctionArgExpr::QualifiedWildcard(ObjectName(parts)) = &*argument
            && let [part] = parts.as_slice()
            && let Some(table) = part.as_ident().map(fold)
        {
            match (self.marked, self.tables.contains(&table)) {
                (true, true) => {
                    let column = vec![Ident::with_quote('"', &table), Ident::with_quote('"', mark(&table))];
                    *argument = FunctionArgExpr::Expr(Expr::CompoundIdentifier(column));
                }
                (false, false) => self.tables.push(table),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}
