//! Writes rows as parts: split by partition, sorted, encoded, uploaded and synced.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::PartMeta;
use super::encode::{Cancel, Encoder, write_run};
use super::partition::{PARTITIONS_MAX, Partitioner, hash_bytes};
use super::sort::{Run, runs};
use super::store::PartStore;
use super::stored::{Alignment, to_stored};
use crate::budget::Budget;
use crate::catalog::TableDef;
use crate::error::{Error, Result};
use crate::ids::{Index, TenantId};

/// The most rows of a part: with more, deletes and compaction of a part become coarse.
const PART_ROWS_MAX: usize = 8 << 20;
/// Longer directory names are cut: file systems allow 255 bytes.
const DIRECTORY_BYTES_MAX: usize = 100;

/// A part that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenPart {
    pub meta: PartMeta,
    /// `_row` of each row in the order of the file, if the rows had numbers.
    pub numbers: Vec<u64>,
}

/// Writes rows as parts for [`Op::Publish`](crate::command::Op::Publish). Batches have stored names and `_row`; columns
/// that are younger than a batch are filled in, columns that were dropped are left out. When this returns the parts are
/// durable; on an error none are left.
///
/// # Errors
/// 58030 or 53100 from the store.
pub async fn write_parts(
    store: &PartStore,
    tenant: TenantId,
    def: &TableDef,
    rows: Vec<RecordBatch>,
    first: Index,
    last: Index,
    created_at: i64,
) -> Result<Vec<WrittenPart>> {
    let def = Arc::new(def.clone());
    let counted = store.memory().cloned();
    let job =
        PartJob { store: store.clone(), tenant, def, first, last, created_at, cancel: Cancel::default(), counted };
    let partitioner = Partitioner::unlimited(&job.def)?;
    job.write(rows, partitioner).await.map(|(parts, _)| parts)
}

/// Checks that the rows of one statement, in the columns of `TableDef::arrow_schema`, fall into few enough partitions to be
/// flushed one day.
///
/// # Errors
/// 54000 if they do not.
pub fn check_partitions(def: &TableDef, rows: &RecordBatch) -> Result<()> {
    if def.partition_by.is_empty() || rows.num_rows() <= PARTITIONS_MAX {
        return Ok(());
    }
    Partitioner::new(def)?.assign(&to_stored(def, rows)?).map(|_| ())
}

/// What all parts of one flush or load have in common.
#[derive(Clone, Debug)]
pub(super) struct PartJob {
    pub(super) store: PartStore,
    pub(super) tenant: TenantId,
    pub(super) def: Arc<TableDef>,
    pub(super) first: Index,
    pub(super) last: Index,
    pub(super) created_at: i64,
    pub(super) cancel: Cancel,
    /// Counts what the encoder holds; none if somebody else does.
    pub(super) counted: Option<Arc<Budget>>,
}

/// The parts written, and what is known of partitions now.
pub(super) type Written = (Vec<WrittenPart>, Partitioner);

impl PartJob {
    /// Writes and syncs the rows; the partitioner comes back knowing their partitions.
    pub(super) async fn write(&self, rows: Vec<RecordBatch>, mut partitioner: Partitioner) -> Result<Written> {
        let def = self.def.clone();
        let plan = move || {
            let rows = aligned(&def, rows)?;
            let runs = runs(&def, &mut partitioner, rows, PART_ROWS_MAX)?;
            Ok::<_, Error>((runs, partitioner))
        };
        let planned = tokio::task::spawn_blocking(plan).await;
        let (runs, partitioner) = planned.map_err(|e| Error::internal("sorting of a part failed").source(e))??;
        let mut parts = Vec::with_capacity(runs.len());
        match self.write_runs(runs, &partitioner, &mut parts).await {
            Ok(()) => Ok((parts, partitioner)),
            Err(e) => {
                self.store.discard(parts.into_iter().map(|p: WrittenPart| p.meta).collect()).await;
                Err(e)
            }
        }
    }

    async fn write_runs(&self, runs: Vec<Run>, partitioner: &Partitioner, parts: &mut Vec<WrittenPart>) -> Result<()> {
        for run in runs {
            let partition = partitioner.name(run.partition).to_string();
            parts.push(self.write_part(run, partition).await?);
        }
        self.store.sync(parts.iter().map(|p| p.meta.path.clone()).collect()).await
    }

    async fn write_part(&self, run: Run, partition: String) -> Result<WrittenPart> {
        let path = self.path(&partition);
        let rows = run.rows() as u64;
        let numbers = run.numbers();
        let encoder = Encoder { run, cancel: self.cancel.clone(), counted: self.counted.clone() };
        let encoded = write_run(&self.store, &path, self.def.clone(), encoder).await?;
        let meta = PartMeta {
            path,
            size: encoded.size,
            crc32: encoded.crc32,
            rows,
            row_groups: encoded.row_groups,
            table_version: self.def.version,
            partition,
            first: self.first,
            last: self.last,
            row_base: None,
            columns: encoded.columns,
            created_at: self.created_at,
        };
        Ok(WrittenPart { meta, numbers })
    }

    fn path(&self, partition: &str) -> String {
        let (tenant, table, directory) = (self.tenant, self.def.id, directory(partition));
        let (first, last, id) = (self.first.0, self.last.0, uuid::Uuid::new_v4().simple());
        format!("cold/{tenant}/{table}/{directory}/{first:016x}-{last:016x}-{id}.parquet")
    }
}

/// The rows in the stored columns of `def`, whatever version they were written with.
fn aligned(def: &TableDef, rows: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let mut known: Option<(SchemaRef, Alignment)> = None;
    let mut result = Vec::with_capacity(rows.len());
    for batch in rows.into_iter().filter(|b| b.num_rows() > 0) {
        let alignment = match &known {
            Some((schema, a)) if Arc::ptr_eq(schema, batch.schema_ref()) => a,
            _ => &known.insert((batch.schema(), Alignment::to_stored(def, batch.schema_ref())?)).1,
        };
        result.push(alignment.apply(&batch)?);
    }
    Ok(result)
}

/// The directory of a partition, for people who look at the store; programs read [`PartMeta::partition`]. Escapes are
/// written with `!`, as `%` would be escaped again by object stores, and long names are cut.
fn directory(partition: &str) -> String {
    if partition.is_empty() {
        return "all".to_string();
    }
    let names = partition.split('/').map(|name| {
        let safe = name.replace('%', "!");
        if safe.len() <= DIRECTORY_BYTES_MAX {
            return safe;
        }
        format!("{}-{:016x}", &safe[..DIRECTORY_BYTES_MAX], hash_bytes(name.as_bytes()))
    });
    names.collect::<Vec<_>>().join("/")
}
