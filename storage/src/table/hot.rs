//! The newest rows of a table in memory, in few chunks however small the writes were.
//!
//! Appends go to a tail of small chunks. As soon as four neighbours are of about the same size they are merged, so a row
//! is copied once for each fourfold growth; a tail of [`FULL_ROWS`] becomes one chunk that is never copied again.
//! A chunk remembers which rows came from which log entry, so that a flush can end at any entry.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use super::memory::{compacted, held_bytes, with_joined_views};
use super::stored::Alignment;
use crate::catalog::TableDef;
use crate::error::Result;
use crate::ids::Index;

/// Rows from which a chunk is left alone: the batch size of the query engine.
const FULL_ROWS: usize = 8192;
/// Bytes from which a chunk is left alone, for wide rows.
const FULL_BYTES: u64 = 8 << 20;
/// How many chunks of one size class stay before the next one of that class merges them.
const FAN_OUT: usize = 4;

/// Recent rows, oldest first. Cheap to clone: a clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct HotRows {
    sealed: Arc<Vec<Arc<Chunk>>>,
    /// Chunks of one schema that may still be merged; together less than a full chunk.
    tail: Vec<Arc<Chunk>>,
    rows: u64,
    sealed_bytes: u64,
}

#[derive(Debug)]
struct Chunk {
    rows: RecordBatch,
    /// What each log entry brought, in order.
    entries: Vec<Entry>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: Index,
    /// The first row of the chunk after this entry's rows.
    end: usize,
}

impl HotRows {
    /// Adds the rows of the log entry `index`, which is not older than any before: columns under their stored names, with
    /// `_row` last.
    pub fn append(&mut self, rows: RecordBatch, index: Index) {
        if rows.num_rows() == 0 {
            return;
        }
        let entries = vec![Entry { index, end: rows.num_rows() }];
        // What cannot be copied together is kept as it came: only memory is at stake.
        let rows = compacted(rows.clone()).unwrap_or(rows);
        self.rows += rows.num_rows() as u64;
        self.push(Chunk::new(rows, entries));
    }

    /// Bytes of memory held, shared buffers counted once a chunk.
    pub fn bytes(&self) -> u64 {
        self.sealed_bytes + self.tail_bytes()
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many chunks [`chunks`](HotRows::chunks) would return.
    pub fn chunk_count(&self) -> usize {
        self.sealed.len() + self.tail.len()
    }

    /// Forgets the rows of entries up to and including `to`, which are in parts now.
    pub fn drop_through(&mut self, to: Index) {
        let rest = |chunks: &[Arc<Chunk>]| chunks.iter().filter_map(|c| c.clone().after(to)).collect::<Vec<_>>();
        self.sealed = Arc::new(rest(&self.sealed));
        self.tail = rest(&self.tail);
        self.rows = self.all().map(|c| c.rows.num_rows() as u64).sum();
        self.sealed_bytes = self.sealed.iter().map(|c| c.bytes).sum();
    }

    /// The rows of entries up to and including `to`, oldest first, as they are stored.
    pub fn through(&self, to: Index) -> Vec<RecordBatch> {
        self.all().map_while(|c| c.before(to)).collect()
    }

    /// All rows in the columns of `def.arrow_schema()`, oldest first.
    ///
    /// # Errors
    /// 42804 if a column's stored values do not fit its present type, XX001 if its default is damaged.
    pub fn chunks(&self, def: &TableDef) -> Result<Vec<RecordBatch>> {
        let mut result = Vec::with_capacity(self.chunk_count());
        let mut known: Option<(SchemaRef, Alignment)> = None;
        for chunk in self.all() {
            let schema = chunk.rows.schema_ref();
            let alignment = match &known {
                Some((s, a)) if Arc::ptr_eq(s, schema) => a,
                _ => &known.insert((schema.clone(), Alignment::to_table(def, schema)?)).1,
            };
            result.push(alignment.apply(&chunk.rows)?);
        }
        Ok(result)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.sealed.iter().chain(&self.tail)
    }

    fn tail_bytes(&self) -> u64 {
        self.tail.iter().map(|c| c.bytes).sum()
    }

    fn push(&mut self, chunk: Chunk) {
        let chunk = match self.tail.last().or(self.sealed.last()) {
            Some(last) => chunk.sharing_schema_of(last),
            None => chunk,
        };
        let other_schema = |last: &Arc<Chunk>| !Arc::ptr_eq(last.rows.schema_ref(), chunk.rows.schema_ref());
        if chunk.is_full() || self.tail.last().is_some_and(other_schema) {
            self.seal_tail();
        }
        let full = chunk.is_full();
        self.tail.push(Arc::new(chunk));
        let tail_rows = self.tail.iter().map(|c| c.rows.num_rows()).sum::<usize>();
        if full || tail_rows >= FULL_ROWS || self.tail_bytes() >= FULL_BYTES {
            self.seal_tail();
        } else {
            self.merge_tail(merge_start(&self.tail));
        }
    }

    fn seal_tail(&mut self) {
        self.merge_tail(0);
        self.sealed_bytes += self.tail_bytes();
        Arc::make_mut(&mut self.sealed).append(&mut self.tail);
    }

    /// Makes one chunk of `tail[start..]`.
    fn merge_tail(&mut self, start: usize) {
        if self.tail.len() - start < 2 {
            return;
        }
        // On failure (offsets of a binary column would overflow) they stay apart, which is right as well.
        if let Ok(merged) = Chunk::merged(&self.tail[start..]) {
            self.tail.truncate(start);
            self.tail.push(Arc::new(merged));
        }
    }
}

/// The first chunk of the tail to merge with the last one: neighbours of its size class once there are enough of them,
/// and smaller ones that stand in between.
fn merge_start(tail: &[Arc<Chunk>]) -> usize {
    let size = |c: &Arc<Chunk>| c.rows.num_rows();
    let mut start = tail.len() - 1;
    let mut total = size(&tail[start]);
    loop {
        let level = size_class(total);
        let run = tail[..start].iter().rev().take_while(|c| size_class(size(c)) <= level).count();
        let smaller = tail[start - run..start].iter().any(|c| size_class(size(c)) < level);
        if run == 0 || (run < FAN_OUT - 1 && !smaller) {
            return start;
        }
        total += tail[start - run..start].iter().map(size).sum::<usize>();
        start -= run;
    }
}

/// The logarithm to base 4.
fn size_class(rows: usize) -> u32 {
    rows.max(1).ilog2() / FAN_OUT.ilog2()
}

impl Chunk {
    fn new(rows: RecordBatch, entries: Vec<Entry>) -> Chunk {
        let bytes = held_bytes(&rows) + (entries.len() * size_of::<Entry>()) as u64;
        Chunk { rows, entries, bytes }
    }

