//! Operations on tables and their rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use roaring::{RoaringBitmap, RoaringTreemap};

use super::stage::{Piece, Reject, Stage, mistake, moved, stale};
use crate::catalog::TableDef;
use crate::command::Outcome;
use crate::entry::AppendRef;
use crate::error::{Error, Result, SqlState};
use crate::format::part::PartMessage;
use crate::ids::{Index, TableId};
use crate::kv::{Effect, Family, key};
use crate::parts::Part;
use crate::rows::Layout;
use crate::snapshot::TableSnapshot;
use crate::table::hot::Gone;
use crate::table::{Deletes, PartDeletes, PartMeta};

impl Stage<'_> {
    pub(super) fn create_table(&mut self, def: &TableDef) -> Result<(), Reject> {
        self.check_relation_name(def.schema, &def.name)?;
        let def = TableDef { id: TableId(self.oid(def.id.0)?), ..self.whole_table(def)? };
        let def = self.with_keys(def, None)?;
        self.made = Some(def.id);
        let table = TableSnapshot::new(self.insert_table(def), self.index);
        self.set_table(table.def.id, Some(table));
        Ok(())
    }

    fn insert_table(&mut self, def: TableDef) -> Arc<TableDef> {
        self.store_table(&def);
        let def = Arc::new(def);
        self.catalog_mut().tables.insert((def.schema, def.name.clone()), def.clone());
        def
    }

    pub(super) fn put_table(&mut self, def: &TableDef) -> Result<(), Reject> {
        let Some(old) = self.table(def.id).map(|t| t.def.clone()) else { return stale() };
        let altered = def.version != old.version;
        if altered && old.version.checked_add(1) != Some(def.version) {
            return stale();
        }
        if !altered && !same_layout(def, &old) {
            return Err(Error::internal("a table was altered without a new version").into());
        }
        if (old.schema, &old.name) != (def.schema, &def.name) {
            self.check_relation_name(def.schema, &def.name)?;
        }
        self.drop_owned_sequences(def.id, |column| def.column_by_id(column).is_none())?;
        let def = self.whole_table(def)?;
        let def = self.with_keys(def, Some(&old))?;
        self.catalog_mut().tables.remove(&(old.schema, old.name.clone()));
        self.drop_referring(def.id, Some(&def));
        let def = self.insert_table(def);
        let index = self.index;
        let table = self.table_mut(def.id).expect("it was there a moment ago");
        table.def = def;
        if altered {
            table.layout = Arc::new(Layout::new(&table.def));
            table.changed = index;
        }
        Ok(())
    }

    pub(super) fn drop_table(&mut self, id: TableId) -> Result<(), Reject> {
        let Some(table) = self.table(id) else { return stale() };
        let (def, parts) = (table.def.clone(), table.parts.clone());
        self.check_no_dependents(def.id.0, &format!("table {}", def.name))?;
        self.drop_referring(def.id, None);
        self.catalog_mut().tables.remove(&(def.schema, def.name.clone()));
        self.delete_table(def.id);
        self.drop_owned_sequences(def.id, |_| true)?;
        self.forget_rows(def.id, &parts);
        self.set_table(def.id, None);
        Ok(())
    }

    pub(super) fn append(&mut self, append: &AppendRef) -> Result<(), Reject> {
        let Some(table) = self.table_mut(append.table) else { return stale() };
        if table.def.version != append.version {
            return stale();
        }
        let Some(layout) = table.layout.of(append.fingerprint) else {
            let message = format!("rows for table \"{}\" do not have its columns", table.def.name);
            return Err(Error::internal(message).into());
        };
        if append.rows == 0 {
            return Ok(());
        }
        let piece = Piece {
            layout,
            version: append.version,
            batch: append.batch,
            offset: append.offset,
            rows: append.rows,
            row_base: table.next_row,
        };
        table.next_row += append.rows;
        let id = table.def.id;
        self.pieces.push((id, piece));
        Ok(())
    }

    pub(super) fn add_parts(&mut self, id: TableId, version: u32, parts: &[PartMeta]) -> Result<(), Reject> {
        let (index, deleter) = (self.index, self.deleter.clone());
        let Some(table) = self.table_mut(id) else { return stale() };
        if table.def.version != version {
            return stale();
        }
        let mut added = Vec::with_capacity(parts.len());
        for part in parts {
            let meta = PartMeta { first: index, last: index, row_base: Some(table.next_row), ..part.clone() };
            table.next_row += meta.rows;
            added.push(meta);
        }
        let id = table.def.id;
        table.parts = Arc::new(with_parts(&table.parts, &added, deleter.as_ref()));
        self.list(id, &added)
    }

    /// Marks rows as deleted.
    pub(super) fn delete_rows(&mut self, id: TableId, rows: &Deletes) -> Result<(), Reject> {
        let Some(table) = self.table(id) else { return moved() };
        let id = table.def.id;
        // What is to come at the end of the entry is deleted there.
        let hot_end = self.hot_end(id);
        let first = self.first_own_row(id);
        let own = rows.own.iter().map(|n| n + first).collect::<RoaringTreemap>();
        let mut hot = rows.hot.clone();
        hot.extend(own.iter().take_while(|row| *row < hot_end));
        let later = own.iter().skip_while(|row| *row < hot_end).collect::<RoaringTreemap>();
        if rows.hot.max().is_some_and(|last| last >= hot_end) {
            return moved();
        }
        let next_row = self.table(id).map_or(0, |t| t.next_row);
        if later.max().is_some_and(|last| last >= next_row) {
            return Err(Error::internal("a command deletes rows that it does not bring").into());
        }
        self.delete_hot(id, &hot)?;
        self.delete_cold(id, &rows.parts)?;
        self.note_deleted(id, &(&hot | &later));
        let known = self.own_deleted.entry(id).or_default();
        if !known.is_disjoint(&later) {
            return Err(Reject::Outcome(Outcome::Conflict));
        }
        *known |= later;
        Ok(())
    }

    fn delete_hot(&mut self, id: TableId, rows: &RoaringTreemap) -> Result<(), Reject> {
        if rows.is_empty() {
            return Ok(());
        }
        let Some(table) = self.table_mut(id) else { return moved() };
        table.rows.delete(rows).map_err(|gone| match gone {
            Gone::Deleted => Reject::Outcome(Outcome::Conflict),
            Gone::Moved => Reject::Outcome(Outcome::Moved),
        })
    }

    fn delete_cold(&mut self, id: TableId, parts: &BTreeMap<String, RoaringBitmap>) -> Result<(), Reject> {
        if parts.is_empty() {
            return Ok(());
        }
        let Some(table) = self.table_mut(id) else { return moved() };
        let mut listed = Vec::clone(&table.parts);
        for (path, positions) in parts {
            // Parts are in the order of their paths.
            let Ok(at) = listed.binary_search_by(|p| p.meta.path.as_str().cmp(path)) else { return moved() };
            let Some(without) = listed[at].without(positions) else {
                return Err(Reject::Outcome(Outcome::Conflict));
            };
            listed[at] = Arc::new(without);
        }
        table.parts = Arc::new(listed);
        for (path, positions) in parts {
            self.note_deleted_cold(id, path, positions);
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, id: TableId) -> Result<(), Reject> {
        let index = self.index;
        let Some(table) = self.table_mut(id) else { return stale() };
        let (id, parts) = (table.def.id, std::mem::take(&mut table.parts));
        table.rows = Default::default();
        table.changed = index;
        for family in [Family::Hot, Family::Manifest, Family::Deleted] {
            let prefix = self.table_key(id);
            let end = key::end_of(&prefix);
            self.effects.push(Effect::DeleteRange(family, prefix, end));
        }
        self.forget_rows(id, &parts);
        Ok(())
    }

    pub(super) fn no_new_rows(&self, id: TableId, next_row: u64) -> Result<(), Reject> {
        if self.table(id).is_some_and(|table| table.next_row == next_row) { Ok(()) } else { stale() }
    }

    /// Rows of the table that this command, or an earlier one of the entry, brought or removed are gone as well.
    fn forget_rows(&mut self, id: TableId, parts: &[Arc<Part>]) {
        self.removed.extend(parts.iter().cloned());
        self.pieces.retain(|(table, _)| *table != id);
        self.forget_deleted(id);
        self.cleared.insert(id);
    }

    pub(super) fn publish(
        &mut self,
        id: TableId,
        (from, to): (Index, Index),
        add: &[PartMeta],
        deleted: &[PartDeletes],
    ) -> Result<(), Reject> {
        let deleter = self.deleter.clone();
        let Some(table) = self.table(id) else { return stale() };
        if table.flushed != from || table.changed > to || to <= from {
            return stale();
        }
        if table.rows.deleted_count_through(to) != deleted.iter().map(|d| d.positions.len()).sum::<u64>() {
            return moved();
        }
        if to >= self.index {
            return mistake(SqlState::INTERNAL_ERROR, "a flush cannot cover rows of its own entry");
        }
        let table = self.table_mut(id).expect("it was there a moment ago");
        let rows_end = table.rows.end_through(to).unwrap_or_default();
        table.flushed = to;
        table.rows.drop_through(to);
        let mut parts = with_parts(&table.parts, add, deleter.as_ref());
        for gone in deleted {
            let at = parts.binary_search_by(|p| p.meta.path.cmp(&gone.path));
            let without = at.ok().and_then(|at| Some((at, parts[at].without(&gone.positions)?)));
            let Some((at, without)) = without else {
                return Err(Error::internal("a flush deletes rows that its parts do not have").into());
            };
            parts[at] = Arc::new(without);
        }
        table.parts = Arc::new(parts);
        let id = table.def.id;
        let mut end = self.table_key(id);
        end.extend((to.0 + 1).to_be_bytes());
        self.effects.push(Effect::DeleteRange(Family::Hot, self.table_key(id), end));
        self.move_deleted(id, rows_end, deleted);
        self.list(id, add)
    }

    /// Puts parts into the manifest.
    fn list(&mut self, id: TableId, parts: &[PartMeta]) -> Result<(), Reject> {
        for part in parts {
            let key = self.part_key(id, &part.path);
            let value = PartMessage::new(part)?.encode_to_vec();
            self.effects.push(Effect::Put(Family::Manifest, key, value));
        }
        Ok(())
    }
}

