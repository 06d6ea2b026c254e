//! How rows get into a table: INSERT, CREATE TABLE AS and COPY all end in a [`TableWriter`].
//!
//! A batch comes in the columns of its source. [`Shape`] makes rows of the table of it: assignment casts, defaults for
//! what is missing, NOT NULL and CHECK. The writer gathers them: few rows become one `Append` of the command, many go
//! to parts while they come ([`BulkWriter`]) and the command only names the parts. Either way nothing is visible or
//! durable before the command is, and all of it is then.

mod generated;
mod shape;
pub(crate) mod unique;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::sql::sqlparser::ast;
use sightline_storage::budget::Sizes;
use sightline_storage::catalog::TableDef;
use sightline_storage::command::Op;
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, Result};
use sightline_storage::ids::TenantId;
use sightline_storage::table::{BULK_BUFFERS, BulkWriter, check_partitions};

use crate::database::Database;
use crate::error::from_datafusion;
use crate::plan::QueryContext;
use crate::session::Arrived;

pub(crate) use shape::Shape;

/// Rows up to which a write goes through the log, and so the hot tier.
const APPEND_ROWS_MAX: u64 = 128 * 1024;
/// Bytes up to which a write goes through the log.
const APPEND_BYTES_MAX: u64 = 16 << 20;
/// The smallest buffer of a load into parts: with less memory it fails.
const BUFFER_MIN: u64 = 2 << 20;

/// Writes the rows of one statement into one table.
pub struct TableWriter {
    ctx: Arc<QueryContext>,
    database: Arc<Database>,
    tenant: TenantId,
    table: Arc<TableDef>,
    schema: SchemaRef,
    shape: Shape,
    gathered: Vec<RecordBatch>,
    bytes: u64,
    rows: u64,
    bulk: Option<BulkWriter>,
    reservation: MemoryReservation,
    /// For the buffers of `bulk`.
    buffers: MemoryReservation,
}

/// What a writer leaves for the transaction.
pub struct Written {
    pub rows: u64,
    pub(crate) arrived: Arrived,
}

impl TableWriter {
    /// A writer into `table`, as it is in the context's snapshot. `targets` are the positions of the table's columns that
    /// the source's columns go to, in order.
    ///
    /// # Errors
    /// Those of a DEFAULT or CHECK that no longer plans.
    pub fn new(ctx: &Arc<QueryContext>, table: &Arc<TableDef>, targets: Vec<usize>) -> Result<TableWriter> {
        let consumer = consumer(table);
        Ok(TableWriter {
            ctx: ctx.clone(),
            database: ctx.database.clone(),
            tenant: ctx.identity.tenant,
            table: table.clone(),
            schema: table.arrow_schema(),
            shape: Shape::new(ctx, table, targets)?,
            gathered: Vec::new(),
            bytes: 0,
            rows: 0,
            bulk: None,
            buffers: consumer.clone_with_new_id().register(&ctx.memory.writes()),
            reservation: consumer.register(&ctx.memory.loads()),
        })
    }

    /// Leaves out rows that the condition does not hold for.
    ///
    /// # Errors
    /// Those of planning it; 42804 if it is no condition.
    pub fn filter(&mut self, condition: &ast::Expr) -> Result<()> {
        self.shape.filter(condition)
    }

    /// The rows that it has taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The first row of a batch that cannot be written, and why.
    pub fn first_wrong(&mut self, batch: &RecordBatch) -> Option<(usize, Error)> {
        let (mut from, mut to) = (0, batch.num_rows());
        while to - from > 1 {
            let middle = from + (to - from) / 2;
            if self.shape.apply(batch.slice(from, middle - from)).is_err() { to = middle } else { from = middle }
        }
        let wrong = self.shape.apply(batch.slice(from, to - from)).err()?;
        Some((from, wrong))
    }

