//! The leaf of every plan: hot rows and cold parts of one table behind one `DataSourceExec`.
//!
//! [`HybridSource`] is a `FileSource` that wraps DataFusion's `ParquetSource` inside the stock `FileScanConfig`. A part
//! travels as an ordinary file; hot chunks travel as a file with an extension ([`memory::HotExtension`]) that no object
//! store ever sees. So projection with expressions, static and dynamic filters, limits, byte-range splits, work stealing,
//! statistics and metrics are DataFusion's own code for both tiers, and a join sees one leaf.
//!
//! 1. [`plan`] prunes parts by the manifest's zone maps ([`statistics::PartZones`]) before anything is opened.
//! 2. What is left becomes files with statistics, split into partitions by the cost of decoding them.
//! 3. DataFusion pushes projection and filters into [`HybridSource`].
//! 4. Parquet is read through [`adapter::StoredColumns`], which knows stored names, younger columns and older types.
//! 5. Hot chunks are read by [`memory`], which skips chunks by zone maps computed once a chunk ([`ZoneCache`]).

mod adapter;
mod choice;
mod memory;
mod places;
mod reader;
mod source;
mod statistics;
#[cfg(test)]
mod tests;
mod zones;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileScanConfigBuilder, FileSource, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::MetricBuilder;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::RowSelection;
use sightline_storage::parts::Part;
use sightline_storage::snapshot::TableSnapshot;
use sightline_storage::table::LiveMasks;

use self::adapter::StoredColumns;
use self::memory::{HotExtension, HotRun};
pub(crate) use self::places::{Place, Places, with_places};
use self::reader::CountedReaders;
use self::source::{Contents, HybridSource};
use self::statistics::{PartZones, RowWidth, Summaries};
pub use self::zones::ZoneCache;

/// Decode cost (see [`hot_cost`]) from which a scan is worth more than one partition.
const SPLIT_COST_MIN: usize = 1 << 20;
/// Rows of hot chunks that travel as one file: small enough to be shared out, large enough to make opening free.
const RUN_ROWS: usize = 128 * 1024;
/// Reading a hot row costs about a quarter of decoding it from Parquet (`leaf.md` §3).
const HOT_SPEEDUP: u64 = 4;
/// Rows in memory are about so many times larger than in Parquet: used while a table has no parts to learn from.
const COMPRESSION: u64 = 3;

/// The store of parts under its name in plans: never a local path, so that a plan means the same on every node.
fn objects_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("cold://parts").expect("a constant without a path")
}

/// Makes the parts in `objects` readable for plans that run in `env`.
pub fn register_objects(env: &RuntimeEnv, objects: Arc<dyn ObjectStore>) {
    env.register_object_store(objects_url().as_ref(), objects);
}

/// What a scan is asked for.
pub(crate) struct Request<'a> {
    pub(crate) snapshot: &'a TableSnapshot,
    /// `snapshot.def.arrow_schema()`; [`with_places`] of it where rows are to be changed.
    pub(crate) schema: &'a SchemaRef,
    pub(crate) objects: &'a Arc<dyn ObjectStore>,
    pub(crate) zones: &'a Arc<ZoneCache>,
    /// Counts what is read; none for a scan that nobody runs in a statement.
    pub(crate) memory: Option<&'a Arc<dyn MemoryPool>>,
    /// Positions of columns in `schema`; none means all.
    pub(crate) projection: Option<&'a [usize]>,
    /// Over `schema`; used to leave out parts, never to leave out rows.
    pub(crate) predicate: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) limit: Option<usize>,
}

impl Request<'_> {
    /// Whether the places of the rows are asked for, too.
    fn has_places(&self) -> bool {
        self.schema.fields().len() > self.snapshot.def.columns.len()
    }
}

