//! Decides which rows make up which part, and in which order: by partition, then by `CLUSTER BY`.
//!
//! Rows are not moved for it. A [`Run`] holds the places of its rows, and gathers them batch by batch while they are
//! encoded; rows that are in order already are passed on as they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave_record_batch, take_record_batch};
use arrow::datatypes::UInt64Type;
use arrow::row::{RowConverter, Rows, SortField};

use super::memory::held_bytes;
use super::partition::{Codes, Partitioner};
use super::stored::ROW_COLUMN;
use crate::catalog::TableDef;
use crate::error::{Error, Result};

/// Rows gathered at a time: large enough to spread a gather's fixed cost, small enough to stay in the cache …
const GATHER_ROWS: usize = 16 * 1024;
/// … and fewer of wide rows, to about so many bytes.
const GATHER_BYTES: u64 = 16 << 20;

/// The rows of one part to be.
#[derive(Debug)]
pub(super) struct Run {
    /// The partition's number in the [`Partitioner`].
    pub(super) partition: u32,
    batches: Arc<Vec<RecordBatch>>,
    /// None means all rows of `batches` as they stand.
    order: Option<Vec<Place>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    batch: u32,
    row: u32,
}

/// A row's sort key: the first bytes, enough for a short string and most of a time, decide nearly all comparisons without
/// a look at the whole key, which would miss the cache.
#[derive(Clone, Copy)]
struct Key {
    prefix: u128,
    place: Place,
}

/// Splits rows (stored names, one schema) into runs of at most `rows_max` rows, each sorted. Equal keys stay in the order
/// they came in.
pub(super) fn runs(
    def: &TableDef,
    partitioner: &mut Partitioner,
    batches: Vec<RecordBatch>,
    rows_max: usize,
) -> Result<Vec<Run>> {
    if batches.iter().any(|b| u32::try_from(b.num_rows()).is_err()) || u32::try_from(batches.len()).is_err() {
        return Err(Error::internal("too many rows in one batch"));
    }
    let keys = sort_keys(def, &batches)?;
    let batches = Arc::new(batches);
    let mut runs = Vec::new();
    for (partition, mut order) in groups(partitioner, &batches)? {
        if let Some(keys) = &keys {
            order = sorted(order, &batches, keys);
        }
        runs.extend(Run { partition, batches: batches.clone(), order }.split(rows_max));
    }
    Ok(runs)
}

/// The rows of each partition, in order of the partitions' numbers.
fn groups(partitioner: &mut Partitioner, batches: &[RecordBatch]) -> Result<BTreeMap<u32, Option<Vec<Place>>>> {
    let codes = batches.iter().map(|b| partitioner.assign(b)).collect::<Result<Vec<_>>>()?;
    let Some(first) = codes.first() else { return Ok(BTreeMap::new()) };
    if let Codes::Same(partition) = first
        && codes.iter().all(|c| c == first)
    {
        return Ok([(*partition, None)].into());
    }
    let mut groups: BTreeMap<u32, Option<Vec<Place>>> = BTreeMap::new();
    for (batch, (rows, codes)) in batches.iter().zip(&codes).enumerate() {
        let place = |row: usize| Place { batch: batch as u32, row: row as u32 };
        match codes {
            Codes::Same(partition) => {
                let group = groups.entry(*partition).or_default().get_or_insert_default();
                group.extend((0..rows.num_rows()).map(place));
            }
            Codes::Each(codes) => {
                for (row, partition) in codes.iter().enumerate() {
                    groups.entry(*partition).or_default().get_or_insert_default().push(place(row));
                }
            }
        }
    }
    Ok(groups)
}

/// The sort keys of each batch, or none if the table has no `CLUSTER BY`.
fn sort_keys(def: &TableDef, batches: &[RecordBatch]) -> Result<Option<Vec<Rows>>> {
    let names = def.cluster_by.iter().filter_map(|id| def.column_by_id(*id)).map(|c| &c.stored_name);
    let names = names.collect::<Vec<_>>();
    let Some(first) = batches.first() else { return Ok(None) };
    if names.is_empty() {
        return Ok(None);
    }
    let columns = |batch: &RecordBatch| -> Result<Vec<ArrayRef>> {
        let column = |name: &&String| {
            let found = batch.column_by_name(name).cloned();
            found.ok_or_else(|| Error::internal(format!("column \"{name}\" is missing in rows to sort")))
        };
        names.iter().map(column).collect()
    };
    let options = SortOptions { descending: false, nulls_first: false };
    let fields = columns(first)?.iter().map(|c| SortField::new_with_options(c.data_type().clone(), options)).collect();
    let converter = RowConverter::new(fields)?;
    let keys = batches.iter().map(|b| Ok(converter.convert_columns(&columns(b)?)?)).collect::<Result<Vec<_>>>()?;
    Ok(Some(keys))
}

