//! CREATE TABLE: the types of its columns, DEFAULT and CHECK; CREATE INDEX: its expressions.

use datafusion::sql::sqlparser::ast::{ColumnOption, Expr, TableConstraint};
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Result, SqlState};

use super::scope::{Column, Named, Scope};
use super::types::{OPEN, Ty, UNKNOWN, of_sql};
use super::{Analysis, Clause};
use crate::parser::definition::CreateTable;
use crate::parser::index::{CreateIndex, PartOf};
use crate::plan::{fold, sql_type_in};
use crate::statement::table::serial;

impl<'a> Analysis<'a> {
    /// Looks at the columns and constraints of a new table.
    ///
    /// # Errors
    /// 42704, 22023 for types; those of expressions; 0A000 and 42803 for what these may not hold.
    pub(super) fn table_definition(&mut self, table: &'a CreateTable) -> Result<()> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let ty = serial(&column.data_type).map_err(|e| {
                let at = self.places.type_after(column.name.span.end, false);
                self.placed(e, at)
            })?;
            let ty = match ty.map_or_else(|| sql_type_in(self.ctx, &column.data_type), Ok) {
                Ok(ty) => of_sql(&ty),
                Err(e) if matches!(e.code(), SqlState::INVALID_PARAMETER_VALUE | SqlState::UNDEFINED_OBJECT) => {
                    let digits = e.message().starts_with("precision for type");
                    let at = self.places.type_after(column.name.span.end, digits);
                    return Err(self.placed(e, at));
                }
                Err(_) => OPEN,
            };
            columns.push(Column { name: fold(&column.name), ty });
        }
        let name = table.name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        self.scopes.push(Scope::new());
        for (column, known) in table.columns.iter().zip(&columns) {
            for option in &column.options {
                if let ColumnOption::Default(expr) = &option.option {
                    self.default(expr, known.ty)?;
                }
            }
        }
        self.scope().tables.push(Named { name, columns, open: false }.table());
        for option in table.columns.iter().flat_map(|c| &c.options) {
            match &option.option {
                ColumnOption::Check(check) => {
                    self.within(Clause::Check, |a| a.condition(&check.expr, "CHECK"))?;
                }
                ColumnOption::Generated { generation_expr: Some(expr), .. } => {
                    self.within(Clause::Generated, |a| a.expression(expr))?;
                }
                _ => {}
            }
        }
        for constraint in &table.constraints {
            if let TableConstraint::Check(check) = constraint {
                self.within(Clause::Check, |a| a.condition(&check.expr, "CHECK"))?;
            }
        }
        self.scopes.pop();
        Ok(())
    }

    /// Looks at the expressions of a new index.
    ///
    /// # Errors
    /// Those of expressions; 0A000 and 42803 for what these may not hold; 42804.
    pub(super) fn index_definition(&mut self, index: &'a CreateIndex, table: &TableDef) -> Result<()> {
        let columns = table.columns.iter().map(|c| Column { name: c.name.clone(), ty: of_sql(&c.ty) }).collect();
        self.scopes.push(Scope::new());
        self.scope().tables.push(Named { name: table.name.clone(), columns, open: false }.table());
        for part in &index.columns {
            if let PartOf::Expr(expr) = &part.of {
                self.within(Clause::Key, |a| a.expression(expr))?;
            }
        }
        if let Some(predicate) = &index.predicate {
            self.within(Clause::Predicate, |a| a.condition(predicate, "WHERE"))?;
        }
        self.scopes.pop();
        Ok(())
    }

    fn default(&mut self, expr: &'a Expr, ty: Ty) -> Result<()> {
        let value = self.within(Clause::Default, |a| a.expression(expr))?;
        // A value of another type is refused by who stores it; PostgreSQL tells no place either.
        if value.ty == UNKNOWN && ty != OPEN {
            self.give(&value, ty)?;
        }
        Ok(())
    }
}