/// Plans the scan.
pub(crate) fn plan(request: Request<'_>, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    let columns = StoredColumns::new(&request.snapshot.def)?;
    let wanted = wanted_columns(&request);
    let parts = kept_parts(&request, &columns)?;
    let hot = request.snapshot.hot().map_err(|e| DataFusionError::External(Box::new(e)))?;
    let hot = match request.has_places() {
        true => Arc::new(places::of_hot(request.snapshot, &hot, request.schema)?),
        false => hot,
    };
    let pruned = request.snapshot.parts.len() - parts.len();
    let mut scan = Scan::new(&request, &columns, &wanted);
    for part in &parts {
        scan.add_part(part);
    }
    scan.add_hot(&hot)?;
    if scan.files.is_empty() {
        let schema = match request.projection {
            Some(projection) => Arc::new(request.schema.project(projection)?),
            None => request.schema.clone(),
        };
        return Ok(Arc::new(EmptyExec::new(schema)));
    }
    let contents = Contents { parts: parts.len(), parts_all: request.snapshot.parts.len(), hot_chunks: hot.len() };
    let source = source(&request, contents, state);
    let count = |name: &'static str, n: u64| {
        MetricBuilder::new(source.metrics()).global_counter(name).add(usize::try_from(n).unwrap_or(usize::MAX));
    };
    count("parts_pruned", pruned as u64);
    count("cold_rows", parts.iter().map(|p| p.rows()).sum());
    count("deleted_rows", parts.iter().map(|p| p.deleted_rows()).sum());
    count("hot_rows", hot.iter().map(|c| c.num_rows() as u64).sum());
    let groups = grouped(scan.files, state.config().target_partitions());
    let statistics = scan.summaries.into_statistics(&scan.width);
    let config = FileScanConfigBuilder::new(objects_url(), source)
        .with_file_groups(groups)
        .with_statistics(statistics)
        .with_expr_adapter(Some(Arc::new(columns)))
        .with_projection_indices(request.projection.map(<[usize]>::to_vec))?
        .with_limit(request.limit)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn source(request: &Request<'_>, contents: Contents, state: &dyn Session) -> Arc<dyn FileSource> {
    let options = TableParquetOptions {
        global: state.config_options().execution.parquet.clone(),
        ..TableParquetOptions::default()
    };
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let reader = CachedParquetFileReaderFactory::new(request.objects.clone(), cache);
    let reader: Arc<dyn ParquetFileReaderFactory> = match request.memory {
        Some(memory) => Arc::new(CountedReaders { inner: reader, memory: memory.clone() }),
        None => Arc::new(reader),
    };
    let schema = match request.has_places() {
        true => places::table_schema(request.schema),
        false => TableSchema::from(request.schema.clone()),
    };
    let parquet =
        ParquetSource::new(schema).with_table_parquet_options(options).with_parquet_file_reader_factory(reader);
    Arc::new(HybridSource::new(parquet, contents))
}

/// For each column whether the query may want its statistics: those of the others are not worth computing.
fn wanted_columns(request: &Request<'_>) -> Vec<bool> {
    let Some(projection) = request.projection else { return vec![true; request.schema.fields().len()] };
    let mut wanted = vec![false; request.schema.fields().len()];
    projection.iter().for_each(|i| wanted[*i] = true);
    wanted
}

/// Parts that may hold rows for which the predicate is true.
fn kept_parts(request: &Request<'_>, columns: &StoredColumns) -> Result<Vec<Arc<Part>>> {
    let parts = &request.snapshot.parts;
    let keep = match &request.predicate {
        Some(predicate) if !parts.is_empty() => {
            let zones = PartZones::new(&request.snapshot.def, columns, parts);
            zones::prune(predicate, request.schema, &zones)
        }
        _ => None,
    };
    Ok(match keep {
        Some(keep) => parts.iter().zip(keep).filter(|(_, keep)| *keep).map(|(p, _)| p.clone()).collect(),
        None => parts.to_vec(),
    })
}

/// Files of a scan and what is known of their rows.
struct Scan<'a> {
    request: &'a Request<'a>,
    columns: &'a StoredColumns,
    wanted: &'a [bool],
    width: RowWidth,
    files: Vec<PartitionedFile>,
    summaries: Summaries,
}

