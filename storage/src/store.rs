//! A data directory on disk and the state in memory that goes with it: opening, replay, and the two steps of a write,
//! [`Store::append`] to the log and [`Store::apply`].

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::apply::{EntryApplied, GroupState};
use crate::budget::Sizes;
use crate::catalog::{MetaCatalog, SequenceDef, SequenceState, TableDef, TenantCatalog, ViewDef};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::format::catalog::{RoleMessage, SchemaMessage, TableMessage, TenantMessage, ViewMessage};
use crate::format::decode;
use crate::format::entry::{decode_entry, encode_entry};
use crate::format::part::PartMessage;
use crate::format::sequence::{SequenceMessage, SequenceStateMessage};
use crate::format::state::{GroupMessage, HeaderMessage, HotMessage, SeenMessage, TableMessage as TableStateMessage};
use crate::format::user_type::TypeMessage;
use crate::ids::{DATA_GROUPS, GroupId, Index, META_GROUP, SequenceId, TableId, TenantId};
use crate::kv::hot::HotStore;
use crate::kv::key::{self, Kind};
use crate::kv::raft::{RaftStore, Record};
use crate::kv::{Effect, Family, damaged};
use crate::parts::{Deleter, Part};
use crate::rows::Layout;
use crate::snapshot::{TableSnapshot, TenantSnapshot};
use crate::table::delete::decode_positions;

/// Both RocksDB instances of a directory and the state of all groups.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) raft: RaftStore,
    pub(crate) hot: Arc<HotStore>,
    pub(crate) groups: Vec<GroupState>,
    /// Effects of applied entries that the hot store has not taken yet, because its disk was full: the log has them.
    unwritten: Vec<Vec<Effect>>,
}

impl Store {
    /// Opens the directory, or makes it if `create`, and replays what the hot store lacks.
    ///
    /// # Errors
    /// XX001 if it is damaged, 53100 if the disk is full.
    pub(crate) fn open(dir: &Path, create: bool, sync: bool, deleter: Option<Deleter>, sizes: Sizes) -> Result<Store> {
        let hot = HotStore::open(&dir.join("hot"), create, &sizes)?;
        let raft = RaftStore::open(&dir.join("raft"), create, sync, sizes)?;
        let groups = Loader::new(deleter).load(&hot)?;
        let mut store = Store { raft, hot: Arc::new(hot), groups, unwritten: Vec::new() };
        (0..=DATA_GROUPS).try_for_each(|g| store.replay(GroupId(g)))?;
        Ok(store)
    }

    pub(crate) fn group(&self, group: GroupId) -> &GroupState {
        &self.groups[group.0 as usize]
    }

    /// Writes the entries to the log, one sync for all. Returns how many bytes they have.
    ///
    /// # Errors
    /// As for [`RaftStore::append`]; 53100 as well while the hot store has no room.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<u64> {
        self.catch_up()?;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            records.push(Record { group: entry.group, index: entry.index, value: encode_entry(entry)? });
        }
        self.raft.append(&records)?;
        Ok(records.iter().map(|r| r.value.len() as u64).sum())
    }

    /// Applies an entry that is in the log.
    ///
    /// # Errors
    /// XX001 if the entry is damaged.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<EntryApplied> {
        let mut applied = self.groups[entry.group.0 as usize].apply(entry)?;
        self.write(std::mem::take(&mut applied.effects));
        Ok(applied)
    }

    /// Up to where the hot store would have everything if it were flushed now.
    pub(crate) fn written(&self) -> Option<Vec<(GroupId, Index)>> {
        self.unwritten.is_empty().then(|| self.groups.iter().map(|g| (g.group, g.applied)).collect())
    }

    fn replay(&mut self, group: GroupId) -> Result<()> {
        let (applied, extent) = (self.group(group).applied, self.raft.extent(group));
        if applied > extent.last || applied < extent.truncated {
            let what = format!(
                "the data directory (group {group} is applied to {applied}, its log has {} to {})",
                extent.truncated.0 + 1,
                extent.last
            );
            return Err(damaged(&what));
        }
        if applied < extent.last {
            tracing::info!(%group, from = applied.0, to = extent.last.0, "replaying the log");
        }
        let state = &mut self.groups[group.0 as usize];
        let hot = &self.hot;
        self.raft.replay(group, applied, |index, bytes| {
            let entry = decode_entry(group, index, bytes)?;
            hot.write(&state.apply(&entry)?.effects)
        })
    }

    /// Writes effects of an entry that is in the log already: what the disk does not take now it takes later.
    fn write(&mut self, effects: Vec<Effect>) {
        if !self.unwritten.is_empty() {
            self.unwritten.push(effects);
        } else if let Err(e) = self.hot.write(&effects) {
            tracing::error!(error = %e, "the hot store could not be written: writes wait until it can");
            self.unwritten.push(effects);
        }
    }

    /// Tries again what the hot store did not take.
    fn catch_up(&mut self) -> Result<()> {
        while let Some(effects) = self.unwritten.first() {
            self.hot.write(effects).map_err(|e| Error::new(e.code(), "could not write the hot store").source(e))?;
            self.unwritten.remove(0);
        }
        Ok(())
    }
}

