//! Operations on types. Definitions that name a type hold it whole, so a change of a type changes them in memory; what is
//! stored of them stays as it is.

use std::sync::Arc;

use prost::Message;

use super::stage::{Reject, Stage, depends, mistake, stale};
use crate::catalog::{TableDef, TypeDef, ViewDef};
use crate::error::SqlState;
use crate::format::user_type::TypeMessage;
use crate::ids::TypeId;
use crate::kv::key::Kind;

impl Stage<'_> {
    pub(super) fn create_type(&mut self, def: &TypeDef) -> Result<(), Reject> {
        self.check_type_name(def)?;
        let (id, array) = (TypeId(self.oid(def.id.0)?), TypeId(self.oid(def.array.0)?));
        self.insert_type(TypeDef { id, array, ..def.clone() })
    }

    pub(super) fn put_type(&mut self, def: &TypeDef) -> Result<(), Reject> {
        let Some(old) = self.catalog().user_type(def.id).cloned() else { return stale() };
        if (old.schema, &old.name) != (def.schema, &def.name) {
            self.check_type_name(def)?;
        }
        self.catalog_mut().types.remove(&(old.schema, old.name.clone()));
        self.insert_type(def.clone())?;
        self.retype();
        Ok(())
    }

    fn check_type_name(&self, def: &TypeDef) -> Result<(), Reject> {
        let catalog = self.catalog();
        if catalog.schema(def.schema).is_none() {
            return stale();
        }
        if catalog.types.contains_key(&(def.schema, def.name.clone())) {
            return mistake(SqlState::DUPLICATE_OBJECT, format!("type \"{}\" already exists", def.name));
        }
        Ok(())
    }

    fn insert_type(&mut self, def: TypeDef) -> Result<(), Reject> {
        if def.uses().iter().any(|oid| self.catalog().user_type(TypeId(*oid)).is_none()) {
            return stale();
        }
        let def = self.catalog().whole_type(&def).unwrap_or(def);
        if def.is_too_large() {
            let text = format!("type \"{}\" is made of too many types, or too deeply", def.name);
            return mistake(SqlState::PROGRAM_LIMIT_EXCEEDED, text);
        }
        self.put(Kind::Type, def.id.0, TypeMessage::from(&def).encode_to_vec());
        self.catalog_mut().types.insert((def.schema, def.name.clone()), Arc::new(def));
        Ok(())
    }

    pub(super) fn drop_type(&mut self, id: TypeId) -> Result<(), Reject> {
        let Some(def) = self.catalog().user_type(id).cloned() else { return stale() };
        let name = format!("type {}", def.name);
        self.check_no_dependents(id.0, &name)?;
        let catalog = self.catalog();
        let columns = catalog.tables.values().flat_map(|t| t.columns.iter().map(move |c| (t, c)));
        let columns = columns
            .filter(|(_, c)| c.ty.users().contains(&id.0))
            .map(|(t, c)| format!("column {} of table {} depends on {name}", c.name, t.name));
        let types = catalog.types.values().filter(|t| t.uses().contains(&id.0));
        let types = types.map(|t| format!("type {} depends on {name}", t.name));
        let users = columns.chain(types).collect::<Vec<_>>();
        if !users.is_empty() {
            return Err(depends(&name, &users));
        }
        self.catalog_mut().types.remove(&(def.schema, def.name.clone()));
        self.delete(Kind::Type, id.0);
        Ok(())
    }

    /// The definition with its types as the catalog has them now. Stale if one is gone.
    pub(super) fn whole_table(&self, def: &TableDef) -> Result<TableDef, Reject> {
        let users = def.columns.iter().flat_map(|c| c.ty.users());
        self.known_types(users)?;
        Ok(self.catalog().whole_table(def).unwrap_or_else(|| def.clone()))
    }

    /// As [`whole_table`](Stage::whole_table), of a view.
    pub(super) fn whole_view(&self, def: &ViewDef) -> Result<ViewDef, Reject> {
        self.known_types(def.columns.iter().flat_map(|(_, ty)| ty.users()))?;
        Ok(self.catalog().whole_view(def).unwrap_or_else(|| def.clone()))
    }

    fn known_types(&self, mut oids: impl Iterator<Item = u32>) -> Result<(), Reject> {
        if oids.any(|oid| self.catalog().user_type(TypeId(oid)).is_none()) { stale() } else { Ok(()) }
    }

    /// Puts types, as they are now, into the definitions that name them. Schemas have a part in a type's name.
    pub(super) fn retype(&mut self) {
        let catalog = self.catalog();
        let tables = catalog.tables.values().filter_map(|t| catalog.whole_table(t)).collect::<Vec<_>>();
        let views = catalog.views.values().filter_map(|v| catalog.whole_view(v)).collect::<Vec<_>>();
        let types = catalog.types.values().filter_map(|t| catalog.whole_type(t)).collect::<Vec<_>>();
        for def in tables {
            let def = Arc::new(def);
            self.catalog_mut().tables.insert((def.schema, def.name.clone()), def.clone());
            if let Some(table) = self.table_mut(def.id) {
                table.def = def;
            }
        }
        let catalog = self.catalog_mut();
        catalog.views.extend(views.into_iter().map(|v| ((v.schema, v.name.clone()), Arc::new(v))));
        catalog.types.extend(types.into_iter().map(|t| ((t.schema, t.name.clone()), Arc::new(t))));
    }
}
