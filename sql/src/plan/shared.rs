//! What all statements of a node share to plan and run: functions, optimizer rules, the runtime with its memory pool.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::Analyzer;
use datafusion::prelude::SessionConfig;
use object_store::ObjectStore;
use parking_lot::Mutex;
use sightline_storage::budget::{Holder, Sizes};
use sightline_storage::engine::Engine;
use sightline_storage::error::Result;
use sightline_storage::ids::TenantId;
use sightline_storage::table::TableSnapshot;

use super::arrays::Arrays;
use super::guards::Guards;
use super::json::JsonOperators;
use super::meaning::Meaning;
use super::operators::Operators;
use super::records::Records;
use super::relations::Relations;
use super::ties::Ties;
use crate::catalog::table::{Table, TableOptions};
use crate::database::DatabaseOptions;
use crate::error::from_datafusion;
use crate::memory::{Memory, Owner, StatementMemory};
use crate::settings::Settings;

/// The most states kept, one a combination of settings that change a plan.
const STATES_MAX: usize = 256;
/// Plans that read fewer rows run in one partition: splitting costs more than it gains.
pub(super) const SMALL_ROWS: usize = 100_000;

/// The planning state of a node.
pub struct Shared {
    runtime: Arc<RuntimeEnv>,
    objects: Arc<dyn ObjectStore>,
    tables: TableOptions,
    threads: usize,
    sort_reserve: usize,
    states: Mutex<HashMap<(String, bool), Arc<Ready>>>,
}

/// A state, made once: it holds large maps of functions.
pub(super) struct Ready {
    pub state: SessionState,
    /// What tasks take of it: no maps of functions, as these would be copied for each statement.
    task: Task,
}

impl Shared {
    /// Makes the runtime over the engine's objects.
    ///
    /// # Errors
    /// XX000 if DataFusion refuses the settings.
    pub(crate) fn new(engine: &Engine, options: &DatabaseOptions, memory: &Arc<Memory>) -> Result<Shared> {
        let cache = Sizes::new(memory.budget().limit()).metadata_cache;
        memory.budget().take(Holder::Caches, cache);
        let node = memory.statement(Owner::node());
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(node.pool())
            .with_metadata_cache_limit(usize::try_from(cache).unwrap_or(usize::MAX))
            .build_arc()
            .map_err(from_datafusion)?;
        let objects = engine.objects();
        crate::exec::scan::register_objects(&runtime, objects.clone());
        let cores = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        let threads = if options.threads == 0 { cores } else { options.threads };
        let (tables, states) = (TableOptions::default(), Mutex::default());
        Ok(Shared { runtime, objects, tables, threads, sort_reserve: node.sort_reserve(), states })
    }

    /// What the runtimes of all statements have in common.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// A table as the plans of a statement see it.
    pub(super) fn table(&self, snapshot: Arc<TableSnapshot>, tenant: TenantId, memory: &StatementMemory) -> Arc<Table> {
        let options = TableOptions { memory: Some(memory.pool()), ..self.tables.clone() };
        Table::new(snapshot, tenant, self.objects.clone(), options)
    }

    /// The state for these settings, for plans of any size.
    pub(super) fn state(&self, settings: &Settings) -> Arc<Ready> {
        self.ready(settings, false)
    }

    /// The state for these settings; `small` plans run in one partition.
    pub(super) fn ready(&self, settings: &Settings, small: bool) -> Arc<Ready> {
        let key = (format!("{:?}", settings.format()), small);
        let mut states = self.states.lock();
        if let Some(found) = states.get(&key) {
            return found.clone();
        }
        if states.len() >= STATES_MAX {
            states.clear();
        }
        let made = Arc::new(self.make(settings, small));
        states.insert(key, made.clone());
        made
    }

    fn make(&self, settings: &Settings, small: bool) -> Ready {
        let mut config = SessionConfig::new()
            .with_target_partitions(if small { 1 } else { self.threads })
            .with_information_schema(false)
            .with_create_default_catalog_and_schema(false);
        let options = config.options_mut();
        options.sql_parser.default_null_ordering = "nulls_max".to_string();
        options.sql_parser.parse_float_as_decimal = true;
        // Who sorts a subquery wants its rows in that order, also where no LIMIT makes it count.
        options.sql_parser.enable_subquery_sort_elimination = false;
        options.execution.time_zone = Some(settings.time_zone().to_string());
        options.execution.parquet.pushdown_filters = false;
        options.execution.parquet.bloom_filter_on_read = true;
        options.execution.collect_statistics = true;
        options.execution.sort_spill_reservation_bytes = self.sort_reserve;
        options.explain.logical_plan_only = false;
        let mut rules = Analyzer::new().rules;
        rules.push(Arc::new(Meaning::new(settings.format())));
        let mut builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .with_analyzer_rules(rules)
            .with_physical_optimizer_rule(Arc::new(Guards))
            .with_physical_optimizer_rule(Arc::new(Ties));
        let planners =
            [Arc::new(Records) as _, Arc::new(JsonOperators) as _, Arc::new(Arrays) as _, Arc::new(Operators) as _];
        builder.expr_planners().get_or_insert_default().splice(0..0, planners);
        let state = builder.with_relation_planners(vec![Arc::new(Relations)]).build();
        let context = SessionContext::new_with_state(state);
        for function in sightline_functions::register_all() {
            context.register_udf(function.as_ref().clone());
        }
        context.register_udf(super::series::generate_series());
        context.register_udf(super::multisets::with_ties_function());
        context.register_udf(super::beside::beside_function());
        context.register_udf(super::frames::mark_function());
        for function in super::json::functions(&settings.format()) {
            context.register_udf(function);
        }
        for function in sightline_functions::register_all_aggregates() {
            context.register_udaf(function.as_ref().clone());
        }
        super::numeric::wrapped(&context);
        super::numeric::aggregates(&context);
        let state = context.state();
        let config = state.config().clone();
        let task = Task { session: state.session_id().to_string(), last: Mutex::new(config.clone()), config };
        Ready { state, task }
    }
}

impl Ready {
    /// Where a statement runs.
    pub(super) fn task(&self, memory: &StatementMemory, shared: &RuntimeEnv) -> Result<Arc<TaskContext>> {
        let runtime = memory.runtime(shared).map_err(from_datafusion)?;
        let Task { session, config, last } = &self.task;
        let (scalar, higher, aggregate, window) = Default::default();
        let reserve = memory.sort_reserve();
        let is_right = |c: &SessionConfig| c.options().execution.sort_spill_reservation_bytes == reserve;
        let config = if is_right(config) {
            config.clone()
        } else {
            let mut last = last.lock();
            if !is_right(&last) {
                last.options_mut().execution.sort_spill_reservation_bytes = reserve;
            }
            last.clone()
        };
        Ok(Arc::new(TaskContext::new(None, session.clone(), config, scalar, higher, aggregate, window, runtime)))
    }
}

struct Task {
    session: String,
    config: SessionConfig,
    /// As `config`, for the last statement whose sorts may have less memory: its plans share it.
    last: Mutex<SessionConfig>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("threads", &self.threads).finish_non_exhaustive()
    }
}