/// Builds the state in memory from the hot store.
struct Loader {
    deleter: Option<Deleter>,
    groups: Vec<GroupState>,
    tenants: HashMap<(GroupId, TenantId), LoadedTenant>,
}

#[derive(Default)]
struct LoadedTenant {
    catalog: TenantCatalog,
    /// All versions of each table.
    versions: HashMap<TableId, HashMap<u32, Arc<TableDef>>>,
    tables: HashMap<TableId, TableSnapshot>,
    sequences: BTreeMap<SequenceId, SequenceState>,
    layouts: HashMap<(TableId, u32), Arc<Layout>>,
}

impl Loader {
    fn new(deleter: Option<Deleter>) -> Loader {
        let groups = (0..=DATA_GROUPS).map(|g| GroupState::new(GroupId(g), deleter.clone())).collect();
        Loader { deleter, groups, tenants: HashMap::new() }
    }

    fn load(mut self, hot: &HotStore) -> Result<Vec<GroupState>> {
        hot.scan(Family::Catalog, |k, v| self.definition(k, v))?;
        self.tenants.values_mut().for_each(LoadedTenant::make_tables);
        hot.scan(Family::State, |k, v| self.state(k, v))?;
        hot.scan(Family::Manifest, |k, v| self.part(k, v))?;
        hot.scan(Family::Hot, |k, v| self.rows(k, v))?;
        hot.scan(Family::Deleted, |k, v| self.deleted(k, v))?;
        for ((group, tenant), loaded) in self.tenants {
            let state = &mut self.groups[group.0 as usize];
            let snapshot = loaded.into_snapshot(group, tenant, state.applied);
            state.tenants.insert(tenant, Arc::new(snapshot));
        }
        Ok(self.groups)
    }

    fn definition(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let bad = || damaged("a key of the catalog");
        let (group, tenant, rest) = key::split(k).ok_or_else(bad)?;
        let (kind, rest) = rest.split_first().ok_or_else(bad)?;
        let kind = Kind::of(*kind).ok_or_else(bad)?;
        if group == META_GROUP {
            let meta = Arc::make_mut(&mut self.groups[0].meta);
            return load_meta(meta, kind, v);
        }
        if group.0 > DATA_GROUPS || key::split_u32(rest).is_none() {
            return Err(bad());
        }
        self.tenants.entry((group, tenant)).or_default().definition(kind, v)
    }

    fn state(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let bad = || damaged("a key of the state");
        let (group, tenant, rest) = key::split(k).ok_or_else(bad)?;
        let (kind, rest) = rest.split_first().ok_or_else(bad)?;
        let state = self.groups.get_mut(group.0 as usize).ok_or_else(bad)?;
        match *kind {
            key::STATE_GROUP => {
                let message: GroupMessage = decode(v, "the state of a group")?;
                (state.applied, state.last_at) = (Index(message.applied), message.last_at);
            }
            key::STATE_SEEN => {
                let (index, _) = key::split_u64(rest).ok_or_else(bad)?;
                let message: SeenMessage = decode(v, "the commands of an entry")?;
                state.seen.load(Index(index), message);
            }
            key::STATE_TABLE => {
                let (id, _) = key::split_u32(rest).ok_or_else(bad)?;
                let message: TableStateMessage = decode(v, "the state of a table")?;
                let table = self.table((group, tenant), TableId(id))?;
                table.next_row = message.next_row;
                table.flushed = Index(message.flushed);
                table.changed = Index(message.changed);
                table.marked_at = message.marked_at;
            }
            key::STATE_MARK => {}
            key::STATE_SEQUENCE => {
                let (id, _) = key::split_u32(rest).ok_or_else(bad)?;
                let message: SequenceStateMessage = decode(v, "the state of a sequence")?;
                let tenant = self.tenants.entry((group, tenant)).or_default();
                tenant.sequences.insert(SequenceId(id), message.into());
            }
            _ => return Err(bad()),
        }
        Ok(())
    }

