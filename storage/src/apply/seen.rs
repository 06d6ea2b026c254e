//! Remembers the last commands of a group, so that one that comes twice is applied once. Bounded by number and by age, both
//! counted in the group's own time.

use std::collections::{HashMap, VecDeque};

use prost::Message;

use crate::command::{Applied, Outcome};
use crate::error::Result;
use crate::format::state::{SeenCommand, SeenMessage};
use crate::ids::{GroupId, Index};
use crate::kv::{Effect, Family, key};

/// How many commands are remembered: 16 MiB of memory in a group that is that busy.
const COMMANDS_MAX: usize = 1 << 18;
/// For how long, in microseconds of the group's time.
const AGE_MAX_US: i64 = 3_600_000_000;

/// The last commands of a group.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    results: HashMap<u128, SeenResult>,
    /// Oldest first.
    entries: VecDeque<SeenEntry>,
}

#[derive(Debug)]
enum SeenResult {
    /// Applied, and no OID given out: nearly all.
    Applied {
        index: Index,
        at: i64,
    },
    Other(Box<(Index, SeenCommand)>),
}

#[derive(Debug)]
struct SeenEntry {
    index: Index,
    at: i64,
    ids: Vec<u128>,
}

impl Seen {
    /// The entries whose commands are remembered, oldest first, and how many those are.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Index, usize)> + '_ {
        self.entries.iter().map(|e| (e.index, e.ids.len()))
    }

    /// What became of the command, if it is remembered.
    pub(crate) fn result(&self, id: u128) -> Option<Result<Outcome>> {
        Some(match self.results.get(&id)? {
            SeenResult::Applied { index, at } => {
                Ok(Outcome::Applied(Applied { index: *index, at: *at, oids: Vec::new() }))
            }
            SeenResult::Other(other) => other.1.result(other.0),
        })
    }

    /// Remembers the commands of an entry and forgets the oldest.
    pub(crate) fn push(&mut self, group: GroupId, index: Index, at: i64, commands: Vec<SeenCommand>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !commands.is_empty() {
            let value = SeenMessage { commands: commands.clone(), at }.encode_to_vec();
            effects.push(Effect::Put(Family::State, key::seen(group, index), value));
            self.remember(index, at, commands);
        }
        let oldest = at.saturating_sub(AGE_MAX_US);
        while self.entries.front().is_some_and(|e| self.results.len() > COMMANDS_MAX || e.at < oldest) {
            let Some(entry) = self.entries.pop_front() else { break };
            entry.ids.iter().for_each(|id| drop(self.results.remove(id)));
            effects.push(Effect::Delete(Family::State, key::seen(group, entry.index)));
        }
        effects
    }

    /// Takes over what is stored of an entry.
    pub(crate) fn load(&mut self, index: Index, message: SeenMessage) {
        self.remember(index, message.at, message.commands);
    }

    fn remember(&mut self, index: Index, at: i64, commands: Vec<SeenCommand>) {
        let mut ids = Vec::with_capacity(commands.len());
        for command in commands {
            let Some(id) = command.id() else { continue };
            let result = match command.result(index) {
                Ok(Outcome::Applied(a)) if a.oids.is_empty() => SeenResult::Applied { index, at: a.at },
                Ok(_) | Err(_) => SeenResult::Other(Box::new((index, command))),
            };
            self.results.insert(id, result);
            ids.push(id);
        }
        self.entries.push_back(SeenEntry { index, at, ids });
    }
}

/// A result once more, for a command that is in one entry twice.
pub(super) fn repeat(result: &Result<Outcome>) -> Result<Outcome> {
    match result {
        Ok(outcome) => Ok(outcome.clone()),
        Err(e) => Err(e.again()),
    }
}
