//! The run of one command on a tenant: changes are kept beside the state until all operations went well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message;
use roaring::RoaringTreemap;

use super::deleted::DeletedSets;
use crate::catalog::{RoleDef, SchemaDef, SequenceState, TableDef, TenantCatalog, ViewDef};
use crate::command::{Op, Outcome};
use crate::entry::LogOp;
use crate::error::{Error, Result, SqlState};
use crate::format::catalog::{RoleMessage, SchemaMessage, TableMessage, ViewMessage};
use crate::format::state::HeaderMessage;
use crate::ids::{FIRST_TENANT_OID, Index, PUBLIC_SCHEMA, RoleId, SchemaId, SequenceId, TableId, TypeId, ViewId};
use crate::kv::key::{self, Kind};
use crate::kv::{Effect, Family};
use crate::parts::{Deleter, Part};
use crate::rows::Layout;
use crate::snapshot::{TableSnapshot, TenantSnapshot};

/// Why a command changed nothing.
#[derive(Debug)]
pub(crate) enum Reject {
    /// The user's mistake.
    Error(Error),
    /// A race that it lost.
    Outcome(Outcome),
}

impl From<Error> for Reject {
    fn from(e: Error) -> Reject {
        Reject::Error(e)
    }
}

pub(super) fn stale<T>() -> Result<T, Reject> {
    Err(Reject::Outcome(Outcome::Stale))
}

pub(super) fn moved<T>() -> Result<T, Reject> {
    Err(Reject::Outcome(Outcome::Moved))
}

pub(super) fn mistake<T>(code: SqlState, message: impl Into<String>) -> Result<T, Reject> {
    Err(Reject::Error(Error::new(code, message)))
}

/// Rows of one of the entry's batches that are rows of a table now.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) layout: Arc<Layout>,
    pub(crate) version: u32,
    pub(crate) batch: u32,
    pub(crate) offset: u64,
    pub(crate) rows: u64,
    pub(crate) row_base: u64,
}

impl Piece {
    /// Adds it to others: to the last one, if it goes on where that ends.
    pub(crate) fn join(self, pieces: &mut Vec<Piece>) {
        match pieces.last_mut() {
            Some(last)
                if last.batch == self.batch
                    && last.offset + last.rows == self.offset
                    && last.row_base + last.rows == self.row_base =>
            {
                last.rows += self.rows;
            }
            _ => pieces.push(self),
        }
    }
}

/// One command's changes of a tenant.
pub(crate) struct Stage<'a> {
    pub(super) base: &'a TenantSnapshot,
    pub(super) index: Index,
    catalog: Option<TenantCatalog>,
    /// Changed tables; none if dropped.
    tables: BTreeMap<TableId, Option<TableSnapshot>>,
    /// States of sequences that changed; none if dropped.
    pub(super) sequences: BTreeMap<SequenceId, Option<SequenceState>>,
    /// Made by this command last: what `TableId(0)` stands for.
    pub(super) made: Option<TableId>,
    pub(super) effects: Vec<Effect>,
    pub(super) removed: Vec<Arc<Part>>,
    pub(super) pieces: Vec<(TableId, Piece)>,
    pub(super) cleared: BTreeSet<TableId>,
    pub(super) deleted: DeletedSets,
    /// Rows to delete that come to the hot tier only at the end of the entry.
    pub(super) own_deleted: BTreeMap<TableId, RoaringTreemap>,
    oids: Vec<u32>,
    pub(super) deleter: Option<Deleter>,
}

/// What a command changed.
#[derive(Debug)]
pub(crate) struct Changes {
    catalog: Option<TenantCatalog>,
    pub(crate) tables: BTreeMap<TableId, Option<TableSnapshot>>,
    pub(crate) sequences: BTreeMap<SequenceId, Option<SequenceState>>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) removed: Vec<Arc<Part>>,
    /// Tables that lost all rows, also those of earlier commands in the entry.
    pub(crate) cleared: BTreeSet<TableId>,
    /// For the hot store.
    pub(crate) deleted: DeletedSets,
    pub(crate) own_deleted: BTreeMap<TableId, RoaringTreemap>,
    pieces: Vec<(TableId, Piece)>,
    pub(crate) oids: Vec<u32>,
}

