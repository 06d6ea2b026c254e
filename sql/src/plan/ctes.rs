//! WITH queries that are named more than once are computed once, as in PostgreSQL: then `random()` in one answers the same
//! wherever it is read, and a chain of queries that each name the last one twice costs as many steps as it has queries
//! (<https://www.postgresql.org/docs/15/queries-with.html#id-1.5.6.12.7>).
//!
//! `rewrite/with.rs` puts such a query under the alias [`MARK`]. There the planner finds a relation that only knows its
//! columns ([`Opaque`]), so that nobody looks into the query once for each name. When the query around is planned, each
//! of them is planned to its end and becomes a [`Shared`], whose rows are kept in memory, or on disk once that is full.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ParamValues, Result, exec_datafusion_err};
use datafusion::datasource::{DefaultTableSource, source_as_provider};
use datafusion::execution::SpillFile;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScanBuilder, TableSource, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr, PlanProperties,
    SpillManager,
};
use futures::future::{BoxFuture, FutureExt, Shared as SharedFuture};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::yielding::yielding;
use crate::error::to_datafusion;
use crate::session::Limits;

/// The alias of a query that is named more than once. No user can write it: it begins with a control character that the
/// planner keeps for itself.
pub(super) const MARK: &str = "\u{1}with";

/// The relation that a query under [`MARK`] is while the query around it is planned.
///
/// # Errors
/// Those of building a scan, which there are none of.
pub(super) fn opaque(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !is_worth(&plan)? {
        return Ok(plan);
    }
    let plan = LogicalPlanBuilder::from(plan).alias(MARK)?.build()?;
    let schema = nullable(&plan);
    LogicalPlanBuilder::scan(MARK, Arc::new(Opaque { plan, schema }), None)?.build()
}

/// Whether the query is computed once: one that only picks rows and columns of one relation is quicker where it is read,
/// and one with columns of the query around is not the same everywhere.
fn is_worth(plan: &LogicalPlan) -> Result<bool> {
    if !super::outer::free(plan)?.is_empty() {
        return Ok(false);
    }
    let (mut worth, mut working) = (false, false);
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => {}
            LogicalPlan::TableScan(scan) => {
                working |= source_as_provider(&scan.source).is_ok_and(|p| p.is::<CteWorkTable>());
            }
            // Its working table is inside of it.
            LogicalPlan::RecursiveQuery(_) => {
                worth = true;
                return Ok(TreeNodeRecursion::Jump);
            }
            _ => worth = true,
        }
        node.apply_expressions(|expr| {
            worth |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(worth && !working)
}

fn nullable(plan: &LogicalPlan) -> SchemaRef {
    let schema = plan.schema();
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A query of which only the columns are known yet.
#[derive(Debug)]
struct Opaque {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for Opaque {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }
}

/// The plan with all such queries planned by `finish`.
///
/// # Errors
/// Those of `finish`; 57014 once the statement is stopped, for a chain of them takes a while.
pub(super) fn resolved(
    plan: LogicalPlan,
    limits: &Limits,
    finish: &dyn Fn(LogicalPlan) -> sightline_storage::error::Result<LogicalPlan>,
) -> Result<LogicalPlan> {
    Resolve { finish, limits, known: HashMap::new() }.within(plan)
}

type Source = Arc<dyn TableSource>;

struct Resolve<'a> {
    limits: &'a Limits,
    finish: &'a dyn Fn(LogicalPlan) -> sightline_storage::error::Result<LogicalPlan>,
    /// By the address of the opaque source, which is kept beside: so nothing else comes to lie there.
    known: HashMap<usize, (Source, Source)>,
}

impl Resolve<'_> {
    fn within(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let done = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) if scan.source.is::<Opaque>() => {
                let source = self.source(&scan.source)?;
                let scan = TableScanBuilder::new(scan.table_name, source).build()?;
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        if !done.transformed {
            return Ok(done.data);
        }
        // The types of its columns may be others than the planner took them for.
        done.data.transform_up_with_subqueries(|node| node.recompute_schema().map(Transformed::yes)).map(|t| t.data)
    }

    fn source(&mut self, source: &Source) -> Result<Source> {
        let at = Arc::as_ptr(source).cast::<()>() as usize;
        if let Some((_, made)) = self.known.get(&at) {
            return Ok(made.clone());
        }
        self.limits.check().map_err(to_datafusion)?;
        let Some(opaque) = source.downcast_ref::<Opaque>() else { return Ok(source.clone()) };
        let inner = self.within(opaque.plan.clone())?;
        let plan = (self.finish)(inner).map_err(to_datafusion)?;
        let schema = nullable(&plan);
        let shared: Arc<dyn TableProvider> =
            Arc::new(Shared { number: self.known.len() + 1, plan, schema, rows: OnceCell::new() });
        let made: Source = Arc::new(DefaultTableSource::new(shared));
        self.known.insert(at, (source.clone(), made.clone()));
        Ok(made)
    }
}

