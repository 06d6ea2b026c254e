//! The `FileSource` of both tiers: decides per file whether Parquet or memory answers, and leaves all else to
//! `ParquetSource`.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err, plan_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroupPartitioner, FileOpener, FileScanConfig, FileSource, ParquetSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::{MorselPlanner, Morselizer};
use object_store::ObjectStore;

use super::memory::{HotExtension, MemoryScan};
use super::{Place, SPLIT_COST_MIN, choice};

/// Reads parts by Parquet and hot chunks from memory.
#[derive(Clone, Debug)]
pub(super) struct HybridSource {
    /// Holds projection, predicate and options for both.
    inner: ParquetSource,
    contents: Contents,
}

/// What EXPLAIN tells of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents {
    /// Parts left after pruning by the manifest.
    pub(super) parts: usize,
    pub(super) parts_all: usize,
    pub(super) hot_chunks: usize,
}

impl HybridSource {
    pub(super) fn new(inner: ParquetSource, contents: Contents) -> HybridSource {
        HybridSource { inner, contents }
    }

    /// This source with another inner one, as one of its own methods made it.
    fn with_inner(&self, inner: &Arc<dyn FileSource>) -> Result<Arc<dyn FileSource>> {
        let inner = inner.downcast_ref::<ParquetSource>();
        let inner = inner.ok_or_else(|| internal_datafusion_err!("a Parquet source became another kind of source"))?;
        Ok(Arc::new(HybridSource { inner: inner.clone(), contents: self.contents }))
    }
}

impl FileSource for HybridSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.inner.create_file_opener(object_store, config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let asked = self.inner.table_schema().virtual_columns();
        if asked.iter().any(|field| field.name() != Place::POSITION) {
            return plan_err!("positions of rows in files cannot be asked for");
        }
        let inner = self.inner.create_morselizer(object_store, config, partition)?;
        let memory = Arc::new(MemoryScan::new(&self.inner, partition)?);
        Ok(Box::new(HybridMorselizer { inner, memory }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let inner = self.inner.with_batch_size(batch_size);
        self.with_inner(&inner).expect("a Parquet source with another batch size is a Parquet source")
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        "hybrid"
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contents { parts, parts_all, hot_chunks } = self.contents;
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, ", parts={parts}/{parts_all}, hot_chunks={hot_chunks}")?;
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "parts={parts}/{parts_all}")?;
                writeln!(f, "hot_chunks={hot_chunks}")?;
            }
        }
        self.inner.fmt_extra(t, f)
    }

    /// As usual, but already for files that decode in a few milliseconds: on two cores a scan in halves pays from there.
    fn repartitioned(
        &self,
        partitions: usize,
        size_min: usize,
        ordering: Option<LexOrdering>,
        config: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        let groups = FileGroupPartitioner::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(size_min.min(SPLIT_COST_MIN))
            .with_preserve_order_within_groups(ordering.is_some())
            .repartition_file_groups(&config.file_groups);
        Ok(groups.map(|file_groups| {
            let mut split = config.clone();
            split.file_groups = file_groups;
            split
        }))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        // Once chosen for some filters it holds for all that come later.
        let now = choice::filters_while_decoding(&filters, self.projection(), self.table_schema().table_schema());
        let inner = if now { self.inner.clone().with_pushdown_filters(true) } else { self.inner.clone() };
        let pushed = inner.try_pushdown_filters(filters, config)?;
        let updated_node = pushed.updated_node.map(|n| self.with_inner(&n)).transpose()?;
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        self.inner.try_pushdown_sort(order, properties)?.try_map(|n| self.with_inner(&n))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.inner.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        self.inner.try_pushdown_projection(projection)?.map(|n| self.with_inner(&n)).transpose()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }
}

#[derive(Debug)]
struct HybridMorselizer {
    inner: Box<dyn Morselizer>,
    memory: Arc<MemoryScan>,
}

impl Morselizer for HybridMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        match file.extension::<HotExtension>() {
            Some(hot) => Ok(self.memory.clone().planner(&hot.0, &file)),
            None => self.inner.plan_file(file),
        }
    }
}
