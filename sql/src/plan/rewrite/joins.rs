//! Names in FROM: none comes twice, and the alias of a USING stands for the merged columns
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-FROM>).

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderByExpr, OrderByKind, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableFactor, TableWithJoins, Visit,
    VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};

use crate::parser::JOIN_ALIAS;
use crate::plan::columns::unhide;
use crate::plan::names::fold;
use crate::plan::relations::MERGED;

/// A USING: its number, its alias and its columns.
#[derive(Debug)]
struct Merged {
    qualifier: String,
    alias: Option<String>,
    columns: Vec<Ident>,
}

/// Numbers each USING, and names the merged columns by the number where the query names them by their bare names or by the
/// alias of the USING. `count` is how many there were so far.
///
/// # Errors
/// 42712 for a name that comes twice in one FROM, 42703 for a column that the alias has not got.
pub(super) fn named(query: &mut Query, count: &mut usize) -> Result<()> {
    let mut none = vec![];
    let order_by = match query.order_by.as_mut().map(|o| &mut o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs,
        _ => &mut none,
    };
    in_set(&mut query.body, order_by, count)
}

/// Whether there is a NATURAL JOIN.
pub(super) fn has_natural(query: &Query) -> bool {
    struct Natural;
    impl Visitor for Natural {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.from.iter().any(is_natural) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    Visit::visit(query, &mut Natural).is_break()
}

fn is_natural(table: &TableWithJoins) -> bool {
    use JoinOperator as J;
    let inside = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => is_natural(table_with_joins),
        _ => false,
    };
    let natural = |join: &Join| {
        matches!(
            join.join_operator,
            J::Join(JoinConstraint::Natural)
                | J::Inner(JoinConstraint::Natural)
                | J::Left(JoinConstraint::Natural)
                | J::LeftOuter(JoinConstraint::Natural)
                | J::Right(JoinConstraint::Natural)
                | J::RightOuter(JoinConstraint::Natural)
                | J::FullOuter(JoinConstraint::Natural)
        )
    };
    inside(&table.relation) || table.joins.iter().any(|join| natural(join) || inside(&join.relation))
}

/// A NATURAL JOIN says which columns it merges, once they are known.
pub(super) fn natural_as_using(query: &mut Query, known: &HashMap<Location, Vec<String>>) {
    struct Pass<'a>(&'a HashMap<Location, Vec<String>>);
    impl Pass<'_> {
        fn table(&self, table: &mut TableWithJoins) {
            self.factor(&mut table.relation);
            for join in &mut table.joins {
                self.factor(&mut join.relation);
                let at = join.relation.span().start;
                let names = self.0.get(&at).filter(|names| at.line > 0 && !names.is_empty());
                if let (Some(names), Some(natural @ JoinConstraint::Natural)) = (names, constraint(join)) {
                    let name = |n: &String| ObjectName::from(vec![Ident::with_quote('"', n)]);
                    *natural = JoinConstraint::Using(names.iter().map(name).collect());
                }
            }
        }

        fn factor(&self, factor: &mut TableFactor) {
            if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
                self.table(table_with_joins);
            }
        }
    }
    impl VisitorMut for Pass<'_> {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            select.from.iter_mut().for_each(|table| self.table(table));
            ControlFlow::Continue(())
        }
    }
    if !known.is_empty() {
        let _: ControlFlow<()> = VisitMut::visit(query, &mut Pass(known));
    }
}

fn in_set(body: &mut SetExpr, order_by: &mut [OrderByExpr], count: &mut usize) -> Result<()> {
    match body {
        SetExpr::Select(select) => in_select(select, order_by, count),
        SetExpr::SetOperation { left, right, .. } => {
            in_set(left, &mut [], count)?;
            in_set(right, &mut [], count)
        }
        _ => Ok(()),
    }
}

fn in_select(select: &mut Select, order_by: &mut [OrderByExpr], count: &mut usize) -> Result<()> {
    let mut found = Found { merged: vec![], seen: vec![], natural: false, count: *count };
    for table in &mut select.from {
        in_table(table, true, &mut found)?;
    }
    *count = found.count;
    if found.merged.is_empty() {
        return Ok(());
    }
    expand(select, &found.merged);
    let mut pass = Names { found, depth: 0, failed: None };
    let _: ControlFlow<()> = VisitMut::visit(&mut select.projection, &mut pass);
    let _: ControlFlow<()> = VisitMut::visit(&mut select.selection, &mut pass);
    // Conditions of joins.
    let _: ControlFlow<()> = VisitMut::visit(&mut select.from, &mut pass);
    let _: ControlFlow<()> = VisitMut::visit(&mut select.group_by, &mut pass);
    let _: ControlFlow<()> = VisitMut::visit(&mut select.having, &mut pass);
    let output = select.projection.iter().filter_map(output_name).collect::<Vec<_>>();
    for order in order_by {
        // A bare name is one of the select list first.
        if !matches!(&order.expr, Expr::Identifier(i) if output.contains(&fold(i))) {
            let _: ControlFlow<()> = VisitMut::visit(&mut order.expr, &mut pass);
        }
    }
    pass.failed.map_or(Ok(()), Err)
}

fn output_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(unhide(&fold(alias)).to_string()),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(fold(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        _ => None,
    }
}

/// What a FROM has.
#[derive(Debug)]
struct Found {
    merged: Vec<Merged>,
    /// The names of its relations; of a table without an alias also the full one.
    seen: Vec<(String, Option<String>)>,
    /// Whether only the planner knows what a bare name means.
    natural: bool,
    count: usize,
}