    fn part(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let (owner, id, _) = table_key(k)?;
        let message: PartMessage = decode(v, "the manifest")?;
        let part = Arc::new(Part::listed(message.into_meta()?, self.deleter.clone()));
        let table = self.table(owner, id)?;
        Arc::make_mut(&mut table.parts).push(part);
        Ok(())
    }

    fn rows(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let (owner, id, rest) = table_key(k)?;
        let (index, _) = key::split_u64(rest).ok_or_else(|| damaged("a key of the hot rows"))?;
        let message: HotMessage = decode(v, "hot rows")?;
        let tenant = self.tenants.get_mut(&owner).ok_or_else(|| damaged("the catalog"))?;
        let layout = tenant.layout(id, message.version)?;
        let table = tenant.tables.get_mut(&id).ok_or_else(|| damaged("the catalog"))?;
        let wire = layout.decode(&Bytes::copy_from_slice(&message.ipc))?;
        for piece in &message.pieces {
            if piece.offset.checked_add(piece.rows).is_none_or(|end| end > wire.num_rows() as u64) {
                return Err(damaged("hot rows"));
            }
            let rows = wire.slice(piece.offset as usize, piece.rows as usize);
            table.rows.append(layout.stored_rows(&rows, piece.row_base)?, Index(index));
        }
        Ok(())
    }

    fn deleted(&mut self, k: &[u8], v: &[u8]) -> Result<()> {
        let bad = || damaged("a key of deleted rows");
        let (owner, id, rest) = table_key(k)?;
        let (kind, rest) = rest.split_first().ok_or_else(bad)?;
        let (rest, _index) = rest.split_last_chunk::<8>().ok_or_else(bad)?;
        let positions = decode_positions(v)?;
        let table = self.table(owner, id)?;
        match *kind {
            key::DELETED_HOT => {
                let (block, _) = key::split_u64(rest).ok_or_else(bad)?;
                // Those of them that are in parts by now were moved there by the flush.
                let rows = positions.iter().map(|p| (block << key::BLOCK_BITS) | u64::from(p));
                let hot = rows.filter(|row| table.rows.holds(*row)).collect();
                table.rows.delete(&hot).map_err(|_| damaged("a set of deleted rows"))
            }
            key::DELETED_PART => {
                let path = rest.strip_suffix(&[0]).ok_or_else(bad)?;
                let parts = Arc::make_mut(&mut table.parts);
                let at = parts.binary_search_by(|p| p.meta.path.as_bytes().cmp(path)).map_err(|_| bad())?;
                let without = parts[at].without(&positions);
                parts[at] = Arc::new(without.ok_or_else(|| damaged("a set of deleted rows"))?);
                Ok(())
            }
            _ => Err(bad()),
        }
    }

    fn table(&mut self, owner: (GroupId, TenantId), id: TableId) -> Result<&mut TableSnapshot> {
        let tenant = self.tenants.get_mut(&owner);
        tenant
            .and_then(|t| t.tables.get_mut(&id))
            .ok_or_else(|| damaged("the catalog: it lacks a table that has rows and"))
    }
}

