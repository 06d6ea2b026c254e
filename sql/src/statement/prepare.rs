//! PREPARE, EXECUTE and DEALLOCATE.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::done;
use crate::answer::Answer;
use crate::codec::input::parse_text_styled;
use crate::parser::{Body, Statement};
use crate::plan::{QueryContext, evaluate, sql_type};
use crate::session::Session;

pub(super) async fn prepare(
    session: &mut Session,
    name: &str,
    types: &[ast::DataType],
    statement: &Arc<Statement>,
) -> Result<Answer> {
    if !matches!(statement.body, Body::Query(_) | Body::Insert(_)) {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "only SELECT, VALUES and INSERT can be prepared"));
    }
    let declared = types.iter().map(|t| sql_type(t).map(Some)).collect::<Result<Vec<_>>>()?;
    let prepared = session.prepare(statement.clone(), &declared).await?;
    session.keep_prepared(name, prepared)?;
    Ok(done("PREPARE"))
}

pub(super) async fn execute(session: &mut Session, name: &str, arguments: &[ast::Expr]) -> Result<Answer> {
    let prepared = session.find_prepared(name)?.clone();
    // The protocol's Parse keeps statements of any kind under the same names, EXECUTE among them, which could be its own.
    if !matches!(prepared.statement.body, Body::Query(_) | Body::Insert(_)) {
        let text = format!("prepared statement \"{name}\" cannot be run by EXECUTE");
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Run it by the protocol's Bind and Execute."));
    }
    if arguments.len() != prepared.parameters.len() {
        let text = format!("wrong number of parameters for prepared statement \"{name}\"");
        let detail = format!("Expected {} parameters but got {}.", prepared.parameters.len(), arguments.len());
        return Err(Error::new(SqlState::SYNTAX_ERROR, text).detail(detail));
    }
    let ctx = session.context()?;
    let values = arguments.iter().zip(&prepared.parameters);
    let values = values.map(|(expr, ty)| argument(&ctx, expr, ty)).collect::<Result<Vec<_>>>()?;
    Box::pin(super::run(session, &prepared, values)).await
}

/// The value of an argument. A number keeps its own scale, which a numeric without precision would not.
fn argument(ctx: &Arc<QueryContext>, expr: &ast::Expr, ty: &SqlType) -> Result<ScalarValue> {
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
            session.prepared.clear();
            Ok(done("DEALLOCATE ALL"))
        }
        Some(name) => {
            session.find_prepared(name)?;
            session.forget_prepared(name);
            Ok(done("DEALLOCATE"))
        }
    }
}
