//! Moves rows from the hot tier to parts, and the log along: what is in parts need not be replayed.
//!
//! 1. Rows of entries `(flushed, to]` are read from a snapshot, written as parts and synced.
//! 2. A `Publish` command is proposed. Apply accepts it iff the table still is flushed to where the flush began and was not
//!    truncated, altered or dropped meanwhile; else the parts are deleted again. It says where in the parts the rows are
//!    that were deleted while they were hot; if more of them were deleted meanwhile, it says it again.
//! 3. From time to time the hot store itself is flushed, and the log is cut to what is durable there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roaring::{RoaringBitmap, RoaringTreemap};

use crate::clock::Clock;
use crate::command::{Command, Op, Outcome};
use crate::error::{Error, Result, SqlState};
use crate::ids::{Index, TableId, TenantId};
use crate::local::LocalLog;
use crate::log::Log;
use crate::published::{Published, no_tenant};
use crate::snapshot::{TableSnapshot, TenantSnapshot};
use crate::table::{PartDeletes, PartStore, WrittenPart, write_parts};
use crate::writer::Writer;

/// A table with rows older than this is flushed …
const AGE_US: i64 = 3_600_000_000;
/// … if it has this many bytes: thousands of small tables must not write thousands of files.
const AGE_BYTES: u64 = 8 << 20;
/// When memory is short, a table with fewer bytes is not worth a file.
const PRESSED_BYTES: u64 = 16 << 20;
/// How often ages are looked at.
const TICK: Duration = Duration::from_secs(30);
/// How long the flush rests after an error.
const REST: Duration = Duration::from_secs(2);
/// The log is cut after so many bytes …
const LOG_BYTES: u64 = 64 << 20;
/// … or after this time, in microseconds.
const LOG_AGE_US: i64 = 300_000_000;
/// How long it is remembered which rows came with which entry, in microseconds: the least `history` of a table.
const MARK_AGE_US: i64 = 86_400_000_000;
/// How often older marks are deleted, in microseconds.
const MARK_TICK_US: i64 = 3_600_000_000;
/// How often a flush on demand is tried while others change the table.
const TRIES: usize = 8;

/// How often a flush is proposed while deletes go on.
const OPEN_TRIES: usize = 3;

/// What a flush needs.
#[derive(Clone)]
pub(crate) struct Flusher {
    pub(crate) published: Arc<Published>,
    pub(crate) log: LocalLog,
    pub(crate) store: PartStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flush_bytes: u64,
    pub(crate) hot_bytes_max: u64,
    /// Held during a flush: one at a time bounds its memory.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

/// When each table with hot rows was first seen with them, and how far it was flushed then.
type Ages = HashMap<(TenantId, TableId), (Index, i64)>;

impl Flusher {
    /// Flushes what has to be flushed, until the task is aborted.
    pub(crate) async fn run(self) {
        let mut ages = Ages::new();
        let mut cut = (0, self.clock.now_us());
        let mut pruned = self.clock.now_us();
        loop {
            // Woken, or time to look at ages: both lead to the same round.
            let wanted = async {
                tokio::select! {
                    () = self.published.flush_wanted.notified() => {}
                    () = self.published.memory.pressure.notified() => {}
                }
            };
            drop(tokio::time::timeout(TICK, wanted).await);
            if !self.round(&mut ages).await {
                tokio::time::sleep(REST).await;
                self.published.flush_wanted.notify_one();
            }
            let (bytes, now) = (self.published.counters.log_bytes.load(Ordering::Relaxed), self.clock.now_us());
            let grown = bytes - cut.0;
            if grown >= LOG_BYTES || (grown > 0 && now - cut.1 >= LOG_AGE_US) {
                cut = (bytes, now);
                if let Err(e) = self.cut_log().await {
                    tracing::warn!(error = %e, "the log could not be cut; it will be tried again");
                }
            }
            if now - pruned >= MARK_TICK_US {
                pruned = now;
                if let Err(e) = self.prune_marks(now - MARK_AGE_US).await {
                    tracing::warn!(error = %e, "old marks could not be deleted; it will be tried again");
                }
            }
        }
    }

