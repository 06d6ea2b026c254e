//! What may stand in the expression of a generated column (<https://www.postgresql.org/docs/15/ddl-generated-columns.html>):
//! the other columns of its row, and what gives the same for them at any time.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Volatility};
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::create::{default_error, placed};
use crate::error::from_datafusion;
use crate::parser;
use crate::plan::{QueryContext, assignment_cast, fold, plan_expr};

fn wrong(message: &str) -> Error {
    Error::new(SqlState::INVALID_OBJECT_DEFINITION, message)
}

/// Checks the generated columns of a table, all of whose columns are known.
///
/// # Errors
/// 42P17 for what may not stand there, 42804, 42703 and others of planning.
pub(super) fn check(ctx: &Arc<QueryContext>, table: &TableDef) -> Result<()> {
    let generated = table.columns.iter().filter(|c| c.generated.is_some());
    generated.into_iter().try_for_each(|column| check_one(ctx, table, column))
}

fn check_one(ctx: &Arc<QueryContext>, table: &TableDef, column: &ColumnDef) -> Result<()> {
    let expr = parser::parse_expr(column.generated.as_deref().unwrap_or_default())?;
    let schema = DFSchema::try_from(table.arrow_schema().as_ref().clone()).map_err(from_datafusion)?;
    let one = "column generation expression";
    for name in columns(&expr) {
        if table.column(&name).is_none() && name == table.name {
            let error = wrong("cannot use whole-row variable in column generation expression");
            return Err(error.detail("This would cause the generated column to depend on its own value."));
        }
        if table.column(&name).is_some_and(|c| c.generated.is_some()) {
            let error = wrong(&format!("cannot use generated column \"{name}\" in column generation expression"));
            return Err(error.detail("A generated column cannot reference another generated column."));
        }
    }
    let planned = plan_expr(ctx, &expr, &schema).map_err(|e| placed(e, one, "column generation expressions"))?;
    let not_immutable = || wrong("generation expression is not immutable");
    if calls(&expr).iter().any(|name| crate::catalog::is_never_immutable(name)) {
        return Err(not_immutable());
    }
    let mut changes = false;
    planned
        .apply(|e| {
            changes |= match e {
                Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Volatile,
                Expr::Cast(cast) => hangs_on_settings(cast, &schema)?,
                _ => false,
            };
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
    if changes {
        return Err(not_immutable());
    }
    let from = SqlType::of_field(&planned.to_field(&schema).map_err(from_datafusion)?.1);
    let cast = assignment_cast(planned, &from, &column.ty, &column.name);
    cast.map(|_| ()).map_err(|e| default_error(e, &column.ty, &column.name))
}

/// Whether a cast reads a time zone, DateStyle or the clock.
fn hangs_on_settings(cast: &Cast, schema: &DFSchema) -> datafusion::common::Result<bool> {
    use SqlType as T;
    if matches!(cast.expr.as_ref(), Expr::Literal(..)) {
        return Ok(false);
    }
    let from = SqlType::of_field(&cast.expr.to_field(schema)?.1).plain();
    let to = SqlType::of_field(&cast.field).plain();
    let text = |t: &T| matches!(t, T::Text | T::Varchar(_) | T::Char(_) | T::Name);
    let time = |t: &T| matches!(t, T::Date | T::Timestamp | T::TimestampTz);
    Ok(match (&from, &to) {
        (T::TimestampTz, to) => *to != T::TimestampTz,
        (from, T::TimestampTz) => *from != T::TimestampTz,
        (from, to) => (time(from) && text(to)) || (text(from) && (time(to) || matches!(to, T::Time))),
    })
}

/// The names of columns in an expression, as they are written.
pub(super) fn columns(expr: &ast::Expr) -> Vec<String> {
    let mut names = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        match e {
            ast::Expr::Identifier(ident) => names.push(fold(ident)),
            ast::Expr::CompoundIdentifier(parts) => names.extend(parts.last().map(fold)),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    names
}

fn calls(expr: &ast::Expr) -> Vec<String> {
    let mut names = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        if let ast::Expr::Function(call) = e {
            names.extend(call.name.0.last().and_then(|part| part.as_ident()).map(fold));
        }
        ControlFlow::Continue(())
    });
    names
}

/// The generated columns that a column is computed into.
pub(super) fn depending<'a>(table: &'a TableDef, name: &str) -> Result<Vec<&'a ColumnDef>> {
    let mut found = Vec::new();
    for column in &table.columns {
        let Some(text) = &column.generated else { continue };
        if columns(&parser::parse_expr(text)?).iter().any(|n| n == name) {
            found.push(column);
        }
    }
    Ok(found)
}