    /// Takes rows in the columns of the source.
    ///
    /// # Errors
    /// 22003, 22001, 23502, 23514, 42804 for rows that do not fit; 53200 without memory; those of a load.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = self.shape.apply(batch)?;
        self.write_shaped(rows).await
    }

    /// What [`write`](TableWriter::write) would write of rows in the columns of the source.
    ///
    /// # Errors
    /// As for [`write`](TableWriter::write).
    pub(crate) fn shaped(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        self.shape.apply(batch)
    }

    /// Takes rows that are already in the table's columns, and checked.
    ///
    /// # Errors
    /// As for [`write`](TableWriter::write).
    pub(crate) async fn write_shaped(&mut self, rows: RecordBatch) -> Result<()> {
        let bytes = rows.get_array_memory_size() as u64;
        self.rows += rows.num_rows() as u64;
        if let Some(bulk) = &mut self.bulk {
            return bulk.write(rows).await;
        }
        reserve(&self.reservation, bytes)?;
        self.bytes += bytes;
        self.gathered.push(rows);
        if self.rows > APPEND_ROWS_MAX || self.bytes > APPEND_BYTES_MAX {
            self.start_bulk().await?;
        }
        Ok(())
    }

    /// From now on rows go to parts.
    async fn start_bulk(&mut self) -> Result<()> {
        let mut bulk = self.bulk_writer()?;
        for rows in std::mem::take(&mut self.gathered) {
            bulk.write(rows).await?;
        }
        self.bulk = Some(bulk);
        Ok(())
    }

    /// A writer of parts with buffers as large as there is memory for.
    fn bulk_writer(&mut self) -> Result<BulkWriter> {
        let engine = self.database.engine.clone();
        // Large buffers make large parts; with little memory left smaller ones do, too. The step to parts lets memory go, so the
        // pages that the system has not got back yet do not count here.
        let mut buffer = Sizes::new(engine.memory().limit()).load_buffer;
        while let Err(e) = reserve(&self.buffers, (buffer * BULK_BUFFERS).saturating_sub(self.bytes)) {
            if buffer <= BUFFER_MIN {
                return Err(e);
            }
            buffer /= 2;
        }
        Ok(engine.bulk_writer(self.tenant, self.table.clone()).with_buffer_bytes(buffer))
    }

    /// The operations that make the rows visible.
    ///
    /// # Errors
    /// 54000 for too many partitions, 58030 or 53100 from the disk; no part is left then.
    pub async fn finish(self) -> Result<Written> {
        self.finish_after(Vec::new()).await
    }

    /// Whether rows are held against unique indexes.
    pub(crate) fn has_keys(&self) -> bool {
        self.table.unique_indexes().next().is_some()
    }

    /// Looks at the rows that are there now, and not at those of the start.
    ///
    /// # Errors
    /// 3D000 if the tenant is gone.
    pub(crate) fn look_again(&mut self) -> Result<()> {
        let now = self.database.engine.snapshot(self.tenant)?;
        self.ctx = Arc::new(self.ctx.looking_at(now, None));
        Ok(())
    }

    /// As [`finish`](TableWriter::finish), behind operations that delete rows of the table.
    ///
    /// # Errors
    /// As for [`finish`](TableWriter::finish).
    pub(crate) async fn finish_after(self, deletes: Vec<Op>) -> Result<Written> {
        let (ctx, table, engine) = (self.ctx.clone(), self.table.clone(), self.database.engine.clone());
        let Written { rows, arrived: (new, bytes, reservation) } = self.unchecked().await?;
        let mut ops = deletes;
        ops.extend(new.iter().cloned());
        match unique::guarded(&ctx, &table, ops).await {
            Ok(ops) => Ok(Written { rows, arrived: (ops, bytes, reservation) }),
            Err(e) => {
                crate::session::transaction::discard_parts(&engine, &new).await;
                Err(e)
            }
        }
    }

    async fn unchecked(mut self) -> Result<Written> {
        let (table, version) = (self.table.id, self.table.version);
        if let Some(bulk) = self.bulk.take() {
            let parts = bulk.finish().await?;
            return Ok(Written { rows: self.rows, arrived: (vec![Op::AddParts { table, version, parts }], 0, None) });
        }
        let rows = match self.gathered.len() {
            0 => return Ok(Written { rows: 0, arrived: (Vec::new(), 0, None) }),
            1 => self.gathered.remove(0),
            _ => concat_batches(&self.schema, &self.gathered)?,
        };
        self.gathered.clear();
        check_partitions(&self.table, &rows)?;
        let ops = vec![Op::Append { table, version, rows }];
        Ok(Written { rows: self.rows, arrived: (ops, self.bytes, Some(self.reservation)) })
    }
}

fn consumer(table: &TableDef) -> MemoryConsumer {
    MemoryConsumer::new(format!("insert into {}", table.name))
}

fn reserve(reservation: &MemoryReservation, bytes: u64) -> Result<()> {
    reservation.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(from_datafusion)
}

/// One small batch of checked rows in the table's columns, without a writer: for INSERT … VALUES.
///
/// # Errors
/// 54000 for too many partitions, 53200 without memory.
pub(crate) fn append(ctx: &QueryContext, table: &TableDef, rows: RecordBatch) -> Result<Written> {
    check_partitions(table, &rows)?;
    let (count, bytes) = (rows.num_rows() as u64, rows.get_array_memory_size() as u64);
    let reservation = consumer(table).register(&ctx.memory.writes());
    reserve(&reservation, bytes)?;
    let ops = vec![Op::Append { table: table.id, version: table.version, rows }];
    Ok(Written { rows: count, arrived: (ops, bytes, Some(reservation)) })
}

/// Deletes what a writer has left, if its transaction will not take it.
pub(crate) async fn abandon(engine: &Engine, written: &Written) {
    crate::session::transaction::discard_parts(engine, &written.arrived.0).await;
}
