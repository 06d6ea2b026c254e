//! UPDATE and DELETE, in the order in which PostgreSQL looks at them: the tables, WHERE, RETURNING, and what is set.

use datafusion::sql::sqlparser::ast::{AssignmentTarget, Expr, ObjectName, SelectItem, Spanned};
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Result, SqlState};

use super::expression::Value;
use super::scope::Scope;
use super::types::{Context, OPEN, RECORD, can_cast, of_sql, shown};
use super::{Analysis, Clause};
use crate::parser::change::Change;
use crate::plan::{Relation, fold, is_row, resolve_relation};
use crate::statement::insert::is_default;

impl<'a> Analysis<'a> {
    /// Looks at an UPDATE or DELETE.
    ///
    /// # Errors
    /// 42P01, 42703, 42601, 42804, and those of its expressions.
    pub(super) fn change(&mut self, change: &'a Change) -> Result<()> {
        let table = match resolve_relation(self.ctx, &change.target) {
            Ok(Relation::Table(table)) => table,
            // Refused by others.
            Ok(_) => return Ok(()),
            Err(e) => return Err(self.placed(e, change.target.span().start)),
        };
        self.scopes.push(Scope::new());
        let done = self.change_in_scope(change, &table);
        self.scopes.pop();
        done
    }

    fn change_in_scope(&mut self, change: &'a Change, table: &TableDef) -> Result<()> {
        if let Some(with) = &change.with {
            self.with(with)?;
        }
        self.relation(&change.target, change.alias.as_ref())?;
        self.from(&change.from)?;
        if let Some(condition) = &change.selection {
            self.within(Clause::Where, |a| a.condition(condition, "WHERE"))?;
        }
        self.returning(change.returning.as_deref().unwrap_or_default())?;
        for assignment in change.assignments.iter().flatten() {
            match (&assignment.target, &assignment.value) {
                (AssignmentTarget::ColumnName(name), value) => self.assignment(table, name, value)?,
                (AssignmentTarget::Tuple(names), Expr::Tuple(values)) if names.len() == values.len() => {
                    names.iter().zip(values).try_for_each(|(name, value)| self.assignment(table, name, value))?;
                }
                (AssignmentTarget::Tuple(names), value) => {
                    names.iter().try_for_each(|name| self.assigned_column(table, name).map(drop))?;
                    if !is_row(value) {
                        self.within(Clause::Update, |a| a.expression(value)).or_else(|e| {
                            // A query of several columns is a value here.
                            if matches!(value, Expr::Subquery(_)) && e.message().contains("one column") {
                                return Ok(Value { ty: OPEN, expr: None });
                            }
                            Err(e)
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks at RETURNING of a statement whose relations are in the scope.
    ///
    /// # Errors
    /// Those of its expressions.
    pub(super) fn returning(&mut self, items: &'a [SelectItem]) -> Result<()> {
        for item in items {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.within(Clause::Returning, |a| a.expression(expr))?;
            }
        }
        Ok(())
    }

    /// The type of a column that is set.
    fn assigned_column(&self, table: &TableDef, name: &ObjectName) -> Result<super::types::Ty> {
        let Some(first) = name.0.first().and_then(|p| p.as_ident()) else { return Ok(OPEN) };
        let (wanted, at) = (fold(first), first.span.start);
        let Some(column) = table.column(&wanted) else {
            let message = format!("column \"{wanted}\" of relation \"{}\" does not exist", table.name);
            return Err(self.error(SqlState::UNDEFINED_COLUMN, message, at));
        };
        Ok(if name.0.len() > 1 { OPEN } else { of_sql(&column.ty) })
    }

    fn assignment(&mut self, table: &TableDef, name: &'a ObjectName, value: &'a Expr) -> Result<()> {
        let ty = self.assigned_column(table, name)?;
        if is_default(value) {
            return Ok(());
        }
        let value = self.within(Clause::Update, |a| a.expression(value))?;
        if matches!(value.ty, OPEN | RECORD) || ty == OPEN {
            return Ok(());
        }
        if !can_cast(value.ty, ty, Context::Assignment) {
            let column = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
            let message =
                format!("column \"{column}\" is of type {} but expression is of type {}", shown(ty), shown(value.ty));
            let hint = "You will need to rewrite or cast the expression.";
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, self.at(&value)).hint(hint));
        }
        self.give(&value, ty)
    }
}