/// Notes a name; tables without an alias may share theirs if their schemas differ.
fn note(seen: &mut Vec<(String, Option<String>)>, name: String, table: Option<String>) -> Result<()> {
    let clash = |(other, of): &(String, Option<String>)| {
        *other == name && !matches!((of, &table), (Some(a), Some(b)) if a != b)
    };
    if seen.iter().any(clash) {
        let text = format!("table name \"{name}\" specified more than once");
        return Err(Error::new(SqlState::DUPLICATE_ALIAS, text));
    }
    seen.push((name, table));
    Ok(())
}

fn in_table(table: &mut TableWithJoins, visible: bool, found: &mut Found) -> Result<()> {
    in_factor(&mut table.relation, visible, found)?;
    for join in &mut table.joins {
        in_factor(&mut join.relation, visible, found)?;
        found.natural |= matches!(constraint(join), Some(JoinConstraint::Natural));
        let Some(merged) = merged(join, found.count) else { continue };
        found.count += 1;
        if visible {
            if let Some(alias) = &merged.alias {
                note(&mut found.seen, alias.clone(), None)?;
            }
            found.merged.push(merged);
        }
    }
    Ok(())
}

fn in_factor(factor: &mut TableFactor, visible: bool, found: &mut Found) -> Result<()> {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias } => {
            if let Some(alias) = alias {
                note(&mut found.seen, fold(&alias.name), None)?;
                // What is inside can't be seen, and has names of its own.
                let mut inside = Found { merged: vec![], seen: vec![], natural: false, count: found.count };
                in_table(table_with_joins, false, &mut inside)?;
                found.count = inside.count;
                return Ok(());
            }
            in_table(table_with_joins, visible, found)
        }
        TableFactor::Table { name, alias: None, .. } => {
            let last = name.0.last().and_then(|p| p.as_ident()).map(fold);
            last.map_or(Ok(()), |last| note(&mut found.seen, last, Some(full(name))))
        }
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => note(&mut found.seen, fold(&alias.name), None),
        _ => Ok(()),
    }
}

fn full(name: &ObjectName) -> String {
    name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect::<Vec<_>>().join(".")
}

fn constraint(join: &mut Join) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match &mut join.join_operator {
        J::Join(c) | J::Inner(c) | J::Left(c) | J::LeftOuter(c) | J::Right(c) | J::RightOuter(c) | J::FullOuter(c) => {
            Some(c)
        }
        _ => None,
    }
}

/// Takes the alias off a USING, and puts its number there.
fn merged(join: &mut Join, number: usize) -> Option<Merged> {
    let Some(JoinConstraint::Using(columns)) = constraint(join) else { return None };
    let last = |columns: &[ObjectName]| columns.last()?.0.last()?.as_ident().map(|i| i.value.clone());
    if last(columns).is_some_and(|l| l.starts_with(MERGED)) {
        return None;
    }
    let alias = last(columns).and_then(|l| l.strip_prefix(JOIN_ALIAS).map(str::to_string));
    if alias.is_some() {
        columns.pop();
    }
    let named = columns.iter().filter_map(|c| c.0.last().and_then(|p| p.as_ident()).cloned()).collect();
    let qualifier = format!("{MERGED}{number}");
    columns.push(ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', &qualifier))]));
    Some(Merged { qualifier, alias, columns: named })
}

/// `j.*` as its columns.
fn expand(select: &mut Select, merged: &[Merged]) {
    let items = std::mem::take(&mut select.projection);
    for item in items {
        let named = match &item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                match name.0.as_slice() {
                    [ObjectNamePart::Identifier(ident)] => {
                        merged.iter().find(|m| m.alias.as_deref() == Some(fold(ident).as_str()))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        match named {
            Some(found) => {
                let columns = found.columns.iter().map(|c| found.column(c));
                select.projection.extend(columns.map(SelectItem::UnnamedExpr));
            }
            None => select.projection.push(item),
        }
    }
}

impl Merged {
    fn column(&self, name: &Ident) -> Expr {
        Expr::CompoundIdentifier(vec![Ident::with_quote('"', &self.qualifier), name.clone()])
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|c| fold(c) == name)
    }
}

struct Names {
    found: Found,
    /// How many queries deep: what a subquery names may be its own.
    depth: usize,
    failed: Option<Error>,
}

impl Names {
    fn meant(&mut self, parts: &[Ident]) -> Option<Expr> {
        match parts {
            [column] if self.depth == 0 && !self.found.natural => {
                let name = fold(column);
                // The join around the others has the column.
                self.found.merged.iter().rev().find(|m| m.has(&name)).map(|m| m.column(column))
            }
            [table, column] => {
                let (table, name) = (fold(table), fold(column));
                let found = self.found.merged.iter().find(|m| m.alias.as_deref() == Some(table.as_str()))?;
                if !found.has(&name) {
                    let error = Error::new(SqlState::UNDEFINED_COLUMN, format!("column {table}.{name} does not exist"));
                    self.failed.get_or_insert(error);
                    return None;
                }
                Some(found.column(column))
            }
            _ => None,
        }
    }
}

impl VisitorMut for Names {
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
        let meant = match expr {
            Expr::Identifier(ident) => self.meant(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(parts) => self.meant(parts),
            _ => None,
        };
        if let Some(meant) = meant {
            *expr = meant;
        }
        ControlFlow::Continue(())
    }
}
