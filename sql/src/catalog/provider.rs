//! A relation of the system as DataFusion sees it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::relation::Relation;
use crate::error::to_datafusion;
use crate::plan::QueryContext;

/// One relation over one statement's snapshot. Its rows are made when the plan is made physical.
pub(super) struct SystemTable {
    ctx: Arc<QueryContext>,
    relation: &'static Relation,
}

impl SystemTable {
    pub(super) fn new(ctx: Arc<QueryContext>, relation: &'static Relation) -> SystemTable {
        SystemTable { ctx, relation }
    }
}

impl std::fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemTable({}.{})", self.relation.schema, self.relation.name)
    }
}

/// All rows of the relation.
pub(super) fn rows(ctx: &QueryContext, relation: &'static Relation) -> sightline_storage::error::Result<RecordBatch> {
    match relation.build {
        Some(build) => build(ctx, relation),
        None => Ok(RecordBatch::new_empty(relation.arrow.clone())),
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.relation.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        if self.relation.kind == "v" { TableType::View } else { TableType::Base }
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = rows(&self.ctx, self.relation).map_err(to_datafusion)?;
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}
