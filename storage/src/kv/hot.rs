//! The hot store: catalog, recent rows, manifests and state, written once an entry and never synced by itself.

use std::collections::BTreeMap;
use std::path::Path;

use roaring::RoaringTreemap;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, Direction, FlushOptions, IteratorMode, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{Effect, Family, damaged, family_options, key, memtable_bytes, open_error, options};
use crate::budget::Sizes;
use crate::error::Result;
use crate::format::decode;
use crate::format::state::MarkMessage;
use crate::ids::{GroupId, Index, TableId, TenantId};
use crate::table::delete::decode_positions;

/// Marks deleted by one write.
const PRUNED_AT_ONCE: usize = 10_000;

/// The hot store of one data directory.
#[derive(Debug)]
pub(crate) struct HotStore {
    db: DB,
}

impl HotStore {
    /// Opens it, or makes it if `create`.
    ///
    /// # Errors
    /// XX001 if it is damaged or missing, 53100 if the disk is full.
    pub(crate) fn open(dir: &Path, create: bool, sizes: &Sizes) -> Result<HotStore> {
        let memtables = sizes.hot_memtables as usize;
        let mut options = options(memtables, create);
        // All families flush together, so that what a crash leaves is the state after one entry.
        options.set_atomic_flush(true);
        // A directory may be older than a family.
        options.create_missing_column_families(true);
        let cache = Cache::new_lru_cache(sizes.hot_cache as usize);
        let family = |f: Family| ColumnFamilyDescriptor::new(f.name(), family_options(memtables / 2, &cache));
        let db = DB::open_cf_descriptors(&options, dir, Family::ALL.map(family));
        Ok(HotStore { db: db.map_err(|e| open_error("hot store", e))? })
    }

    /// Writes all of it or nothing. Durable only after [`flush`](HotStore::flush).
    pub(crate) fn write(&self, effects: &[Effect]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for effect in effects {
            match effect {
                Effect::Put(f, key, value) => batch.put_cf(self.family(*f), key, value),
                Effect::Delete(f, key) => batch.delete_cf(self.family(*f), key),
                Effect::DeleteRange(f, from, to) => batch.delete_range_cf(self.family(*f), from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        Ok(self.db.write_opt(batch, &options)?)
    }

    /// Makes everything written before durable.
    pub(crate) fn flush(&self) -> Result<()> {
        let families = Family::ALL.map(|f| self.family(f));
        let mut options = FlushOptions::default();
        options.set_wait(true);
        Ok(self.db.flush_cfs_opt(&families, &options)?)
    }

    /// Bytes in memory that have still to be written to disk.
    pub(crate) fn pending_bytes(&self) -> u64 {
        Family::ALL.iter().map(|f| memtable_bytes(&self.db, self.family(*f))).sum()
    }

    /// Calls `f` with each key and value of the family, in order, until it fails.
    pub(crate) fn scan(&self, family: Family, mut f: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        for item in self.db.iterator_cf_opt(self.family(family), options, IteratorMode::Start) {
            let (key, value) = item?;
            f(&key, &value)?;
        }
        Ok(())
    }

    /// The hot rows of a table that were deleted, by the entry that did it; some may be in parts since.
    pub(crate) fn deleted_hot(
        &self,
        group: GroupId,
        tenant: TenantId,
        table: TableId,
    ) -> Result<Vec<(Index, RoaringTreemap)>> {
        let mut prefix = key::table(group, tenant, table);
        prefix.push(key::DELETED_HOT);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(key::end_of(&prefix));
        let from = IteratorMode::From(&prefix, Direction::Forward);
        let mut found: BTreeMap<Index, RoaringTreemap> = BTreeMap::new();
        for item in self.db.iterator_cf_opt(self.family(Family::Deleted), options, from) {
            let (k, v) = item?;
            let bad = || damaged("a key of deleted rows");
            let (block, rest) = key::split_u64(&k[prefix.len()..]).ok_or_else(bad)?;
            let (index, _) = key::split_u64(rest).ok_or_else(bad)?;
            let rows = decode_positions(&v)?;
            let rows = rows.iter().map(|p| (block << key::BLOCK_BITS) | u64::from(p));
            found.entry(Index(index)).or_default().extend(rows);
        }
        Ok(found.into_iter().collect())
    }

    /// Deletes marks older than the time `before`. Nothing that apply reads, so it need not be a command.
    pub(crate) fn prune_marks(&self, before: i64) -> Result<()> {
        let mut old = Vec::new();
        self.scan(Family::State, |k, v| {
            if k.get(8) == Some(&key::STATE_MARK) && decode::<MarkMessage>(v, "a mark")?.at < before {
                old.push(Effect::Delete(Family::State, k.to_vec()));
            }
            if old.len() >= PRUNED_AT_ONCE {
                self.write(&std::mem::take(&mut old))?;
            }
            Ok(())
        })?;
        self.write(&old)
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("all families were opened")
    }
}
