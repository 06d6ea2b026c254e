//! The memory of a node: one limit, and who holds how much of it.
//!
//! Arrow arrays and buffers are allocated all over the process, so nobody asks before each allocation. Who is about to
//! hold much takes its bytes here first, and gives them back when it lets go. Statements are refused what would go over the
//! limit ([`Budget::try_take`]): they spill, or fail with 53200. What must not fail (rows that the log has accepted, the flush that
//! gets rid of them) takes without asking ([`Budget::take`]), and leaves less for the others. Fixed parts, the buffers and caches
//! of RocksDB and the cache of Parquet footers, are sized by the limit ([`Sizes`]) and taken whole at the start.
//!
//! Not all is counted, and what is counted may be less than what is held: so the system is asked as well, and what it says the
//! process has beyond an overdraft counts as taken by somebody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

const MIB: u64 = 1 << 20;
/// The process may have so many percent more than the limit: freed memory is not given back to the system at once, and buffers
/// that nobody counts come and go.
const OVERDRAFT_PERCENT: u64 = 15;
/// And so many bytes: what a process at rest has.
const OVERDRAFT_BYTES: u64 = 64 << 20;
/// What the system says counts only while one part in so many is taken: below, it is memory that was just freed.
const REAL_FROM_FRACTION: u64 = 3;
/// How long a look at what the process has is good for, milliseconds.
const LOOK_MS: u64 = 20;

/// What memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Running queries: hash tables, sorts, results that wait for a client.
    Queries,
    /// Rows that COPY and INSERT gather, and the parts they are encoded to.
    Loads,
    /// The encoder of a flush.
    Flush,
    /// Rows that are not in parts yet.
    HotRows,
    /// Write buffers and block caches of RocksDB.
    Store,
    /// Footers and page indexes of parts.
    Caches,
}

impl Holder {
    pub const ALL: [Holder; 6] =
        [Holder::Queries, Holder::Loads, Holder::Flush, Holder::HotRows, Holder::Store, Holder::Caches];

    /// As `sys.memory` and the metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Holder::Queries => "queries",
            Holder::Loads => "loads",
            Holder::Flush => "flush",
            Holder::HotRows => "hot rows",
            Holder::Store => "store",
            Holder::Caches => "caches",
        }
    }
}

/// The limit, and what is taken of it.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    total: AtomicU64,
    held: [AtomicU64; Holder::ALL.len()],
    /// How often somebody was refused.
    refused: AtomicU64,
    real: Real,
    /// Somebody met the limit since the flush last looked.
    pressed: AtomicBool,
    /// Wakes the flush.
    pub(crate) pressure: Notify,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Budget> {
        Arc::new(Budget {
            limit,
            total: AtomicU64::new(0),
            held: Default::default(),
            refused: AtomicU64::new(0),
            real: Real::default(),
            pressed: AtomicBool::new(false),
            pressure: Notify::new(),
        })
    }

    /// The most bytes that statements may bring it to.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that all hold together; over the limit if what may not fail needed more.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes that all hold together, or those that the system says, if they are more.
    pub fn real(&self) -> u64 {
        self.total().max(self.real.bytes())
    }

    /// Bytes held for one thing.
    pub fn held(&self, holder: Holder) -> u64 {
        self.held[holder as usize].load(Ordering::Relaxed)
    }

    /// How often somebody was refused memory since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes bytes, whatever the limit says.
    pub fn take(&self, holder: Holder, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.held[holder as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes bytes if all together hold at most `most` bytes then, which is at most the limit, and the process has not
    /// too much. The error is how many bytes are left.
    ///
    /// # Errors
    /// The bytes that are left, if they are too few.
    pub fn try_take(&self, holder: Holder, bytes: u64, most: u64) -> Result<(), u64> {
        let allowed = self.limit.saturating_add(self.limit / 100 * OVERDRAFT_PERCENT).saturating_add(OVERDRAFT_BYTES);
        let many = self.total() >= self.limit / REAL_FROM_FRACTION;
        if bytes > 0 && many && self.real.bytes() > allowed {
            self.refuse(true);
            return Err(0);
        }
        self.try_take_counted(holder, bytes, most)
    }

    /// As [`try_take`](Budget::try_take), but what the system says does not matter: for what is small, or leads to less being
    /// held.
    ///
    /// # Errors
    /// The bytes that are left, if they are too few.
    pub fn try_take_counted(&self, holder: Holder, bytes: u64, most: u64) -> Result<(), u64> {
        if bytes == 0 {
            return Ok(());
        }
        let most = most.min(self.limit);
        let add = |total: u64| total.checked_add(bytes).filter(|sum| *sum <= most);
        match self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => {
                self.held[holder as usize].fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(total) => {
                // Who leaves room to others and so spills is no reason to flush.
                self.refuse(total.saturating_add(bytes) > self.limit);
                Err(most.saturating_sub(total))
            }
        }
    }

    /// Whether the process has more than the limit by what one at rest has: then who can spill does, before others are refused.
    pub fn is_crowded(&self) -> bool {
        let many = self.total() >= self.limit / REAL_FROM_FRACTION;
        many && self.real.bytes() > self.limit.saturating_add(OVERDRAFT_BYTES)
    }

    fn refuse(&self, pressing: bool) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if pressing && !self.pressed.swap(true, Ordering::Relaxed) {
            self.pressure.notify_one();
        }
    }

    /// Gives bytes back.
    pub fn give(&self, holder: Holder, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        for counter in [&self.total, &self.held[holder as usize]] {
            // Wrapped around, the counter would refuse everybody from then on.
            if let Ok(held) = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                && held < bytes
            {
                tracing::error!(holder = holder.name(), held, bytes, "more memory was given back than taken");
            }
        }
    }

    /// Takes bytes, whatever the limit says, until what this answers is dropped.
    pub fn hold(self: &Arc<Self>, holder: Holder, bytes: u64) -> Hold {
        self.take(holder, bytes);
        Hold { budget: self.clone(), holder, bytes }
    }

    /// True once after somebody met the limit.
    pub(crate) fn take_pressure(&self) -> bool {
        self.pressed.swap(false, Ordering::Relaxed)
    }
}

