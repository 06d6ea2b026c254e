//! The catalog: definitions only, as immutable values behind an `Arc`. The state of jobs and all rows are elsewhere.
//!
//! [`MetaCatalog`] is the meta group's: tenants and operator roles. [`TenantCatalog`] is one tenant's: schemas, tables,
//! views, sequences, types, roles. Both change only in [`apply`](crate::apply); a reader holds an `Arc` of the one it started with.

pub mod index;
pub mod role;
pub mod schema;
pub mod sequence;
pub mod table;
pub mod tenant;
pub mod user_type;
pub mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use index::{ForeignKeyAction, ForeignKeyDef, IndexColumn, IndexDef, IndexKey, KeyConstraint};
pub use role::RoleDef;
pub use schema::SchemaDef;
pub use sequence::{SequenceDef, SequenceOwner, SequenceState};
pub use table::{CheckDef, ColumnDef, Identity, PartitionExpr, TableDef};
pub use tenant::TenantDef;
pub use user_type::{DomainDef, TypeBody, TypeDef};
pub use view::ViewDef;

use crate::ids::{IndexId, RoleId, SchemaId, SequenceId, TableId, TenantId, TypeId, ViewId};

/// What the meta group holds.
#[derive(Clone, Debug, Default)]
pub struct MetaCatalog {
    /// All tenants by name.
    pub tenants: BTreeMap<String, Arc<TenantDef>>,
    /// Operator roles by name: they may enter every tenant. One of them is the superuser `sightline`.
    pub roles: BTreeMap<String, Arc<RoleDef>>,
    /// The next OID to give to a tenant or an operator role.
    pub next_oid: u32,
    /// How often this data directory was opened; the lease epoch on one node.
    pub boots: u64,
}

impl MetaCatalog {
    /// The tenant with this id.
    pub fn tenant(&self, id: TenantId) -> Option<&Arc<TenantDef>> {
        self.tenants.values().find(|t| t.id == id)
    }
}

/// What one tenant's catalog holds. Relations (tables, views, sequences, and the indexes of
/// tables) of a schema share one name space.
#[derive(Clone, Debug, Default)]
pub struct TenantCatalog {
    /// Raised by each change of this catalog; caches of plans are keyed by it.
    pub version: u64,
    /// Schemas by name; `public` exists from the start, system schemas are not listed.
    pub schemas: BTreeMap<String, Arc<SchemaDef>>,
    /// Tables by schema and name.
    pub tables: BTreeMap<(SchemaId, String), Arc<TableDef>>,
    /// Views by schema and name.
    pub views: BTreeMap<(SchemaId, String), Arc<ViewDef>>,
    /// Sequences by schema and name.
    pub sequences: BTreeMap<(SchemaId, String), Arc<SequenceDef>>,
    /// Types by schema and name.
    pub types: BTreeMap<(SchemaId, String), Arc<TypeDef>>,
    /// The tenant's own roles by name.
    pub roles: BTreeMap<String, Arc<RoleDef>>,
    /// The next OID to give out.
    pub next_oid: u32,
}

impl TenantCatalog {
    /// The table with this id.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableDef>> {
        self.tables.values().find(|t| t.id == id)
    }

    /// The index with this id, and its table.
    pub fn index(&self, id: IndexId) -> Option<(&Arc<TableDef>, &IndexDef)> {
        self.tables.values().find_map(|t| Some((t, t.indexes.iter().find(|i| i.id == id)?)))
    }

    /// The index of the schema with this name, and its table.
    pub fn index_named(&self, schema: SchemaId, name: &str) -> Option<(&Arc<TableDef>, &IndexDef)> {
        self.tables_of(schema).find_map(|t| Some((t, t.index(name)?)))
    }

    /// The tables of the schema.
    pub fn tables_of(&self, schema: SchemaId) -> impl Iterator<Item = &Arc<TableDef>> {
        let tables = self.tables.range((schema, String::new())..);
        tables.take_while(move |((s, _), _)| *s == schema).map(|(_, t)| t)
    }

    /// The foreign keys of other tables that refer to this one.
    pub fn referring(&self, id: TableId) -> impl Iterator<Item = (&Arc<TableDef>, &ForeignKeyDef)> {
        let others = self.tables.values().filter(move |t| t.id != id);
        others.flat_map(move |t| t.foreign_keys.iter().filter(move |f| f.references == id).map(move |f| (t, f)))
    }

    /// The view with this id.
    pub fn view(&self, id: ViewId) -> Option<&Arc<ViewDef>> {
        self.views.values().find(|v| v.id == id)
    }

    /// Whether a relation of the schema has the name.
    pub fn has_relation(&self, schema: SchemaId, name: &str) -> bool {
        let key = (schema, name.to_string());
        self.tables.contains_key(&key)
            || self.views.contains_key(&key)
            || self.sequences.contains_key(&key)
            || self.index_named(schema, name).is_some()
    }

    /// The sequence with this id.
    pub fn sequence(&self, id: SequenceId) -> Option<&Arc<SequenceDef>> {
        self.sequences.values().find(|s| s.id == id)
    }

    /// The type with this id.
    pub fn user_type(&self, id: TypeId) -> Option<&Arc<TypeDef>> {
        self.types.values().find(|t| t.id == id)
    }

    /// The schema with this id.
    pub fn schema(&self, id: SchemaId) -> Option<&Arc<SchemaDef>> {
        self.schemas.values().find(|s| s.id == id)
    }

    /// The tenant's role with this id.
    pub fn role(&self, id: RoleId) -> Option<&Arc<RoleDef>> {
        self.roles.values().find(|r| r.id == id)
    }
}
