//! Reads hot chunks: skips those that no row of can pass the filter, and gives the others in the scan's projection.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::projection::Projector;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::metrics::{Count, MetricBuilder};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::zones::{RunZones, ZoneCache, prune};

/// The most rows of a batch: larger chunks are cut, so that operators above keep to their memory.
const BATCH_ROWS_MAX: usize = 8192;
/// After so many chunks a dynamic filter (join, TopK) is looked at again.
const RECHECK_CHUNKS: usize = 8;

/// Consecutive hot chunks, in the columns of the table.
#[derive(Debug)]
pub(super) struct HotRun {
    pub(super) chunks: Vec<RecordBatch>,
    pub(super) zones: Arc<ZoneCache>,
}

impl HotRun {
    pub(super) fn rows(&self) -> usize {
        self.chunks.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Marks a file of a plan as hot chunks.
pub(super) struct HotExtension(pub(super) Arc<HotRun>);

/// What all hot files of a partition's scan have in common.
#[derive(Debug)]
pub(super) struct MemoryScan {
    /// The table's columns.
    schema: SchemaRef,
    /// Positions of the columns that projection and filter need.
    need: Vec<usize>,
    need_schema: SchemaRef,
    projector: Projector,
    /// The filter this scan alone applies, over `need_schema`.
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Over `schema`: decides which chunks to skip.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    chunks_pruned: Count,
}

impl MemoryScan {
    /// Reads what `source` would read from Parquet.
    pub(super) fn new(source: &ParquetSource, partition: usize) -> Result<MemoryScan> {
        let schema = source.table_schema().table_schema().clone();
        let projection = source.projection();
        let projection =
            projection.ok_or_else(|| internal_datafusion_err!("a Parquet scan without projection"))?.clone();
        let predicate = source.filter();
        // Without push-down a filter is only a hint: the operator above applies it again.
        let exact = source.table_parquet_options().global.pushdown_filters;
        let filter = predicate.clone().filter(|_| exact);
        let mut need = projection.column_indices();
        need.extend(filter.iter().flat_map(collect_columns).map(|c| c.index()));
        need.sort_unstable();
        need.dedup();
        let need_schema = Arc::new(schema.project(&need)?);
        let projection = projection.try_map_exprs(|e| reassign_expr_columns(e, &need_schema))?;
        let projector = projection.make_projector(&need_schema)?;
        let filter = filter.map(|f| reassign_expr_columns(f, &need_schema)).transpose()?;
        let chunks_pruned = MetricBuilder::new(source.metrics()).counter("hot_chunks_pruned", partition);
        Ok(MemoryScan { schema, need, need_schema, projector, filter, predicate, chunks_pruned })
    }

    /// Plans one file: all of a run, or its share by the file's byte range.
    pub(super) fn planner(self: Arc<Self>, run: &Arc<HotRun>, file: &PartitionedFile) -> Box<dyn MorselPlanner> {
        let chunks = run.chunks.len();
        let range = match &file.range {
            None => 0..chunks,
            Some(bytes) => {
                share(bytes.start, file.object_meta.size, chunks)..share(bytes.end, file.object_meta.size, chunks)
            }
        };
        Box::new(MemoryPlanner { scan: self, run: run.clone(), range })
    }

    /// One chunk in the columns of `need_schema`, cut into batches.
    fn batches(&self, chunk: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let columns = self.need.iter().map(|i| chunk.column(*i).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.num_rows()));
        let whole = RecordBatch::try_new_with_options(self.need_schema.clone(), columns, &options)?;
        let starts = (0..whole.num_rows()).step_by(BATCH_ROWS_MAX);
        Ok(starts.map(|s| whole.slice(s, BATCH_ROWS_MAX.min(whole.num_rows() - s))).collect())
    }

    fn filtered(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(filter) = &self.filter else { return Ok(batch) };
        let mask = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(filter_record_batch(&batch, mask.as_boolean())?)
    }
}

/// The first chunk of a share that begins at a byte: shares that meet at a byte meet at a chunk.
fn share(byte: i64, size: u64, chunks: usize) -> usize {
    let byte = u128::try_from(byte).unwrap_or(0).min(u128::from(size));
    (byte * chunks as u128).div_ceil(u128::from(size.max(1))) as usize
}

#[derive(Debug)]
struct MemoryPlanner {
    scan: Arc<MemoryScan>,
    run: Arc<HotRun>,
    range: Range<usize>,
}

impl MorselPlanner for MemoryPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let morsel = MemoryMorsel { scan: self.scan, run: self.run, range: self.range };
        Ok(Some(MorselPlan::new().with_morsels(vec![Box::new(morsel)])))
    }
}

#[derive(Debug)]
struct MemoryMorsel {
    scan: Arc<MemoryScan>,
    run: Arc<HotRun>,
    range: Range<usize>,
}

impl Morsel for MemoryMorsel {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let mut cursor = Cursor::new(*self);
        stream::iter(std::iter::from_fn(move || cursor.next().transpose())).boxed()
    }
}

/// Walks the chunks of a morsel.
struct Cursor {
    morsel: MemoryMorsel,
    /// Batches of the current chunk, last one first.
    pending: Vec<RecordBatch>,
    tracking: Option<DynamicFilterTracking>,
    /// Which chunks of the morsel's range may have rows; none as long as nothing is known.
    keep: Option<Vec<bool>>,
    /// The next chunk.
    next: usize,
}

impl Cursor {
    fn new(morsel: MemoryMorsel) -> Cursor {
        let tracking = morsel.scan.predicate.as_ref().map(DynamicFilterTracking::classify);
        let next = morsel.range.start;
        let mut cursor = Cursor { morsel, pending: Vec::new(), tracking, keep: None, next };
        cursor.prune();
        cursor
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            while let Some(batch) = self.pending.pop() {
                let batch = self.morsel.scan.filtered(batch)?;
                if batch.num_rows() > 0 {
                    return self.morsel.scan.projector.project_batch(&batch).map(Some);
                }
            }
            let Some(chunk) = self.next_chunk() else { return Ok(None) };
            self.pending = self.morsel.scan.batches(&self.morsel.run.chunks[chunk])?;
            self.pending.reverse();
        }
    }

    fn next_chunk(&mut self) -> Option<usize> {
        while self.next < self.morsel.range.end {
            let chunk = self.next;
            let done = chunk - self.morsel.range.start;
            self.next += 1;
            if done > 0 && done.is_multiple_of(RECHECK_CHUNKS) && self.filter_moved() {
                self.prune();
            }
            if self.keep.as_ref().is_none_or(|keep| keep[done]) {
                return Some(chunk);
            }
            self.morsel.scan.chunks_pruned.add(1);
        }
        None
    }

    fn filter_moved(&mut self) -> bool {
        self.tracking.as_mut().and_then(DynamicFilterTracking::watcher).is_some_and(|w| w.changed())
    }

    fn prune(&mut self) {
        let MemoryMorsel { scan, run, range } = &self.morsel;
        let Some(predicate) = &scan.predicate else { return };
        let zones = RunZones { chunks: &run.chunks[range.clone()], cache: &run.zones, schema: &scan.schema };
        self.keep = prune(predicate, &scan.schema, &zones);
    }
}
