//! Turns entries of the log into state. Deterministic: it reads the group's own state and the entry, nothing else, so every
//! store that applies the same log holds the same; [`TenantSnapshot::with_ops`] runs the same code for a transaction's
//! private view.
//!
//! 1. Each command runs on a [`Stage`]: changes beside the state, which a refused command leaves untouched.
//! 2. Rows are only counted meanwhile; at the end of the entry the accepted ranges of each batch become hot rows at once.
//! 3. What changed leaves as [`Effect`]s for one write to the hot store, and as new snapshots.

mod deleted;
mod indexes;
mod meta;
mod seen;
mod sequences;
mod stage;
mod tables;
mod user_types;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use prost::Message;
use roaring::RoaringTreemap;

pub(crate) use deleted::DeletedSets;
pub(crate) use seen::Seen;
pub(crate) use stage::{Changes, Piece, Reject, Stage};

use crate::catalog::MetaCatalog;
use crate::command::{Applied, Op, Outcome};
use crate::entry::{Entry, LogCommand, LogOp, RowsBatch};
use crate::error::{Error, Result, SqlState};
use crate::format::state::{GroupMessage, HotMessage, MarkMessage, PieceMessage, SeenCommand, TableMessage};
use crate::ids::{GroupId, Index, META_GROUP, TableId, TenantId};
use crate::kv::{Effect, Family, key};
use crate::parts::{Deleter, Part};
use crate::snapshot::{TableSnapshot, TenantSnapshot};
use meta::MetaStage;

/// The least time between two marks of a table, in microseconds.
const MARK_US: i64 = 1_000_000;

/// The state of one group.
#[derive(Debug)]
pub(crate) struct GroupState {
    pub(crate) group: GroupId,
    pub(crate) applied: Index,
    /// The time of the last command.
    pub(crate) last_at: i64,
    /// Of the meta group only.
    pub(crate) meta: Arc<MetaCatalog>,
    pub(crate) tenants: HashMap<TenantId, Arc<TenantSnapshot>>,
    pub(crate) seen: Seen,
    /// Given to parts; none where somebody else deletes the files.
    pub(crate) deleter: Option<Deleter>,
}

/// What an entry changed.
#[derive(Debug, Default)]
pub(crate) struct EntryApplied {
    /// What became of each command.
    pub(crate) results: Vec<Result<Outcome>>,
    /// For one write to the hot store.
    pub(crate) effects: Vec<Effect>,
    pub(crate) meta_changed: bool,
    /// Tenants with a new snapshot.
    pub(crate) changed: Vec<TenantId>,
    /// Tenants that are gone.
    pub(crate) purged: Vec<TenantId>,
    /// By how much the memory of hot rows grew, in bytes, and their number.
    pub(crate) hot_bytes: i64,
    pub(crate) hot_rows: i64,
    /// Hot bytes of the largest table that changed.
    pub(crate) largest: u64,
}

impl GroupState {
    /// A group before its first entry.
    pub(crate) fn new(group: GroupId, deleter: Option<Deleter>) -> GroupState {
        GroupState {
            group,
            applied: Index(0),
            last_at: i64::MIN,
            meta: Arc::default(),
            tenants: HashMap::new(),
            seen: Seen::default(),
            deleter,
        }
    }

    /// Applies the entry after the last one.
    ///
    /// # Errors
    /// Only if the entry is damaged; nothing has changed then. The mistakes of commands are in their results.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<EntryApplied> {
        assert_eq!(entry.index.0, self.applied.0 + 1, "entries are applied in order");
        let mut run = EntryRun::new(self, entry);
        for command in &entry.commands {
            run.command(command)?;
        }
        let finished = run.finish()?;
        Ok(self.commit(entry.index, finished))
    }

    fn commit(&mut self, index: Index, finished: Finished) -> EntryApplied {
        let Finished { mut applied, last_at, meta, tenants, touched, removed, seen } = finished;
        self.measure(&mut applied, &tenants, &touched);
        self.applied = index;
        self.last_at = last_at;
        applied.meta_changed = meta.is_some();
        if let Some(meta) = meta {
            self.meta = meta;
        }
        for (id, tenant) in tenants {
            match tenant {
                Some(tenant) => {
                    applied.changed.push(id);
                    self.tenants.insert(id, Arc::new(tenant));
                }
                None => {
                    applied.purged.push(id);
                    self.tenants.remove(&id);
                }
            }
        }
        for part in removed {
            part.remove();
        }
        applied.effects.extend(self.seen.push(self.group, index, last_at, seen));
        let state = GroupMessage { applied: index.0, last_at };
        applied.effects.push(Effect::Put(Family::State, key::group_state(self.group), state.encode_to_vec()));
        applied
    }
}