    fn is_full(&self) -> bool {
        self.rows.num_rows() >= FULL_ROWS || self.bytes >= FULL_BYTES
    }

    /// With the very same schema value as `last` if they are equal: later comparisons are by pointer.
    fn sharing_schema_of(mut self, last: &Chunk) -> Chunk {
        let schema = last.rows.schema();
        if !Arc::ptr_eq(&schema, self.rows.schema_ref())
            && schema.fields() == self.rows.schema_ref().fields()
            && let Ok(rows) = self.rows.clone().with_schema(schema)
        {
            self.rows = rows;
        }
        self
    }

    fn merged(chunks: &[Arc<Chunk>]) -> Result<Chunk> {
        let rows = concat_batches(chunks[0].rows.schema_ref(), chunks.iter().map(|c| &c.rows))?;
        let rows = with_joined_views(&rows)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(chunks.iter().map(|c| c.entries.len()).sum());
        let mut offset = 0;
        for chunk in chunks {
            for entry in &chunk.entries {
                let end = offset + entry.end;
                match entries.last_mut() {
                    Some(last) if last.index == entry.index => last.end = end,
                    _ => entries.push(Entry { index: entry.index, end }),
                }
            }
            offset += chunk.rows.num_rows();
        }
        Ok(Chunk::new(rows, entries))
    }

    /// How many entries, and how many rows, are not newer than `to`.
    fn split(&self, to: Index) -> (usize, usize) {
        let entries = self.entries.partition_point(|e| e.index <= to);
        (entries, entries.checked_sub(1).map_or(0, |last| self.entries[last].end))
    }

    fn before(&self, to: Index) -> Option<RecordBatch> {
        match self.split(to).1 {
            0 => None,
            rows => Some(self.rows.slice(0, rows)),
        }
    }

    fn after(self: Arc<Chunk>, to: Index) -> Option<Arc<Chunk>> {
        let (entries, rows) = self.split(to);
        if entries == 0 {
            return Some(self);
        }
        if entries == self.entries.len() {
            return None;
        }
        let rest = self.rows.slice(rows, self.rows.num_rows() - rows);
        let rest = compacted(rest.clone()).unwrap_or(rest);
        let entries = self.entries[entries..].iter().map(|e| Entry { index: e.index, end: e.end - rows }).collect();
        Some(Arc::new(Chunk::new(rest, entries)))
    }
}