fn with_parts(old: &[Arc<Part>], add: &[PartMeta], deleter: Option<&crate::parts::Deleter>) -> Vec<Arc<Part>> {
    let added = add.iter().map(|meta| Arc::new(Part::listed(meta.clone(), deleter.cloned())));
    let mut parts = old.iter().cloned().chain(added).collect::<Vec<_>>();
    // In the order in which a reopened store finds them.
    parts.sort_by(|a, b| a.meta.path.cmp(&b.meta.path));
    parts
}

/// Their conditions are the same, under the same names.
fn same_checks(a: &TableDef, b: &TableDef) -> bool {
    a.checks.len() == b.checks.len()
        && a.checks.iter().zip(&b.checks).all(|(a, b)| (&a.name, &a.expr) == (&b.name, &b.expr))
}

/// Nothing differs that rows depend on.
fn same_layout(a: &TableDef, b: &TableDef) -> bool {
    let column = |d: &TableDef| {
        d.columns
            .iter()
            .map(|c| (c.id, c.name.clone(), c.stored_name.clone(), c.ty.clone(), c.not_null))
            .collect::<Vec<_>>()
    };
    column(a) == column(b)
        && same_checks(a, b)
        && a.same_keys(b)
        && a.partition_by == b.partition_by
        && a.cluster_by == b.cluster_by
        && a.next_column == b.next_column
}
