//! From a parsed query to a plan that runs: names, PostgreSQL's meaning, DataFusion's planner and optimizer.
//!
//! A query passes through here as follows:
//!
//! 1. [`rewrite`] says in DataFusion's terms what PostgreSQL means: column names, `integer` literals, `reg*` casts.
//! 2. DataFusion's planner makes a logical plan; [`provider`] tells it what names stand for, in one snapshot of one
//!    tenant; [`types`] the types, [`numbers`] those of numbers.
//! 3. [`run()`] puts parameters in, optimises ([`meaning`] is an analyzer rule of ours among DataFusion's: PostgreSQL's
//!    text forms, rounding and overflow), makes the plan physical and streams it under cancel and deadline.

mod agreement;
mod arithmetic;
mod arrays;
mod beside;
mod blanks;
mod cast;
mod columns;
mod composites;
mod ctes;
mod dependent;
mod domains;
mod elements;
mod enum_functions;
mod enums;
mod frames;
mod functions;
mod grouping;
mod guards;
mod intervals;
mod json;
mod kernel;
mod keys;
mod lateral;
mod meaning;
mod membership;
mod multisets;
mod names;
mod numbers;
mod numeric;
mod operators;
mod order;
mod outer;
mod pass;
mod position;
mod provider;
mod records;
mod relations;
mod rewrite;
mod run;
mod sequences;
mod series;
mod shared;
mod sleep;
mod steps;
mod temporal;
mod ties;
mod types;
mod user_types;
mod yielding;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::table::COLUMNS_MAX;
use sightline_storage::catalog::{MetaCatalog, SequenceDef, TableDef, ViewDef};
use sightline_storage::engine::TenantSnapshot;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::RoleId;
use sightline_storage::snapshot::TableSnapshot;
use sightline_storage::types::SqlType;

use crate::analysis::Meanings;
use crate::answer::Column;
use crate::authorize::{Action, Allowed, authorize};
use crate::database::{Database, identity_of};
use crate::error::from_datafusion;
use crate::memory::StatementMemory;
use crate::sequence::Drawn;
use crate::session::{Identity, Limits};
use crate::settings::Settings;

pub use cast::{assignment_cast, compile, evaluate, unassignable};
pub(crate) use columns::column_name;
pub use columns::type_name;
pub(crate) use ctes::shared_plans;
pub(crate) use domains::{DomainChecks, VALUE, column_default};
pub(crate) use names::{TEMPORARY, target_name, written_name};
pub use names::{find_index, find_index_by_parts, fold, resolve_creation, resolve_relation, resolve_temporary};
pub use position::positioned;
pub(crate) use rewrite::{is_row, needs_type};
pub(crate) use run::conform;
pub use run::{explain, run};
pub(crate) use sequences::{COLUMNS as SEQUENCE_COLUMNS, NAMES as SEQUENCE_FUNCTIONS, may_draw};
pub use shared::Shared;
pub(crate) use sleep::NAMES as SLEEPS;
pub use types::sql_type;
pub use user_types::{cast_to, sql_type_in, types_of, user_type};

/// All that a statement sees while it is planned and run: one snapshot, one identity, the settings as of its start.
pub struct QueryContext {
    pub database: Arc<Database>,
    /// The tenant's state, a transaction's own writes included.
    pub snapshot: Arc<TenantSnapshot>,
    pub meta: Arc<MetaCatalog>,
    pub identity: Identity,
    pub settings: Arc<Settings>,
    /// The session's process id.
    pub pid: i32,
    /// `now()`: the start of the transaction, microseconds since 1970.
    pub now_us: i64,
    /// Stop the statement.
    pub limits: Limits,
    /// What it holds.
    pub memory: Arc<StatementMemory>,
    /// What the session has drawn from sequences.
    pub(crate) drawn: Arc<Drawn>,
    /// The statement is long, so planning it may take a while.
    pub long: bool,
    /// Rows that the statement is writing, while they are held against the keys of their table.
    pub(crate) written: Option<Arc<TableSnapshot>>,
}

impl QueryContext {
    /// Whether there is a table with a primary key.
    fn has_keys(&self) -> bool {
        self.snapshot.catalog.tables.values().any(|t| t.primary_key().is_some())
    }

