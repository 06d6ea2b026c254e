//! What apply sees to where a table's definition comes with indexes and foreign keys: OIDs, names, and that what they name
//! is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::stage::{Reject, Stage, mistake, stale};
use crate::catalog::{ForeignKeyDef, IndexKey, TableDef};
use crate::error::SqlState;
use crate::ids::{ColumnId, IndexId, SchemaId, TableId};

impl Stage<'_> {
    /// The definition with an OID for each new index, and its own where a foreign key refers to the table itself. `old` is
    /// what it takes the place of.
    pub(super) fn with_keys(&mut self, mut def: TableDef, old: Option<&TableDef>) -> Result<TableDef, Reject> {
        self.check_index_names(&def, old)?;
        self.check_key_columns(&def)?;
        let known = |id: IndexId| old.is_some_and(|o| o.indexes.iter().any(|i| i.id == id));
        for index in &mut def.indexes {
            if index.id != IndexId(0) && old.is_some() && !known(index.id) {
                return stale();
            }
            index.id = IndexId(self.oid(index.id.0)?);
        }
        for key in &mut def.foreign_keys {
            if key.references == TableId(0) {
                key.references = def.id;
            }
        }
        Ok(def)
    }

    /// Names of indexes are names of relations; names of constraints are unique in their table.
    fn check_index_names(&self, def: &TableDef, old: Option<&TableDef>) -> Result<(), Reject> {
        for (n, index) in def.indexes.iter().enumerate() {
            let kept = |o: &TableDef| o.schema == def.schema && o.index(&index.name).is_some_and(|i| i.id == index.id);
            let twice = index.name == def.name || def.indexes[..n].iter().any(|i| i.name == index.name);
            if twice || (!old.is_some_and(kept) && self.is_taken(def.schema, &index.name, def.id)) {
                return mistake(SqlState::DUPLICATE_TABLE, format!("relation \"{}\" already exists", index.name));
            }
        }
        let checks = def.checks.iter().map(|c| &c.name);
        let keys = def.indexes.iter().filter(|i| i.constraint.is_some()).map(|i| &i.name);
        let names = checks.chain(keys).chain(def.foreign_keys.iter().map(|f| &f.name)).collect::<Vec<_>>();
        for (n, name) in names.iter().enumerate() {
            if names[..n].contains(name) {
                let text = format!("constraint \"{name}\" for relation \"{}\" already exists", def.name);
                return mistake(SqlState::DUPLICATE_OBJECT, text);
            }
        }
        Ok(())
    }

    /// Whether a relation of the schema has the name; indexes of the table `own` do not count.
    pub(super) fn is_taken(&self, schema: SchemaId, name: &str, own: TableId) -> bool {
        let catalog = self.catalog();
        let key = (schema, name.to_string());
        let table = catalog.tables.get(&key).is_some_and(|t| t.id != own);
        table
            || catalog.views.contains_key(&key)
            || catalog.sequences.contains_key(&key)
            || catalog.index_named(schema, name).is_some_and(|(table, _)| table.id != own)
    }

    /// The columns of keys are there, also those that foreign keys refer to.
    fn check_key_columns(&self, def: &TableDef) -> Result<(), Reject> {
        let own = |id: &ColumnId| def.column_by_id(*id).is_some();
        let indexed = def.indexes.iter().all(|i| {
            let known = |key: &IndexKey| match key {
                IndexKey::Column(id) => own(id),
                IndexKey::Expression { .. } => true,
            };
            !i.columns.is_empty() && i.columns.iter().all(|c| known(&c.key)) && i.include.iter().all(own)
        });
        let referring = def.foreign_keys.iter().all(|f| {
            let there = if f.references == TableId(0) || f.references == def.id {
                f.referenced.iter().all(own)
            } else {
                self.table(f.references).is_some_and(|t| f.referenced.iter().all(|c| t.def.column_by_id(*c).is_some()))
            };
            there && f.columns.len() == f.referenced.len() && f.columns.iter().chain(&f.set_columns).all(own)
        });
        if indexed && referring { Ok(()) } else { stale() }
    }

    /// Takes away the foreign keys of other tables whose key is no more: with the table, or with what it is now. Whether they
    /// may go is decided by who proposes it.
    pub(super) fn drop_referring(&mut self, id: TableId, now: Option<&TableDef>) {
        let kept = |f: &ForeignKeyDef| f.references != id || now.is_some_and(|t| t.referable(&f.referenced).is_some());
        let catalog = self.catalog();
        let broken = catalog.referring(id).filter(|(_, f)| !kept(f)).map(|(t, _)| t.id).collect::<BTreeSet<_>>();
        for other in broken {
            let Some(table) = self.table_mut(other) else { continue };
            let mut def = TableDef::clone(&table.def);
            def.foreign_keys.retain(kept);
            let def = Arc::new(def);
            table.def = def.clone();
            self.store_table(&def);
            self.catalog_mut().tables.insert((def.schema, def.name.clone()), def);
        }
    }
}
