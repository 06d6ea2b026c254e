//! Whole rows: `t` and `t.*` as values (<https://www.postgresql.org/docs/15/rowtypes.html#ROWTYPES-USAGE>).
//!
//! A relation that is named so gets one more column, its row, made of the others below all joins: so the row is NULL where
//! an outer join makes up the columns, whatever they hold. `*` leaves that column out. [`records`](crate::plan::records)
//! knows the functions that are called here.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DictionaryField, ExcludeSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Value, Visit, VisitMut, Visitor,
    VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::calls::{plain_name, quoted_call};
use super::relations::{series_query, table_alias};
use crate::plan::names::fold;
use crate::plan::records::{ALL_COLUMNS, ROW, ROW_OF_RELATION, SPREAD_ROW};

/// The name of the column that holds the row of a relation.
fn column(table: &str) -> String {
    format!("\u{1}row of {table}")
}

/// Whether some name of the query could stand for a whole row: only then what names mean need be found out.
pub(in crate::plan) fn may_have(query: &Query) -> bool {
    let mut found = Names::default();
    let _: ControlFlow<()> = Visit::visit(query, &mut found);
    found.tables.iter().any(|t| found.names.contains(t))
}

/// Names of relations, and those that stand alone in expressions.
#[derive(Default)]
struct Names {
    tables: HashSet<String>,
    names: HashSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.tables.extend(name_of(factor));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr {
            self.names.insert(fold(ident));
        }
        ControlFlow::Continue(())
    }
}

/// What a relation of FROM is called, if its row can be asked for.
fn name_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } => Some(fold(&alias.name)),
        TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
            name.0.last().and_then(|p| p.as_ident()).map(fold)
        }
        _ => None,
    }
}

/// Puts the columns of rows in the place of the names at `places`, and of `t.*` outside of select lists.
pub(super) fn named(query: &mut Query, places: &HashSet<Location>) {
    let mut ctes = Ctes(HashSet::new());
    let _: ControlFlow<()> = Visit::visit(query, &mut ctes);
    let _: ControlFlow<()> = VisitMut::visit(query, &mut Rows { places, ctes: ctes.0, frames: Vec::new() });
}

/// The names of all WITH queries, whose rows have no type of their own.
struct Ctes(HashSet<String>);

impl Visitor for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.extend(query.with.iter().flat_map(|w| &w.cte_tables).map(|c| fold(&c.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Rows<'a> {
    places: &'a HashSet<Location>,
    ctes: HashSet<String>,
    /// The relations of the queries around, and of which of them the row is wanted. A query and its SELECT have one each,
    /// since ORDER BY stands outside of the latter.
    frames: Vec<Frame>,
}

#[derive(Default)]
struct Frame {
    names: Vec<String>,
    wanted: BTreeSet<String>,
}

impl Frame {
    fn of(select: &Select) -> Frame {
        let mut frame = Frame::default();
        for from in &select.from {
            frame.add(&from.relation);
            from.joins.iter().for_each(|j| frame.add(&j.relation));
        }
        frame
    }

    fn add(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.add(&table_with_joins.relation);
                table_with_joins.joins.iter().for_each(|j| self.add(&j.relation));
            }
            other => self.names.extend(name_of(other)),
        }
    }
}

impl Rows<'_> {
    /// The column that holds the row of what goes by this name.
    fn row(&mut self, table: &str) -> Option<Expr> {
        let frame = self.frames.iter_mut().rev().find(|f| f.names.iter().any(|n| n == table))?;
        frame.wanted.insert(table.to_string());
        Some(Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), Ident::with_quote('"', column(table))]))
    }

    fn starred(&mut self, name: &ObjectName) -> Option<Expr> {
        let table = name.0.last().and_then(|p| p.as_ident()).map(fold)?;
        self.row(&table)
    }

    /// Makes the columns that are wanted.
    fn leave(&mut self, select: &mut Select) {
        let Some(frame) = self.frames.pop() else { return };
        for table in &frame.wanted {
            for from in &mut select.from {
                self.with_row(&mut from.relation, table);
                from.joins.iter_mut().for_each(|j| self.with_row(&mut j.relation, table));
            }
        }
        for item in &mut select.projection {
            match item {
                SelectItem::Wildcard(options) => leave_out(options, frame.wanted.iter()),
                SelectItem::QualifiedWildcard(kind, options) => {
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else { continue };
                    let name = name.0.last().and_then(|p| p.as_ident()).map(fold);
                    let of = |t: &&String| name.as_ref() == Some(*t);
                    leave_out(options, frame.wanted.iter().filter(of));
                }
                _ => {}
            }
        }
    }

    /// The relation with its row as a column, if it is the one.
    fn with_row(&self, factor: &mut TableFactor, table: &str) {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            self.with_row(&mut table_with_joins.relation, table);
            table_with_joins.joins.iter_mut().for_each(|j| self.with_row(&mut j.relation, table));
            return;
        }
        if name_of(factor).as_deref() != Some(table) || has_row(factor, table) {
            return;
        }
        let lateral = match factor {
            TableFactor::Table { args, .. } => args.is_some(),
            TableFactor::Derived { lateral, .. } => *lateral,
            TableFactor::NestedJoin { .. } => false,
            _ => true,
        };
        let Some(mut query) = series_query(factor.clone()) else { return };
        let SetExpr::Select(inner) = query.body.as_mut() else { return };
        let columns =
            DictionaryField { key: Ident::new(ALL_COLUMNS), value: Box::new(Expr::value(Value::Boolean(true))) };
        let record = Expr::Dictionary(vec![columns]);
        let expr = match self.relation(factor) {
            Some(name) => quoted_call(&format!("{ROW_OF_RELATION}{name}"), vec![record]),
            None => record,
        };
        inner.projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', column(table)) });
        let alias = Some(table_alias(table));
        *factor = TableFactor::Derived { lateral, subquery: Box::new(query), alias, sample: None };
    }

    /// The name of the relation that a row's type is called after, its parts each with their length.
    fn relation(&self, factor: &TableFactor) -> Option<String> {
        let TableFactor::Table { name, args: None, .. } = factor else { return None };
        let parts = name.0.iter().map(|p| p.as_ident().map(fold)).collect::<Option<Vec<_>>>()?;
        if let [only] = parts.as_slice()
            && self.ctes.contains(only)
        {
            return None;
        }
        Some(parts.iter().map(|p| format!("{}:{p}", p.len())).collect())
    }
}