/// The plan of the query that a relation is, if it is one.
pub(super) fn inside(provider: &dyn TableProvider) -> Option<&LogicalPlan> {
    provider.downcast_ref::<Shared>().map(|shared| &shared.plan)
}

/// The plan, and those of the queries that it reads, each once.
pub(super) fn parts(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    let (mut all, mut seen) = (vec![plan.clone()], HashSet::new());
    let mut next = 0;
    while next < all.len() {
        let mut found = Vec::new();
        all[next].apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Ok(provider) = source_as_provider(&scan.source)
                && let Some(inner) = inside(provider.as_ref())
                && seen.insert(std::ptr::from_ref(inner) as usize)
            {
                found.push(inner.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        all.extend(found);
        next += 1;
    }
    Ok(all)
}

/// The plan with values for its parameters, those of the queries that it reads included.
pub(super) fn with_parameters(plan: LogicalPlan, values: &ParamValues) -> Result<LogicalPlan> {
    fn bound(
        plan: LogicalPlan,
        values: &ParamValues,
        known: &mut HashMap<usize, (Source, Source)>,
    ) -> Result<LogicalPlan> {
        let done = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => {
                let Ok(provider) = source_as_provider(&scan.source) else {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                };
                let Some(shared) = provider.downcast_ref::<Shared>() else {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                };
                let at = std::ptr::from_ref(shared) as usize;
                let made = match known.get(&at) {
                    Some((_, made)) => made.clone(),
                    None => {
                        let plan = bound(shared.plan.clone(), values, known)?;
                        let schema = shared.schema.clone();
                        let shared = Shared { number: shared.number, plan, schema, rows: OnceCell::new() };
                        let made: Source = Arc::new(DefaultTableSource::new(Arc::new(shared)));
                        known.insert(at, (scan.source.clone(), made.clone()));
                        made
                    }
                };
                scan.source = made;
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        done.data.replace_params_with_values(values)
    }
    bound(plan, values, &mut HashMap::new())
}

/// A query of which all scans within one statement read the same rows.
#[derive(Debug)]
struct Shared {
    number: usize,
    plan: LogicalPlan,
    schema: SchemaRef,
    rows: OnceCell<Arc<Rows>>,
}

#[async_trait]
impl TableProvider for Shared {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let made = self.rows.get_or_try_init(|| async {
            let input = yielding(state.create_physical_plan(&self.plan).await?).map_err(to_datafusion)?;
            Ok::<_, DataFusionError>(Arc::new(Rows {
                number: self.number,
                input,
                schema: self.schema.clone(),
                filled: Mutex::new(None),
            }))
        });
        let rows = made.await?.clone();
        let all = || (0..self.schema.fields().len()).collect();
        let projection = projection.cloned().unwrap_or_else(all);
        Ok(Arc::new(SharedScan::new(rows, projection)?))
    }
}

/// The rows of such a query, of each partition of its plan by itself.
struct Rows {
    /// Within the statement, from 1.
    number: usize,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    filled: Mutex<Option<Filled>>,
}

type Filled = SharedFuture<BoxFuture<'static, Result<Arc<Vec<Kept>>, Arc<DataFusionError>>>>;

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("input", &self.input.name()).finish_non_exhaustive()
    }
}

/// What is kept of one partition.
struct Kept {
    batches: Vec<RecordBatch>,
    /// What came when the memory was full.
    spilled: Option<(SpillManager, Arc<dyn SpillFile>)>,
    _held: datafusion::execution::memory_pool::MemoryReservation,
}

impl Rows {
    fn name(&self) -> String {
        format!("WITH query {}", self.number)
    }

    /// The rows, which whoever asks first has computed.
    fn filled(self: &Arc<Self>, context: &Arc<TaskContext>) -> Filled {
        let mut filled = self.filled.lock();
        if let Some(filled) = filled.as_ref() {
            return filled.clone();
        }
        let (input, schema, context) = (self.input.clone(), self.schema.clone(), context.clone());
        let made = fill(input, schema, context).map(|done| done.map(Arc::new).map_err(Arc::new)).boxed().shared();
        *filled = Some(made.clone());
        made
    }
}

