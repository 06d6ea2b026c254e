//! How far a COPY is, for `pg_stat_progress_copy`
//! (<https://www.postgresql.org/docs/15/progress-reporting.html#COPY-PROGRESS-REPORTING>).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::database::Registered;

/// What is known of a running COPY.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The table; 0 for a query.
    pub(crate) relid: u32,
    /// `COPY FROM` or `COPY TO`.
    pub(crate) command: &'static str,
    /// `FILE` or `PIPE`.
    pub(crate) kind: &'static str,
    /// The size of a file that is read, else 0.
    pub(crate) bytes_total: u64,
    bytes: AtomicU64,
    tuples: AtomicU64,
    excluded: AtomicU64,
}

impl Progress {
    pub(crate) fn new(relid: u32, command: &'static str, kind: &'static str, bytes_total: u64) -> Progress {
        let zero = || AtomicU64::new(0);
        Progress { relid, command, kind, bytes_total, bytes: zero(), tuples: zero(), excluded: zero() }
    }

    /// Bytes, rows, and rows that WHERE left out, so far.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (get(&self.bytes), get(&self.tuples), get(&self.excluded))
    }
}

/// Shows the progress of a COPY as long as it lives.
#[derive(Debug)]
pub(crate) struct Shown {
    registered: Arc<Registered>,
    progress: Arc<Progress>,
}

impl Shown {
    pub(super) fn new(registered: &Arc<Registered>, progress: Progress) -> Shown {
        let (registered, progress) = (registered.clone(), Arc::new(progress));
        *registered.progress.lock() = Some(progress.clone());
        Shown { registered, progress }
    }

    /// So many bytes more.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.progress.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many rows in all, and so many that were left out.
    pub(crate) fn set_rows(&self, tuples: u64, excluded: u64) {
        self.progress.tuples.store(tuples, Ordering::Relaxed);
        self.progress.excluded.store(excluded, Ordering::Relaxed);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut shown = self.registered.progress.lock();
        if shown.as_ref().is_some_and(|p| Arc::ptr_eq(p, &self.progress)) {
            *shown = None;
        }
    }
}
