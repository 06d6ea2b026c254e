//! The writer of loads that are too large for the hot tier: rows go to parts directly, in bounded memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use tokio::task::JoinHandle;

use super::PartMeta;
use super::encode::Cancel;
use super::memory::held_bytes;
use super::part::{PartJob, Written};
use super::partition::Partitioner;
use super::store::PartStore;
use super::stored::to_stored;
use crate::catalog::TableDef;
use crate::error::{Error, Result};
use crate::ids::{Index, TenantId};

/// Bytes of rows gathered before they are written as parts. While one buffer is written the next one fills, so a load
/// holds up to [`BULK_BUFFERS`] of this.
const BUFFER_BYTES: u64 = 128 << 20;

/// How many buffers a load holds at most: one that fills, one that is written, and as much again for the encoder.
pub const BULK_BUFFERS: u64 = 3;

/// Sorts rows and writes them as parts. Sorting and encoding of one buffer overlap with the filling of the next. Parts it
/// wrote are deleted again if it is dropped before [`finish`](BulkWriter::finish).
#[derive(Debug)]
pub struct BulkWriter {
    job: PartJob,
    buffer: Vec<RecordBatch>,
    bytes: u64,
    buffer_bytes: u64,
    rows: u64,
    /// Knows the partitions met so far; away while a buffer is being written.
    partitioner: Option<Partitioner>,
    writing: Option<JoinHandle<Result<Written>>>,
    parts: Vec<PartMeta>,
}

impl BulkWriter {
    /// A writer for one load into the table.
    pub fn new(store: PartStore, tenant: TenantId, def: Arc<TableDef>, created_at: i64) -> BulkWriter {
        let cancel = Cancel::default();
        let job = PartJob { store, tenant, def, first: Index(0), last: Index(0), created_at, cancel, counted: None };
        BulkWriter {
            job,
            buffer: Vec::new(),
            bytes: 0,
            buffer_bytes: BUFFER_BYTES,
            rows: 0,
            partitioner: None,
            writing: None,
            parts: Vec::new(),
        }
    }

    /// With another size of the buffer, in bytes.
    pub fn with_buffer_bytes(mut self, bytes: u64) -> BulkWriter {
        self.buffer_bytes = bytes;
        self
    }

    /// How many rows were given to [`write`](BulkWriter::write) so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows in the columns of `TableDef::arrow_schema`. Waits only if a whole buffer is full while the one before it
    /// is still being written.
    ///
    /// # Errors
    /// 54000 for too many partitions, 58030 or 53100 from the store; the load cannot go on then.
    pub async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = to_stored(&self.job.def, &rows)?;
        self.rows += rows.num_rows() as u64;
        self.bytes += held_bytes(&rows);
        self.buffer.push(rows);
        if self.bytes >= self.buffer_bytes { self.write_buffer().await } else { Ok(()) }
    }

    /// Writes what is left. The parts are durable, and the caller's: to be published by
    /// [`Op::AddParts`](crate::command::Op::AddParts) or deleted by [`PartStore::remove`].
    ///
    /// # Errors
    /// As for [`write`](BulkWriter::write); no part is left then.
    pub async fn finish(mut self) -> Result<Vec<PartMeta>> {
        if !self.buffer.is_empty() {
            self.write_buffer().await?;
        }
        self.wait().await?;
        Ok(std::mem::take(&mut self.parts))
    }

    /// Starts to write the buffer in the background.
    async fn write_buffer(&mut self) -> Result<()> {
        self.wait().await?;
        self.job.store.check_room(self.bytes)?;
        let partitioner = match self.partitioner.take() {
            Some(known) => known,
            None => Partitioner::new(&self.job.def)?,
        };
        let (job, rows) = (self.job.clone(), std::mem::take(&mut self.buffer));
        self.bytes = 0;
        self.writing = Some(tokio::spawn(async move { job.write(rows, partitioner).await }));
        Ok(())
    }

    /// Waits for the buffer that is being written.
    async fn wait(&mut self) -> Result<()> {
        // Awaited in place: if this future is dropped meanwhile, `drop` still finds the task.
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = writing.await;
        self.writing = None;
        let written = written.map_err(|e| Error::internal("writing of parts failed").source(e));
        let (parts, partitioner) = written??;
        self.parts.extend(parts.into_iter().map(|p| p.meta));
        self.partitioner = Some(partitioner);
        Ok(())
    }
}

impl Drop for BulkWriter {
    fn drop(&mut self) {
        self.job.cancel.store(true, Ordering::Relaxed);
        let (writing, mut parts) = (self.writing.take(), std::mem::take(&mut self.parts));
        if writing.is_none() && parts.is_empty() {
            return;
        }
        let store = self.job.store.clone();
        let clean = async move {
            if let Some(writing) = writing
                && let Ok(Ok((written, _))) = writing.await
            {
                parts.extend(written.into_iter().map(|p| p.meta));
            }
            store.remove_in_time(&parts).await;
        };
        // Outside a runtime nothing can be deleted; the sweep of orphans at the next start does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(clean));
        }
    }
}
