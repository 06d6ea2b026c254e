//! One connection's user, tenant, settings and transaction.
//!
//! The life of a statement:
//!
//! 1. [`Session::parse`] makes statements of a query string ([`parser`]).
//! 2. [`Session::prepare`] finds the types of its parameters and columns, planning it in a snapshot.
//! 3. [`Session::execute`] takes the transaction it belongs to, or makes one for it alone, and what that transaction sees:
//!    an immutable snapshot with the transaction's own operations laid over it.
//! 4. [`statement`] runs it: names are resolved, [`authorize`](crate::authorize) gives its leave, a query becomes a
//!    stream, a change becomes operations kept in the [`transaction`]. Cancel and `statement_timeout` stop it until here.
//! 5. A transaction of one statement ends at once: its operations are proposed as one command, and when that returns they
//!    are durable. If somebody else changed what they were worked out for, the statement runs again from step 3.
//! 6. In a block, they wait for COMMIT; there a lost race is 40001.
//! 7. The answer goes to the wire layer: rows still to be computed as they are read, or a command tag.

mod block;
mod limits;
pub mod portal;
mod prepare;
mod progress;
pub(crate) mod scan;
mod sequences;
pub(crate) mod temporary;
#[cfg(test)]
mod tests;
pub(crate) mod transaction;
pub(crate) mod turns;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use datafusion::execution::memory_pool::{MemoryPool, MemoryReservation};
use datafusion::scalar::ScalarValue;
use parking_lot::Mutex;
use sightline_storage::catalog::{MetaCatalog, TenantCatalog};
use sightline_storage::command::Op;
use sightline_storage::engine::{Engine, TenantSnapshot};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{RoleId, TableId, TenantId};
use sightline_storage::types::SqlType;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Column, Notice};
use crate::authorize::Allowed;
use crate::database::{Database, Registered, Requested, Running, identity_of};
use crate::memory::{self, Owner, StatementMemory};
use crate::parser::{self, Body, Statement, utility};
use crate::plan::{Planned, QueryContext};
use crate::sequence::Drawn;
use crate::settings::{self, Settings};
use crate::statement;
pub use limits::Limits;
pub use portal::Portal;
pub(crate) use portal::{CursorInfo, Declared, Opened};
pub(crate) use prepare::{Described, Kept, check_unchanged};
pub(crate) use progress::{Progress, Shown as ShownProgress};
use transaction::{Committed, Transaction, serialization_failure};
use turns::Turn;

/// How often a statement that lost a race runs again.
const TRIES_MAX: usize = 100;

/// How long the plan of `prepare` may be run, microseconds: `now()` in it is that of its making.
const FIRST_PLAN_US: i64 = 1_000_000;

/// A statement with a longer text is planned aside, which costs more than the planning of a short one.
const LONG_BYTES: usize = 512;

/// What a client says when it connects.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    pub user: String,
    /// The tenant; `postgres` stands for the default one.
    pub database: String,
    /// What the node says its sessions begin with; tenant, role and client may say else.
    pub defaults: Vec<(String, String)>,
    /// The other startup parameters and `options=-c k=v`, applied as SET would.
    pub parameters: Vec<(String, String)>,
    /// The client's address, for the log and pg_stat_activity.
    pub peer: Option<std::net::SocketAddr>,
}

/// Who speaks, as a type that every check takes. Only [`Database::connect`](crate::database::Database::connect) makes one.
#[derive(Clone, Debug)]
pub struct Identity {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub role: RoleId,
    pub role_name: String,
    pub superuser: bool,
    /// Owner of the tenant.
    pub owner: bool,
    /// May make tenants.
    pub create_db: bool,
    /// May make roles.
    pub create_role: bool,
    /// May read files of the server: `pg_read_server_files`, or a superuser.
    pub read_files: bool,
    /// May write files of the server: `pg_write_server_files`, or a superuser.
    pub write_files: bool,
}

impl Identity {
    /// True if it is that role of that tenant, or that operator.
    pub fn is(&self, tenant: TenantId, role: RoleId) -> bool {
        self.role == role && (role.is_operator() || self.tenant == tenant)
    }
}