fn has_row(factor: &TableFactor, table: &str) -> bool {
    let TableFactor::Derived { subquery, .. } = factor else { return false };
    let SetExpr::Select(select) = subquery.body.as_ref() else { return false };
    let own = column(table);
    matches!(select.projection.last(), Some(SelectItem::ExprWithAlias { alias, .. }) if alias.value == own)
}

fn leave_out<'a>(options: &mut WildcardAdditionalOptions, tables: impl Iterator<Item = &'a String>) {
    let columns = tables.map(|t| column(t)).collect::<Vec<_>>();
    leave_out_columns(options, columns.iter());
}

/// Has a star leave columns out, beside those that it does.
pub(super) fn leave_out_columns<'a>(
    options: &mut WildcardAdditionalOptions,
    columns: impl Iterator<Item = &'a String>,
) {
    let mut all = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Multiple(names)) => names,
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        None => Vec::new(),
    };
    for column in columns {
        let name = ObjectName::from(vec![Ident::with_quote('"', column)]);
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if !all.is_empty() {
        options.opt_exclude = Some(ExcludeSelectItem::Multiple(all));
    }
}

impl VisitorMut for Rows<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.frames.push(match query.body.as_ref() {
            SetExpr::Select(select) => Frame::of(select),
            _ => Frame::default(),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match query.body.as_mut() {
            SetExpr::Select(select) => self.leave(select),
            _ => drop(self.frames.pop()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
                && let Expr::Identifier(ident) = &*expr
                && self.places.contains(&ident.span.start)
            {
                let alias = Ident::with_quote('"', fold(ident));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        self.frames.push(Frame::of(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.leave(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) if self.places.contains(&ident.span.start) => {
                if let Some(row) = self.row(&fold(ident)) {
                    *expr = row;
                }
            }
            Expr::QualifiedWildcard(name, _) => {
                if let Some(row) = self.starred(&name.clone()) {
                    *expr = row;
                }
            }
            Expr::Function(f) => {
                // ROW(t.*, 1) has the fields of t, where other functions take its row.
                let spreads = plain_name(f) == ROW;
                let FunctionArguments::List(list) = &mut f.args else { return ControlFlow::Continue(()) };
                let mut spread = Vec::new();
                for (n, argument) in list.args.iter_mut().enumerate() {
                    if let FunctionArg::Unnamed(argument) = argument
                        && let FunctionArgExpr::QualifiedWildcard(name) = &*argument
                        && let Some(row) = self.starred(&name.clone())
                    {
                        *argument = FunctionArgExpr::Expr(row);
                        spread.push(n);
                    }
                }
                if spreads && !spread.is_empty() {
                    f.name = ObjectName::from(vec![Ident::with_quote('"', spread_name(&spread))]);
                }
            }
            // In a row as written, likewise.
            Expr::Tuple(items) => {
                let mut spread = Vec::new();
                for (n, item) in items.iter_mut().enumerate() {
                    if let Expr::QualifiedWildcard(name, _) = &*item
                        && let Some(row) = self.starred(&name.clone())
                    {
                        *item = row;
                        spread.push(n);
                    }
                }
                if !spread.is_empty() {
                    *expr = quoted_call(&spread_name(&spread), std::mem::take(items));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The function that makes a row of values, the fields of these rows among them.
fn spread_name(rows: &[usize]) -> String {
    let numbers = rows.iter().map(usize::to_string).collect::<Vec<_>>();
    format!("{SPREAD_ROW}{}", numbers.join(","))
}
