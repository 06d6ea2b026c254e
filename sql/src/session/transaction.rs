//! A transaction: what it has done so far, as operations not yet proposed, and what it sees.
//!
//! Nothing is locked and nothing is durable before COMMIT, which proposes all operations as one command. Until then the
//! transaction looks at a snapshot with its own operations laid over it. READ COMMITTED takes a fresh snapshot for each
//! statement, the other levels keep the first one; so does a transaction that has changed the catalog, because its
//! operations name ids and versions that hold for that catalog only.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use sightline_storage::command::{Command, Op, Outcome};
use sightline_storage::engine::{Engine, TenantSnapshot};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{TableId, TenantId};

use crate::settings::Settings;

/// The most bytes of rows that a transaction keeps in memory. Larger loads go through parts, which do not count.
const BUFFER_BYTES_MAX: u64 = 256 << 20;
/// How often a COMMIT looks again for rows that maintenance has moved.
const MOVES_MAX: usize = 8;

/// A running transaction: a block, an implicit one, or that of one statement.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// `now()`: when it began, microseconds since 1970.
    pub started_us: i64,
    /// Begun by BEGIN.
    pub explicit: bool,
    /// Failed: only ROLLBACK gets out.
    pub failed: bool,
    /// A statement has run: the isolation level is fixed.
    pub used: bool,
    ops: Vec<Op>,
    /// For operations that delete rows, by their position in `ops`, the state in which the rows were found.
    found_in: BTreeMap<usize, Arc<TenantSnapshot>>,
    /// `base` is what the statement at hand is to see.
    settled: bool,
    bytes: u64,
    /// Memory held by `ops`.
    reservations: Vec<MemoryReservation>,
    ddl: bool,
    base: Option<Arc<TenantSnapshot>>,
    /// `base` with the first so many operations.
    overlay: Option<(usize, Arc<TenantSnapshot>)>,
    savepoints: Vec<Savepoint>,
    /// What ROLLBACK goes back to.
    pub settings_before: Arc<Settings>,
    /// What COMMIT leaves: all but SET LOCAL.
    pub settings_kept: Arc<Settings>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    ops: usize,
    bytes: u64,
    reservations: usize,
    ddl: bool,
    settings: Arc<Settings>,
    settings_kept: Arc<Settings>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    Yes,
    /// Somebody else changed what it was worked out for: nothing happened.
    Lost,
}

impl Transaction {
    pub(crate) fn new(started_us: i64, explicit: bool, settings: &Arc<Settings>) -> Transaction {
        Transaction {
            started_us,
            explicit,
            failed: false,
            used: false,
            ops: Vec::new(),
            found_in: BTreeMap::new(),
            settled: false,
            bytes: 0,
            reservations: Vec::new(),
            ddl: false,
            base: None,
            overlay: None,
            savepoints: Vec::new(),
            settings_before: settings.clone(),
            settings_kept: settings.clone(),
        }
    }

    /// What it sees now, its own operations included.
    ///
    /// # Errors
    /// 40001 if its operations no longer hold in the state that others made meanwhile; what an operation itself does
    /// wrong, e.g. 42P07.
    pub(crate) fn view(&mut self, engine: &Engine, tenant: TenantId, keep: bool) -> Result<Arc<TenantSnapshot>> {
        let base = self.base(engine, tenant, keep)?;
        if self.ops.is_empty() {
            return Ok(base);
        }
        let (done, from) = match &self.overlay {
            Some((done, overlay)) if *done <= self.ops.len() => (*done, overlay.clone()),
            _ => (0, base),
        };
        if done == self.ops.len() {
            return Ok(from);
        }
        let (overlay, _) = from.with_ops(&self.ops[done..], self.started_us)?;
        let overlay = Arc::new(overlay);
        self.overlay = Some((self.ops.len(), overlay.clone()));
        Ok(overlay)
    }