    /// Flushes what is due, its largest table while the hot tier is too large, and one that is worth it if somebody met the
    /// memory limit. A table that fails does not keep the others from it. False if one failed.
    async fn round(&self, ages: &mut Ages) -> bool {
        let mut failed = HashSet::new();
        for (tenant, table) in self.due(ages) {
            if let Err(e) = self.flush_once(tenant, table).await {
                self.note(&mut failed, (tenant, table), &e);
            }
        }
        while self.published.counters.hot_bytes() > self.hot_bytes_max {
            let Some((_, tenant, table)) = self.largest(&failed) else { break };
            if let Err(e) = self.flush_once(tenant, table).await {
                self.note(&mut failed, (tenant, table), &e);
            }
        }
        if self.published.memory.take_pressure()
            && let Some((bytes, tenant, table)) = self.largest(&failed)
            && bytes >= PRESSED_BYTES
            && let Err(e) = self.flush_once(tenant, table).await
        {
            self.note(&mut failed, (tenant, table), &e);
        }
        failed.is_empty()
    }

    fn note(&self, failed: &mut HashSet<(TenantId, TableId)>, (tenant, table): (TenantId, TableId), e: &Error) {
        failed.insert((tenant, table));
        self.published.counters.flush_errors.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%tenant, %table, error = %e, "flush failed; it will be tried again");
    }

    /// Tables that are large, or old and not small.
    fn due(&self, ages: &mut Ages) -> Vec<(TenantId, TableId)> {
        let now = self.clock.now_us();
        let mut due = Vec::new();
        let mut seen = Ages::new();
        for tenant in self.published.tenants() {
            for (id, table) in tenant.tables.iter().filter(|(_, t)| t.hot_rows_stored() > 0) {
                let key = (tenant.tenant, *id);
                let first = ages.get(&key).filter(|(flushed, _)| *flushed == table.flushed);
                let since = first.map_or(now, |(_, since)| *since);
                seen.insert(key, (table.flushed, since));
                let bytes = table.hot_bytes();
                if bytes >= self.flush_bytes || (bytes >= AGE_BYTES && now - since >= AGE_US) {
                    due.push(key);
                }
            }
        }
        *ages = seen;
        due
    }

    /// The table with the most hot bytes, but for those that failed.
    fn largest(&self, failed: &HashSet<(TenantId, TableId)>) -> Option<(u64, TenantId, TableId)> {
        let tenants = self.published.tenants();
        let tables = tenants.iter().flat_map(|t| t.tables.iter().map(|(id, table)| (table.hot_bytes(), t.tenant, *id)));
        let tables = tables.filter(|(bytes, tenant, table)| *bytes > 0 && !failed.contains(&(*tenant, *table)));
        tables.max()
    }

    /// Flushes the rows that the table has now, whoever else flushes or changes it meanwhile.
    ///
    /// # Errors
    /// 3D000 or 42P01 if it is gone; those of the store; 40001 if others changed it again and again.
    pub(crate) async fn flush(&self, tenant: TenantId, table: TableId) -> Result<()> {
        for _ in 0..TRIES {
            let snapshot = self.published.tenant(tenant).ok_or_else(|| no_tenant(tenant))?;
            if !snapshot.tables.contains_key(&table) {
                let message = format!("table with OID {table} does not exist");
                return Err(Error::new(SqlState::UNDEFINED_TABLE, message));
            }
            if self.flush_once(tenant, table).await? {
                return Ok(());
            }
        }
        Err(Error::new(SqlState::SERIALIZATION_FAILURE, "could not flush the table due to concurrent changes"))
    }

