//! The newest rows of a table in memory, in few chunks however small the writes were.
//!
//! Appends go to a tail of small chunks. As soon as four neighbours are of about the same size they are merged, so a row
//! is copied once for each fourfold growth; a tail of [`FULL_ROWS`] becomes one chunk that is never copied again.
//! A chunk remembers which rows came from which log entry, so that a flush can end at any entry, and which of its rows are
//! deleted: those stay until the flush, and are left out when the chunk is read.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{SchemaRef, UInt64Type};
use roaring::{RoaringBitmap, RoaringTreemap};

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
    /// Deleted ones included.
    rows: u64,
    deleted: u64,
    sealed_bytes: u64,
}

#[derive(Debug)]
struct Chunk {
    /// Deleted rows included; `_row` grows from row to row.
    rows: RecordBatch,
    /// What each log entry brought, in order.
    entries: Arc<Vec<Entry>>,
    /// Positions of deleted rows.
    deleted: RoaringBitmap,
    /// The other rows, once somebody asked.
    live: OnceLock<RecordBatch>,
    bytes: u64,
}

/// Why rows cannot be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// One of them is deleted.
    Deleted,
    /// One of them is not hot (any more).
    Moved,
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
        let entries = Arc::new(vec![Entry { index, end: rows.num_rows() }]);
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
        self.rows - self.deleted
    }

    /// How many rows there are with those that are deleted, but still here.
    pub fn stored_rows(&self) -> u64 {
        self.rows
    }

    /// Whether the row with this number is here, deleted or not.
    pub(crate) fn holds(&self, row: u64) -> bool {
        self.chunk_of(row).is_some_and(|at| self.chunk(at).position(row).is_some())
    }

    /// Deletes rows by their `_row`, all or none.
    pub(crate) fn delete(&mut self, rows: &RoaringTreemap) -> Result<(), Gone> {
        let mut found: BTreeMap<usize, RoaringBitmap> = BTreeMap::new();
        let (mut at, mut end) = (0, 0);
        for row in rows {
            // The rows come in order, so most are in the chunk of the last one.
            if row >= end || found.is_empty() {
                at = self.chunk_of(row).ok_or(Gone::Moved)?;
                end = self.chunk(at).last_row().map_or(0, |last| last + 1);
            }
            let chunk = self.chunk(at);
            let position = chunk.position(row).ok_or(Gone::Moved)?;
            if chunk.deleted.contains(position) {
                return Err(Gone::Deleted);
            }
            found.entry(at).or_default().insert(position);
        }
        for (at, positions) in found {
            let chunk = Arc::new(self.chunk(at).without(&positions));
            match at.checked_sub(self.sealed.len()) {
                Some(at) => self.tail[at] = chunk,
                None => Arc::make_mut(&mut self.sealed)[at] = chunk,
            }
            self.deleted += positions.len();
        }
        Ok(())
    }

    /// `_row` of each row, in the order of [`chunks`](HotRows::chunks).
    pub fn live_numbers(&self) -> Vec<u64> {
        let live = |c: &Arc<Chunk>| {
            let gone = c.deleted.clone();
            let numbers = c.numbers().to_vec();
            (0_u32..).zip(numbers).filter(move |(p, _)| !gone.contains(*p)).map(|(_, n)| n)
        };
        self.all().flat_map(live).collect()
    }

    /// The `_row` of all deleted rows of entries up to and including `to`.
    pub fn deleted_through(&self, to: Index) -> RoaringTreemap {
        let mut deleted = RoaringTreemap::new();
        for chunk in self.all().filter(|c| !c.deleted.is_empty()) {
            let (_, end) = chunk.split(to);
            let numbers = chunk.numbers();
            deleted.extend(chunk.deleted.iter().take_while(|p| (*p as usize) < end).map(|p| numbers[p as usize]));
        }
        deleted
    }

    /// How many rows [`deleted_through`](HotRows::deleted_through) would return.
    pub(crate) fn deleted_count_through(&self, to: Index) -> u64 {
        let chunks = self.all().filter(|c| !c.deleted.is_empty());
        chunks.map(|c| c.deleted.range_cardinality(..u32::try_from(c.split(to).1).unwrap_or(u32::MAX))).sum()
    }

    /// The `_row` behind the last row of entries up to and including `to`; none if there is no such row.
    pub(crate) fn end_through(&self, to: Index) -> Option<u64> {
        let last = |c: &Arc<Chunk>| c.split(to).1.checked_sub(1).map(|last| c.numbers()[last] + 1);
        self.all().filter_map(last).last()
    }

    fn chunk(&self, at: usize) -> &Chunk {
        match at.checked_sub(self.sealed.len()) {
            Some(at) => &self.tail[at],
            None => &self.sealed[at],
        }
    }

    /// The chunk that a row is in if it is hot.
    fn chunk_of(&self, row: u64) -> Option<usize> {
        let before = |c: &Arc<Chunk>| c.first_row().is_some_and(|first| first <= row);
        let in_tail = self.tail.partition_point(before);
        match in_tail {
            0 => self.sealed.partition_point(before).checked_sub(1),
            n => Some(self.sealed.len() + n - 1),
        }
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
        self.deleted = self.all().map(|c| c.deleted.len()).sum();
        self.sealed_bytes = self.sealed.iter().map(|c| c.bytes).sum();
    }

    /// The rows of entries up to and including `to`, oldest first, as they are stored, deleted ones included.
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
            let live = chunk.live()?;
            if live.num_rows() > 0 {
                result.push(alignment.apply(live)?);
            }
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
    fn new(rows: RecordBatch, entries: Arc<Vec<Entry>>) -> Chunk {
        let bytes = held_bytes(&rows) + (entries.len() * size_of::<Entry>()) as u64;
        Chunk { rows, entries, deleted: RoaringBitmap::new(), live: OnceLock::new(), bytes }
    }

    /// The same rows, more of them deleted.
    fn without(&self, positions: &RoaringBitmap) -> Chunk {
        let deleted = &self.deleted | positions;
        Chunk {
            rows: self.rows.clone(),
            entries: self.entries.clone(),
            deleted,
            live: OnceLock::new(),
            bytes: self.bytes,
        }
    }

    /// The rows that are not deleted.
    fn live(&self) -> Result<&RecordBatch> {
        if self.deleted.is_empty() {
            return Ok(&self.rows);
        }
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let mut mask = BooleanBufferBuilder::new(self.rows.num_rows());
        mask.append_n(self.rows.num_rows(), true);
        self.deleted.iter().for_each(|p| mask.set_bit(p as usize, false));
        let live = filter_record_batch(&self.rows, &BooleanArray::new(mask.finish(), None))?;
        Ok(self.live.get_or_init(|| live))
    }

    /// `_row` of each row.
    fn numbers(&self) -> &[u64] {
        let column = self.rows.columns().last().and_then(|c| c.as_primitive_opt::<UInt64Type>());
        column.map(|c| c.values().as_ref()).unwrap_or_default()
    }

    fn first_row(&self) -> Option<u64> {
        self.numbers().first().copied()
    }

    fn last_row(&self) -> Option<u64> {
        self.numbers().last().copied()
    }

    fn position(&self, row: u64) -> Option<u32> {
        self.numbers().binary_search(&row).ok().and_then(|p| u32::try_from(p).ok())
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
        let mut deleted = RoaringBitmap::new();
        let mut offset = 0;
        for chunk in chunks {
            deleted.extend(chunk.deleted.iter().map(|p| p + offset as u32));
            for entry in chunk.entries.iter() {
                let end = offset + entry.end;
                match entries.last_mut() {
                    Some(last) if last.index == entry.index => last.end = end,
                    _ => entries.push(Entry { index: entry.index, end }),
                }
            }
            offset += chunk.rows.num_rows();
        }
        Ok(Chunk { deleted, ..Chunk::new(rows, Arc::new(entries)) })
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
        let entries = self.entries[entries..].iter().map(|e| Entry { index: e.index, end: e.end - rows });
        let deleted = self.deleted.iter().filter_map(|p| p.checked_sub(rows as u32)).collect();
        Some(Arc::new(Chunk { deleted, ..Chunk::new(rest, Arc::new(entries.collect())) }))
    }
}