    /// The catalog it sees; rows of its own may be missing in the snapshot, which makes it cheap.
    pub(crate) fn catalog_view(
        &mut self,
        engine: &Engine,
        tenant: TenantId,
        keep: bool,
    ) -> Result<Arc<TenantSnapshot>> {
        if self.ddl { self.view(engine, tenant, keep) } else { self.base(engine, tenant, keep) }
    }

    fn base(&mut self, engine: &Engine, tenant: TenantId, keep: bool) -> Result<Arc<TenantSnapshot>> {
        if let Some(base) = self.base.as_ref().filter(|_| keep || self.ddl || self.settled) {
            return Ok(base.clone());
        }
        let fresh = engine.snapshot(tenant)?;
        match &self.base {
            Some(base) if base.index == fresh.index => Ok(base.clone()),
            _ => {
                self.base = Some(fresh.clone());
                self.overlay = None;
                Ok(fresh)
            }
        }
    }

    /// Before a statement of a block: takes a fresh state if it is to see one, and finds rows that it has deleted and that a flush
    /// or a compaction has moved since. A state taken later could have moved them again.
    ///
    /// # Errors
    /// Those of reading parts; 3D000 if the tenant is gone.
    pub(crate) async fn settle(&mut self, engine: &Engine, tenant: TenantId, keep: bool) -> Result<()> {
        self.settled = false;
        if keep || self.ddl || self.found_in.is_empty() {
            return Ok(());
        }
        let fresh = engine.snapshot(tenant)?;
        self.settled = true;
        if self.base.as_ref().is_some_and(|base| base.index == fresh.index) {
            return Ok(());
        }
        self.find_again(engine, &fresh).await?;
        (self.base, self.overlay) = (Some(fresh), None);
        Ok(())
    }

    /// Names deleted rows by where they are now.
    async fn find_again(&mut self, engine: &Engine, now: &Arc<TenantSnapshot>) -> Result<()> {
        for (position, before) in &mut self.found_in {
            let Some(Op::Delete { table, rows }) = self.ops.get_mut(*position) else { continue };
            if let Some(moved) = engine.find_again(before, now, *table, rows).await? {
                *rows = moved;
            }
            *before = now.clone();
        }
        Ok(())
    }

