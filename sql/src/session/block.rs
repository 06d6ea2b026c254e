//! BEGIN, COMMIT, ROLLBACK and savepoints.

use std::sync::Arc;

use sightline_storage::error::{Error, Result, SqlState};

use super::Session;
use super::transaction::{Committed, Transaction, serialization_failure};
use crate::answer::{Answer, Notice};
use crate::parser::utility::{Modes, Transaction as Control};
use crate::settings::Settings;

impl Session {
    /// Runs a statement that controls the transaction.
    pub(super) async fn control(&mut self, control: &Control) -> Result<Answer> {
        let done = |tag: &str| Ok(Answer::Done { tag: tag.to_string() });
        match control {
            Control::Begin { tag, modes } => {
                self.begin(modes)?;
                done(tag)
            }
            Control::Commit { chain } => {
                let tag = self.end(true, *chain).await?;
                done(tag)
            }
            Control::Rollback { chain } => {
                let tag = self.end(false, *chain).await?;
                done(tag)
            }
            Control::Savepoint(name) => {
                let settings = self.settings.clone();
                self.block("SAVEPOINT")?.savepoint(name.clone(), &settings);
                done("SAVEPOINT")
            }
            Control::Release(name) => {
                let block = self.block("RELEASE SAVEPOINT")?;
                block.release(name)?;
                let left = block.depth();
                self.release_portals(left);
                done("RELEASE")
            }
            Control::RollbackTo(name) => {
                let database = self.database.clone();
                let block = self.block("ROLLBACK TO SAVEPOINT")?;
                let settings = block.rollback_to(&database.engine, name).await?;
                // The savepoint itself stays.
                let before = block.depth() - 1;
                self.settings = settings;
                self.sequences_after_rollback()?;
                self.end_portals_since(before);
                done("ROLLBACK")
            }
            Control::Set(modes) => {
                if self.in_block() {
                    self.set_modes(modes)?;
                } else {
                    self.notice(Notice::warning(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    ));
                }
                done("SET")
            }
            Control::SetSession(modes) => {
                let modes = modes.clone();
                self.change_settings(false, move |settings| {
                    set(settings, "default_transaction_isolation", modes.isolation)?;
                    set(settings, "default_transaction_read_only", modes.read_only.map(on))?;
                    set(settings, "default_transaction_deferrable", modes.deferrable.map(on))
                })?;
                done("SET")
            }
        }
    }

    fn begin(&mut self, modes: &Modes) -> Result<()> {
        if self.in_explicit_block() {
            let text = "there is already a transaction in progress";
            self.notice(Notice::warning(SqlState::ACTIVE_SQL_TRANSACTION, text));
        }
        self.transaction().explicit = true;
        self.set_modes(modes)
    }

    fn set_modes(&mut self, modes: &Modes) -> Result<()> {
        self.check_modes(modes)?;
        let modes = modes.clone();
        self.change_settings(true, move |settings| {
            set(settings, "transaction_isolation", modes.isolation)?;
            set(settings, "transaction_read_only", modes.read_only.map(on))?;
            set(settings, "transaction_deferrable", modes.deferrable.map(on))
        })
    }

    /// Whether the transaction may still take these modes.
    ///
    /// # Errors
    /// 25001 behind its first query, or inside a savepoint.
    pub(crate) fn check_modes(&self, modes: &Modes) -> Result<()> {
        let Some(transaction) = self.transaction.as_ref().filter(|t| t.explicit) else { return Ok(()) };
        let (used, nested) = (transaction.used, transaction.depth() > 0);
        let refused = |text: &str| Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, text));
        if modes.isolation.is_some_and(|i| Some(i) != self.settings.get("transaction_isolation")) {
            if used {
                return refused("SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
            if nested {
                return refused("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
            }
        }
        if modes.read_only == Some(false) && self.settings.is_on("transaction_read_only") {
            if nested {
                return refused("cannot set transaction read-write mode inside a read-only transaction");
            }
            if used {
                return refused("transaction read-write mode must be set before any query");
            }
        }
        if modes.deferrable.is_some() {
            if nested {
                return refused("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
            }
            if used {
                return refused("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
            }
        }
        Ok(())
    }

    /// Commits or rolls back, and answers the command tag.
    async fn end(&mut self, commit: bool, chain: bool) -> Result<&'static str> {
        if !self.in_explicit_block() {
            if chain {
                let verb = if commit { "COMMIT" } else { "ROLLBACK" };
                let text = format!("{verb} AND CHAIN can only be used in transaction blocks");
                return Err(Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, text));
            }
            let text = "there is no transaction in progress";
            self.notice(Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, text));
        }
        let failed = self.transaction.as_ref().is_some_and(|t| t.failed);
        let levels = self.settings.clone();
        let committed = if commit && !failed {
            if self.commit().await? == Committed::Lost {
                return Err(serialization_failure());
            }
            true
        } else {
            self.roll_back().await;
            false
        };
        if chain {
            self.chain(&levels)?;
        }
        Ok(if committed { "COMMIT" } else { "ROLLBACK" })
    }

    /// Begins a new block with the modes of the last one.
    fn chain(&mut self, levels: &Arc<Settings>) -> Result<()> {
        self.transaction().explicit = true;
        let levels = levels.clone();
        self.change_settings(true, move |settings| {
            for name in ["transaction_isolation", "transaction_read_only", "transaction_deferrable"] {
                let value = levels.get(name).unwrap_or_default().to_string();
                settings.set(name, Some(&[value]))?;
            }
            Ok(())
        })
    }

    fn block(&mut self, what: &str) -> Result<&mut Transaction> {
        let in_block = self.in_explicit_block();
        match &mut self.transaction {
            Some(transaction) if in_block => Ok(transaction),
            _ => Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{what} can only be used in transaction blocks"),
            )),
        }
    }
}

fn on(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn set(settings: &mut Settings, name: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => settings.set(name, Some(&[value.to_string()])),
        None => Ok(()),
    }
}
