//! Values for columns that fill themselves: who may give them, and which are left out
//! (<https://www.postgresql.org/docs/15/sql-insert.html>).

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};

use super::{Rows, rows_of, values};
use crate::parser::overriding::{Overriding, overriding};

/// What stands for a column that a value does not go to.
const NOWHERE: usize = usize::MAX;

/// The columns of an INSERT whose values are left out, as OVERRIDING USER VALUE says.
#[derive(Debug)]
pub(super) struct Filled {
    /// By position in the table.
    left_out: Vec<usize>,
    /// By position in the list.
    items: Vec<usize>,
}

impl Filled {
    /// Looks at the columns that values go to.
    ///
    /// # Errors
    /// 428C9 for a value that a column does not take.
    pub(super) fn of(table: &TableDef, targets: &[usize], insert: &ast::Insert) -> Result<Filled> {
        let said = overriding(insert);
        let mut filled = Filled { left_out: Vec::new(), items: Vec::new() };
        for (item, position) in targets.iter().enumerate() {
            let column = &table.columns[*position];
            if column.identity.is_none() && column.generated.is_none() || !gives(insert, item) {
                continue;
            }
            match (column.identity, said) {
                (None, _) => return Err(refused(column)),
                (Some(_), Some(Overriding::User)) => {
                    filled.left_out.push(*position);
                    filled.items.push(item);
                }
                (Some(identity), None) if identity.always => return Err(refused(column)),
                (Some(_), Some(Overriding::System) | None) => {}
            }
        }
        Ok(filled)
    }

    /// The INSERT with DEFAULT for the values that are left out, if it has VALUES.
    pub(super) fn replaced(&self, insert: &ast::Insert) -> Option<ast::Insert> {
        if self.items.is_empty() {
            return None;
        }
        let mut replaced = insert.clone();
        let ast::SetExpr::Values(values) = replaced.source.as_mut()?.body.as_mut() else { return None };
        for row in &mut values.rows {
            for item in &self.items {
                if let Some(value) = row.content.get_mut(*item) {
                    *value = ast::Expr::Identifier(ast::Ident::new("DEFAULT"));
                }
            }
        }
        Some(replaced)
    }

    /// The places that the columns of a query go to, without those that are left out.
    pub(super) fn leave_out(&self, targets: &mut [usize]) {
        targets.iter_mut().filter(|t| self.left_out.contains(t)).for_each(|t| *t = NOWHERE);
    }
}

/// Whether the INSERT gives another value than DEFAULT for this item of its list.
fn gives(insert: &ast::Insert, item: usize) -> bool {
    match rows_of(insert) {
        Rows::Defaults => false,
        Rows::Values(rows) => {
            rows.iter().filter_map(|row| row.content.get(item)).any(|value| !values::is_default(value))
        }
        // One that gives fewer columns than the table has gives none for the last ones.
        Rows::Query => match insert.source.as_ref().map(|q| q.body.as_ref()) {
            Some(ast::SetExpr::Select(select)) if insert.columns.is_empty() => {
                let plain = select
                    .projection
                    .iter()
                    .all(|i| matches!(i, ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. }));
                !plain || item < select.projection.len()
            }
            _ => true,
        },
    }
}

/// The refusal of a value for a column that fills itself.
pub(crate) fn refused(column: &ColumnDef) -> Error {
    let text = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
    let error = Error::new(SqlState::GENERATED_ALWAYS, text);
    match column.identity {
        Some(_) => error
            .detail(format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name))
            .hint("Use OVERRIDING SYSTEM VALUE to override."),
        None => error.detail(format!("Column \"{}\" is a generated column.", column.name)),
    }
}
