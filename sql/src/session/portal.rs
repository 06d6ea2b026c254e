//! Portals: statements bound to their parameters and run as far as they were asked for. DECLARE makes them, and so does
//! the protocol's Bind; FETCH and Execute read either kind.
//!
//! A portal ends with its transaction, but for one WITH HOLD: the rest of its rows is read at COMMIT and kept. ROLLBACK TO
//! ends those made since its savepoint (<https://www.postgresql.org/docs/15/sql-declare.html>).

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, Result, SqlState};
use tokio::sync::Mutex;

use super::prepare::check_unchanged;
use super::scan::{self, Back, Scan};
use super::transaction::Transaction;
use super::{Prepared, Session};
use crate::answer::{Answer, Column, RowStream, RowsTag};
use crate::statement;

/// A bound statement.
pub struct Portal {
    /// None: only blanks and comments.
    prepared: Option<Prepared>,
    parameters: Vec<ScalarValue>,
    formats: Vec<bool>,
    state: State,
    /// WITH HOLD.
    hold: bool,
    /// Its transaction is over.
    held: bool,
    /// How many savepoints there were when it was made.
    savepoints: usize,
}

/// How far a portal has run.
enum State {
    New,
    /// It answers rows; all may have been read.
    Open(Opened),
    /// It answered no rows, or failed, and cannot run again.
    Done,
}

/// A portal that answers rows.
#[derive(Clone)]
pub(crate) struct Opened {
    pub columns: Arc<[Column]>,
    pub tag: RowsTag,
    pub binary: bool,
    pub scan: Arc<Mutex<Scan>>,
}

/// What `pg_cursors` shows of a portal.
#[derive(Clone, Debug)]
pub(crate) struct CursorInfo {
    pub statement: Arc<str>,
    pub hold: bool,
    pub binary: bool,
    pub scroll: bool,
    pub created_us: i64,
}

/// How a cursor is declared.
pub(crate) struct Declared {
    pub name: String,
    pub source: Arc<str>,
    pub columns: Arc<[Column]>,
    pub rows: RowStream,
    pub back: Back,
    pub hold: bool,
    pub binary: bool,
}

impl Portal {
    /// The columns it answers; none if it answers no rows.
    pub fn columns(&self) -> Option<&Arc<[Column]>> {
        match &self.state {
            State::Open(opened) => Some(&opened.columns),
            _ => self.prepared.as_ref().and_then(|p| p.columns.as_ref()),
        }
    }

    /// Which of its columns are binary.
    pub fn formats(&self) -> &[bool] {
        &self.formats
    }