    /// The schemas that names without one are looked up in, in order; `"$user"` is put in.
    pub fn search_path(&self) -> Vec<String> {
        let user = &self.identity.role_name;
        self.settings.search_path().into_iter().map(|s| if s == "$user" { user.clone() } else { s }).collect()
    }

    /// Where relations without a schema are looked up: [`search_path`](QueryContext::search_path), and in front of it the
    /// session's temporary relations, if it has any and the path doesn't name them itself.
    pub fn relation_path(&self) -> Vec<String> {
        let mut path = self.search_path();
        let has_any = self.snapshot.catalog.schemas.contains_key(&self.temporary_name());
        if has_any && !path.iter().any(|s| s == TEMPORARY) {
            path.insert(0, TEMPORARY.to_string());
        }
        path
    }

    /// The schema of the session's temporary relations, which may not exist.
    pub fn temporary_name(&self) -> String {
        format!("{TEMPORARY}_{}", self.pid)
    }

    /// Who a role of the tenant is, or an operator.
    ///
    /// # Errors
    /// 42704 if there is no such role, 3D000 if the tenant is gone.
    pub fn identity_of(&self, role: RoleId) -> Result<Identity> {
        identity_of(&self.meta, &self.snapshot, role)
    }

    /// For a look at whether a view still plans, nothing more: with its `search_path`, and without regard to rights.
    ///
    /// # Errors
    /// 22023 for a `search_path` that can't be set.
    pub fn of_view(&self, view: &ViewDef) -> Result<QueryContext> {
        let mut settings = (*self.settings).clone();
        settings.set("search_path", Some(&view.search_path))?;
        Ok(QueryContext {
            database: self.database.clone(),
            snapshot: self.snapshot.clone(),
            meta: self.meta.clone(),
            identity: Identity { superuser: true, read_files: true, ..self.identity.clone() },
            settings: Arc::new(settings),
            pid: self.pid,
            now_us: self.now_us,
            limits: self.limits.clone(),
            memory: self.memory.clone(),
            drawn: self.drawn.clone(),
            long: self.long,
            written: None,
        })
    }

    /// The same statement, looking at another state and at rows that it is writing.
    pub(crate) fn looking_at(
        &self,
        snapshot: Arc<TenantSnapshot>,
        written: Option<Arc<TableSnapshot>>,
    ) -> QueryContext {
        QueryContext {
            database: self.database.clone(),
            snapshot,
            meta: self.meta.clone(),
            identity: self.identity.clone(),
            settings: self.settings.clone(),
            pid: self.pid,
            now_us: self.now_us,
            limits: self.limits.clone(),
            memory: self.memory.clone(),
            long: self.long,
            drawn: self.drawn.clone(),
            written,
        }
    }
}

impl std::fmt::Debug for QueryContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryContext").field("identity", &self.identity).field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A planned query.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Placeholders `$1` … still inside.
    pub plan: LogicalPlan,
    pub columns: Arc<[Column]>,
    pub parameters: Vec<SqlType>,
    /// What it reads may be read.
    pub allowed: Allowed,
}

/// What a name in FROM can be.
#[derive(Clone, Debug)]
pub enum Relation {
    Table(Arc<TableDef>),
    View(Arc<ViewDef>),
    Sequence(Arc<SequenceDef>),
    /// A relation of `pg_catalog`, `information_schema` or `sys`: schema and name.
    System(&'static str, String),
}

fn parser_options() -> ParserOptions {
    ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_map_string_types_to_utf8view(true)
        .with_support_varchar_with_length(true)
}

/// Plans a query (SELECT, VALUES, WITH …). `declared` are parameter types the client gave.
///
/// # Errors
/// All that PostgreSQL's analysis finds: 42P01, 42703, 42883, 42803 …; 0A000 for what DataFusion can't plan.
pub fn plan_query(ctx: &Arc<QueryContext>, query: &ast::Query, declared: &[Option<SqlType>]) -> Result<Planned> {
    aside(ctx.long, || plan_here(ctx, query, declared))
}

/// Does work that takes a while, and that nothing can interrupt, so that the other tasks of this thread go on elsewhere.
pub(crate) fn aside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let moves = || Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
    if long && moves() { tokio::task::block_in_place(work) } else { work() }
}

