//! The log store: every entry of every group, and beside them what a raft node has to remember. One node alone writes what
//! a group of one voter would: term 1, its vote for itself.
//!
//! A failed write leaves RocksDB in a state that nothing can be said about, so the instance is closed and opened again
//! before the next write, and cut back to the last entry that was acknowledged. Should the process end before that, the
//! failed entries may be found whole at the next start: whoever got such an error does not know the outcome.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use prost::Message;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode, Direction, IteratorMode, WriteBatch, WriteOptions,
};

use super::{damaged, family_options, key, memtable_bytes, open_error, options};
use crate::budget::Sizes;
use crate::error::{Error, Result, SqlState};
use crate::format::state::{ConfState, HardState};
use crate::ids::{DATA_GROUPS, GroupId, Index};

const LOG: &str = "log";
const STATE: &str = "state";
/// The node's own id in its one-voter groups.
const NODE: u64 = 1;
/// The only term of a group that never held an election.
pub(crate) const TERM: u64 = 1;

/// An entry to be written.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) group: GroupId,
    pub(crate) index: Index,
    pub(crate) value: Vec<u8>,
}

/// Where a group's log begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent {
    /// Entries up to this one are gone.
    pub(crate) truncated: Index,
    pub(crate) last: Index,
}

/// The log store of one data directory.
#[derive(Debug)]
pub(crate) struct RaftStore {
    dir: PathBuf,
    /// None after a failed write, until it is opened again.
    db: Option<Arc<DB>>,
    /// The instance that failed, until nobody uses it.
    closing: Weak<DB>,
    extents: Vec<Extent>,
    sync: bool,
    sizes: Sizes,
    /// Set for ever by an error that does not pass by itself.
    failed: bool,
}

impl RaftStore {
    /// Opens it, or makes it if `create`. Without `sync` an acknowledged entry may be lost in a power cut.
    ///
    /// # Errors
    /// XX001 if it is damaged or missing, 53100 if the disk is full.
    pub(crate) fn open(dir: &Path, create: bool, sync: bool, sizes: Sizes) -> Result<RaftStore> {
        let db = open_db(dir, create, &sizes)?;
        let extents = (0..=DATA_GROUPS).map(|g| extent(&db, GroupId(g))).collect::<Result<Vec<_>>>()?;
        Ok(RaftStore {
            dir: dir.to_path_buf(),
            db: Some(Arc::new(db)),
            closing: Weak::new(),
            extents,
            sync,
            sizes,
            failed: false,
        })
    }

    /// True once the log can't be written until a restart.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Where the group's log begins and ends.
    pub(crate) fn extent(&self, group: GroupId) -> Extent {
        self.extents[group.0 as usize]
    }

    /// Returns if the log can be written, as far as one can tell; opens it again after a full disk.
    ///
    /// # Errors
    /// As for [`append`](RaftStore::append).
    pub(crate) fn ready(&mut self) -> Result<()> {
        if self.failed {
            return Err(Error::new(SqlState::IO_ERROR, "the log could not be written earlier, so writes are refused")
                .hint("Look for the first error in the server's log, repair the disk and restart the server."));
        }
        self.reopen()
    }