/// A statement with its parameters' and columns' types known.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Arc<Statement>,
    /// One a parameter, `$1` first.
    pub parameters: Vec<SqlType>,
    /// None if the statement answers no rows (NoData).
    pub columns: Option<Arc<[Column]>>,
}

/// The plan that `prepare` made to find out a statement's types, good for its execution if that comes next and nothing has
/// changed since.
#[derive(Debug)]
struct FirstPlan {
    statement: Arc<Statement>,
    ctx: Arc<QueryContext>,
    planned: Planned,
}

/// One connection.
pub struct Session {
    pub(crate) database: Arc<Database>,
    pub(crate) identity: Identity,
    /// The catalogs that `identity` was looked up in.
    identity_as_of: Option<(Arc<MetaCatalog>, Arc<TenantCatalog>)>,
    registered: Arc<Registered>,
    pub(crate) settings: Arc<Settings>,
    transaction: Option<Transaction>,
    /// Statements run now belong together until `end_implicit`.
    implicit: bool,
    /// The only statement of the implicit transaction so far, to run again if its commit loses a race.
    repeatable: Repeatable,
    /// Operations of a COPY that ended since the last statement.
    inbox: Arc<Inbox>,
    portals: BTreeMap<String, Portal>,
    /// The turn of the running statement at the table that it changes.
    turn: Option<Turn>,
    /// How often the running statement lost a race.
    losses: usize,
    temporary: temporary::Temporary,
    /// What it has drawn from sequences.
    pub(crate) drawn: Arc<Drawn>,
    first_plan: Option<FirstPlan>,
    /// The memory of the statement that began last, while it holds any.
    running_pool: Weak<dyn MemoryPool>,
    /// The length of the statement at hand.
    text_bytes: usize,
    notices: Vec<Notice>,
    /// The kind of the running statement, for messages.
    command: &'static str,
    reported: Vec<(&'static str, String)>,
}

enum Repeatable {
    Nothing,
    One(Prepared, Vec<ScalarValue>),
    Many,
}

/// What a COPY hands over to the block that it ran in.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    arrived: Mutex<Vec<Arrived>>,
}

/// Operations, their bytes in memory, and the hold on that memory.
pub(crate) type Arrived = (Vec<Op>, u64, Option<MemoryReservation>);

impl Inbox {
    pub(crate) fn put(&self, arrived: Arrived) {
        self.arrived.lock().push(arrived);
    }
}

impl Session {
    pub(crate) fn open(
        database: Arc<Database>,
        identity: Identity,
        registered: Arc<Registered>,
        defaults: Vec<(String, String)>,
        parameters: Vec<(String, String)>,
    ) -> Result<Session> {
        let mut settings = Settings::default();
        settings.force("server_version", format!("15.18 (Sightline {})", database.options.version));
        settings.force("max_connections", database.options.max_connections.to_string());
        settings.force("memory_limit", settings::in_kilobytes(database.memory.budget().limit()));
        // What the node, the tenant and the role say was checked when it was said.
        settings.force("is_superuser", "on");
        settings.force("session_authorization", identity.role_name.clone());
        let mut session = Session {
            database,
            identity,
            identity_as_of: None,
            registered,
            settings: Arc::new(Settings::default()),
            transaction: None,
            implicit: false,
            repeatable: Repeatable::Nothing,
            inbox: Arc::default(),
            portals: BTreeMap::new(),
            turn: None,
            losses: 0,
            temporary: temporary::Temporary::default(),
            drawn: Arc::default(),
            first_plan: None,
            running_pool: memory::none(),
            text_bytes: 0,
            notices: Vec::new(),
            command: "",
            reported: Vec::new(),
        };
        // From here on a failure drops the session, which takes it out of the register.
        for (name, value) in defaults {
            // A value that is wrong by now keeps nobody out.
            if let Err(e) = statement::set::at_startup(&mut settings, &name, &value) {
                session.notice(Notice::warning(e.code(), e.message()));
            }
        }
        settings.force("is_superuser", if session.identity.superuser { "on" } else { "off" });
        for (name, value) in parameters {
            statement::set::at_startup(&mut settings, &name, &value)?;
        }
        settings.keep_as_initial();
        session.reported = settings.reported();
        session.settings = Arc::new(settings);
        Ok(session)
    }