    /// Adds operations.
    ///
    /// # Errors
    /// 53400 if it would keep too many bytes of rows.
    pub(crate) fn push(&mut self, ops: Vec<Op>, bytes: u64, reservation: Option<MemoryReservation>) -> Result<()> {
        if self.bytes + bytes > BUFFER_BYTES_MAX {
            let text = format!("transaction is larger than {} MB", BUFFER_BYTES_MAX >> 20);
            return Err(Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, text)
                .hint("Load large amounts with one COPY or INSERT … SELECT, which may have any size."));
        }
        self.ddl |= ops.iter().any(is_definition);
        self.bytes += bytes;
        if let Some(base) = &self.base {
            let deletes = ops.iter().enumerate().filter(|(_, op)| matches!(op, Op::Delete { .. }));
            self.found_in.extend(deletes.map(|(n, _)| (self.ops.len() + n, base.clone())));
        }
        self.ops.extend(ops);
        self.reservations.extend(reservation);
        Ok(())
    }

    /// True if COMMIT brings rows to the hot tier.
    pub(crate) fn has_rows(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Append { .. }))
    }

    /// True if COMMIT brings rows to this table.
    pub(crate) fn writes(&self, id: TableId) -> bool {
        let adds = |op: &Op| matches!(op, Op::Append { table, .. } | Op::AddParts { table, .. } if *table == id);
        self.ops.iter().any(adds)
    }

    /// True if COMMIT has something to do.
    pub(crate) fn has_ops(&self) -> bool {
        !self.ops.is_empty()
    }

    pub(crate) fn savepoint(&mut self, name: String, settings: &Arc<Settings>) {
        self.savepoints.push(Savepoint {
            name,
            ops: self.ops.len(),
            bytes: self.bytes,
            reservations: self.reservations.len(),
            ddl: self.ddl,
            settings: settings.clone(),
            settings_kept: self.settings_kept.clone(),
        });
    }

    /// How many savepoints there are.
    pub(crate) fn depth(&self) -> usize {
        self.savepoints.len()
    }

    pub(crate) fn release(&mut self, name: &str) -> Result<()> {
        let at = self.find(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Forgets what was done since, and answers the settings of then.
    pub(crate) async fn rollback_to(&mut self, engine: &Engine, name: &str) -> Result<Arc<Settings>> {
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        let savepoint = &self.savepoints[at];
        let undone = self.ops.split_off(savepoint.ops);
        drop(self.found_in.split_off(&savepoint.ops));
        self.bytes = savepoint.bytes;
        self.reservations.truncate(savepoint.reservations);
        self.ddl = savepoint.ddl;
        self.settings_kept = savepoint.settings_kept.clone();
        self.overlay = None;
        self.failed = false;
        let settings = savepoint.settings.clone();
        discard_parts(engine, &undone).await;
        Ok(settings)
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.savepoints
            .iter()
            .rposition(|s| s.name == name)
            .ok_or_else(|| Error::new(SqlState::new("3B001"), format!("savepoint \"{name}\" does not exist")))
    }

    /// Proposes all of it as one command.
    ///
    /// # Errors
    /// What an operation does wrong, and errors of the disk. Losing a race is no error.
    pub(crate) async fn commit(mut self, engine: &Engine, tenant: TenantId) -> Result<Committed> {
        if self.ops.is_empty() {
            return Ok(Committed::Yes);
        }
        let base = match &self.base {
            Some(base) => base.clone(),
            None => engine.snapshot(tenant)?,
        };
        // Kept only to be deleted if nothing comes of it: parts are few, rows are shared.
        let parts = self.ops.iter().filter(|op| matches!(op, Op::AddParts { .. })).cloned().collect::<Vec<_>>();
        let mut outcome = Ok(Outcome::Moved);
        for _ in 0..MOVES_MAX {
            let ops = match self.found_in.is_empty() {
                true => std::mem::take(&mut self.ops),
                false => self.ops.clone(),
            };
            let mut command = Command::new(Some(tenant), engine.clock().now_us(), base.index, ops);
            if self.ddl {
                command.catalog_version = Some(base.catalog.version);
            }
            outcome = engine.propose(command).await;
            if !matches!(outcome, Ok(Outcome::Moved)) || self.found_in.is_empty() {
                break;
            }
            // Maintenance moved rows: that is nobody's fault.
            let now = engine.snapshot(tenant)?;
            self.find_again(engine, &now).await?;
        }
        match outcome {
            Ok(Outcome::Applied(_)) => Ok(Committed::Yes),
            Ok(Outcome::Conflict | Outcome::Moved | Outcome::Stale) => {
                discard_parts(engine, &parts).await;
                Ok(Committed::Lost)
            }
            Err(e) => {
                // After any other error the command may still be in the log when it is opened again.
                if e.is_refusal() {
                    discard_parts(engine, &parts).await;
                }
                Err(e)
            }
        }
    }

    /// Forgets all of it.
    pub(crate) async fn rollback(self, engine: &Engine) {
        discard_parts(engine, &self.ops).await;
    }
}

/// PostgreSQL's error for a lost race.
pub(crate) fn serialization_failure() -> Error {
    Error::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
        .hint("The transaction might succeed if retried.")
}

fn is_definition(op: &Op) -> bool {
    // A guard stands beside rows as well as beside definitions.
    !matches!(op, Op::NoNewRows { .. } | Op::Append { .. } | Op::AddParts { .. } | Op::Delete { .. } | Op::Truncate(_))
}

/// Deletes parts that no manifest will ever name. What fails here is left to the sweep at the next start.
pub(crate) async fn discard_parts(engine: &Engine, ops: &[Op]) {
    for op in ops {
        if let Op::AddParts { parts, .. } = op {
            engine.discard(parts.clone()).await;
        }
    }
}