/// The places in order of their keys; none if all rows of all batches are in order as they stand.
fn sorted(order: Option<Vec<Place>>, batches: &[RecordBatch], rows: &[Rows]) -> Option<Vec<Place>> {
    let data = |p: &Place| rows[p.batch as usize].row(p.row as usize).data();
    let is_everything = order.is_none();
    let places = order.unwrap_or_else(|| all_places(batches));
    if places.is_sorted_by_key(data) {
        return if is_everything { None } else { Some(places) };
    }
    let mut keys = places.into_iter().map(|place| Key { prefix: prefix(data(&place)), place }).collect::<Vec<_>>();
    keys.sort_unstable_by(|a, b| {
        let by_key = a.prefix.cmp(&b.prefix).then_with(|| data(&a.place).cmp(data(&b.place)));
        by_key.then_with(|| a.place.cmp(&b.place))
    });
    Some(keys.into_iter().map(|k| k.place).collect())
}

fn prefix(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let n = key.len().min(bytes.len());
    bytes[..n].copy_from_slice(&key[..n]);
    u128::from_be_bytes(bytes)
}

fn all_places(batches: &[RecordBatch]) -> Vec<Place> {
    let mut places = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (batch, rows) in batches.iter().enumerate() {
        places.extend((0..rows.num_rows()).map(|row| Place { batch: batch as u32, row: row as u32 }));
    }
    places
}

impl Run {
    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        match &self.order {
            Some(order) => order.len(),
            None => self.batches.iter().map(RecordBatch::num_rows).sum(),
        }
    }

    /// `_row` of each row in order; nothing if the rows have no numbers yet.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let column = |b: &RecordBatch| b.column_by_name(ROW_COLUMN)?.as_primitive_opt::<UInt64Type>().cloned();
        let Some(columns) = self.batches.iter().map(column).collect::<Option<Vec<_>>>() else { return Vec::new() };
        match &self.order {
            Some(order) => order.iter().map(|p| columns[p.batch as usize].value(p.row as usize)).collect(),
            None => columns.iter().flat_map(|c| c.values().iter().copied()).collect(),
        }
    }

    /// The rows in order, a batch at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> + '_ {
        let whole = if self.order.is_none() { self.batches.as_slice() } else { &[] };
        let places = self.order.as_deref().unwrap_or_default();
        whole.iter().map(|b| Ok(b.clone())).chain(places.chunks(self.gather_rows()).map(|p| self.gather(p)))
    }

    /// How many rows to gather at a time.
    fn gather_rows(&self) -> usize {
        self.rows_of(GATHER_BYTES).clamp(64, GATHER_ROWS)
    }

    /// How many rows have about so many bytes.
    fn rows_of(&self, bytes: u64) -> usize {
        let rows = self.batches.iter().map(|b| b.num_rows() as u64).sum::<u64>().max(1);
        let row_bytes = (self.batches.iter().map(held_bytes).sum::<u64>() / rows).max(1);
        usize::try_from(bytes / row_bytes).unwrap_or(usize::MAX)
    }

    /// About `rows` of its rows, spread evenly; fewer of wide ones.
    pub(super) fn sample(&self, rows: usize) -> Result<RecordBatch> {
        let rows = rows.min(self.rows_of(GATHER_BYTES)).max(1);
        let step = (self.rows() / rows).max(1);
        let places = match &self.order {
            Some(order) => order.iter().step_by(step).copied().collect::<Vec<_>>(),
            None => {
                let mut skip = 0;
                let mut places = Vec::new();
                for (batch, b) in self.batches.iter().enumerate() {
                    let mut row = skip;
                    while row < b.num_rows() {
                        places.push(Place { batch: batch as u32, row: row as u32 });
                        row += step;
                    }
                    skip = row - b.num_rows();
                }
                places
            }
        };
        self.gather(&places)
    }

    fn gather(&self, places: &[Place]) -> Result<RecordBatch> {
        if let [batch] = self.batches.as_slice() {
            let rows = UInt32Array::from_iter_values(places.iter().map(|p| p.row));
            return Ok(take_record_batch(batch, &rows)?);
        }
        let batches = self.batches.iter().collect::<Vec<_>>();
        let places = places.iter().map(|p| (p.batch as usize, p.row as usize)).collect::<Vec<_>>();
        Ok(interleave_record_batch(&batches, &places)?)
    }

    /// Consecutive pieces of at most `rows_max` rows.
    fn split(self, rows_max: usize) -> Vec<Run> {
        if self.rows() <= rows_max {
            return vec![self];
        }
        let order = self.order.unwrap_or_else(|| all_places(&self.batches));
        let piece =
            |p: &[Place]| Run { partition: self.partition, batches: self.batches.clone(), order: Some(p.to_vec()) };
        order.chunks(rows_max).map(piece).collect()
    }
}