    /// What CancelRequest must present: process id and secret.
    pub fn cancel_key(&self) -> (i32, [u8; 32]) {
        (self.registered.pid, self.registered.secret)
    }

    /// Who speaks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The settings as of now.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// All parameters to report by ParameterStatus after login.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        self.reported.clone()
    }

    /// The wire layer calls it when it waits for the client: what only the next statement could use is let go, as an idle
    /// session must not pin a snapshot.
    pub fn rest(&mut self) {
        self.end_statement();
        self.first_plan = None;
    }

    /// Reported parameters that changed since the last call.
    pub fn take_changed_parameters(&mut self) -> Vec<(&'static str, String)> {
        self.take_requested();
        let now = self.settings.reported();
        let changed = now.iter().filter(|p| !self.reported.contains(p)).cloned().collect();
        self.reported = now;
        changed
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let level = rank(self.settings.get("client_min_messages").unwrap_or("notice"));
        let notices = std::mem::take(&mut self.notices);
        notices.into_iter().filter(|n| rank(&n.severity.to_lowercase()) >= level).collect()
    }

    /// `I` idle, `T` in a transaction block, `E` in a failed one.
    pub fn transaction_status(&self) -> u8 {
        match &self.transaction {
            Some(t) if t.failed => b'E',
            Some(t) if t.explicit => b'T',
            _ => b'I',
        }
    }

    /// Splits and parses a query string. An empty list is an empty query. A syntax error of any statement fails it all,
    /// as in PostgreSQL.
    ///
    /// # Errors
    /// 42601, 54001.
    pub fn parse(&self, sql: &str) -> Result<Vec<Arc<Statement>>> {
        parser::parse(sql)
    }

    /// The wire layer calls it when it takes a statement, before it is planned: a cancel from then on finds it.
    pub fn begin_statement(&self, statement: &Statement) {
        let now_us = self.database.engine.clock().now_us();
        let mut running = self.registered.running.lock();
        *running = Running {
            cancel: CancellationToken::new(),
            deadline: self.deadline(),
            query: statement.text.chars().take(1024).collect(),
            started_us: now_us,
            active: true,
            changed_us: now_us,
            ..std::mem::take(&mut *running)
        };
    }

    /// A statement is over: what the session does until the next.
    pub(crate) fn end_statement(&self) {
        let now_us = self.database.engine.clock().now_us();
        let name = self.settings.get("application_name").unwrap_or_default();
        let mut running = self.registered.running.lock();
        (running.active, running.streams) = (false, false);
        running.resting = self.transaction_status();
        running.changed_us = now_us;
        running.block_us = self.transaction.as_ref().filter(|t| t.explicit).map_or(0, |t| t.started_us);
        if *running.application_name != *name {
            running.application_name = name.into();
        }
    }

    /// The wire layer calls it when a portal goes on: a new cancel and a new time hold from now on.
    pub fn resume_statement(&self) {
        let mut running = self.registered.running.lock();
        (running.cancel, running.deadline) = (CancellationToken::new(), self.deadline());
    }

    fn deadline(&self) -> Option<Instant> {
        self.settings.statement_timeout().map(|t| Instant::now() + t)
    }

    fn is_active(&self) -> bool {
        self.registered.running.lock().active
    }

    /// Runs it. With an error the transaction block, if any, has failed (status `E`).
    ///
    /// # Errors
    /// Whatever the statement finds wrong; 25P02 in a failed block; 57014 if it was cancelled or took too long.
    pub async fn execute(&mut self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Answer> {
        self.text_bytes = prepared.statement.text.len();
        if !self.is_active() {
            self.begin_statement(&prepared.statement);
        }
        let answer = Box::pin(self.run(prepared, parameters)).await;
        if answer.is_err() {
            self.fail_transaction();
        }
        self.end_statement();
        // It goes on until its rows are sent: the wire layer says when it waits for the next.
        self.registered.running.lock().streams = matches!(
            answer,
            Ok(Answer::Rows { .. } | Answer::Fetched { .. } | Answer::CopyIn(_) | Answer::CopyOut { .. })
        );
        answer.map_err(|e| crate::plan::positioned(e, &prepared.statement).moved(prepared.statement.offset))
    }

    /// The wire layer calls it before the first of several statements of one message or pipeline: they are one implicit
    /// transaction unless they control it themselves.
    /// With `several` it is known that there is more than one.
    pub fn begin_implicit(&mut self, several: bool) {
        if !self.implicit {
            self.implicit = true;
            self.repeatable = if several { Repeatable::Many } else { Repeatable::Nothing };
        }
    }

    /// Ends the implicit transaction: commits it, or with `failed` rolls it back.
    ///
    /// # Errors
    /// Those of a commit, 40001 among them.
    pub async fn end_implicit(&mut self, failed: bool) -> Result<()> {
        self.implicit = false;
        let repeatable = std::mem::replace(&mut self.repeatable, Repeatable::Nothing);
        if self.transaction.as_ref().is_none_or(|t| t.explicit) {
            return Ok(());
        }
        if failed {
            self.roll_back().await;
            return Ok(());
        }
        match (self.commit().await?, repeatable) {
            (Committed::Yes, _) => Ok(()),
            (Committed::Lost, Repeatable::One(prepared, parameters)) => {
                self.losses = 1;
                self.execute(&prepared, parameters).await.map(|_| ())
            }
            (Committed::Lost, _) => Err(serialization_failure()),
        }
    }

    /// A fault found by the wire layer or in a row stream: fails the transaction block.
    pub fn fail_transaction(&mut self) {
        if let Some(t) = &mut self.transaction {
            t.failed = t.explicit;
        }
    }

    /// The type that a user has made with this OID, or the array of it.
    ///
    /// # Errors
    /// 3D000 if the tenant is gone.
    pub fn user_type(&mut self, oid: u32) -> Result<Option<SqlType>> {
        let snapshot = match &self.transaction {
            Some(_) => self.write_context()?.snapshot.clone(),
            None => self.database.engine.snapshot(self.identity.tenant)?,
        };
        Ok(snapshot.catalog.type_by_oid(oid))
    }

    /// The output settings (DateStyle, TimeZone, extra_float_digits, bytea_output, IntervalStyle) as of now.
    pub fn format(&self) -> crate::codec::Format {
        self.settings.format()
    }

    /// Chooses the transaction and ends it if it is that of one statement.
    async fn run(&mut self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Answer> {
        self.collect_arrived().await?;
        self.take_requested();
        let body = &prepared.statement.body;
        self.command = body.command();
        self.refuse_in_failed_block(body)?;
        if let Body::Transaction(control) = body {
            return self.control(control).await;
        }
        if self.implicit {
            self.repeatable = match std::mem::replace(&mut self.repeatable, Repeatable::Many) {
                Repeatable::Nothing if self.transaction.is_none() && !answers_rows(body) => {
                    Repeatable::One(prepared.clone(), parameters.clone())
                }
                _ => Repeatable::Many,
            };
        }
        if self.transaction.is_some() || self.implicit {
            self.settle().await?;
            return self.limited(prepared, parameters).await;
        }
        let notices = self.notices.len();
        let before = std::mem::take(&mut self.losses);
        for losses in before..TRIES_MAX {
            self.losses = losses;
            self.transaction();
            let answer = match self.limited(prepared, parameters.clone()).await {
                Ok(answer) => answer,
                Err(e) => {
                    self.losses = 0;
                    self.roll_back().await;
                    return Err(e);
                }
            };
            let committed = self.commit().await;
            self.losses = 0;
            if committed? == Committed::Yes {
                return Ok(answer);
            }
            self.notices.truncate(notices);
        }
        Err(serialization_failure())
    }

    /// Takes what a statement of the running transaction is to see.
    async fn settle(&mut self) -> Result<()> {
        let keep = self.keeps_snapshot();
        let (database, tenant) = (self.database.clone(), self.identity.tenant);
        self.transaction().settle(&database.engine, tenant, keep).await
    }

    /// Waits for the statement's turn to change a table, if it must. What it sees is to be asked for afterwards.
    pub(crate) async fn take_turn(&mut self, table: TableId) {
        if self.in_explicit_block() || self.turn.is_some() {
            return;
        }
        let (turns, tenant) = (self.database.turns.clone(), self.identity.tenant);
        self.turn = turns.take(tenant, table, self.losses > 0).await;
    }

    /// Runs the statement under cancel and `statement_timeout`.
    async fn limited(&mut self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Answer> {
        let limits = self.limits();
        let work = Box::pin(statement::run(self, prepared, parameters));
        limits.race(work).await?
    }

    /// In a failed block everything but its end is refused.
    fn refuse_in_failed_block(&self, body: &Body) -> Result<()> {
        let failed = self.transaction.as_ref().is_some_and(|t| t.failed);
        let ends = matches!(
            body,
            Body::Transaction(
                utility::Transaction::Commit { .. }
                    | utility::Transaction::Rollback { .. }
                    | utility::Transaction::RollbackTo(_)
            )
        );
        if failed && !ends {
            let text = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Error::new(SqlState::IN_FAILED_SQL_TRANSACTION, text));
        }
        Ok(())
    }

    /// What stops the running statement.
    fn limits(&self) -> Limits {
        Limits(self.registered.clone())
    }

    /// The running transaction, begun if there is none.
    pub(crate) fn transaction(&mut self) -> &mut Transaction {
        if self.transaction.is_none() {
            self.take_defaults();
        }
        let now = self.database.engine.clock().now_us();
        let settings = &self.settings;
        self.transaction.get_or_insert_with(|| Transaction::new(now, false, settings))
    }

    /// A transaction begins with the modes that `default_transaction_*` say.
    fn take_defaults(&mut self) {
        if DEFAULTED.iter().all(|(current, default)| self.settings.get(current) == self.settings.get(default)) {
            return;
        }
        let mut settings = (*self.settings).clone();
        for (current, default) in DEFAULTED {
            if let Some(value) = settings.get(default).map(str::to_string) {
                settings.force(current, value);
            }
        }
        self.settings = Arc::new(settings);
    }

    /// True inside BEGIN … COMMIT, and between statements of one message.
    pub(crate) fn in_block(&self) -> bool {
        self.implicit || self.transaction.as_ref().is_some_and(|t| t.explicit)
    }

    /// True if other statements share its transaction: what changes more than the tenant is refused then.
    pub(crate) fn shares_transaction(&self) -> bool {
        self.in_explicit_block() || (self.implicit && matches!(self.repeatable, Repeatable::Many))
    }

    /// True inside BEGIN … COMMIT.
    pub(crate) fn in_explicit_block(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.explicit)
    }

    /// Where a COPY of this block leaves its operations.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// Makes the changes that `set_config` asked for; it has checked them.
    fn take_requested(&mut self) {
        let requested = std::mem::take(&mut *self.registered.settings.lock());
        for Requested { name, values, local } in requested {
            if local && self.transaction.is_none() {
                continue;
            }
            if let Err(e) = self.change_settings(local, |s| s.set(&name, values.as_deref())) {
                self.notice(Notice::warning(e.code(), e.message()));
            }
        }
    }

    /// Takes what COPYs have left into the transaction. If that fails outside a block, there is none afterwards.
    async fn collect_arrived(&mut self) -> Result<()> {
        let taken = self.take_arrived();
        if taken.is_err() && !self.in_block() {
            self.roll_back().await;
        }
        taken
    }

    fn take_arrived(&mut self) -> Result<()> {
        let mut arrived = std::mem::take(&mut *self.inbox.arrived.lock()).into_iter();
        while let Some((ops, bytes, reservation)) = arrived.next() {
            if let Err(e) = self.transaction().push(ops, bytes, reservation) {
                // What was not taken stays where a rollback finds it.
                self.inbox.arrived.lock().extend(arrived);
                return Err(e);
            }
        }
        Ok(())
    }

    /// What a statement sees: made once it starts, and again after it has changed something.
    ///
    /// # Errors
    /// 3D000 if the tenant is gone; 40001.
    pub(crate) fn context(&mut self) -> Result<Arc<QueryContext>> {
        self.context_of(|t, engine, tenant, keep| t.view(engine, tenant, keep))
    }

    /// As [`context`](Session::context), but rows that the transaction has written itself may be missing: for
    /// statements that only write.
    pub(crate) fn write_context(&mut self) -> Result<Arc<QueryContext>> {
        self.context_of(|t, engine, tenant, keep| t.catalog_view(engine, tenant, keep))
    }

    fn context_of(
        &mut self,
        view: impl FnOnce(&mut Transaction, &Engine, TenantId, bool) -> Result<Arc<TenantSnapshot>>,
    ) -> Result<Arc<QueryContext>> {
        let keep = self.keeps_snapshot();
        let (database, tenant) = (self.database.clone(), self.identity.tenant);
        let transaction = self.transaction();
        transaction.used = true;
        let snapshot = view(transaction, &database.engine, tenant, keep)?;
        let now_us = transaction.started_us;
        let meta = database.engine.meta();
        self.refresh_identity(&meta, &snapshot)?;
        let memory = self.statement_memory(&meta);
        self.running_pool = Arc::downgrade(&memory.pool());
        Ok(Arc::new(QueryContext {
            meta,
            database,
            snapshot,
            identity: self.identity.clone(),
            settings: self.settings.clone(),
            pid: self.registered.pid,
            now_us,
            limits: self.limits(),
            memory,
            drawn: self.drawn.clone(),
            long: self.text_bytes > LONG_BYTES,
            written: None,
        }))
    }

    /// Whether all statements of a transaction see the same state.
    fn keeps_snapshot(&self) -> bool {
        !matches!(self.settings.get("transaction_isolation"), Some("read committed" | "read uncommitted"))
    }

    /// Memory for a statement that begins now.
    fn statement_memory(&self, meta: &MetaCatalog) -> Arc<StatementMemory> {
        let owner = Owner::statement(self.registered.pid, self.identity.tenant, meta, &self.settings);
        self.database.memory.statement(owner)
    }

    /// Looks up again who the session's role is, if a role or a tenant has changed since.
    ///
    /// # Errors
    /// 28000 if the role was dropped, 3D000 if the tenant was.
    fn refresh_identity(&mut self, meta: &Arc<MetaCatalog>, snapshot: &TenantSnapshot) -> Result<()> {
        let as_before =
            |(m, c): &(Arc<MetaCatalog>, Arc<TenantCatalog>)| Arc::ptr_eq(m, meta) && Arc::ptr_eq(c, &snapshot.catalog);
        if self.identity_as_of.as_ref().is_some_and(as_before) {
            return Ok(());
        }
        self.identity = identity_of(meta, snapshot, self.identity.role).map_err(|e| {
            let dropped = || format!("role \"{}\" does not exist", self.identity.role_name);
            if e.code() == SqlState::UNDEFINED_OBJECT {
                Error::new(SqlState::INVALID_AUTHORIZATION, dropped())
            } else {
                e
            }
        })?;
        self.identity_as_of = Some((meta.clone(), snapshot.catalog.clone()));
        Ok(())
    }

    /// Takes the operations of a statement into its transaction.
    ///
    /// # Errors
    /// 25006 in a read-only transaction; 53400.
    pub(crate) fn apply(&mut self, allowed: Allowed, ops: Vec<Op>) -> Result<()> {
        self.apply_rows(allowed, (ops, 0, None))
    }

    /// As [`apply`](Session::apply), with the memory that the operations hold.
    pub(crate) fn apply_rows(&mut self, _allowed: Allowed, (ops, bytes, reservation): Arrived) -> Result<()> {
        if !ops.is_empty() {
            self.writable()?;
        }
        self.transaction().push(ops, bytes, reservation)
    }

    /// Refuses to write in a read-only transaction.
    ///
    /// # Errors
    /// 25006.
    pub(crate) fn writable(&self) -> Result<()> {
        if self.settings.is_on("transaction_read_only") { Err(read_only(self.command)) } else { Ok(()) }
    }

    /// Changes settings: for the session, or with `local` until the end of the transaction.
    pub(crate) fn change_settings(&mut self, local: bool, change: impl Fn(&mut Settings) -> Result<()>) -> Result<()> {
        let mut settings = (*self.settings).clone();
        change(&mut settings)?;
        self.settings = Arc::new(settings);
        if let Some(transaction) = self.transaction.as_mut().filter(|_| !local) {
            let mut kept = (*transaction.settings_kept).clone();
            change(&mut kept)?;
            transaction.settings_kept = Arc::new(kept);
        }
        Ok(())
    }

    /// Keeps a message for the client, beside the answer.
    pub fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// The plan made by `prepare`, if it still holds.
    pub(crate) fn first_plan(&mut self, prepared: &Prepared, ctx: &QueryContext) -> Option<Planned> {
        let first = self.first_plan.take()?;
        let same = Arc::ptr_eq(&first.statement, &prepared.statement)
            && Arc::ptr_eq(&first.ctx.snapshot, &ctx.snapshot)
            && Arc::ptr_eq(&first.ctx.settings, &ctx.settings)
            && Arc::ptr_eq(&first.ctx.meta, &ctx.meta)
            && ctx.now_us - first.ctx.now_us < FIRST_PLAN_US;
        same.then_some(first.planned)
    }

    async fn commit(&mut self) -> Result<Committed> {
        // What WITH HOLD keeps is read before tables are emptied ON COMMIT.
        let mut ready = self.take_arrived();
        if ready.is_ok() {
            ready = self.hold_portals().await;
        }
        if let Err(e) = ready.and_then(|()| self.temporary_at_commit()).and_then(|()| self.sequences_at_commit()) {
            self.roll_back().await;
            return Err(e);
        }
        if self.transaction.as_ref().is_some_and(Transaction::has_rows) {
            let engine = self.database.engine.clone();
            if let Err(e) = self.limits().race(engine.room()).await.flatten() {
                self.roll_back().await;
                return Err(e);
            }
        }
        let turn = self.turn.take();
        let Some(transaction) = self.transaction.take() else { return Ok(Committed::Yes) };
        let (kept, before) = (transaction.settings_kept.clone(), transaction.settings_before.clone());
        let committed = transaction.commit(&self.database.engine, self.identity.tenant).await;
        drop(turn);
        let done = matches!(committed, Ok(Committed::Yes));
        self.settings = if done { kept } else { before };
        self.drawn.end(done);
        self.end_portals(done);
        committed
    }

    async fn roll_back(&mut self) {
        self.turn = None;
        let arrived = std::mem::take(&mut *self.inbox.arrived.lock());
        for (ops, ..) in arrived {
            transaction::discard_parts(&self.database.engine, &ops).await;
        }
        self.drop_transaction().await;
        self.end_portals(false);
    }

    /// Rolls back what has done nothing that anybody holds on to.
    async fn drop_transaction(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.settings = transaction.settings_before.clone();
            self.drawn.end(false);
            transaction.rollback(&self.database.engine).await;
        }
    }
}

