//! PREPARE, EXECUTE and DEALLOCATE (<https://www.postgresql.org/docs/15/sql-prepare.html>).

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::done;
use crate::answer::Answer;
use crate::codec::input::parse_text_styled;
use crate::parser::definition::CreateTable;
use crate::parser::{Body, Statement};
use crate::plan::{QueryContext, evaluate, sql_type_in, unassignable};
use crate::session::{Prepared, Session, check_unchanged};

pub(super) async fn prepare(
    session: &mut Session,
    name: &str,
    types: &[ast::DataType],
    statement: &Arc<Statement>,
    source: &Arc<str>,
) -> Result<Answer> {
    if let Body::Unsupported(message, _) = &statement.body {
        return Err(Error::unsupported(message.clone()));
    }
    let ctx = session.context()?;
    let declared = types.iter().map(|ty| declared_type(&ctx, ty)).collect::<Result<Vec<_>>>()?;
    let prepared = session.prepare(statement.clone(), &declared).await?;
    session.keep_prepared(name, prepared, Some(source))?;
    Ok(done("PREPARE"))
}

/// A type as PREPARE gives it; `unknown` leaves it open.
fn declared_type(ctx: &QueryContext, ty: &ast::DataType) -> Result<Option<SqlType>> {
    if ty.to_string().eq_ignore_ascii_case("unknown") {
        return Ok(None);
    }
    sql_type_in(ctx, ty).map(Some)
}

pub(super) async fn execute(session: &mut Session, name: &str, arguments: &[ast::Expr]) -> Result<Answer> {
    let (prepared, values) = resolve(session, name, arguments)?;
    let answer = Box::pin(super::run(session, &prepared, values)).await?;
    if let Answer::Rows { columns, .. } = &answer {
        check_unchanged(&prepared, columns)?;
    }
    Ok(answer)
}

/// CREATE TABLE … AS EXECUTE.
pub(super) async fn create_as(session: &mut Session, create: &CreateTable) -> Result<Answer> {
    let Some((name, arguments)) = &create.execute else {
        return Err(Error::internal("CREATE TABLE AS EXECUTE without a statement"));
    };
    let (prepared, values) = resolve(session, name, arguments)?;
    let Body::Query(query) = &prepared.statement.body else {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, "prepared statement is not a SELECT"));
    };
    let create = CreateTable { query: Some(query.clone()), execute: None, ..create.clone() };
    super::table::create_as(session, &create, &prepared.parameters, values).await
}

/// A prepared statement, and the values of its parameters.
///
/// # Errors
/// 26000, 42601 for the wrong number of arguments, 42804 for one of a type that does not fit.
pub(super) fn resolve(
    session: &mut Session,
    name: &str,
    arguments: &[ast::Expr],
) -> Result<(Prepared, Vec<ScalarValue>)> {
    let prepared = session.find_prepared(name)?;
    // The protocol's Parse keeps statements of any kind under the same names, EXECUTE among them, which could be its own.
    if !matches!(prepared.statement.body, Body::Query(_) | Body::Insert(_) | Body::Change(_)) {
        let text = format!("prepared statement \"{name}\" cannot be run by EXECUTE");
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Run it by the protocol's Bind and Execute."));
    }
    if arguments.len() != prepared.parameters.len() {
        let text = format!("wrong number of parameters for prepared statement \"{name}\"");
        let detail = format!("Expected {} parameters but got {}.", prepared.parameters.len(), arguments.len());
        return Err(Error::new(SqlState::SYNTAX_ERROR, text).detail(detail));
    }
    let ctx = session.context()?;
    let values = (1..).zip(arguments.iter().zip(&prepared.parameters));
    let values = values.map(|(n, (expr, ty))| argument(&ctx, n, expr, ty)).collect::<Result<Vec<_>>>()?;
    session.count_run(name);
    Ok((prepared, values))
}

/// The value of an argument. A number keeps its own scale, which a numeric without precision would not.
fn argument(ctx: &Arc<QueryContext>, number: usize, expr: &ast::Expr, ty: &SqlType) -> Result<ScalarValue> {
    if let ControlFlow::Break(()) = ast::visit_expressions(expr, |e| match e {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }) {
        return Err(Error::unsupported("cannot use subquery in EXECUTE parameter"));
    }
    if let Some(from) = unassignable(ctx, expr, ty)? {
        let text = format!("parameter ${number} of type {from} cannot be coerced to the expected type {ty}");
        return Err(
            Error::new(SqlState::DATATYPE_MISMATCH, text).hint("You will need to rewrite or cast the expression.")
        );
    }
    if let (SqlType::Numeric(None), ast::Expr::Value(value)) = (ty, expr)
        && let ast::Value::Number(digits, _) = &value.value
    {
        return parse_text_styled(ty, digits, ctx.settings.style());
    }
    evaluate(ctx, expr, ty)
}

pub(super) fn deallocate(session: &mut Session, name: Option<&str>) -> Result<Answer> {
    match name {
        None => {
            session.forget_all_prepared();
            Ok(done("DEALLOCATE ALL"))
        }
        Some(name) => {
            session.find_prepared(name)?;
            session.forget_prepared(name);
            Ok(done("DEALLOCATE"))
        }
    }
}
