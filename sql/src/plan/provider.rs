//! What DataFusion's planner asks for: relations, functions, types, all seen from one statement of one tenant.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result, TableReference, plan_err};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use sightline_storage::catalog::ViewDef;

use super::types::PgTypePlanner;
use super::{
    QueryContext, Relation, composites, domains, enum_functions, functions, json, names, records, sequences, sleep,
};
use crate::authorize::{Action, authorize};
use crate::session::Identity;

/// Views inside views deeper than this are an error: a view can't contain itself, but its text may be replaced.
const VIEW_DEPTH_MAX: usize = 64;

/// One statement's view of names.
pub(super) struct Provider<'a> {
    pub ctx: &'a Arc<QueryContext>,
    pub state: &'a SessionState,
    /// How many views deep.
    pub depth: usize,
    /// Where names without a schema are looked up: the session's `search_path`, or that of the view being planned.
    pub search_path: Vec<String>,
    /// In whose name relations are read: the session's role, or the owner of the view being planned.
    pub reader: Identity,
}

impl Provider<'_> {
    /// The relation of this name, if it may be read: whatever a plan reads comes through here.
    fn relation(&self, name: &TableReference) -> sightline_storage::error::Result<Relation> {
        let parts = match name {
            TableReference::Bare { table } => vec![table.to_string()],
            TableReference::Partial { schema, table } => vec![schema.to_string(), table.to_string()],
            TableReference::Full { catalog, schema, table } => {
                vec![catalog.to_string(), schema.to_string(), table.to_string()]
            }
        };
        let relation = names::find_relation(self.ctx, &self.search_path, &parts)?;
        authorize(&self.reader, Action::Read(&relation))?;
        Ok(relation)
    }

    fn view(&self, view: &Arc<ViewDef>) -> sightline_storage::error::Result<LogicalPlan> {
        if self.depth >= VIEW_DEPTH_MAX {
            return Err(sightline_storage::error::Error::new(
                sightline_storage::error::SqlState::STATEMENT_TOO_COMPLEX,
                format!("views are nested too deeply at \"{}\"", view.name),
            ));
        }
        super::plan_view(self.ctx, view, self.depth + 1)
    }
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let to_df = crate::error::to_datafusion;
        if let Some(call) = crate::files::Call::of_relation(name.table()).filter(|_| name.schema().is_none()) {
            // The beginnings of the files are read here.
            let table = super::aside(true, || crate::files::open(self.ctx, &call)).map_err(to_df)?;
            return Ok(provider_as_source(table));
        }
        match self.relation(&name).map_err(to_df)? {
            Relation::Table(def) => {
                let written = self.ctx.written.as_ref().filter(|_| names::is_written(name.table()));
                let Some(snapshot) = written.or_else(|| self.ctx.snapshot.tables.get(&def.id)) else {
                    return plan_err!("table {} has no snapshot", def.name);
                };
                let tenant = self.ctx.identity.tenant;
                let table = self.ctx.database.plan.table(snapshot.clone(), tenant, &self.ctx.memory);
                // Asked for with the places of its rows.
                let places = def.columns.len() > snapshot.def.columns.len();
                Ok(provider_as_source(if places { table.with_places() } else { table }))
            }
            Relation::View(view) => {
                let plan = self.view(&view).map_err(to_df)?;
                let renamed = LogicalPlanBuilder::from(plan).build()?;
                Ok(provider_as_source(Arc::new(datafusion::datasource::ViewTable::new(renamed, None))))
            }
            Relation::Sequence(def) => {
                Ok(provider_as_source(Arc::new(sequences::SequenceRelation { ctx: self.ctx.clone(), def })))
            }
            Relation::System(schema, table) => match crate::catalog::system_table(self.ctx, schema, &table) {
                Some(provider) => Ok(provider_as_source(provider)),
                None => plan_err!("relation {schema}.{table} is not built"),
            },
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let Some(function) = self.state.table_functions().get(name).cloned() else {
            return Err(crate::error::to_datafusion(functions::undefined(name)));
        };
        let simplifier = ExprSimplifier::new(
            SimplifyContext::builder().with_config_options(Arc::clone(self.state.config_options())).build(),
        );
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| simplifier.coerce(arg, &schema).and_then(|e| simplifier.simplify(e)))
            .collect::<Result<Vec<_>>>()?;
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?;
        Ok(provider_as_source(provider))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PgTypePlanner))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        functions::session_function(self.ctx, name)
            .or_else(|| sleep::function(self.ctx, name))
            .or_else(|| sequences::function(self.ctx, name))
            .or_else(|| enum_functions::find(name))
            .or_else(|| domains::function(self.ctx, name))
            .or_else(|| super::steps::function(name))
            .or_else(|| composites::function(self.ctx, name))
            .or_else(|| records::function(self.ctx, &self.search_path, name))
            .or_else(|| json::subscripts(name))
            .or_else(|| crate::catalog::system_function(self.ctx, name))
            .or_else(|| self.state.scalar_functions().get(name).cloned())
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        let found = self.state.aggregate_functions().get(name).cloned().map(super::intervals::widened);
        if super::has_types(self.ctx) { found.map(super::enums::keeping) } else { found }
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