async fn fill(input: Arc<dyn ExecutionPlan>, schema: SchemaRef, context: Arc<TaskContext>) -> Result<Vec<Kept>> {
    let metrics = ExecutionPlanMetricsSet::new();
    let mut tasks = JoinSet::new();
    for partition in 0..input.output_partitioning().partition_count() {
        let stream = input.execute(partition, context.clone())?;
        let spill = SpillMetrics::new(&metrics, partition);
        let spill = SpillManager::new(context.runtime_env(), spill, schema.clone());
        let held = MemoryConsumer::new("WITH query").with_can_spill(true).register(context.memory_pool());
        let schema = schema.clone();
        tasks.spawn(async move { Ok::<_, DataFusionError>((partition, keep(stream, schema, spill, held).await?)) });
    }
    let mut kept = Vec::new();
    while let Some(done) = tasks.join_next().await {
        kept.push(done.map_err(|e| exec_datafusion_err!("a WITH query stopped: {e}"))??);
    }
    kept.sort_by_key(|(partition, _)| *partition);
    Ok(kept.into_iter().map(|(_, kept)| kept).collect())
}

async fn keep(
    mut stream: SendableRecordBatchStream,
    schema: SchemaRef,
    manager: SpillManager,
    held: datafusion::execution::memory_pool::MemoryReservation,
) -> Result<Kept> {
    let mut batches = Vec::new();
    let mut file = None;
    while let Some(batch) = stream.next().await.transpose()? {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)?;
        if file.is_none() && held.try_grow(batch.get_array_memory_size()).is_ok() {
            batches.push(batch);
            continue;
        }
        if file.is_none() {
            file = Some(manager.create_in_progress_file("WITH query")?);
        }
        if let Some(file) = &mut file {
            file.append_batch(&batch)?;
        }
    }
    let spilled = match &mut file {
        Some(file) => file.finish()?.map(|file| (manager, file)),
        None => None,
    };
    Ok(Kept { batches, spilled, _held: held })
}

/// One reading of such rows.
#[derive(Debug)]
struct SharedScan {
    rows: Arc<Rows>,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl SharedScan {
    fn new(rows: Arc<Rows>, projection: Vec<usize>) -> Result<SharedScan> {
        let schema = Arc::new(rows.schema.project(&projection)?);
        let partitions = rows.input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(SharedScan { rows, projection, properties: Arc::new(properties) })
    }
}

impl DisplayAs for SharedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let names = schema.fields().iter().map(|f| super::columns::unhide(f.name())).collect::<Vec<_>>();
        write!(f, "SharedScan: {}, columns=[{}]", self.rows.name(), names.join(", "))
    }
}

impl ExecutionPlan for SharedScan {
    fn name(&self) -> &'static str {
        "SharedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rows, projection) = (self.rows.clone(), self.projection.clone());
        let filled = rows.filled(&context);
        let stream = futures::stream::once(async move {
            let filled = filled.await.map_err(DataFusionError::Shared)?;
            let count = filled[partition].batches.len();
            let spilled = match &filled[partition].spilled {
                Some((manager, file)) => manager.read_spill_as_stream(file.clone(), None)?,
                None => Box::pin(RecordBatchStreamAdapter::new(rows.schema.clone(), futures::stream::empty())),
            };
            let kept = (0..count).map(move |n| Ok(filled[partition].batches[n].clone()));
            let all = futures::stream::iter(kept).chain(spilled);
            Ok::<_, DataFusionError>(all.map(move |b| Ok(b?.project(&projection)?)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream.try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        None
    }
}

/// The plans of such queries that a physical plan reads, each once and inner ones first, with the names by which their
/// scans are told apart: for EXPLAIN.
pub(crate) fn shared_plans(plan: &Arc<dyn ExecutionPlan>) -> Vec<(String, Arc<dyn ExecutionPlan>)> {
    fn walk(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<(String, Arc<dyn ExecutionPlan>)>) {
        if let Some(scan) = plan.downcast_ref::<SharedScan>() {
            let rows = &scan.rows;
            if !found.iter().any(|(_, known)| Arc::ptr_eq(known, &rows.input)) {
                walk(&rows.input, found);
                found.push((rows.name(), rows.input.clone()));
            }
        }
        plan.children().into_iter().for_each(|child| walk(child, found));
    }
    let mut found = Vec::new();
    walk(plan, &mut found);
    found
}
