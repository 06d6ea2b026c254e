//! INSERT: its columns, and values that take the types of their columns.

use datafusion::sql::sqlparser::ast::{Expr, Insert, Query, Select, SelectItem, SetExpr, Spanned, TableObject};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Result, SqlState};

use super::expression::Value;
use super::scope::{Column, Named, Scope, Table};
use super::types::{Context, OPEN, RECORD, Ty, UNKNOWN, can_cast, of_sql, shown};
use super::{Analysis, Clause};
use crate::plan::{Relation, fold, resolve_relation};

impl<'a> Analysis<'a> {
    /// Looks at an INSERT.
    ///
    /// # Errors
    /// 42P01, 42703, 42701, 42601, 42804, and those of its query.
    pub(super) fn insert(&mut self, insert: &'a Insert) -> Result<()> {
        let TableObject::TableName(name) = &insert.table else { return Ok(()) };
        let table = match resolve_relation(self.ctx, name) {
            Ok(Relation::Table(table)) => table,
            Ok(_) => return Ok(()),
            Err(e) => return Err(self.placed(e, name.span().start)),
        };
        let mut targets: Vec<(String, Ty)> = Vec::new();
        for column in &insert.columns {
            // `t.c` would be a field of a column t.
            let parts = column.0.iter().filter_map(|p| p.as_ident()).collect::<Vec<_>>();
            let Some(first) = parts.first() else { return Ok(()) };
            let (wanted, at) = (fold(first), first.span.start);
            let Some(found) = table.columns.iter().find(|c| c.name == wanted) else {
                let message = format!("column \"{wanted}\" of relation \"{}\" does not exist", table.name);
                return Err(self.error(SqlState::UNDEFINED_COLUMN, message, at));
            };
            if targets.iter().any(|(name, _)| *name == wanted) {
                let message = format!("column \"{wanted}\" specified more than once");
                return Err(self.error(SqlState::DUPLICATE_COLUMN, message, at));
            }
            targets.push((wanted, of_sql(&found.ty)));
        }
        let named = !targets.is_empty();
        if !named {
            targets = table.columns.iter().map(|c| (c.name.clone(), of_sql(&c.ty))).collect();
        }
        let places = insert.columns.iter().map(|c| c.span().start).collect::<Vec<_>>();
        let Some(query) = &insert.source else { return Ok(()) };
        // The target cannot be seen, but a hint may name it.
        let columns = table.columns.iter().map(|c| Column { name: c.name.clone(), ty: of_sql(&c.ty) }).collect();
        let hidden = Named { name: table.name.clone(), columns, open: false }.table();
        self.scopes.push(Scope::new());
        self.scope().tables.push(Table { qualifies: false, shows: false, ..hidden });
        let done = self.source(query, &targets, named.then_some(&places));
        self.scopes.pop();
        done?;
        let Some(items) = &insert.returning else { return Ok(()) };
        let shown = insert.table_alias.as_ref().map_or_else(|| table.name.clone(), |a| fold(&a.alias));
        let columns = table.columns.iter().map(|c| Column { name: c.name.clone(), ty: of_sql(&c.ty) }).collect();
        self.scopes.push(Scope::new());
        self.scope().tables.push(Named { name: shown, columns, open: false }.table());
        let done = self.returning(items);
        self.scopes.pop();
        done
    }

    fn source(&mut self, query: &'a Query, targets: &[(String, Ty)], named: Option<&Vec<Location>>) -> Result<()> {
        let plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        if let SetExpr::Values(values) = query.body.as_ref()
            && plain
        {
            self.scopes.push(Scope::new());
            self.scope().clause = Clause::Values;
            let width = values.rows.first().map_or(0, |r| r.content.len());
            for row in &values.rows {
                let mut items = Vec::with_capacity(row.content.len());
                for item in &row.content {
                    let default =
                        matches!(item, Expr::Identifier(i) if i.quote_style.is_none() && fold(i) == "default");
                    items.push(if default { Value { ty: OPEN, expr: None } } else { self.expression(item)? });
                }
                if items.len() != width {
                    let at = row.content.first().map_or(Location::new(0, 0), |e| self.places.start(e));
                    let message = "VALUES lists must all be the same length";
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, at));
                }
                let places = row.content.iter().map(|e| self.places.start(e)).collect::<Vec<_>>();
                self.assigned(&items, &places, targets, named)?;
            }
            self.scopes.pop();
            return Ok(());
        }
        let Some(columns) = self.query_as_it_is(query)? else { return Ok(()) };
        let exprs = match query.body.as_ref() {
            SetExpr::Select(select) => listed(select),
            _ => None,
        };
        let value = |(n, ty): (usize, Ty)| match &exprs {
            Some(exprs) => Value { ty, expr: Some(exprs[n]) },
            // What no longer is a literal of the text is text.
            None => Value { ty: if ty == UNKNOWN { OPEN } else { ty }, expr: None },
        };
        let values = columns.iter().map(|c| c.ty).enumerate().map(value).collect::<Vec<_>>();
        let places = values.iter().map(|v| self.at(v)).collect::<Vec<_>>();
        self.assigned(&values, &places, targets, named)
    }

    /// Gives values to columns.
    fn assigned(
        &self,
        values: &[Value<'a>],
        places: &[Location],
        targets: &[(String, Ty)],
        named: Option<&Vec<Location>>,
    ) -> Result<()> {
        if values.len() > targets.len() {
            let message = "INSERT has more expressions than target columns";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, places[targets.len()]));
        }
        if let Some(columns) = named
            && values.len() < targets.len()
        {
            let message = "INSERT has more target columns than expressions";
            let error = self.error(SqlState::SYNTAX_ERROR, message, columns[values.len()]);
            return Err(error);
        }
        for ((value, at), (column, ty)) in values.iter().zip(places).zip(targets) {
            if matches!(value.ty, OPEN | RECORD) || *ty == OPEN {
                continue;
            }
            if !can_cast(value.ty, *ty, Context::Assignment) {
                let message = format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    shown(*ty),
                    shown(value.ty)
                );
                let hint = "You will need to rewrite or cast the expression.";
                return Err(self.error(SqlState::DATATYPE_MISMATCH, message, *at).hint(hint));
            }
            self.give(value, *ty)?;
        }
        Ok(())
    }
}

/// The expressions of a select list without `*`.
fn listed(select: &Select) -> Option<Vec<&Expr>> {
    let expr = |item| match item {
        &SelectItem::UnnamedExpr(ref e) | &SelectItem::ExprWithAlias { expr: ref e, .. } => Some(e),
        _ => None,
    };
    select.projection.iter().map(expr).collect()
}
