//! What the writer shows to everybody else: the newest snapshots, positions and counters.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use crate::apply::{EntryApplied, GroupState};
use crate::budget::{Budget, Holder};
use crate::catalog::MetaCatalog;
use crate::error::{Error, Result, SqlState};
use crate::ids::{GroupId, Index, META_GROUP, TenantId};
use crate::metrics::{Counters, TenantMetrics};
use crate::snapshot::TenantSnapshot;

/// The newest state. Readers hold a lock only to copy an `Arc`.
#[derive(Debug)]
pub(crate) struct Published {
    meta: RwLock<Arc<MetaCatalog>>,
    tenants: RwLock<HashMap<TenantId, Arc<TenantSnapshot>>>,
    applied: Vec<watch::Sender<Index>>,
    pub(crate) counters: Counters,
    pub(crate) memory: Arc<Budget>,
    /// Set when nothing can be written until a restart.
    pub(crate) read_only: AtomicBool,
    /// Wakes the flush.
    pub(crate) flush_wanted: Notify,
    /// Wakes writes that wait for room in the hot tier.
    pub(crate) room: Notify,
}

impl Published {
    /// What a store that was just opened holds.
    pub(crate) fn new(groups: &[GroupState], memory: Arc<Budget>) -> Published {
        let tenants =
            groups.iter().flat_map(|g| g.tenants.iter().map(|(id, t)| (*id, t.clone()))).collect::<HashMap<_, _>>();
        let counters = Counters::default();
        for table in tenants.values().flat_map(|t| t.tables.values()) {
            counters.hot_bytes.fetch_add(table.hot_bytes().cast_signed(), Ordering::Relaxed);
            counters.hot_rows.fetch_add(table.hot_rows().cast_signed(), Ordering::Relaxed);
            memory.take(Holder::HotRows, table.hot_bytes());
        }
        Published {
            meta: RwLock::new(groups[META_GROUP.0 as usize].meta.clone()),
            tenants: RwLock::new(tenants),
            applied: groups.iter().map(|g| watch::Sender::new(g.applied)).collect(),
            counters,
            memory,
            read_only: AtomicBool::new(false),
            flush_wanted: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(crate) fn meta(&self) -> Arc<MetaCatalog> {
        self.meta.read().clone()
    }

    pub(crate) fn tenant(&self, id: TenantId) -> Option<Arc<TenantSnapshot>> {
        self.tenants.read().get(&id).cloned()
    }

    pub(crate) fn tenants(&self) -> Vec<Arc<TenantSnapshot>> {
        self.tenants.read().values().cloned().collect()
    }

    /// Where the tenant lives: a tenant that was dropped is there until it is purged.
    pub(crate) fn group(&self, id: TenantId) -> Result<GroupId> {
        if let Some(tenant) = self.tenant(id) {
            return Ok(tenant.group);
        }
        self.meta().tenant(id).map(|t| t.group).ok_or_else(|| no_tenant(id))
    }

    pub(crate) fn applied(&self, group: GroupId) -> Result<&watch::Sender<Index>> {
        self.applied.get(group.0 as usize).ok_or_else(|| Error::internal(format!("there is no group {group}")))
    }

    /// Shows what an entry changed.
    pub(crate) fn publish(&self, state: &GroupState, applied: &EntryApplied) {
        if applied.meta_changed {
            *self.meta.write() = state.meta.clone();
        }
        if !applied.changed.is_empty() || !applied.purged.is_empty() {
            let changed = applied.changed.iter().filter_map(|id| Some((*id, state.tenants.get(id)?.clone())));
            // Old snapshots are dropped after the lock: the last holder of many chunks may take its time.
            let mut old = Vec::new();
            let mut tenants = self.tenants.write();
            old.extend(changed.filter_map(|(id, tenant)| tenants.insert(id, tenant)));
            old.extend(applied.purged.iter().filter_map(|id| tenants.remove(id)));
            drop(tenants);
        }
        self.counters.hot_bytes.fetch_add(applied.hot_bytes, Ordering::Relaxed);
        if applied.hot_bytes < 0 {
            self.memory.give(Holder::HotRows, applied.hot_bytes.unsigned_abs());
        } else {
            self.memory.take(Holder::HotRows, applied.hot_bytes.unsigned_abs());
        }
        self.counters.hot_rows.fetch_add(applied.hot_rows, Ordering::Relaxed);
        self.counters.commands.fetch_add(applied.results.len() as u64, Ordering::Relaxed);
        if applied.hot_bytes < 0 {
            self.room.notify_waiters();
        }
        self.applied[state.group.0 as usize].send_replace(state.applied);
    }

    pub(crate) fn tenant_metrics(&self) -> Vec<TenantMetrics> {
        let mut metrics = self.tenants().iter().map(|t| tenant_metrics(t)).collect::<Vec<_>>();
        metrics.sort_by_key(|m| m.tenant);
        metrics
    }
}

pub(crate) fn no_tenant(id: TenantId) -> Error {
    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database with OID {id} does not exist"))
}

fn tenant_metrics(tenant: &TenantSnapshot) -> TenantMetrics {
    let mut metrics = TenantMetrics { tenant: tenant.tenant, ..TenantMetrics::default() };
    for table in tenant.tables.values() {
        metrics.hot_rows += table.hot_rows();
        metrics.hot_bytes += table.hot_bytes();
        metrics.parts += table.parts.len() as u64;
        metrics.cold_bytes += table.cold_bytes();
    }
    metrics
}