/// Settings of a transaction, and the setting that a new transaction takes each from.
const DEFAULTED: [(&str, &str); 3] = [
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
    ("transaction_deferrable", "default_transaction_deferrable"),
];

impl Drop for Session {
    fn drop(&mut self) {
        self.registered.running.lock().cancel.cancel();
        self.database.unregister(self.registered.pid);
        self.leave_temporary();
        // Parts of an unfinished transaction are deleted in the background, if there still is one.
        let transaction = self.transaction.take().filter(Transaction::has_ops);
        let arrived = std::mem::take(&mut *self.inbox.arrived.lock());
        if (transaction.is_some() || !arrived.is_empty())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let engine = self.database.engine.clone();
            drop(runtime.spawn(async move {
                for (ops, ..) in arrived {
                    transaction::discard_parts(&engine, &ops).await;
                }
                if let Some(transaction) = transaction {
                    transaction.rollback(&engine).await;
                }
            }));
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("pid", &self.registered.pid)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// True for what can't be run again because its rows are on their way.
fn answers_rows(body: &Body) -> bool {
    match body {
        Body::Insert(insert) => return insert.returning.is_some(),
        Body::Change(change) => return change.returning.is_some(),
        _ => {}
    }
    matches!(
        body,
        Body::Query(_) | Body::Copy(_) | Body::Execute { .. } | Body::Explain(_) | Body::Show(_) | Body::Fetch(_)
    )
}

fn read_only(command: &str) -> Error {
    Error::new(SqlState::new("25006"), format!("cannot execute {command} in a read-only transaction"))
}

/// The order of `client_min_messages`.
fn rank(level: &str) -> u8 {
    match level {
        "error" => 6,
        "warning" => 5,
        "notice" => 4,
        "log" => 2,
        // INFO always reaches the client.
        "info" => 7,
        _ => 1,
    }
}
