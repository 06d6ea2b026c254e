//! An entry of a group's log: several commands that were proposed while the last sync ran, their rows joined.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;

use crate::command::{Command, Op};
use crate::error::Result;
use crate::ids::{GroupId, Index, TableId, TenantId};
use crate::rows;

/// One entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) group: GroupId,
    pub(crate) index: Index,
    pub(crate) commands: Vec<LogCommand>,
    pub(crate) batches: Vec<RowsBatch>,
}

/// The rows of an entry for one version of one table.
#[derive(Debug)]
pub(crate) struct RowsBatch {
    pub(crate) ipc: Bytes,
    /// The same, if they need not be decoded because they were just encoded.
    pub(crate) rows: Option<RecordBatch>,
}

/// A [`Command`] whose rows are elsewhere.
#[derive(Debug)]
pub(crate) struct LogCommand {
    pub(crate) id: u128,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) at: i64,
    pub(crate) base: Index,
    pub(crate) catalog_version: Option<u64>,
    pub(crate) ops: Vec<LogOp>,
}

/// An [`Op`] whose rows are elsewhere.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an entry holds few of them, and a box would cost each INSERT an allocation"
)]
pub(crate) enum LogOp {
    Append(AppendRef),
    /// Any other than [`Op::Append`].
    Other(Op),
}

/// [`Op::Append`] with its rows as a range of one of the entry's batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AppendRef {
    pub(crate) table: TableId,
    pub(crate) version: u32,
    pub(crate) batch: u32,
    pub(crate) offset: u64,
    pub(crate) rows: u64,
    pub(crate) fingerprint: u32,
}

/// A command on its way to the log: its rows are in the form of the log already, which is work for the proposer's thread.
#[derive(Debug)]
pub(crate) struct Draft {
    command: LogCommand,
    /// What the append with this number as its `batch` appends.
    rows: Vec<RecordBatch>,
    pub(crate) bytes: usize,
    pub(crate) row_count: usize,
}

impl Draft {
    pub(crate) fn new(command: Command) -> Result<Draft> {
        let Command { id, tenant, at, base, catalog_version, ops } = command;
        let mut rows = Vec::new();
        let ops = ops.into_iter().map(|op| log_op(op, &mut rows)).collect::<Result<Vec<_>>>()?;
        let bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum();
        let row_count = rows.iter().map(RecordBatch::num_rows).sum();
        let command = LogCommand { id, tenant, at, base, catalog_version, ops };
        Ok(Draft { command, rows, bytes, row_count })
    }

    /// Whether it brings rows, and so waits while too many are not flushed.
    pub(crate) fn appends(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Whether it brings rows in any way, which a full disk has no room for.
    pub(crate) fn grows(&self) -> bool {
        self.appends() || self.command.ops.iter().any(|op| matches!(op, LogOp::Other(Op::AddParts { .. })))
    }
}

/// The operations, and the rows of appends apart.
pub(crate) fn log_ops(ops: &[Op]) -> Result<(Vec<LogOp>, Vec<RowsBatch>)> {
    let mut rows = Vec::new();
    let ops = ops.iter().map(|op| log_op(op.clone(), &mut rows)).collect::<Result<Vec<_>>>()?;
    Ok((ops, rows.into_iter().map(|r| RowsBatch { ipc: Bytes::new(), rows: Some(r) }).collect()))
}

fn log_op(op: Op, rows: &mut Vec<RecordBatch>) -> Result<LogOp> {
    let Op::Append { table, version, rows: appended } = op else { return Ok(LogOp::Other(op)) };
    let wire = rows::to_wire(&appended)?;
    let fingerprint = rows::fingerprint(wire.schema_ref());
    let batch = u32::try_from(rows.len()).expect("a command has fewer operations than 2^32");
    rows.push(wire);
    Ok(LogOp::Append(AppendRef { table, version, batch, offset: 0, rows: appended.num_rows() as u64, fingerprint }))
}

/// Joins commands to one entry.
#[derive(Debug, Default)]
pub(crate) struct EntryBuilder {
    commands: Vec<LogCommand>,
    batches: Vec<Vec<RecordBatch>>,
    lengths: Vec<u64>,
    known: HashMap<BatchKey, u32>,
}

/// What rows must have in common to be one batch: one table, one version, one layout. The last number keeps rows for a
/// table that the command itself makes apart from those of other commands.
type BatchKey = (Option<TenantId>, TableId, u32, u32, usize);

impl EntryBuilder {
    pub(crate) fn push(&mut self, draft: Draft) {
        let Draft { mut command, rows, .. } = draft;
        let number = self.commands.len();
        for op in &mut command.ops {
            let LogOp::Append(append) = op else { continue };
            let own = if append.table == TableId(0) { number + 1 } else { 0 };
            let key = (command.tenant, append.table, append.version, append.fingerprint, own);
            let wire = rows[append.batch as usize].clone();
            let next = u32::try_from(self.batches.len()).expect("an entry has fewer batches than 2^32");
            let batch = *self.known.entry(key).or_insert(next);
            if batch == next {
                self.batches.push(Vec::new());
                self.lengths.push(0);
            }
            (append.batch, append.offset) = (batch, self.lengths[batch as usize]);
            self.lengths[batch as usize] += append.rows;
            self.batches[batch as usize].push(wire);
        }
        self.commands.push(command);
    }

    pub(crate) fn finish(self, group: GroupId, index: Index) -> Result<Entry> {
        let batches = self.batches.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
        Ok(Entry { group, index, commands: self.commands, batches })
    }
}

fn joined(mut rows: Vec<RecordBatch>) -> Result<RowsBatch> {
    let rows = match rows.len() {
        1 => rows.pop().expect("there is one"),
        _ => concat_batches(rows[0].schema_ref(), &rows)?,
    };
    Ok(RowsBatch { ipc: rows::encode(&rows)?, rows: Some(rows) })
}
