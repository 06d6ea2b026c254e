//! Numbers drawn from sequences that the transaction itself has made or set: nobody else sees them before COMMIT.

use sightline_storage::error::Result;

use super::Session;
use crate::authorize::{Action, authorize};

impl Session {
    /// Adds to the transaction where its own sequences stand.
    pub(super) fn sequences_at_commit(&mut self) -> Result<()> {
        if !self.drawn.has_own() || self.transaction.is_none() {
            return Ok(());
        }
        let ctx = self.write_context()?;
        let allowed = authorize(&ctx.identity, Action::OwnSession)?;
        let ops = self.drawn.ops(&ctx.snapshot.sequences);
        self.apply(allowed, ops)
    }

    /// After ROLLBACK TO: sequences made since are gone, and settings of others undone.
    pub(super) fn sequences_after_rollback(&mut self) -> Result<()> {
        if !self.drawn.has_own() {
            return Ok(());
        }
        let ctx = self.write_context()?;
        let snapshot = &ctx.snapshot;
        self.drawn.roll_back_to(|id, version| {
            let state = snapshot.sequences.get(&id).filter(|_| snapshot.own_sequences.contains(&id));
            state.is_some_and(|state| state.version >= version)
        });
        Ok(())
    }
}
