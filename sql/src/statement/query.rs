//! SELECT, VALUES, TABLE and WITH.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, Visit, Visitor};
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use crate::answer::{Answer, RowsTag};
use crate::plan::{Planned, QueryContext, Relation, fold, plan_query, resolve_relation, run as run_plan};
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
    let mut named = Named { ctx, oids: Vec::new(), scopes: Vec::new() };
    let _: ControlFlow<()> = query.visit(&mut named);
    named.oids.sort_unstable();
    named.oids.dedup();
    named.oids
}

/// Looks the relations of a query up, those aside that its WITH queries hide.
struct Named<'a> {
    ctx: &'a QueryContext,
    oids: Vec<u32>,
    scopes: Vec<With>,
}

/// The WITH queries of a query around the place: where each stands, and the names that are known by now.
struct With {
    queries: Vec<(*const ast::Query, String)>,
    known: Vec<String>,
}

impl Visitor for Named<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|w| &w.cte_tables);
        let queries =
            tables.map(|cte| (std::ptr::from_ref(cte.query.as_ref()), fold(&cte.alias.name))).collect::<Vec<_>>();
        let recursive = query.with.as_ref().is_some_and(|w| w.recursive);
        let known = queries.iter().filter(|_| recursive).map(|(_, name)| name.clone()).collect();
        self.scopes.push(With { queries, known });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        self.scopes.pop();
        // A WITH query that is not recursive is known behind itself.
        if let Some(around) = self.scopes.last_mut()
            && let Some((_, name)) = around.queries.iter().find(|(place, _)| std::ptr::eq(*place, query))
        {
            around.known.push(name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ast::ObjectName) -> ControlFlow<()> {
        if let [ast::ObjectNamePart::Identifier(bare)] = name.0.as_slice() {
            let bare = fold(bare);
            if self.scopes.iter().any(|with| with.known.contains(&bare)) {
                return ControlFlow::Continue(());
            }
        }
        match resolve_relation(self.ctx, name) {
            Ok(Relation::Table(table)) => self.oids.push(table.id.0),
            Ok(Relation::View(view)) => self.oids.push(view.id.0),
            Ok(Relation::Sequence(sequence)) => self.oids.push(sequence.id.0),
            Ok(Relation::System(..)) | Err(_) => {}
        }
        ControlFlow::Continue(())
    }
}