impl GroupState {
    /// Counts what the entry does to the hot tier, before it is done.
    fn measure(
        &self,
        applied: &mut EntryApplied,
        tenants: &BTreeMap<TenantId, Option<TenantSnapshot>>,
        touched: &BTreeSet<(TenantId, TableId)>,
    ) {
        let mut count = |table: Option<&Arc<TableSnapshot>>, sign: i64| {
            let Some(table) = table else { return 0 };
            let bytes = table.hot_bytes();
            applied.hot_bytes += sign * bytes.cast_signed();
            applied.hot_rows += sign * table.hot_rows().cast_signed();
            bytes
        };
        let mut largest = 0;
        for (tenant, table) in touched {
            let old = self.tenants.get(tenant).and_then(|t| t.tables.get(table));
            let new = tenants.get(tenant).and_then(|t| t.as_ref()?.tables.get(table));
            count(old, -1);
            largest = count(new, 1).max(largest);
        }
        for (tenant, _) in tenants.iter().filter(|(_, t)| t.is_none()) {
            let tables = self.tenants.get(tenant).into_iter().flat_map(|t| t.tables.values());
            tables.for_each(|t| _ = count(Some(t), -1));
        }
        applied.largest = largest;
    }
}

/// The run of one entry.
struct EntryRun<'a> {
    state: &'a GroupState,
    entry: &'a Entry,
    applied: EntryApplied,
    last_at: i64,
    meta: Option<MetaCatalog>,
    /// Tenants that changed; none if purged.
    tenants: BTreeMap<TenantId, Option<TenantSnapshot>>,
    pieces: BTreeMap<(TenantId, TableId), Vec<Piece>>,
    /// Sets of deleted rows for the hot store.
    deleted: BTreeMap<TenantId, DeletedSets>,
    /// Rows of `pieces` that are deleted again.
    own_deleted: BTreeMap<(TenantId, TableId), RoaringTreemap>,
    /// Tables whose numbers changed.
    touched: BTreeSet<(TenantId, TableId)>,
    removed: Vec<Arc<Part>>,
    /// Ids of commands and the positions of their results.
    seen: Vec<(u128, usize)>,
}

struct Finished {
    applied: EntryApplied,
    last_at: i64,
    meta: Option<Arc<MetaCatalog>>,
    tenants: BTreeMap<TenantId, Option<TenantSnapshot>>,
    touched: BTreeSet<(TenantId, TableId)>,
    removed: Vec<Arc<Part>>,
    seen: Vec<SeenCommand>,
}

impl<'a> EntryRun<'a> {
    fn new(state: &'a GroupState, entry: &'a Entry) -> EntryRun<'a> {
        EntryRun {
            state,
            entry,
            applied: EntryApplied::default(),
            last_at: state.last_at,
            meta: None,
            tenants: BTreeMap::new(),
            pieces: BTreeMap::new(),
            deleted: BTreeMap::new(),
            own_deleted: BTreeMap::new(),
            touched: BTreeSet::new(),
            removed: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn command(&mut self, command: &LogCommand) -> Result<()> {
        if let Some(result) = self.earlier(command.id) {
            self.applied.results.push(result);
            return Ok(());
        }
        let at = command.at.max(self.last_at.saturating_add(1));
        self.last_at = at;
        let result = match self.run(command) {
            Ok(oids) => Ok(Outcome::Applied(Applied { index: self.entry.index, at, oids })),
            Err(Reject::Outcome(outcome)) => Ok(outcome),
            Err(Reject::Error(e)) if e.code() == SqlState::DATA_CORRUPTED => return Err(e),
            Err(Reject::Error(e)) => Err(e),
        };
        self.seen.push((command.id, self.applied.results.len()));
        self.applied.results.push(result);
        Ok(())
    }

    /// What became of the command if it came before.
    fn earlier(&self, id: u128) -> Option<Result<Outcome>> {
        if let Some((_, position)) = self.seen.iter().find(|(seen, _)| *seen == id) {
            return Some(seen::repeat(&self.applied.results[*position]));
        }
        self.state.seen.result(id)
    }

    fn run(&mut self, command: &LogCommand) -> Result<Vec<u32>, Reject> {
        match command.tenant {
            None if self.state.group == META_GROUP => self.run_meta(&command.ops),
            Some(tenant) if self.state.group != META_GROUP => self.run_tenant(tenant, command),
            _ => Err(Error::internal("a command was proposed to a group that it is not for").into()),
        }
    }

    fn run_meta(&mut self, ops: &[LogOp]) -> Result<Vec<u32>, Reject> {
        let mut stage = MetaStage::new(self.meta.as_ref().unwrap_or(&self.state.meta).clone());
        stage.apply(ops)?;
        let (meta, oids, effects) = stage.finish();
        self.applied.effects.extend(effects);
        self.meta = Some(meta);
        Ok(oids)
    }

    fn run_tenant(&mut self, id: TenantId, command: &LogCommand) -> Result<Vec<u32>, Reject> {
        if let [LogOp::Other(Op::PurgeTenant)] = &command.ops[..] {
            self.purge(id);
            return Ok(Vec::new());
        }
        let fresh;
        let base = match (self.tenant(id), &command.ops[..]) {
            (Some(base), [LogOp::Other(Op::InitTenant { .. }), ..]) if base.catalog.version > 0 => {
                return Ok(Vec::new());
            }
            (Some(base), _) => base,
            (None, [LogOp::Other(Op::InitTenant { .. }), ..]) => {
                fresh = TenantSnapshot::empty(self.state.group, id);
                &fresh
            }
            (None, _) => {
                let message = format!("database with OID {id} does not exist");
                return Err(Error::new(SqlState::INVALID_CATALOG_NAME, message).into());
            }
        };
        if command.catalog_version.is_some_and(|v| v != base.catalog.version) {
            return Err(Reject::Outcome(Outcome::Stale));
        }
        let mut stage = Stage::new(base, self.entry.index).deleting_by(self.state.deleter.clone());
        stage.apply(&command.ops)?;
        let changes = stage.finish()?;
        Ok(self.accept(id, changes))
    }

    fn tenant(&self, id: TenantId) -> Option<&TenantSnapshot> {
        match self.tenants.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.state.tenants.get(&id).map(Arc::as_ref),
        }
    }

