//! `SELECT (x).*`: the query becomes a subquery with x as a column, whose fields take its place
//! ([`records`](crate::plan::records) plans that relation).

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DictionaryField, Expr, GroupByExpr, Ident, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Value, Values, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::relations::{series_query, table_alias};
use crate::parser::starred;
use crate::plan::names::fold;
use crate::plan::records::{COLUMN_IF_ANY, FIELDS, Key, KeyOf};

/// Rewrites all select lists that ask for the fields of a row. `rows` are the places of names that stand for whole rows.
pub(super) fn spread(query: &mut Query, rows: &HashSet<Location>) {
    let _: ControlFlow<()> = query.visit(&mut Pass { rows });
}

struct Pass<'a> {
    rows: &'a HashSet<Location>,
}

impl VisitorMut for Pass<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut body = std::mem::replace(query.body.as_mut(), SetExpr::Values(empty()));
        if let SetExpr::Select(select) = &mut body {
            if self.mark(select) {
                let grouped = select.distinct.is_some() || !is_ungrouped(&select.group_by);
                let ties = query.fetch.as_ref().is_some_and(|f| f.with_ties);
                let keyed = !grouped && !ties && hide_keys(query.order_by.as_ref(), self.rows, &mut select.projection);
                let positions = query.order_by.as_ref().is_none_or(by_position);
                if let Some(mut inner) = wrapped(body) {
                    if keyed {
                        query.order_by = None;
                    } else if !positions {
                        move_clauses(query, &mut inner);
                    }
                    *query.body = inner;
                }
                return ControlFlow::Continue(());
            }
        } else {
            self.arms(&mut body);
        }
        *query.body = body;
        ControlFlow::Continue(())
    }
}

fn is_ungrouped(group: &GroupByExpr) -> bool {
    matches!(group, GroupByExpr::Expressions(by, modifiers) if by.is_empty() && modifiers.is_empty())
}

/// Puts the keys of an ORDER BY behind the items, as columns that are not shown; false if there are none, or some that
/// have no such place.
fn hide_keys(order: Option<&OrderBy>, rows: &HashSet<Location>, items: &mut Vec<SelectItem>) -> bool {
    let Some(OrderByKind::Expressions(keys)) = order.map(|o| &o.kind) else { return false };
    let mut hidden = Vec::with_capacity(keys.len());
    for (n, key) in keys.iter().enumerate() {
        let (of, expr) = match &key.expr {
            Expr::Value(v) => match &v.value {
                Value::Number(digits, _) if let Ok(at) = digits.parse() => {
                    (KeyOf::Position(at), Expr::value(Value::Null))
                }
                _ => return false,
            },
            Expr::Identifier(name) if !rows.contains(&name.span.start) => {
                let name = fold(name);
                let key = Ident::with_quote('\'', format!("{COLUMN_IF_ANY}{name}"));
                let value = Box::new(Expr::value(Value::Boolean(true)));
                (KeyOf::Name(name), Expr::Dictionary(vec![DictionaryField { key, value }]))
            }
            other => (KeyOf::Expression, other.clone()),
        };
        let descending = key.options.asc == Some(false);
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        let name = Key { of, descending, nulls_first }.column(n);
        hidden.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) });
    }
    items.extend(hidden);
    true
}

fn empty() -> Values {
    Values { explicit_row: false, value_keyword: false, rows: vec![] }
}

/// ORDER BY and LIMIT belong to the query that has the columns they name.
fn move_clauses(query: &mut Query, body: &mut SetExpr) {
    if let SetExpr::Select(outer) = body
        && let Some(TableFactor::Derived { subquery, .. }) = outer.from.first_mut().map(|f| &mut f.relation)
    {
        subquery.order_by = query.order_by.take();
        subquery.limit_clause = query.limit_clause.take();
        subquery.fetch = query.fetch.take();
    }
}

/// Whether all keys are numbers of columns, which count those that the fields become.
fn by_position(order: &OrderBy) -> bool {
    let number = |e: &Expr| matches!(e, Expr::Value(v) if matches!(v.value, Value::Number(..)));
    matches!(&order.kind, OrderByKind::Expressions(keys) if keys.iter().all(|k| number(&k.expr)))
}

/// `SELECT * FROM (body)`, under the alias that has rows made fields.
fn wrapped(body: SetExpr) -> Option<SetExpr> {
    let mut inner = crate::parser::query("SELECT 1").ok()?;
    *inner.body = body;
    let alias = Some(table_alias(FIELDS));
    let factor = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias, sample: None };
    Some(*series_query(factor)?.body)
}

impl Pass<'_> {
    /// The arms of set operations.
    fn arms(&self, body: &mut SetExpr) {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                self.arms(left);
                self.arms(right);
            }
            SetExpr::Select(select) => {
                if !self.mark(select) {
                    return;
                }
                let arm = std::mem::replace(body, SetExpr::Values(empty()));
                if let Some(arm) = wrapped(arm) {
                    *body = arm;
                }
            }
            _ => {}
        }
    }

    /// Makes the rows columns; false if there are none. `(t).*` of a relation is `t.*`.
    fn mark(&self, select: &mut Select) -> bool {
        let mut found = false;
        for (n, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expr) = &*item else { continue };
            let Some((root, steps)) = starred(expr) else { continue };
            if let (Expr::Identifier(table), []) = (bare(root), steps)
                && self.rows.contains(&table.span.start)
            {
                let name = ObjectName::from(vec![Ident::with_quote('"', fold(table))]);
                let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                *item = SelectItem::QualifiedWildcard(kind, WildcardAdditionalOptions::default());
                continue;
            }
            let expr = match steps {
                [] => root.clone(),
                steps => Expr::CompoundFieldAccess { root: Box::new(root.clone()), access_chain: steps.to_vec() },
            };
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', format!("{FIELDS} {n}")) };
            found = true;
        }
        found
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}