impl<'a> Scan<'a> {
    fn new(request: &'a Request<'a>, columns: &'a StoredColumns, wanted: &'a [bool]) -> Scan<'a> {
        let summaries = Summaries::none(wanted.len());
        let width = RowWidth::new(request.schema);
        Scan { request, columns, wanted, width, files: Vec::new(), summaries }
    }

    fn add_part(&mut self, part: &Arc<Part>) {
        let summaries = Summaries::of_part(&self.request.snapshot.def, self.columns, part, self.wanted);
        let statistics = summaries.clone().into_statistics(&self.width);
        self.summaries.merge(&summaries);
        let mut file = PartitionedFile::new(part.meta.path.clone(), part.meta.size)
            .with_statistics(Arc::new(statistics))
            .with_extension(Pinned { _part: part.clone() });
        if let Some(deletion) = &part.deletion {
            file = file.with_extension(access_plan(&deletion.live(&part.meta.row_groups)));
        }
        if self.request.has_places() {
            file.partition_values = places::of_part(self.request.snapshot, part);
        }
        self.files.push(file);
    }

    fn add_hot(&mut self, hot: &[RecordBatch]) -> Result<()> {
        let texts = hot.iter().map(|c| c.num_rows()).sum::<usize>() <= zones::TEXT_ROWS_MAX;
        let mut run = self.run();
        for chunk in hot {
            run.chunks.push(chunk.clone());
            if run.rows() >= RUN_ROWS {
                self.add_run(std::mem::replace(&mut run, self.run()), texts)?;
            }
        }
        self.add_run(run, texts)
    }

    fn run(&self) -> HotRun {
        HotRun { chunks: Vec::new(), zones: self.request.zones.clone() }
    }

    fn add_run(&mut self, run: HotRun, texts: bool) -> Result<()> {
        if run.rows() == 0 {
            return Ok(());
        }
        let summaries = Summaries::of_run(&run, self.wanted, texts)?;
        let statistics = summaries.clone().into_statistics(&self.width);
        self.summaries.merge(&summaries);
        let cost = hot_cost(run.rows() as u64, &self.request.snapshot.parts, &self.width);
        let table = &self.request.snapshot.def.id;
        let file = PartitionedFile::new(format!("hot/{table}/{}", self.files.len()), cost)
            .with_statistics(Arc::new(statistics))
            .with_extension(HotExtension(Arc::new(run)));
        let file = match self.request.has_places() {
            true => places::hot_file(file),
            false => file,
        };
        self.files.push(file);
        Ok(())
    }
}

/// What of a part is to be read: row groups where nothing is deleted as they are, of others the rows that are left. A
/// selection over the whole file would be cut anew for each row group at each open.
fn access_plan(live: &LiveMasks) -> ParquetAccessPlan {
    let access = |mask: &Option<BooleanBuffer>| match mask {
        None => RowGroupAccess::Scan,
        Some(live) if live.count_set_bits() == 0 => RowGroupAccess::Skip,
        Some(live) => RowGroupAccess::Selection(RowSelection::from_boolean_buffer(live.clone())),
    };
    ParquetAccessPlan::new(live.iter().map(access).collect())
}

/// Keeps a part on disk as long as a plan or a stream may read it.
struct Pinned {
    _part: Arc<Part>,
}

/// What reading hot rows costs, in bytes of Parquet that could be decoded meanwhile. Files are dealt out to partitions by
/// size: with bytes in memory one partition would get all the Parquet. Never 0, as an empty file would be left out.
fn hot_cost(rows: u64, parts: &[Arc<Part>], width: &RowWidth) -> u64 {
    let cold_rows = parts.iter().map(|p| p.meta.rows).sum::<u64>();
    let cold_bytes = parts.iter().map(|p| p.meta.size).sum::<u64>();
    let bytes = match cold_rows {
        0 => rows * width.bytes() / COMPRESSION,
        _ => (u128::from(rows) * u128::from(cold_bytes) / u128::from(cold_rows)) as u64,
    };
    (bytes / HOT_SPEEDUP).max(1)
}

/// One partition for little work, so that small tables come in the order they were written; otherwise equal shares.
fn grouped(files: Vec<PartitionedFile>, partitions: usize) -> Vec<FileGroup> {
    let all = vec![FileGroup::new(files)];
    if partitions < 2 {
        return all;
    }
    let split = FileGroupPartitioner::new()
        .with_target_partitions(partitions)
        .with_repartition_file_min_size(SPLIT_COST_MIN)
        .repartition_file_groups(&all);
    split.unwrap_or(all)
}