    fn accept(&mut self, id: TenantId, mut changes: Changes) -> Vec<u32> {
        self.applied.effects.append(&mut changes.effects);
        self.removed.append(&mut changes.removed);
        let oids = std::mem::take(&mut changes.oids);
        let deleted = self.deleted.entry(id).or_default();
        for table in &changes.cleared {
            self.pieces.remove(&(id, *table));
            self.own_deleted.remove(&(id, *table));
            deleted.retain(|(t, _), _| t != table);
        }
        for (key, rows) in std::mem::take(&mut changes.deleted) {
            *deleted.entry(key).or_default() |= rows;
        }
        for (table, rows) in std::mem::take(&mut changes.own_deleted) {
            *self.own_deleted.entry((id, table)).or_default() |= rows;
        }
        self.touched.extend(changes.tables.keys().map(|t| (id, *t)));
        let state = self.state;
        let base = || state.tenants.get(&id).map(|t| TenantSnapshot::clone(t));
        let snapshot = self.tenants.entry(id).or_insert_with(base);
        let snapshot = snapshot.get_or_insert_with(|| TenantSnapshot::empty(state.group, id));
        snapshot.index = self.entry.index;
        for (table, pieces) in changes.apply_to(snapshot) {
            let known = self.pieces.entry((id, table)).or_default();
            pieces.into_iter().for_each(|p| p.join(known));
        }
        oids
    }

    fn purge(&mut self, id: TenantId) {
        let Some(tenant) = self.tenant(id) else { return };
        let parts = tenant.tables.values().flat_map(|t| t.parts.iter().cloned()).collect::<Vec<_>>();
        self.removed.extend(parts);
        let prefix = key::tenant(self.state.group, id);
        for family in Family::ALL {
            let range = Effect::DeleteRange(family, prefix.clone(), key::end_of(&prefix));
            self.applied.effects.push(range);
        }
        self.pieces.retain(|(tenant, _), _| *tenant != id);
        self.own_deleted.retain(|(tenant, _), _| *tenant != id);
        self.deleted.remove(&id);
        self.touched.retain(|(tenant, _)| *tenant != id);
        self.tenants.insert(id, None);
    }

