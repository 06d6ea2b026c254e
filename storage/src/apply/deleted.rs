//! What is stored of deleted rows: for each entry that deleted some a set of them, under the block of `_row` numbers that
//! they were hot in, or under their part. The sets of one entry are joined, whichever of its commands they come from.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};

use super::stage::Stage;
use crate::ids::{Index, TableId};
use crate::kv::{Effect, Family, key};
use crate::table::PartDeletes;
use crate::table::delete::encode_positions;

/// Sets of deleted rows by table, and by their key without the entry's index.
pub(crate) type DeletedSets = BTreeMap<(TableId, Vec<u8>), RoaringBitmap>;

impl Stage<'_> {
    /// Rows with numbers from here on come to the hot tier at the end of the entry.
    pub(super) fn hot_end(&self, id: TableId) -> u64 {
        self.base.tables.get(&id).map_or(0, |t| t.next_row)
    }

    /// The number of the first row that the command brings to the table, or could bring.
    pub(super) fn first_own_row(&self, id: TableId) -> u64 {
        self.base.tables.get(&id).map_or(0, |t| t.first_own_row())
    }

    /// Remembers deleted rows of the hot tier for the store.
    pub(super) fn note_deleted(&mut self, id: TableId, rows: &RoaringTreemap) {
        let (group, tenant) = (self.base.group, self.base.tenant);
        for row in rows {
            let key = key::deleted_hot(group, tenant, id, row >> key::BLOCK_BITS);
            // Only the last bits are left.
            self.deleted.entry((id, key)).or_default().insert((row & ((1 << key::BLOCK_BITS) - 1)) as u32);
        }
    }

    /// Remembers deleted rows of a part for the store.
    pub(super) fn note_deleted_cold(&mut self, id: TableId, path: &str, positions: &RoaringBitmap) {
        let key = key::deleted_part(self.base.group, self.base.tenant, id, path);
        *self.deleted.entry((id, key)).or_default() |= positions;
    }

    /// The table has no rows any more.
    pub(super) fn forget_deleted(&mut self, id: TableId) {
        self.deleted.retain(|(table, _), _| *table != id);
        self.own_deleted.remove(&id);
    }

    /// A flush: rows before `rows_end` are in parts now, and what of them is deleted is known by the parts.
    pub(super) fn move_deleted(&mut self, id: TableId, rows_end: u64, deleted: &[PartDeletes]) {
        let (group, tenant) = (self.base.group, self.base.tenant);
        let first = key::deleted_hot(group, tenant, id, 0);
        // A block that goes on in the hot tier stays; its rows that are in parts are not looked for.
        let end = key::deleted_hot(group, tenant, id, rows_end >> key::BLOCK_BITS);
        self.effects.push(Effect::DeleteRange(Family::Deleted, first, end));
        for gone in deleted {
            let key = key::deleted_part(group, tenant, id, &gone.path);
            self.effects.push(put(key, gone.at, &gone.positions));
        }
    }
}

/// The effects that store the sets of an entry.
pub(super) fn effects(sets: &DeletedSets, index: Index) -> impl Iterator<Item = Effect> {
    sets.iter().map(move |((_, key), rows)| put(key.clone(), index, rows))
}

fn put(mut key: Vec<u8>, at: Index, rows: &RoaringBitmap) -> Effect {
    key.extend(at.0.to_be_bytes());
    Effect::Put(Family::Deleted, key, encode_positions(rows))
}
