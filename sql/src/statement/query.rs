//! SELECT, VALUES, TABLE and WITH.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use crate::answer::{Answer, RowsTag};
use crate::plan::{Planned, QueryContext, Relation, plan_query, resolve_relation, run as run_plan};
use crate::session::{Prepared, Session};

/// Runs a query: the answer streams.
pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    query: &ast::Query,
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    let ctx = session.context()?;
    let planned = match session.first_plan(prepared, &ctx) {
        Some(planned) => planned,
        None => plan(&ctx, query, &prepared.parameters)?,
    };
    rows(&ctx, planned, parameters).await
}

/// Plans with the parameter types found before.
pub(crate) fn plan(ctx: &Arc<QueryContext>, query: &ast::Query, parameters: &[SqlType]) -> Result<Planned> {
    let declared = parameters.iter().cloned().map(Some).collect::<Vec<_>>();
    plan_query(ctx, query, &declared)
}

/// Starts a plan.
async fn rows(ctx: &Arc<QueryContext>, planned: Planned, parameters: Vec<ScalarValue>) -> Result<Answer> {
    let columns = planned.columns.clone();
    let rows = run_plan(ctx, planned, parameters).await?;
    Ok(Answer::Rows { columns, rows, tag: RowsTag::Counted("SELECT") })
}

/// The relations of users that a query names, by OID.
pub(crate) fn relations_of(ctx: &QueryContext, query: &ast::Query) -> Vec<u32> {
    let mut oids = Vec::new();
    let _: ControlFlow<()> = ast::visit_relations(query, |name| {
        match resolve_relation(ctx, name) {
            Ok(Relation::Table(table)) => oids.push(table.id.0),
            Ok(Relation::View(view)) => oids.push(view.id.0),
            Ok(Relation::System(..)) | Err(_) => {}
        }
        ControlFlow::Continue(())
    });
    oids.sort_unstable();
    oids.dedup();
    oids
}
