//! A user's table as DataFusion sees it: the rows of one snapshot, which the value pins as long as it lives.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;
use sightline_storage::ids::TenantId;
use sightline_storage::snapshot::TableSnapshot;

use crate::exec::scan::{self, ZoneCache};

/// What all tables of a node share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Zone maps of hot chunks.
    pub zones: Arc<ZoneCache>,
    /// Counts what scans read; none for plans that nobody runs in a statement.
    pub memory: Option<Arc<dyn MemoryPool>>,
}

/// One table as of one snapshot.
#[derive(Debug)]
pub struct Table {
    snapshot: Arc<TableSnapshot>,
    tenant: TenantId,
    schema: SchemaRef,
    objects: Arc<dyn ObjectStore>,
    options: TableOptions,
}

impl Table {
    /// The rows of `snapshot`. `objects` has its parts, and must be registered with the runtime of the plans
    /// ([`register_objects`](scan::register_objects)).
    pub fn new(
        snapshot: Arc<TableSnapshot>,
        tenant: TenantId,
        objects: Arc<dyn ObjectStore>,
        options: TableOptions,
    ) -> Arc<Table> {
        let schema = snapshot.def.arrow_schema();
        Arc::new(Table { snapshot, tenant, schema, objects, options })
    }

    /// The same rows with their places, in two hidden columns.
    pub(crate) fn with_places(&self) -> Arc<Table> {
        let (snapshot, schema) = (self.snapshot.clone(), scan::with_places(&self.schema));
        Arc::new(Table {
            snapshot,
            tenant: self.tenant,
            schema,
            objects: self.objects.clone(),
            options: self.options.clone(),
        })
    }

    /// The snapshot it shows.
    pub fn snapshot(&self) -> &Arc<TableSnapshot> {
        &self.snapshot
    }

    /// Whose table it is.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn predicate(&self, filters: &[Expr], state: &dyn Session) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(predicate) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let schema = DFSchema::try_from(self.schema.clone())?;
        state.create_physical_expr(predicate, &schema).map(Some)
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let request = scan::Request {
            snapshot: &self.snapshot,
            schema: &self.schema,
            objects: &self.objects,
            zones: &self.options.zones,
            memory: self.options.memory.as_ref(),
            projection,
            predicate: self.predicate(filters, state)?,
            limit,
        };
        scan::plan(request, state)
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.plan(state, projection.map(Vec::as_slice), filters, limit)
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        let filters = args.filters().unwrap_or_default();
        self.plan(state, args.projection(), filters, args.limit()).map(ScanResult::new)
    }

    /// Filters come down so that parts can be left out; rows are filtered above, or in the leaf after push-down.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let rows = usize::try_from(self.snapshot.rows()).ok()?;
        Some(Statistics::new_unknown(&self.schema).with_num_rows(Precision::Exact(rows)))
    }
}