/// What the system says the process has in memory of its own.
#[derive(Debug)]
struct Real {
    since: Instant,
    /// Milliseconds after `since` of the last look.
    looked: AtomicU64,
    bytes: AtomicU64,
}

impl Default for Real {
    fn default() -> Real {
        Real { since: Instant::now(), looked: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }
}

impl Real {
    fn bytes(&self) -> u64 {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.looked.load(Ordering::Relaxed);
        let due = now >= looked.saturating_add(LOOK_MS);
        if due && self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // Where the system does not tell, the count alone has to do.
            self.bytes.store(own_bytes().unwrap_or(0), Ordering::Relaxed);
        }
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Resident bytes of the process that are no pages of files.
fn own_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Bytes held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    holder: Holder,
    bytes: u64,
}

impl Hold {
    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds so many bytes from now on, whatever the limit says.
    pub fn resize(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.take(self.holder, bytes - self.bytes);
        } else {
            self.budget.give(self.holder, self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.give(self.holder, self.bytes);
    }
}

/// How large buffers and caches are, by the memory limit: with 4 GiB or more as large as they are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// RocksDB's buffers of what the hot store has not written yet.
    pub(crate) hot_memtables: u64,
    pub(crate) raft_memtables: u64,
    pub(crate) hot_cache: u64,
    pub(crate) raft_cache: u64,
    /// Footers and page indexes of parts.
    pub metadata_cache: u64,
    /// Rows that a load gathers before it writes them as parts.
    pub load_buffer: u64,
    /// An encoded row group.
    pub(crate) row_group: u64,
    /// Hot rows from which tables are flushed, if the node's setting is not less.
    pub(crate) hot_rows: u64,
}

impl Sizes {
    /// The sizes for a limit in bytes.
    pub fn new(limit: u64) -> Sizes {
        let share = |fraction: u64, least: u64, most: u64| (limit / fraction).clamp(least * MIB, most * MIB);
        Sizes {
            hot_memtables: share(32, 4, 64),
            raft_memtables: share(64, 4, 32),
            hot_cache: share(64, 2, 32),
            raft_cache: share(256, 1, 8),
            metadata_cache: share(16, 4, 256),
            load_buffer: share(16, 4, 128),
            row_group: share(16, 8, 128),
            hot_rows: share(8, 8, 512),
        }
    }

    /// What RocksDB takes in the end.
    pub(crate) fn store(self) -> u64 {
        self.hot_memtables + self.raft_memtables + self.hot_cache + self.raft_cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_counted_and_given_back() {
        let budget = Budget::new(100);
        // The process of this test has more than 100 bytes.
        budget.real.looked.store(u64::MAX, Ordering::Relaxed);
        budget.try_take(Holder::Queries, 60, u64::MAX).unwrap();
        assert_eq!(budget.try_take(Holder::Loads, 50, u64::MAX), Err(40));
        assert!(budget.take_pressure() && !budget.take_pressure());
        let mut rows = budget.hold(Holder::HotRows, 50);
        assert_eq!((budget.total(), budget.held(Holder::HotRows)), (110, 50));
        assert_eq!(budget.try_take(Holder::Queries, 1, u64::MAX), Err(0));
        rows.resize(10);
        assert!(budget.take_pressure());
        assert_eq!(budget.try_take(Holder::Queries, 10, 75), Err(5));
        assert!(!budget.take_pressure(), "the limit has room");
        budget.try_take(Holder::Queries, 30, u64::MAX).unwrap();
        drop(rows);
        budget.give(Holder::Queries, 90);
        assert_eq!((budget.total(), budget.refused()), (0, 3));
        budget.give(Holder::Queries, 1);
        assert_eq!((budget.total(), budget.held(Holder::Queries)), (0, 0));
    }

    #[test]
    fn a_process_that_has_too_much_is_refused_more_but_not_nothing() {
        assert!(own_bytes().is_some_and(|bytes| bytes > 0), "the system tells");
        let budget = Budget::new(100);
        budget.real.looked.store(u64::MAX, Ordering::Relaxed);
        budget.real.bytes.store(1 << 40, Ordering::Relaxed);
        budget.try_take(Holder::Loads, 30, u64::MAX).unwrap();
        budget.try_take(Holder::Loads, 10, u64::MAX).unwrap();
        assert_eq!(budget.try_take(Holder::Loads, 1, u64::MAX), Err(0));
        assert!(budget.take_pressure());
        budget.try_take(Holder::Loads, 0, u64::MAX).unwrap();
        budget.try_take_counted(Holder::Loads, 60, u64::MAX).unwrap();
        assert_eq!(budget.try_take_counted(Holder::Loads, 1, u64::MAX), Err(0));
        budget.try_take_counted(Holder::Loads, 0, 0).unwrap();
        assert_eq!(budget.total(), 100);
    }

    #[test]
    fn fixed_parts_leave_most_to_statements() {
        for mib in [64, 256, 1024, 4096, 65_536] {
            let sizes = Sizes::new(mib << 20);
            assert!(sizes.store() + sizes.metadata_cache <= (mib << 20) / 3, "{mib} MiB: {sizes:?}");
        }
    }
}