    /// The statement, if it has not begun to run.
    pub fn is_new(&self) -> bool {
        matches!(self.state, State::New) && self.prepared.is_some()
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("formats", &self.formats).field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl Session {
    /// The protocol's Bind: makes a portal of a statement (none: an empty one) and its parameters.
    ///
    /// # Errors
    /// 42P03 if the name is taken.
    pub fn bind_portal(
        &mut self,
        name: &str,
        prepared: Option<Prepared>,
        parameters: Vec<ScalarValue>,
        formats: Vec<bool>,
    ) -> Result<()> {
        if !name.is_empty() {
            self.free_name(name)?;
        }
        let source = prepared.as_ref().map_or_else(Arc::default, |p| p.statement.source.clone());
        let info =
            CursorInfo { statement: source, hold: false, binary: false, scroll: false, created_us: self.now_us() };
        self.registered.shown.lock().cursors.insert(name.to_string(), info);
        let portal = Portal {
            prepared,
            parameters,
            formats,
            state: State::New,
            hold: false,
            held: false,
            savepoints: self.savepoints(),
        };
        self.portals.insert(name.to_string(), portal);
        Ok(())
    }

    /// DECLARE: makes a portal that runs already.
    ///
    /// # Errors
    /// 42P03 if the name is taken.
    pub(crate) fn declare_portal(&mut self, declared: Declared) -> Result<()> {
        let Declared { name, source, columns, rows, back, hold, binary } = declared;
        self.free_name(&name)?;
        let scroll = back != Back::Refused;
        let info = CursorInfo { statement: source, hold, binary, scroll, created_us: self.now_us() };
        let opened = self.opened(columns, rows, RowsTag::Counted("SELECT"), back, binary);
        let portal = Portal {
            prepared: None,
            parameters: Vec::new(),
            formats: vec![false; opened.columns.len()],
            state: State::Open(opened),
            hold,
            held: false,
            savepoints: self.savepoints(),
        };
        self.registered.shown.lock().cursors.insert(name.clone(), info);
        self.portals.insert(name, portal);
        Ok(())
    }

    /// The portal of this name, as the protocol's messages ask for it.
    ///
    /// # Errors
    /// 34000 if there is none.
    pub fn portal(&self, name: &str) -> Result<&Portal> {
        self.portals
            .get(name)
            .ok_or_else(|| Error::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist")))
    }

    /// The columns of a portal, if there is one.
    pub(crate) fn portal_columns(&self, name: &str) -> Option<Arc<[Column]>> {
        self.portals.get(name).and_then(Portal::columns).cloned()
    }

    /// The protocol's Execute: runs a portal, or runs it on, for so many rows (0: all). Fewer come only at the end.
    ///
    /// # Errors
    /// 34000 for an unknown name, 55000 for a portal that cannot be run again, 0A000 if what it answers has changed since
    /// it was described; those of the statement.
    pub async fn execute_portal(&mut self, name: &str, max_rows: u64) -> Result<Answer> {
        self.portal(name)?;
        let Some(mut portal) = self.portals.remove(name) else { return Ok(Answer::Empty) };
        let answer = self.run_portal(name, &mut portal, max_rows).await;
        self.portals.insert(name.to_string(), portal);
        answer
    }

    async fn run_portal(&mut self, name: &str, portal: &mut Portal, max_rows: u64) -> Result<Answer> {
        if let State::New = portal.state {
            portal.state = State::Done;
            let Some(prepared) = portal.prepared.clone() else { return Ok(Answer::Empty) };
            self.begin_statement(&prepared.statement);
            let (columns, rows, tag) = match self.execute(&prepared, std::mem::take(&mut portal.parameters)).await? {
                Answer::Rows { columns, rows, tag } => (columns, rows, tag),
                // The format is what Bind said, BINARY or not.
                Answer::Fetched { columns, rows, .. } => (columns, rows, RowsTag::Counted("FETCH")),
                other => return Ok(other),
            };
            check_unchanged(&prepared, &columns)?;
            portal.formats.resize(columns.len(), false);
            portal.state = State::Open(self.opened(columns, rows, tag, Back::Refused, false));
        } else {
            self.resume_statement();
        }
        match &portal.state {
            State::Open(opened) => read(name, opened, max_rows).await,
            State::New | State::Done => Err(cannot_run(name)),
        }
    }

    /// A portal that rows can be fetched from; one that was only bound is run.
    ///
    /// # Errors
    /// 34000 if there is no cursor of this name, 55000 if it cannot be run; those of its statement.
    pub(crate) async fn open_portal(&mut self, name: &str) -> Result<Opened> {
        let missing = || Error::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"));
        let portal = self.portals.get(name).ok_or_else(missing)?;
        match &portal.state {
            State::Open(opened) if opened.scan.lock().await.has_failed() => return Err(cannot_run(name)),
            State::Open(opened) => return Ok(opened.clone()),
            State::Done => return Err(cannot_run(name)),
            State::New => {}
        }
        let Some(mut portal) = self.portals.remove(name) else { return Err(missing()) };
        portal.state = State::Done;
        let parameters = std::mem::take(&mut portal.parameters);
        let answer = match &portal.prepared {
            Some(prepared) => Box::pin(statement::run(self, prepared, parameters)).await,
            None => Err(cannot_run(name)),
        };
        if let Ok(Answer::Rows { columns, rows, tag }) = answer {
            let opened = self.opened(columns, rows, tag, Back::Refused, false);
            portal.state = State::Open(opened.clone());
            self.portals.insert(name.to_string(), portal);
            return Ok(opened);
        }
        self.portals.insert(name.to_string(), portal);
        Err(answer.err().unwrap_or_else(|| cannot_run(name)))
    }

    /// Forgets a portal; false if there is none.
    pub fn close_portal(&mut self, name: &str) -> bool {
        self.registered.shown.lock().cursors.remove(name);
        self.portals.remove(name).is_some()
    }

    /// Forgets all portals, or all that their transaction's end leaves.
    pub fn close_portals(&mut self, held_too: bool) {
        self.retain_portals(|portal| portal.held && !held_too);
    }

    /// Before a commit: what WITH HOLD keeps is read.
    pub(super) async fn hold_portals(&mut self) -> Result<()> {
        for portal in self.portals.values_mut().filter(|p| p.hold && !p.held) {
            if let State::Open(opened) = &portal.state {
                opened.scan.lock().await.materialize().await?;
            }
        }
        Ok(())
    }

    /// After a transaction: its portals are gone, but for those that were kept.
    pub(super) fn end_portals(&mut self, committed: bool) {
        if self.portals.is_empty() {
            return;
        }
        if committed {
            for portal in self.portals.values_mut().filter(|p| p.hold) {
                portal.held = true;
            }
        }
        self.close_portals(false);
    }

    /// After ROLLBACK TO: portals made when there were more savepoints than `savepoints` are gone.
    pub(super) fn end_portals_since(&mut self, savepoints: usize) {
        self.retain_portals(|portal| portal.held || portal.savepoints <= savepoints);
    }

    /// After RELEASE: what was made since the savepoint belongs to what was before it.
    pub(super) fn release_portals(&mut self, savepoints: usize) {
        for portal in self.portals.values_mut() {
            portal.savepoints = portal.savepoints.min(savepoints);
        }
    }

    fn retain_portals(&mut self, keep: impl Fn(&Portal) -> bool) {
        if self.portals.is_empty() {
            return;
        }
        let mut shown = self.registered.shown.lock();
        self.portals.retain(|name, portal| {
            let keeps = keep(portal);
            if !keeps {
                shown.cursors.remove(name);
            }
            keeps
        });
    }

    fn now_us(&self) -> i64 {
        self.database.engine.clock().now_us()
    }

    /// How many savepoints the running transaction has.
    fn savepoints(&self) -> usize {
        self.transaction.as_ref().map_or(0, Transaction::depth)
    }

    fn free_name(&self, name: &str) -> Result<()> {
        if self.portals.contains_key(name) {
            return Err(Error::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        Ok(())
    }

    fn opened(&self, columns: Arc<[Column]>, rows: RowStream, tag: RowsTag, back: Back, binary: bool) -> Opened {
        // The statement's own memory, if it still runs: a second one would have its limit anew.
        let running = self.running_pool.upgrade();
        let pool = running.unwrap_or_else(|| self.statement_memory(&self.database.engine.meta()).pool());
        let reservation = MemoryConsumer::new("rows of a cursor").register(&pool);
        Opened { columns, tag, binary, scan: Arc::new(Mutex::new(Scan::new(rows, back, reservation))) }
    }
}

/// Reads on, forward, for Execute.
async fn read(name: &str, opened: &Opened, max_rows: u64) -> Result<Answer> {
    if opened.scan.lock().await.has_failed() {
        return Err(cannot_run(name));
    }
    let count = if max_rows == 0 { scan::ALL } else { max_rows };
    let rows = scan::rows(opened.scan.clone(), count, true);
    Ok(Answer::Rows { columns: opened.columns.clone(), rows, tag: opened.tag.clone() })
}

fn cannot_run(name: &str) -> Error {
    let message = format!("portal \"{name}\" cannot be run");
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}