impl Changes {
    /// Changes the snapshot, except for the rows of the returned pieces, and those of them that are deleted.
    pub(crate) fn apply_to(self, snapshot: &mut TenantSnapshot) -> BTreeMap<TableId, Vec<Piece>> {
        if let Some(catalog) = self.catalog {
            snapshot.catalog = Arc::new(catalog);
        }
        for (id, table) in self.tables {
            match table {
                Some(table) => drop(snapshot.tables.insert(id, Arc::new(table))),
                None => drop(snapshot.tables.remove(&id)),
            }
        }
        if !self.sequences.is_empty() {
            let states = Arc::make_mut(&mut snapshot.sequences);
            for (id, state) in self.sequences {
                match state {
                    Some(state) => drop(states.insert(id, state)),
                    None => drop(states.remove(&id)),
                }
            }
        }
        let mut pieces: BTreeMap<TableId, Vec<Piece>> = BTreeMap::new();
        for (table, piece) in self.pieces {
            piece.join(pieces.entry(table).or_default());
        }
        pieces
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(base: &'a TenantSnapshot, index: Index) -> Stage<'a> {
        Stage {
            base,
            index,
            catalog: None,
            tables: BTreeMap::new(),
            sequences: BTreeMap::new(),
            made: None,
            effects: Vec::new(),
            removed: Vec::new(),
            pieces: Vec::new(),
            cleared: BTreeSet::new(),
            deleted: DeletedSets::new(),
            own_deleted: BTreeMap::new(),
            oids: Vec::new(),
            deleter: None,
        }
    }

    /// Parts it adds delete their files once they were removed.
    pub(crate) fn deleting_by(mut self, deleter: Option<Deleter>) -> Stage<'a> {
        self.deleter = deleter;
        self
    }

    /// Runs the operations in order, until one fails.
    pub(crate) fn apply(&mut self, ops: &[LogOp]) -> Result<(), Reject> {
        for op in ops {
            match op {
                LogOp::Append(append) => self.append(append)?,
                LogOp::Other(op) => self.operation(op)?,
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Changes> {
        if let Some(catalog) = &self.catalog {
            let header = HeaderMessage { version: catalog.version, next_oid: catalog.next_oid, boots: 0 };
            self.put(Kind::Header, 0, header.encode_to_vec());
        }
        Ok(Changes {
            catalog: self.catalog,
            tables: self.tables,
            sequences: self.sequences,
            effects: self.effects,
            removed: self.removed,
            cleared: self.cleared,
            deleted: self.deleted,
            own_deleted: self.own_deleted,
            pieces: self.pieces,
            oids: self.oids,
        })
    }

    fn operation(&mut self, op: &Op) -> Result<(), Reject> {
        match op {
            Op::InitTenant { owner } => self.init(*owner),
            Op::CreateRole(role) => self.create_role(role),
            Op::PutRole(role) => self.put_role(role),
            Op::DropRole(id) => self.drop_role(*id),
            Op::CreateSchema(schema) => self.create_schema(schema),
            Op::PutSchema(schema) => self.put_schema(schema),
            Op::DropSchema(id) => self.drop_schema(*id),
            Op::CreateTable(table) => self.create_table(table),
            Op::PutTable(table) => self.put_table(table),
            Op::DropTable(id) => self.drop_table(*id),
            Op::CreateView(view) => self.create_view(view),
            Op::PutView(view) => self.put_view(view),
            Op::DropView(id) => self.drop_view(*id),
            Op::CreateType(def) => self.create_type(def),
            Op::PutType(def) => self.put_type(def),
            Op::DropType(id) => self.drop_type(*id),
            Op::CreateSequence(def) => self.create_sequence(def),
            Op::PutSequence(def) => self.put_sequence(def),
            Op::DropSequence(id) => self.drop_sequence(*id),
            Op::AdvanceSequence { sequence, seen, last, is_called } => {
                self.advance_sequence(*sequence, *seen, *last, *is_called)
            }
            Op::SetSequence { sequence, last, is_called } => self.set_sequence(*sequence, *last, *is_called),
            Op::AddParts { table, version, parts } => self.add_parts(*table, *version, parts),
            Op::Truncate(id) => self.truncate(*id),
            Op::NoNewRows { table, next_row } => self.no_new_rows(*table, *next_row),
            Op::Delete { table, rows } => self.delete_rows(*table, rows),
            Op::Publish { table, from, to, add, deleted } => self.publish(*table, (*from, *to), add, deleted),
            Op::Append { .. } => Err(Error::internal("rows of a command are not in its entry").into()),
            Op::PurgeTenant => Err(Error::internal("a tenant is purged by a command of its own").into()),
            Op::Boot | Op::CreateTenant(_) | Op::PutTenant(_) | Op::DropTenant(_) => {
                Err(Error::internal("an operation of the meta group was proposed to a tenant").into())
            }
        }
    }

    pub(super) fn catalog(&self) -> &TenantCatalog {
        self.catalog.as_ref().unwrap_or(&self.base.catalog)
    }

    pub(super) fn catalog_mut(&mut self) -> &mut TenantCatalog {
        self.catalog.get_or_insert_with(|| {
            let mut catalog = TenantCatalog::clone(&self.base.catalog);
            catalog.version += 1;
            catalog
        })
    }

    /// The table as the command sees it; `TableId(0)` is the one it made last.
    pub(super) fn table(&self, id: TableId) -> Option<&TableSnapshot> {
        let id = if id == TableId(0) { self.made? } else { id };
        match self.tables.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.base.tables.get(&id).map(Arc::as_ref),
        }
    }

    /// As [`table`](Stage::table), to change.
    pub(super) fn table_mut(&mut self, id: TableId) -> Option<&mut TableSnapshot> {
        let id = self.table(id)?.def.id;
        let base = self.base;
        let changed = self.tables.entry(id).or_insert_with(|| base.tables.get(&id).map(|t| t.edit()));
        changed.as_mut()
    }

    pub(super) fn set_table(&mut self, id: TableId, table: Option<TableSnapshot>) {
        self.tables.insert(id, table);
    }

    /// The prefix of the table's keys in the families `hot` and `man`.
    pub(super) fn table_key(&self, id: TableId) -> Vec<u8> {
        key::table(self.base.group, self.base.tenant, id)
    }

    pub(super) fn part_key(&self, id: TableId, path: &str) -> Vec<u8> {
        key::part(self.base.group, self.base.tenant, id, path)
    }

    /// Gives out an OID where a new definition has none.
    pub(super) fn oid(&mut self, given: u32) -> Result<u32, Reject> {
        let catalog = self.catalog_mut();
        if given != 0 {
            catalog.next_oid = catalog.next_oid.max(given.saturating_add(1));
            return Ok(given);
        }
        let oid = catalog.next_oid;
        let Some(next) = oid.checked_add(1) else {
            return mistake(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has given out all OIDs");
        };
        catalog.next_oid = next;
        self.oids.push(oid);
        Ok(oid)
    }

    pub(super) fn put(&mut self, kind: Kind, id: u32, value: Vec<u8>) {
        let key = key::definition(self.base.group, self.base.tenant, kind, id);
        self.effects.push(Effect::Put(Family::Catalog, key, value));
    }

    pub(super) fn delete(&mut self, kind: Kind, id: u32) {
        let key = key::definition(self.base.group, self.base.tenant, kind, id);
        self.effects.push(Effect::Delete(Family::Catalog, key));
    }

    pub(super) fn store_table(&mut self, def: &TableDef) {
        let key = key::table_version(self.base.group, self.base.tenant, def.id, def.version);
        self.effects.push(Effect::Put(Family::Catalog, key, TableMessage::from(def).encode_to_vec()));
    }

    /// Where a sequence stands, as the command sees it.
    pub(super) fn sequence(&self, id: SequenceId) -> Option<SequenceState> {
        match self.sequences.get(&id) {
            Some(changed) => *changed,
            None => self.base.sequences.get(&id).copied(),
        }
    }

    pub(super) fn sequence_key(&self, id: SequenceId) -> Vec<u8> {
        key::sequence_state(self.base.group, self.base.tenant, id)
    }

    /// Forgets everything stored of a table.
    pub(super) fn delete_table(&mut self, id: TableId) {
        let (g, t) = (self.base.group, self.base.tenant);
        let rows = key::table(g, t, id);
        let prefixes = [
            (Family::Catalog, key::definition(g, t, Kind::Table, id.0)),
            (Family::Hot, rows.clone()),
            (Family::Manifest, rows.clone()),
            (Family::Deleted, rows),
            (Family::State, key::mark(g, t, id, Index(0))[..13].to_vec()),
        ];
        for (family, prefix) in prefixes {
            let end = key::end_of(&prefix);
            self.effects.push(Effect::DeleteRange(family, prefix, end));
        }
        self.effects.push(Effect::Delete(Family::State, key::table_state(g, t, id)));
    }

    fn init(&mut self, owner: RoleId) -> Result<(), Reject> {
        if self.catalog().version > 0 {
            return Ok(());
        }
        self.catalog_mut().next_oid = FIRST_TENANT_OID;
        let public = SchemaDef {
            id: PUBLIC_SCHEMA,
            name: "public".to_string(),
            owner,
            comment: Some("standard public schema".to_string()),
        };
        self.insert_schema(public);
        Ok(())
    }

    fn create_role(&mut self, role: &RoleDef) -> Result<(), Reject> {
        if self.catalog().roles.contains_key(&role.name) {
            return mistake(SqlState::DUPLICATE_OBJECT, format!("role \"{}\" already exists", role.name));
        }
        let role = RoleDef { id: RoleId(self.oid(role.id.0)?), ..role.clone() };
        self.insert_role(role);
        Ok(())
    }

    fn put_role(&mut self, role: &RoleDef) -> Result<(), Reject> {
        let Some(old) = self.catalog().role(role.id).cloned() else { return stale() };
        if old.name != role.name && self.catalog().roles.contains_key(&role.name) {
            return mistake(SqlState::DUPLICATE_OBJECT, format!("role \"{}\" already exists", role.name));
        }
        self.catalog_mut().roles.remove(&old.name);
        self.insert_role(role.clone());
        Ok(())
    }

    fn insert_role(&mut self, role: RoleDef) {
        self.put(Kind::Role, role.id.0, RoleMessage::from(&role).encode_to_vec());
        self.catalog_mut().roles.insert(role.name.clone(), Arc::new(role));
    }

    fn drop_role(&mut self, id: RoleId) -> Result<(), Reject> {
        let Some(role) = self.catalog().role(id).cloned() else { return stale() };
        let owned = owned_by(self.catalog(), id);
        if !owned.is_empty() {
            let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
            let e = Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).detail(owned.join("\n"));
            return Err(e.into());
        }
        self.catalog_mut().roles.remove(&role.name);
        self.delete(Kind::Role, id.0);
        Ok(())
    }

    fn create_schema(&mut self, schema: &SchemaDef) -> Result<(), Reject> {
        if self.catalog().schemas.contains_key(&schema.name) {
            return mistake(SqlState::DUPLICATE_SCHEMA, format!("schema \"{}\" already exists", schema.name));
        }
        let schema = SchemaDef { id: SchemaId(self.oid(schema.id.0)?), ..schema.clone() };
        self.insert_schema(schema);
        Ok(())
    }

    fn put_schema(&mut self, schema: &SchemaDef) -> Result<(), Reject> {
        let Some(old) = self.catalog().schema(schema.id).cloned() else { return stale() };
        if old.name != schema.name && self.catalog().schemas.contains_key(&schema.name) {
            return mistake(SqlState::DUPLICATE_SCHEMA, format!("schema \"{}\" already exists", schema.name));
        }
        self.catalog_mut().schemas.remove(&old.name);
        self.insert_schema(schema.clone());
        self.retype();
        Ok(())
    }

    fn insert_schema(&mut self, schema: SchemaDef) {
        self.put(Kind::Schema, schema.id.0, SchemaMessage::from(&schema).encode_to_vec());
        self.catalog_mut().schemas.insert(schema.name.clone(), Arc::new(schema));
    }

    fn drop_schema(&mut self, id: SchemaId) -> Result<(), Reject> {
        let Some(schema) = self.catalog().schema(id).cloned() else { return stale() };
        let catalog = self.catalog();
        let tables = catalog.tables.values().filter(|t| t.schema == id).map(|t| ("table", &t.name));
        let views = catalog.views.values().filter(|v| v.schema == id).map(|v| ("view", &v.name));
        let types = catalog.types.values().filter(|t| t.schema == id).map(|t| ("type", &t.name));
        let sequences = catalog.sequences.values().filter(|s| s.schema == id).map(|s| ("sequence", &s.name));
        let inside = tables
            .chain(views)
            .chain(sequences)
            .chain(types)
            .map(|(kind, name)| format!("{kind} {}.{name} depends on schema {}", schema.name, schema.name));
        let inside = inside.collect::<Vec<_>>();
        if !inside.is_empty() {
            return Err(depends(&format!("schema {}", schema.name), &inside));
        }
        self.catalog_mut().schemas.remove(&schema.name);
        self.delete(Kind::Schema, id.0);
        Ok(())
    }

    fn create_view(&mut self, view: &ViewDef) -> Result<(), Reject> {
        self.check_relation_name(view.schema, &view.name)?;
        self.check_dependencies(view)?;
        let view = ViewDef { id: ViewId(self.oid(view.id.0)?), ..self.whole_view(view)? };
        self.insert_view(view);
        Ok(())
    }

    fn put_view(&mut self, view: &ViewDef) -> Result<(), Reject> {
        let Some(old) = self.catalog().view(view.id).cloned() else { return stale() };
        if (old.schema, &old.name) != (view.schema, &view.name) {
            self.check_relation_name(view.schema, &view.name)?;
        }
        self.check_dependencies(view)?;
        self.catalog_mut().views.remove(&(old.schema, old.name.clone()));
        let view = self.whole_view(view)?;
        self.insert_view(view);
        Ok(())
    }

    fn insert_view(&mut self, view: ViewDef) {
        self.put(Kind::View, view.id.0, ViewMessage::from(&view).encode_to_vec());
        self.catalog_mut().views.insert((view.schema, view.name.clone()), Arc::new(view));
    }

    fn drop_view(&mut self, id: ViewId) -> Result<(), Reject> {
        let Some(view) = self.catalog().view(id).cloned() else { return stale() };
        self.check_no_dependents(id.0, &format!("view {}", view.name))?;
        self.catalog_mut().views.remove(&(view.schema, view.name.clone()));
        self.delete(Kind::View, id.0);
        Ok(())
    }

    /// What the view reads is still there.
    fn check_dependencies(&self, view: &ViewDef) -> Result<(), Reject> {
        let catalog = self.catalog();
        let known = |oid: u32| {
            let relation = self.table(TableId(oid)).is_some()
                || catalog.view(ViewId(oid)).is_some()
                || catalog.sequence(SequenceId(oid)).is_some();
            relation || catalog.user_type(TypeId(oid)).is_some()
        };
        // Relations of the system catalog have lower numbers and cannot go.
        let gone = |oid: &u32| *oid >= FIRST_TENANT_OID && !known(*oid);
        if view.depends_on.iter().any(gone) { stale() } else { Ok(()) }
    }

    /// No view reads the relation.
    pub(super) fn check_no_dependents(&self, oid: u32, name: &str) -> Result<(), Reject> {
        let views = self.catalog().views.values().filter(|v| v.depends_on.contains(&oid) && v.id.0 != oid);
        let views = views.map(|v| format!("view {} depends on {name}", v.name)).collect::<Vec<_>>();
        if views.is_empty() { Ok(()) } else { Err(depends(name, &views)) }
    }

    /// The schema is there and no relation in it has the name.
    pub(super) fn check_relation_name(&self, schema: SchemaId, name: &str) -> Result<(), Reject> {
        let catalog = self.catalog();
        if catalog.schema(schema).is_none() {
            return stale();
        }
        if self.is_taken(schema, name, TableId(0)) {
            return mistake(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"));
        }
        Ok(())
    }
}

pub(super) fn depends(name: &str, dependents: &[String]) -> Reject {
    let message = format!("cannot drop {name} because other objects depend on it");
    Reject::Error(
        Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .detail(dependents.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."),
    )
}

fn owned_by(catalog: &TenantCatalog, role: RoleId) -> Vec<String> {
    let schemas = catalog.schemas.values().filter(|s| s.owner == role).map(|s| format!("owner of schema {}", s.name));
    let tables = catalog.tables.values().filter(|t| t.owner == role).map(|t| format!("owner of table {}", t.name));
    let views = catalog.views.values().filter(|v| v.owner == role).map(|v| format!("owner of view {}", v.name));
    let types = catalog.types.values().filter(|t| t.owner == role).map(|t| format!("owner of type {}", t.name));
    let sequences = catalog.sequences.values().filter(|s| s.owner == role);
    let sequences = sequences.map(|s| format!("owner of sequence {}", s.name));
    schemas.chain(tables).chain(views).chain(sequences).chain(types).collect()
}