    /// Flushes the table; false if it was changed meanwhile.
    async fn flush_once(&self, tenant: TenantId, table: TableId) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let Some(snapshot) = self.published.tenant(tenant) else { return Ok(true) };
        let Some(current) = snapshot.tables.get(&table).filter(|t| t.hot_rows_stored() > 0) else { return Ok(true) };
        self.log.call_async(Writer::ready).await??;
        let written = self.write(&snapshot, current).await?;
        let parts = written.iter().map(|p| p.meta.clone()).collect::<Vec<_>>();
        let outcome = self.publish(&snapshot, current, &written).await;
        let rows = current.hot_rows_stored();
        match outcome {
            Ok(Outcome::Applied(_)) => {
                self.published.counters.flushes.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%tenant, %table, rows, parts = parts.len(), "flushed");
                Ok(true)
            }
            Ok(Outcome::Stale | Outcome::Conflict | Outcome::Moved) => {
                self.store.discard(parts).await;
                Ok(false)
            }
            Err(e) => {
                // Else the command may be in the log all the same: the parts stay, and the sweep of the next start knows.
                if e.is_refusal() {
                    self.store.discard(parts).await;
                }
                Err(e)
            }
        }
    }

    /// Proposes the parts, again as long as only deletes came in between.
    async fn publish(
        &self,
        snapshot: &TenantSnapshot,
        table: &TableSnapshot,
        written: &[WrittenPart],
    ) -> Result<Outcome> {
        let (id, from, to) = (table.def.id, table.flushed, snapshot.index);
        let add = written.iter().map(|p| p.meta.clone()).collect::<Vec<_>>();
        for attempt in 0.. {
            // Deletes that come faster than this is worked out have to wait for once.
            let gate = self.log.gate();
            let _closed = if attempt >= OPEN_TRIES { Some(gate.write().await) } else { None };
            let Some(now) = self.published.tenant(snapshot.tenant) else { return Ok(Outcome::Stale) };
            let Some(current) = now.tables.get(&id) else { return Ok(Outcome::Stale) };
            let deleted = self.deleted(&now, current, to, written).await?;
            let publish = Op::Publish { table: id, from, to, add: add.clone(), deleted };
            let command = Command::new(Some(snapshot.tenant), self.clock.now_us(), now.index, vec![publish]);
            match self.log.propose(snapshot.group, command).await? {
                Outcome::Moved if attempt <= OPEN_TRIES => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Stale)
    }

    /// Where the deleted rows of entries up to `to` are in the parts.
    async fn deleted(
        &self,
        tenant: &TenantSnapshot,
        table: &TableSnapshot,
        to: Index,
        written: &[WrittenPart],
    ) -> Result<Vec<PartDeletes>> {
        let gone = table.rows.deleted_through(to);
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let (group, id) = (tenant.group, table.def.id);
        let (owner, hot) = (tenant.tenant, self.log.call_async(|w| w.store.hot.clone()).await?);
        let stored = tokio::task::spawn_blocking(move || hot.deleted_hot(group, owner, id)).await;
        let stored = stored.map_err(|e| Error::internal("reading deleted rows failed").source(e))??;
        Ok(placed(&gone, &stored, written))
    }

    async fn write(&self, snapshot: &TenantSnapshot, table: &TableSnapshot) -> Result<Vec<WrittenPart>> {
        let (first, last) = (Index(table.flushed.0 + 1), snapshot.index);
        let rows = table.rows.through(last);
        write_parts(&self.store, snapshot.tenant, &table.def, rows, first, last, self.clock.now_us()).await
    }

    /// Makes the hot store durable as it is now, and forgets the log up to there.
    pub(crate) async fn cut_log(&self) -> Result<()> {
        let now = self.log.call_async(|w| w.store.written().map(|at| (at, w.store.hot.clone()))).await?;
        let Some((applied, hot)) = now else { return Ok(()) };
        let flushed = tokio::task::spawn_blocking(move || hot.flush()).await;
        flushed.map_err(|e| Error::internal("flush of the hot store failed").source(e))??;
        let cut = move |w: &mut Writer| w.store.raft.truncate(&applied).map(|()| w.store.raft.shrink());
        let shrink = self.log.call_async(cut).await??;
        let shrunk = tokio::task::spawn_blocking(shrink).await;
        shrunk.map_err(|e| Error::internal("compaction of the log failed").source(e))
    }

    /// Forgets which rows came with entries before the time `before`.
    async fn prune_marks(&self, before: i64) -> Result<()> {
        let hot = self.log.call_async(|w| w.store.hot.clone()).await?;
        let pruned = tokio::task::spawn_blocking(move || hot.prune_marks(before)).await;
        pruned.map_err(|e| Error::internal("deletion of old marks failed").source(e))?
    }
}

/// Finds deleted rows in parts. `stored` are the rows that each entry deleted, and maybe some that are in parts for long.
fn placed(gone: &RoaringTreemap, stored: &[(Index, RoaringTreemap)], written: &[WrittenPart]) -> Vec<PartDeletes> {
    let mut places = HashMap::with_capacity(usize::try_from(gone.len()).unwrap_or_default());
    for (part, written) in written.iter().enumerate() {
        let rows = written.numbers.iter().zip(0_u32..).filter(|(row, _)| gone.contains(**row));
        places.extend(rows.map(|(row, position)| (*row, (part, position))));
    }
    let mut sets: BTreeMap<(usize, Index), RoaringBitmap> = BTreeMap::new();
    for (at, rows) in stored {
        for (part, position) in rows.iter().filter_map(|row| places.get(&row)) {
            sets.entry((*part, *at)).or_default().insert(*position);
        }
    }
    let path = |part: usize| written[part].meta.path.clone();
    sets.into_iter().map(|((part, at), positions)| PartDeletes { path: path(part), at, positions }).collect()
}
