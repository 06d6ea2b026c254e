//! EXPLAIN: the plan as DataFusion displays it, optimised and physical; with ANALYZE run, and its metrics shown.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::set::{text_column, text_rows};
use crate::answer::{Answer, Column};
use crate::parser::Body;
use crate::parser::utility::Explain;
use crate::session::Session;

/// The one column that EXPLAIN answers.
pub(crate) fn columns() -> Arc<[Column]> {
    [text_column("QUERY PLAN")].into()
}

pub(super) async fn run(
    session: &mut Session,
    explain: &Explain,
    types: &[SqlType],
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    for (name, value) in &explain.options {
        match (name.as_str(), value.as_deref()) {
            ("costs" | "buffers" | "timing" | "summary" | "wal" | "settings" | "generic_plan", _) => {}
            ("format", Some("text")) => {}
            ("format", Some(format)) if !matches!(format, "json" | "xml" | "yaml") => {
                let text = format!("unrecognized value for EXPLAIN option \"format\": \"{format}\"");
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
            }
            ("format", Some(format)) => {
                return Err(
                    Error::unsupported(format!("EXPLAIN format \"{format}\" is not supported")).hint("Use TEXT.")
                );
            }
            _ => {
                let text = format!("unrecognized EXPLAIN option \"{name}\"");
                return Err(Error::new(SqlState::SYNTAX_ERROR, text));
            }
        }
    }
    let executed = match &explain.statement.body {
        Body::Execute { name, arguments } => Some(super::prepare::resolve(session, name, arguments)?),
        _ => None,
    };
    let (body, types, parameters) = match &executed {
        Some((prepared, values)) => (&prepared.statement.body, prepared.parameters.as_slice(), values.clone()),
        None => (&explain.statement.body, types, parameters),
    };
    let query = explained(body)?;
    let ctx = session.context()?;
    let planned = super::query::plan(&ctx, query, types)?;
    if explain.analyze && !matches!(body, Body::Query(_)) {
        return Err(Error::unsupported("EXPLAIN ANALYZE of a statement that writes is not supported")
            .hint("EXPLAIN shows how its rows are read; EXPLAIN ANALYZE takes a query."));
    }
    let (optimized, physical) = crate::plan::explain(&ctx, planned, parameters, explain.analyze).await?;
    let mut lines = Vec::new();
    let show = |plan: &dyn ExecutionPlan, indent: &str, lines: &mut Vec<String>| {
        let shown = match explain.analyze {
            true => DisplayableExecutionPlan::with_metrics(plan).indent(explain.verbose).to_string(),
            false => DisplayableExecutionPlan::new(plan).indent(explain.verbose).to_string(),
        };
        lines.extend(shown.lines().map(|line| format!("{indent}{line}")));
    };
    show(physical.as_ref(), "", &mut lines);
    for (name, shared) in crate::plan::shared_plans(&physical) {
        lines.push(format!("{name}:"));
        show(shared.as_ref(), "  ", &mut lines);
    }
    if !explain.analyze {
        lines.push("Logical plan:".to_string());
        // What is named so that no user can name it is marked inside.
        let shown = optimized.display_indent().to_string().replace("\u{1}read_", "read_").replace('\u{1}', ":");
        lines.extend(shown.lines().map(|l| format!("  {l}")));
    }
    text_rows(columns(), vec![lines], "EXPLAIN")
}

/// The query inside: an INSERT or CREATE TABLE AS is explained by what it reads.
fn explained(body: &Body) -> Result<&ast::Query> {
    match body {
        Body::Query(query) => Ok(query),
        Body::Declare(declare) => Ok(&declare.query),
        Body::Insert(insert) if insert.source.is_some() => Ok(insert.source.as_ref().expect("checked by the guard")),
        Body::CreateTable(table) if table.query.is_some() => Ok(table.query.as_ref().expect("checked by the guard")),
        _ => Err(Error::unsupported("this statement cannot be explained")),
    }
}