    /// Makes hot rows of the accepted pieces, and the effects that depend on the whole entry.
    fn finish(mut self) -> Result<Finished> {
        let (group, index) = (self.state.group, self.entry.index);
        for ((id, table), pieces) in &self.pieces {
            let Some(Some(tenant)) = self.tenants.get_mut(id) else { continue };
            if !tenant.tables.contains_key(table) {
                continue;
            }
            tenant.append(*table, pieces, &self.entry.batches)?;
            if let Some(rows) = self.own_deleted.get(&(*id, *table)) {
                tenant.delete_own(*table, rows)?;
            }
            self.applied.effects.extend(hot_effects((group, *id, *table), pieces, self.entry));
            self.applied.effects.extend(tenant.mark(*table, index, self.last_at));
        }
        for (_, sets) in std::mem::take(&mut self.deleted) {
            self.applied.effects.extend(deleted::effects(&sets, index));
        }
        for (id, table) in &self.touched {
            let Some(table) = self.tenants.get(id).and_then(|t| t.as_ref()?.tables.get(table)) else { continue };
            let key = key::table_state(group, *id, table.def.id);
            self.applied.effects.push(Effect::Put(Family::State, key, table_message(table).encode_to_vec()));
        }
        let seen = self.seen.iter().map(|(id, at)| SeenCommand::new(*id, &self.applied.results[*at])).collect();
        Ok(Finished {
            applied: self.applied,
            last_at: self.last_at,
            meta: self.meta.map(Arc::new),
            tenants: self.tenants,
            touched: self.touched,
            removed: self.removed,
            seen,
        })
    }
}

fn table_message(table: &TableSnapshot) -> TableMessage {
    TableMessage {
        next_row: table.next_row,
        flushed: table.flushed.0,
        changed: table.changed.0,
        marked_at: table.marked_at,
    }
}

/// The hot values of one table: one for each batch of the entry that has rows for it.
fn hot_effects((group, tenant, table): (GroupId, TenantId, TableId), pieces: &[Piece], entry: &Entry) -> Vec<Effect> {
    let mut batches: BTreeMap<u32, (u32, Vec<PieceMessage>)> = BTreeMap::new();
    for p in pieces {
        let piece = PieceMessage { offset: p.offset, rows: p.rows, row_base: p.row_base };
        batches.entry(p.batch).or_insert((p.version, Vec::new())).1.push(piece);
    }
    let effect = |(batch, (version, pieces)): (u32, (u32, Vec<PieceMessage>))| {
        let value = HotMessage { version, pieces, ipc: entry.batches[batch as usize].ipc.clone() };
        let key = key::hot(group, tenant, table, entry.index, batch);
        Effect::Put(Family::Hot, key, value.encode_to_vec())
    };
    batches.into_iter().map(effect).collect()
}

impl TenantSnapshot {
    /// Notes which row of the table comes next after entry `index`, at most once in [`MARK_US`].
    fn mark(&mut self, table: TableId, index: Index, at: i64) -> Option<Effect> {
        let current = self.tables.get(&table).filter(|t| at.saturating_sub(t.marked_at) >= MARK_US)?;
        let mut next = current.edit();
        next.marked_at = at;
        let mark = MarkMessage { next_row: next.next_row, at };
        let key = key::mark(self.group, self.tenant, table, index);
        self.tables.insert(table, Arc::new(next));
        Some(Effect::Put(Family::State, key, mark.encode_to_vec()))
    }

    /// Deletes rows that were just added to a table.
    pub(crate) fn delete_own(&mut self, table: TableId, rows: &RoaringTreemap) -> Result<()> {
        let Some(current) = self.tables.get(&table).filter(|_| !rows.is_empty()) else { return Ok(()) };
        let mut next = current.edit();
        let gone = |_| Error::internal("a command deletes rows that it does not bring");
        next.rows.delete(rows).map_err(gone)?;
        self.tables.insert(table, Arc::new(next));
        Ok(())
    }

    /// Adds rows to a table. Its numbers are right already.
    pub(crate) fn append(&mut self, table: TableId, pieces: &[Piece], batches: &[RowsBatch]) -> Result<()> {
        let Some(current) = self.tables.get(&table) else { return Ok(()) };
        let mut next = current.edit();
        let mut decoded: Option<(u32, RecordBatch)> = None;
        for piece in pieces {
            let wire = match decoded.take().filter(|(batch, _)| *batch == piece.batch) {
                Some((_, wire)) => wire,
                None => wire_rows(piece, batches)?,
            };
            let rows = wire.slice(piece.offset as usize, piece.rows as usize);
            next.rows.append(piece.layout.stored_rows(&rows, piece.row_base)?, self.index);
            decoded = Some((piece.batch, wire));
        }
        self.tables.insert(table, Arc::new(next));
        Ok(())
    }
}

fn wire_rows(piece: &Piece, batches: &[RowsBatch]) -> Result<RecordBatch> {
    let damaged = || crate::kv::damaged("a batch of rows");
    let batch = batches.get(piece.batch as usize).ok_or_else(damaged)?;
    let wire = match &batch.rows {
        Some(rows) => rows.clone(),
        None => piece.layout.decode(&batch.ipc)?,
    };
    let enough = piece.offset.checked_add(piece.rows).is_some_and(|end| end <= wire.num_rows() as u64);
    if enough { Ok(wire) } else { Err(damaged()) }
}