fn plan_here(ctx: &Arc<QueryContext>, query: &ast::Query, declared: &[Option<SqlType>]) -> Result<Planned> {
    let mut query = query.clone();
    user_types::resolve(ctx, &ctx.relation_path(), &mut query);
    let meanings = match rewrite::needs_meanings(&query, || ctx.has_keys()) {
        true => crate::analysis::meanings(ctx, &query, declared),
        false => Meanings::default(),
    };
    let learned = rewrite::rewrite(&mut query, &meanings);
    let count = learned.count.max(declared.len());
    let known = |n: usize| declared.get(n).cloned().flatten().or_else(|| learned.parameters.get(&(n + 1)).cloned());
    let fields = (0..count).map(|n| known(n).map(|t| t.field_ref(""))).collect::<Vec<_>>();
    learned.check()?;
    let plan = to_plan(ctx, query.clone(), fields, &Reading::session(ctx))?;
    let found = found_parameters(&plan)?;
    if found.iter().any(|(n, _)| known(*n).is_none()) {
        let told = |n: usize| known(n).or_else(|| found.iter().find(|(m, _)| *m == n).map(|(_, t)| t.clone()));
        let declared = (0..count).map(told).collect::<Vec<_>>();
        return plan_rewritten(ctx, query, &declared);
    }
    finished(ctx, plan, count, known)
}

/// Plans a query that [`rewrite`] has been over, with more known of its parameters.
fn plan_rewritten(ctx: &Arc<QueryContext>, query: ast::Query, declared: &[Option<SqlType>]) -> Result<Planned> {
    let fields = declared.iter().map(|t| t.as_ref().map(|t| t.field_ref(""))).collect();
    let plan = to_plan(ctx, query, fields, &Reading::session(ctx))?;
    finished(ctx, plan, declared.len(), |n| declared.get(n).cloned().flatten())
}