impl LoadedTenant {
    fn definition(&mut self, kind: Kind, v: &[u8]) -> Result<()> {
        let catalog = &mut self.catalog;
        match kind {
            Kind::Header => {
                let header: HeaderMessage = decode(v, "a catalog")?;
                (catalog.version, catalog.next_oid) = (header.version, header.next_oid);
            }
            Kind::Role => {
                let role = crate::catalog::RoleDef::from(decode::<RoleMessage>(v, "a role")?);
                catalog.roles.insert(role.name.clone(), Arc::new(role));
            }
            Kind::Schema => {
                let schema = crate::catalog::SchemaDef::from(decode::<SchemaMessage>(v, "a schema")?);
                catalog.schemas.insert(schema.name.clone(), Arc::new(schema));
            }
            Kind::Table => {
                let table = TableDef::try_from(decode::<TableMessage>(v, "a table")?)?;
                self.versions.entry(table.id).or_default().insert(table.version, Arc::new(table));
            }
            Kind::View => {
                let view = ViewDef::try_from(decode::<ViewMessage>(v, "a view")?)?;
                catalog.views.insert((view.schema, view.name.clone()), Arc::new(view));
            }
            Kind::Type => {
                let def = crate::catalog::TypeDef::try_from(decode::<TypeMessage>(v, "a type")?)?;
                catalog.types.insert((def.schema, def.name.clone()), Arc::new(def));
            }
            Kind::Sequence => {
                let def = SequenceDef::try_from(decode::<SequenceMessage>(v, "a sequence")?)?;
                catalog.sequences.insert((def.schema, def.name.clone()), Arc::new(def));
            }
            Kind::Tenant => return Err(damaged("the catalog of a tenant")),
        }
        Ok(())
    }

    /// The last version of each table is the present one. Types are made whole, now that all are known.
    fn make_tables(&mut self) {
        for (id, versions) in &self.versions {
            let Some(def) = versions.values().max_by_key(|d| d.version) else { continue };
            let def = self.catalog.whole_table(def).map_or_else(|| def.clone(), Arc::new);
            self.catalog.tables.insert((def.schema, def.name.clone()), def.clone());
            self.tables.insert(*id, TableSnapshot::new(def.clone(), Index(0)));
        }
        let catalog = &self.catalog;
        let whole = |v: &Arc<ViewDef>| Some(((v.schema, v.name.clone()), Arc::new(catalog.whole_view(v)?)));
        let views = catalog.views.values().filter_map(whole).collect::<Vec<_>>();
        let types = catalog.types.values().filter_map(|t| catalog.whole_type(t)).collect::<Vec<_>>();
        self.catalog.views.extend(views);
        self.catalog.types.extend(types.into_iter().map(|t| ((t.schema, t.name.clone()), Arc::new(t))));
    }

    fn layout(&mut self, id: TableId, version: u32) -> Result<Arc<Layout>> {
        if let Some(known) = self.layouts.get(&(id, version)) {
            return Ok(known.clone());
        }
        let def = self.versions.get(&id).and_then(|v| v.get(&version));
        let layout =
            Arc::new(Layout::new(def.ok_or_else(|| damaged("the catalog: it lacks a version of a table and"))?));
        self.layouts.insert((id, version), layout.clone());
        Ok(layout)
    }

    fn into_snapshot(self, group: GroupId, tenant: TenantId, index: Index) -> TenantSnapshot {
        let tables = self.tables.into_iter().map(|(id, t)| (id, Arc::new(t))).collect();
        TenantSnapshot {
            tables,
            index,
            catalog: Arc::new(self.catalog),
            sequences: Arc::new(self.sequences),
            ..TenantSnapshot::empty(group, tenant)
        }
    }
}

fn load_meta(meta: &mut MetaCatalog, kind: Kind, v: &[u8]) -> Result<()> {
    match kind {
        Kind::Header => {
            let header: HeaderMessage = decode(v, "the meta catalog")?;
            (meta.next_oid, meta.boots) = (header.next_oid, header.boots);
        }
        Kind::Role => {
            let role = crate::catalog::RoleDef::from(decode::<RoleMessage>(v, "a role")?);
            meta.roles.insert(role.name.clone(), Arc::new(role));
        }
        Kind::Tenant => {
            let tenant = crate::catalog::TenantDef::from(decode::<TenantMessage>(v, "a tenant")?);
            meta.tenants.insert(tenant.name.clone(), Arc::new(tenant));
        }
        Kind::Schema | Kind::Table | Kind::View | Kind::Type | Kind::Sequence => {
            return Err(damaged("the meta catalog"));
        }
    }
    Ok(())
}

type TableKey<'a> = ((GroupId, TenantId), TableId, &'a [u8]);

fn table_key(k: &[u8]) -> Result<TableKey<'_>> {
    let parsed =
        key::split(k).and_then(|(g, t, rest)| key::split_u32(rest).map(|(id, rest)| ((g, t), TableId(id), rest)));
    parsed.ok_or_else(|| damaged("a key of a table"))
}
