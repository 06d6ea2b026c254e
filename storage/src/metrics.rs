//! Counters of the storage, cheap enough to be read at any time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::ids::TenantId;

/// What happened since the start, and what is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Entries written to the log.
    pub log_entries: u64,
    /// Writes of the log, each with one sync.
    pub log_syncs: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Commands applied or refused.
    pub commands: u64,
    /// Memory that hot rows hold, in bytes.
    pub hot_bytes: u64,
    pub hot_rows: u64,
    pub parts: u64,
    /// Bytes of all parts.
    pub part_bytes: u64,
    pub flushes: u64,
    pub flush_errors: u64,
    /// Times a write waited because too many rows were not flushed.
    pub waits: u64,
    pub tenants: Vec<TenantMetrics>,
}

/// What one tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TenantMetrics {
    pub tenant: TenantId,
    pub hot_rows: u64,
    /// Memory that its hot rows hold, in bytes.
    pub hot_bytes: u64,
    pub parts: u64,
    /// Bytes of its parts.
    pub cold_bytes: u64,
}

/// The counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) log_entries: AtomicU64,
    pub(crate) log_syncs: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) hot_bytes: AtomicI64,
    pub(crate) hot_rows: AtomicI64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_errors: AtomicU64,
    pub(crate) waits: AtomicU64,
}

impl Counters {
    /// Memory that hot rows hold, in bytes.
    pub(crate) fn hot_bytes(&self) -> u64 {
        u64::try_from(self.hot_bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// The metrics of a node with these tenants.
    pub(crate) fn metrics(&self, tenants: Vec<TenantMetrics>) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            log_entries: get(&self.log_entries),
            log_syncs: get(&self.log_syncs),
            log_bytes: get(&self.log_bytes),
            commands: get(&self.commands),
            hot_bytes: self.hot_bytes(),
            hot_rows: u64::try_from(self.hot_rows.load(Ordering::Relaxed)).unwrap_or(0),
            parts: tenants.iter().map(|t| t.parts).sum(),
            part_bytes: tenants.iter().map(|t| t.cold_bytes).sum(),
            flushes: get(&self.flushes),
            flush_errors: get(&self.flush_errors),
            waits: get(&self.waits),
            tenants,
        }
    }
}