/// Parameters that `x = ANY ($1)` makes an array of x's type, and those that `coalesce($1, 5)` and its kin give the type of
/// what they stand among, by number from 0.
fn found_parameters(plan: &LogicalPlan) -> Result<Vec<(usize, SqlType)>> {
    let mut found = Vec::new();
    let parts = ctes::parts(plan).map_err(from_datafusion)?;
    let looked = parts.iter().try_for_each(|part| {
        part.apply_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            node.apply_expressions(|expr| {
                expr.apply(|e| {
                    if let Expr::ScalarFunction(call) = e
                        && let [item, Expr::Placeholder(array)] = call.args.as_slice()
                        && (call.func.name().starts_with("any_") || call.func.name().starts_with("all_"))
                        && let Ok(n) = array.id.trim_start_matches('$').parse::<usize>()
                        && let Ok((_, field)) = item.to_field(&schema)
                    {
                        found.push((n - 1, SqlType::Array(Box::new(SqlType::of_field(&field)))));
                    }
                    found.extend(agreement::parameters(e, &schema));
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })
        .map(drop)
    });
    looked.map_err(from_datafusion)?;
    Ok(found)
}

/// The most columns of a result: two of the widest tables side by side (PostgreSQL's limit is 1664).
const TARGETS_MAX: usize = 2 * COLUMNS_MAX;

fn finished(
    ctx: &Arc<QueryContext>,
    plan: LogicalPlan,
    count: usize,
    known: impl Fn(usize) -> Option<SqlType>,
) -> Result<Planned> {
    if plan.schema().fields().len() > TARGETS_MAX {
        let message = format!("target lists can have at most {TARGETS_MAX} entries");
        return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let parameters = parameter_types(&plan, count, known)?;
    let plan = analyzed(ctx, plan, count > 0)?;
    let columns = output_columns(ctx, &plan);
    // Each relation was checked when its name was looked up.
    let allowed = authorize(&ctx.identity, Action::OwnSession)?;
    Ok(Planned { plan, columns, parameters, allowed })
}

/// The plan with types coerced, so that its columns have the types they will have. Parameters without a type yet can
/// stand in the way: then the types are those of the bare plan.
fn analyzed(ctx: &Arc<QueryContext>, plan: LogicalPlan, parameters: bool) -> Result<LogicalPlan> {
    let ready = ctx.database.plan.state(&ctx.settings);
    let analyzer = ready.state.analyzer();
    match analyzer.execute_and_check(plan.clone(), ready.state.config_options(), |_, _| {}) {
        Ok(plan) => Ok(plan),
        Err(_) if parameters => Ok(plan),
        Err(e) => Err(from_datafusion(e)),
    }
}

/// How a query looks names up, and in whose name it reads.
struct Reading {
    /// How many views deep.
    depth: usize,
    search_path: Vec<String>,
    reader: Identity,
}

impl Reading {
    fn session(ctx: &QueryContext) -> Reading {
        Reading { depth: 0, search_path: ctx.relation_path(), reader: ctx.identity.clone() }
    }

    fn view(ctx: &QueryContext, view: &ViewDef, depth: usize) -> Result<Reading> {
        Ok(Reading { depth, search_path: view.search_path.clone(), reader: ctx.identity_of(view.owner)? })
    }

    fn provider<'a>(&self, ctx: &'a Arc<QueryContext>, state: &'a SessionState) -> provider::Provider<'a> {
        let Reading { depth, search_path, reader } = self;
        provider::Provider { ctx, state, depth: *depth, search_path: search_path.clone(), reader: reader.clone() }
    }
}

fn to_plan(
    ctx: &Arc<QueryContext>,
    query: ast::Query,
    parameters: Vec<Option<FieldRef>>,
    reading: &Reading,
) -> Result<LogicalPlan> {
    let ready = ctx.database.plan.state(&ctx.settings);
    let provider = reading.provider(ctx, &ready.state);
    let planner = SqlToRel::new_with_options(&provider, parser_options());
    let mut context = PlannerContext::new().with_prepare_param_data_types(parameters);
    let asked = relations::asked(&query);
    let statement = ast::Statement::Query(Box::new(query));
    let plan = planner.sql_statement_to_plan_with_context(statement, &mut context).map_err(from_datafusion)?;
    relations::unambiguous(&plan, &asked).map_err(from_datafusion)?;
    let plan = ctes::resolved(plan, &ctx.limits, &|plan| {
        relations::unambiguous(&plan, &asked).map_err(from_datafusion)?;
        let parameters = !plan.get_parameter_names().map_err(from_datafusion)?.is_empty();
        analyzed(ctx, meant(ctx, plan)?, parameters)
    });
    meant(ctx, plan.map_err(from_datafusion)?)
}

/// The planner's plan with PostgreSQL's meaning.
fn meant(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = relations::merged(plan)
        .and_then(grouping::projected)
        .and_then(order::inherited)
        .and_then(elements::told)
        .map_err(from_datafusion)?;
    let plan = match has_types(ctx) {
        true => enums::typed(plan).and_then(elements::told).map_err(from_datafusion)?,
        false => plan,
    };
    agreement::check(&plan).map_err(from_datafusion)?;
    let style = style_now(ctx);
    let plan = beside::typed(plan)
        .and_then(agreement::resolved)
        .and_then(|plan| intervals::resolved(plan, &style))
        .and_then(multisets::counted)
        .and_then(numbers::chosen)
        .and_then(records::tested)
        .and_then(json::typed)
        .and_then(keys::keyed)
        .and_then(|plan| frames::framed(plan, ctx))
        .map_err(from_datafusion)?;
    let plan = blanks::insignificant(plan).and_then(sequences::behind_sorts).map_err(from_datafusion)?;
    dependent::rewrite(ctx, lateral::rewrite(ctx, plan)?)
}

/// Whether the tenant has types of its own, for which a plan is looked through.
fn has_types(ctx: &QueryContext) -> bool {
    !ctx.snapshot.catalog.types.is_empty()
}

/// The session's style, which knows what time it is.
fn style_now(ctx: &QueryContext) -> crate::codec::Style {
    crate::codec::Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() }
}

/// The plan of a view's query, its columns under the view's names.
fn plan_view(ctx: &Arc<QueryContext>, view: &Arc<ViewDef>, depth: usize) -> Result<LogicalPlan> {
    let mut query = crate::parser::query(&view.query)?;
    user_types::resolve(ctx, &view.search_path, &mut query);
    let meanings = match rewrite::needs_meanings(&query, || ctx.has_keys()) {
        true => crate::analysis::meanings(&Arc::new(ctx.of_view(view)?), &query, &[]),
        false => Meanings::default(),
    };
    let learned = rewrite::rewrite_view(&mut query, &view.name, &meanings);
    learned.check()?;
    let plan = to_plan(ctx, query, vec![], &Reading::view(ctx, view, depth)?)?;
    let exprs = plan
        .schema()
        .columns()
        .into_iter()
        .zip(&view.columns)
        .map(|(column, (name, _))| Expr::Column(column).alias(name))
        .collect::<Vec<_>>();
    datafusion::logical_expr::LogicalPlanBuilder::from(plan)
        .project(exprs)
        .and_then(|b| b.build())
        .map_err(from_datafusion)
}

fn parameter_types(plan: &LogicalPlan, count: usize, known: impl Fn(usize) -> Option<SqlType>) -> Result<Vec<SqlType>> {
    let mut found = HashMap::new();
    for part in ctes::parts(plan).map_err(from_datafusion)? {
        for (name, field) in part.get_parameter_fields().map_err(from_datafusion)? {
            let known: &mut Option<FieldRef> = found.entry(name).or_default();
            *known = known.take().or(field);
        }
    }
    let of = |n: usize| {
        known(n).unwrap_or_else(|| match found.get(&format!("${}", n + 1)) {
            Some(Some(field)) if *field.data_type() != DataType::Null => SqlType::of_field(field),
            _ => SqlType::Text,
        })
    };
    Ok((0..count).map(of).collect())
}

/// The columns a client sees.
fn output_columns(ctx: &QueryContext, plan: &LogicalPlan) -> Arc<[Column]> {
    let schema = plan.schema();
    let origins = columns::origins(ctx, plan);
    schema
        .fields()
        .iter()
        .enumerate()
        .map(|(n, field)| {
            let (table, number) = origins.get(n).copied().flatten().unwrap_or((0, 0));
            let ty = match crate::catalog::is_vector(table, number) {
                true => SqlType::Text,
                false => SqlType::of_field(field),
            };
            Column { name: columns::unhide(field.name()).to_string(), ty, table, number }
        })
        .collect()
}

/// A column's name as users know it, for messages.
pub(crate) fn column_shown(name: &str) -> &str {
    columns::unhide(name)
}

/// An Arrow type's name in a message of DataFusion's, as PostgreSQL calls it.
pub(crate) fn arrow_name_shown(name: &str) -> String {
    match name.parse::<DataType>() {
        Ok(ty) => match SqlType::from_arrow(&ty) {
            SqlType::Numeric(_) => "numeric".to_string(),
            other => other.to_string(),
        },
        Err(_) => name.to_string(),
    }
}

/// Plans one expression over the columns of `schema`, e.g. a DEFAULT (empty schema) or a CHECK.
///
/// # Errors
/// As [`plan_query`]; 0A000 for a subquery, 42803 for an aggregate.
pub fn plan_expr(ctx: &Arc<QueryContext>, expr: &ast::Expr, schema: &DFSchema) -> Result<Expr> {
    let mut expr = expr.clone();
    user_types::resolve(ctx, &ctx.relation_path(), &mut expr);
    rewrite::rewrite_expr(&mut expr).check()?;
    let mut subquery = false;
    let _: ControlFlow<()> = ast::visit_expressions(&expr, |e| {
        subquery |= matches!(e, ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. });
        ControlFlow::Continue(())
    });
    if subquery {
        return Err(Error::unsupported("cannot use subquery in this expression"));
    }
    let ready = ctx.database.plan.state(&ctx.settings);
    let provider = Reading::session(ctx).provider(ctx, &ready.state);
    let planner = SqlToRel::new_with_options(&provider, parser_options());
    let planned = planner.sql_to_expr(expr, schema, &mut PlannerContext::new()).map_err(from_datafusion)?;
    let planned = if has_types(ctx) { enums::typed_in(planned, schema).map_err(from_datafusion)? } else { planned };
    agreement::check_in(&planned, schema).map_err(from_datafusion)?;
    let planned = beside::typed_in(planned, schema)
        .and_then(|e| agreement::resolved_in(e, schema))
        .and_then(|e| intervals::resolved_in(e, schema, &style_now(ctx)))
        .and_then(|e| numbers::chosen_in(e, schema))
        .and_then(|e| json::typed_in(e, schema))
        .and_then(|e| keys::keyed_in(e, schema))
        .map_err(from_datafusion)?;
    let planned = blanks::insignificant_in(planned, schema).map_err(from_datafusion)?;
    let mut aggregate = false;
    TreeNode::apply(&planned, |e: &Expr| {
        aggregate |= matches!(e, Expr::AggregateFunction(_) | Expr::WindowFunction(_));
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    if aggregate {
        return Err(Error::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in this expression"));
    }
    Ok(planned)
}
