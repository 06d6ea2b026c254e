//! Deleted rows: which ones a command deletes, and which of a part are gone.
//!
//! A row is deleted by its place, which whoever proposes the command has found in a snapshot: apply neither searches nor
//! evaluates anything. A hot row is named by its `_row`, a row of a part by its position in the file. What is deleted stays
//! where it is until a compaction; readers leave it out.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use roaring::{RoaringBitmap, RoaringTreemap};

use crate::error::Result;
use crate::ids::Index;
use crate::kv::damaged;

/// From how many recent positions on a [`Deletion`] makes one set of all.
const RECENT_MAX: u64 = 256;

/// Rows of one table that a command deletes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletes {
    /// Hot rows, by `_row`.
    pub hot: RoaringTreemap,
    /// Rows that the same command brings to the hot tier: the n-th row that it brings to the table, from 0.
    pub own: RoaringTreemap,
    /// Positions in parts, by [`PartMeta::path`](super::PartMeta::path).
    pub parts: BTreeMap<String, RoaringBitmap>,
}

impl Deletes {
    /// How many rows it deletes.
    pub fn rows(&self) -> u64 {
        self.hot.len() + self.own.len() + self.parts.values().map(RoaringBitmap::len).sum::<u64>()
    }

    /// True if it deletes nothing.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> u64 {
        let parts = self.parts.iter().map(|(path, rows)| path.len() + rows.serialized_size());
        (self.hot.serialized_size() + self.own.serialized_size() + parts.sum::<usize>()) as u64
    }
}

/// Rows of a new part that were deleted while they were hot.
#[derive(Clone, Debug, PartialEq)]
pub struct PartDeletes {
    pub path: String,
    /// The entry that deleted them.
    pub at: Index,
    pub positions: RoaringBitmap,
}

/// The deleted rows of one part, as of one snapshot. Cheap to extend and to clone.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    base: Arc<RoaringBitmap>,
    /// Not in `base`: so that one more row does not copy all of them.
    recent: RoaringBitmap,
    live: OnceLock<Arc<LiveMasks>>,
}

/// For each row group which rows are left; none if all are.
pub type LiveMasks = Vec<Option<BooleanBuffer>>;

impl Deletion {
    /// How many rows are deleted.
    pub fn rows(&self) -> u64 {
        self.base.len() + self.recent.len()
    }

    /// Whether the row at a position is deleted.
    pub fn contains(&self, position: u32) -> bool {
        self.base.contains(position) || self.recent.contains(position)
    }

    /// All positions.
    pub fn positions(&self) -> RoaringBitmap {
        self.base.as_ref() | &self.recent
    }

    /// This and more rows; none if one of them is deleted already.
    #[must_use]
    pub(crate) fn with(&self, more: &RoaringBitmap) -> Option<Deletion> {
        if !self.base.is_disjoint(more) || !self.recent.is_disjoint(more) {
            return None;
        }
        let recent = &self.recent | more;
        if recent.len() <= RECENT_MAX.max(self.base.len() / 64) {
            return Some(Deletion { base: self.base.clone(), recent, live: OnceLock::new() });
        }
        let base = Arc::new(self.base.as_ref() | recent);
        Some(Deletion { base, recent: RoaringBitmap::new(), live: OnceLock::new() })
    }

    /// Which rows of each row group are left. Worked out when first asked for.
    pub fn live(&self, row_groups: &[u64]) -> Arc<LiveMasks> {
        self.live.get_or_init(|| Arc::new(masks(&self.positions(), row_groups))).clone()
    }
}

/// Equal for equal sets of rows, however they came together.
impl PartialEq for Deletion {
    fn eq(&self, other: &Deletion) -> bool {
        self.rows() == other.rows() && self.positions() == other.positions()
    }
}

fn masks(deleted: &RoaringBitmap, row_groups: &[u64]) -> LiveMasks {
    let mut first = 0_u64;
    let mut masks = Vec::with_capacity(row_groups.len());
    for rows in row_groups {
        let (from, to) = (first, first + rows);
        first = to;
        let bound = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let gone = deleted.range(bound(from)..bound(to));
        if deleted.range_cardinality(bound(from)..bound(to)) == 0 {
            masks.push(None);
            continue;
        }
        let mut live = BooleanBufferBuilder::new(*rows as usize);
        live.append_n(*rows as usize, true);
        for position in gone {
            live.set_bit((u64::from(position) - from) as usize, false);
        }
        masks.push(Some(live.finish()));
    }
    masks
}

/// The stored form of a set of positions: that of the Roaring format specification.
pub(crate) fn encode_positions(positions: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(positions.serialized_size());
    positions.serialize_into(&mut bytes).expect("a vector takes whatever is written");
    bytes
}

/// What [`encode_positions`] made of a set.
pub(crate) fn decode_positions(bytes: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(bytes).map_err(|e| damaged("a set of deleted rows").source(e))
}

/// As [`encode_positions`], for numbers of rows.
pub(crate) fn encode_rows(rows: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.serialized_size());
    rows.serialize_into(&mut bytes).expect("a vector takes whatever is written");
    bytes
}

/// What [`encode_rows`] made of a set.
pub(crate) fn decode_rows(bytes: &[u8]) -> Result<RoaringTreemap> {
    RoaringTreemap::deserialize_from(bytes).map_err(|e| damaged("a set of deleted rows").source(e))
}
