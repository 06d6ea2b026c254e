//! Operations on sequences. Where one stands is a value of its own, which no change of the catalog touches.

use std::sync::Arc;

use prost::Message;

use super::stage::{Reject, Stage, stale};
use crate::catalog::{SequenceDef, SequenceState};
use crate::format::sequence::{SequenceMessage, SequenceStateMessage};
use crate::ids::{ColumnId, SequenceId, TableId};
use crate::kv::key::Kind;
use crate::kv::{Effect, Family};

impl Stage<'_> {
    pub(super) fn create_sequence(&mut self, def: &SequenceDef) -> Result<(), Reject> {
        self.check_relation_name(def.schema, &def.name)?;
        let def = SequenceDef { id: SequenceId(self.oid(def.id.0)?), ..def.clone() };
        self.set_state(def.id, def.fresh());
        self.insert_sequence(def);
        Ok(())
    }

    pub(super) fn put_sequence(&mut self, def: &SequenceDef) -> Result<(), Reject> {
        let Some(old) = self.catalog().sequence(def.id).cloned() else { return stale() };
        if (old.schema, &old.name) != (def.schema, &def.name) {
            self.check_relation_name(def.schema, &def.name)?;
        }
        self.catalog_mut().sequences.remove(&(old.schema, old.name.clone()));
        self.insert_sequence(def.clone());
        Ok(())
    }

    fn insert_sequence(&mut self, def: SequenceDef) {
        self.put(Kind::Sequence, def.id.0, SequenceMessage::from(&def).encode_to_vec());
        self.catalog_mut().sequences.insert((def.schema, def.name.clone()), Arc::new(def));
    }

    pub(super) fn drop_sequence(&mut self, id: SequenceId) -> Result<(), Reject> {
        let Some(def) = self.catalog().sequence(id).cloned() else { return stale() };
        self.check_no_dependents(id.0, &format!("sequence {}", def.name))?;
        self.catalog_mut().sequences.remove(&(def.schema, def.name.clone()));
        self.delete(Kind::Sequence, id.0);
        self.sequences.insert(id, None);
        let key = self.sequence_key(id);
        self.effects.push(Effect::Delete(Family::State, key));
        Ok(())
    }

    /// Sequences go with the columns that they are owned by.
    pub(super) fn drop_owned_sequences(
        &mut self,
        table: TableId,
        gone: impl Fn(ColumnId) -> bool,
    ) -> Result<(), Reject> {
        let owned = self.catalog().sequences.values().filter(|s| {
            let owner = s.owned_by.filter(|o| o.table == table);
            owner.is_some_and(|o| gone(o.column))
        });
        let owned = owned.map(|s| s.id).collect::<Vec<_>>();
        owned.into_iter().try_for_each(|id| self.drop_sequence(id))
    }

    pub(super) fn advance_sequence(
        &mut self,
        id: SequenceId,
        seen: u64,
        last: i64,
        is_called: bool,
    ) -> Result<(), Reject> {
        match self.sequence(id) {
            Some(state) if state.version == seen => self.set_sequence(id, last, is_called),
            _ => stale(),
        }
    }

    pub(super) fn set_sequence(&mut self, id: SequenceId, last: i64, is_called: bool) -> Result<(), Reject> {
        let Some(state) = self.sequence(id) else { return stale() };
        self.set_state(id, SequenceState { last, is_called, version: state.version + 1 });
        Ok(())
    }

    fn set_state(&mut self, id: SequenceId, state: SequenceState) {
        let key = self.sequence_key(id);
        self.effects.push(Effect::Put(Family::State, key, SequenceStateMessage::from(&state).encode_to_vec()));
        self.sequences.insert(id, Some(state));
    }
}