    /// Writes entries of any groups and syncs once.
    ///
    /// # Errors
    /// 53100 if the disk is full, 53000 without file descriptors, 58030 after any other failure, from then on for ever.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<()> {
        self.ready()?;
        let mut batch = WriteBatch::default();
        let db = self.db.as_ref().expect("it was just opened");
        for r in records {
            debug_assert_eq!(r.index.0, self.extents[r.group.0 as usize].last.0 + 1, "entries follow one another");
            batch.put_cf(family(db, LOG), key::log(r.group, r.index), &r.value);
            put_hard_state(&mut batch, db, r.group, r.index);
        }
        if let Err(e) = db.write_opt(batch, &self.write_options()) {
            return Err(self.fail(e));
        }
        for r in records {
            self.extents[r.group.0 as usize].last = r.index;
        }
        Ok(())
    }

    /// Calls `f` with each entry of the group after `after`.
    ///
    /// # Errors
    /// XX001 if an entry is missing.
    pub(crate) fn replay(
        &self,
        group: GroupId,
        after: Index,
        mut f: impl FnMut(Index, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let Some(db) = &self.db else { return Err(Error::internal("the log is closed")) };
        let (from, end) = (key::log(group, Index(after.0 + 1)), key::log(group, Index(u64::MAX)));
        let mut expected = after.0 + 1;
        for item in db.iterator_cf(family(db, LOG), IteratorMode::From(&from, Direction::Forward)) {
            let (k, value) = item?;
            if *k >= end[..] {
                break;
            }
            let index = key::split_u32(&k).and_then(|(_, rest)| key::split_u64(rest)).map(|(i, _)| i);
            if index != Some(expected) {
                return Err(damaged(&format!("the log of group {group}: entry {expected} is missing, it")));
            }
            f(Index(expected), &value)?;
            expected += 1;
        }
        if expected <= self.extent(group).last.0 {
            return Err(damaged(&format!("the log of group {group}: entry {expected} is missing, it")));
        }
        Ok(())
    }

    /// Forgets the entries up to `through`, which must be applied and durable elsewhere.
    pub(crate) fn truncate(&mut self, through: &[(GroupId, Index)]) -> Result<()> {
        let Some(db) = &self.db else { return Ok(()) };
        let mut batch = WriteBatch::default();
        for (group, index) in through.iter().filter(|(g, i)| self.extents[g.0 as usize].truncated < *i) {
            let (from, to) = (key::log(*group, Index(0)), key::log(*group, Index(index.0 + 1)));
            batch.delete_range_cf(family(db, LOG), from, to);
            batch.put_cf(family(db, STATE), state_key(*group, b't'), index.0.to_be_bytes());
        }
        if batch.is_empty() {
            return Ok(());
        }
        if let Err(e) = db.write_opt(batch, &self.write_options()) {
            return Err(self.fail(e));
        }
        for (group, index) in through {
            let extent = &mut self.extents[group.0 as usize];
            extent.truncated = extent.truncated.max(*index);
        }
        Ok(())
    }

    /// Bytes in memory that have still to be written to disk.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.db.as_ref().map_or(0, |db| memtable_bytes(db, family(db, LOG)) + memtable_bytes(db, family(db, STATE)))
    }

    /// Work for a blocking thread: gives the room of forgotten entries back to the disk.
    pub(crate) fn shrink(&self) -> impl FnOnce() + Send + use<> {
        // Weak, so that a failed instance can be closed while this waits for its turn.
        let (db, extents) = (self.db.as_ref().map(Arc::downgrade), self.extents.clone());
        move || {
            let Some(db) = db.and_then(|db| db.upgrade()) else { return };
            for (group, extent) in (0..).zip(extents).filter(|(_, e)| e.truncated > Index(0)) {
                let (from, to) = (key::log(GroupId(group), Index(0)), key::log(GroupId(group), extent.truncated));
                db.compact_range_cf(family(&db, LOG), Some(from), Some(to));
            }
        }
    }

    /// Opens the instance again after a failed write, without what that write may have left.
    fn reopen(&mut self) -> Result<()> {
        if self.db.is_some() {
            return Ok(());
        }
        while self.closing.strong_count() > 0 {
            // A compaction still has the failed instance.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let db = open_db(&self.dir, false, &self.sizes)?;
        let mut batch = WriteBatch::default();
        for (g, extent) in (0..).zip(&self.extents) {
            let from = key::log(GroupId(g), Index(extent.last.0 + 1));
            batch.delete_range_cf(family(&db, LOG), from, key::log(GroupId(g), Index(u64::MAX)));
            if extent.last.0 > 0 {
                put_hard_state(&mut batch, &db, GroupId(g), extent.last);
            }
        }
        db.write_opt(batch, &self.write_options())?;
        tracing::info!("the log was opened again after a failed write");
        self.db = Some(Arc::new(db));
        Ok(())
    }

    fn fail(&mut self, e: rocksdb::Error) -> Error {
        let e = Error::from(e);
        self.closing = self.db.take().map_or_else(Weak::new, |db| Arc::downgrade(&db));
        // These pass: the log is opened again, and cut back to what was acknowledged, before the next write.
        if e.code() == SqlState::DISK_FULL {
            tracing::warn!(error = %e, "the disk is full");
            return Error::new(SqlState::DISK_FULL, "could not write the log: no space left on device").source(e);
        }
        if e.message().contains("Too many open files") {
            tracing::warn!(error = %e, "no file descriptor is left");
            return Error::new(SqlState::INSUFFICIENT_RESOURCES, "could not write the log: too many open files")
                .hint("Raise the limit of open files (ulimit -Hn) or lower max_connections.")
                .source(e);
        }
        tracing::error!(error = %e, "the log could not be written: writes are refused from now on");
        self.failed = true;
        Error::new(SqlState::IO_ERROR, "could not write the log").source(e)
    }

    fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        options
    }
}

fn open_db(dir: &Path, create: bool, sizes: &Sizes) -> Result<DB> {
    let memtables = sizes.raft_memtables as usize;
    let mut options = options(memtables, create);
    // A write that was cut short at the end was never acknowledged; damage anywhere else must not pass in silence.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(2 * sizes.raft_memtables);
    let cache = Cache::new_lru_cache(sizes.raft_cache as usize);
    let families = [LOG, STATE].map(|f| ColumnFamilyDescriptor::new(f, family_options(memtables / 2, &cache)));
    DB::open_cf_descriptors(&options, dir, families).map_err(|e| open_error("log", e))
}

/// Reads where a group's log begins and ends, and checks that its end is there.
fn extent(db: &DB, group: GroupId) -> Result<Extent> {
    let number = |name: u8| -> Result<Index> {
        let Some(value) = db.get_cf(family(db, STATE), state_key(group, name))? else { return Ok(Index(0)) };
        Ok(Index(key::split_u64(&value).ok_or_else(|| damaged("the state of the log"))?.0))
    };
    let truncated = number(b't')?;
    let last = match db.get_cf(family(db, STATE), state_key(group, b'h'))? {
        Some(value) => HardState::decode(value.as_slice()).map_err(|e| damaged("the hard state").source(e))?.commit,
        None => 0,
    };
    if last > truncated.0 && db.get_cf(family(db, LOG), key::log(group, Index(last)))?.is_none() {
        return Err(damaged(&format!("the log of group {group}: entry {last} is missing, it")));
    }
    Ok(Extent { truncated, last: Index(last) })
}

fn put_hard_state(batch: &mut WriteBatch, db: &DB, group: GroupId, commit: Index) {
    let hard = HardState { term: TERM, vote: NODE, commit: commit.0 };
    batch.put_cf(family(db, STATE), state_key(group, b'h'), hard.encode_to_vec());
    if commit == Index(1) {
        let conf = ConfState { voters: vec![NODE], ..ConfState::default() };
        batch.put_cf(family(db, STATE), state_key(group, b'c'), conf.encode_to_vec());
    }
}

fn state_key(group: GroupId, name: u8) -> [u8; 5] {
    let g = group.0.to_be_bytes();
    [g[0], g[1], g[2], g[3], name]
}

fn family<'a>(db: &'a DB, name: &str) -> &'a ColumnFamily {
    db.cf_handle(name).expect("all families were opened")
}
