//! What all sessions of a node share: storage, memory, plans, the register of sessions.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;
use sightline_storage::catalog::{MetaCatalog, RoleDef, TenantCatalog, TenantDef};
use sightline_storage::engine::{Engine, TenantSnapshot};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{READ_SERVER_FILES, RoleId, TenantId, WRITE_SERVER_FILES};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::files::S3Files;
use crate::memory::Memory;
use crate::password::Verifier;
use crate::plan::Shared;
use crate::sequence::Sequences;
use crate::session::turns::Turns;
use crate::session::{CursorInfo, Identity, Kept, Progress, Session, Startup};

/// Connections kept for superusers, so that they can look into a full server.
const RESERVED_CONNECTIONS: usize = 3;
/// What tools connect to before they know a database; it stands for the default tenant.
pub(crate) const ALIAS: &str = "postgres";

/// How to set up a node's SQL.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// Partitions of a plan; 0 is the number of cores.
    pub threads: usize,
    /// The most client connections of all tenants.
    pub max_connections: usize,
    /// e.g. `0.1.0`.
    pub version: String,
    /// The folder that files of the server are read from and written to; none for no files.
    pub file_root: Option<PathBuf>,
    /// The buckets that files are read from and written to.
    pub s3_files: Arc<S3Files>,
}

/// A node's SQL.
pub struct Database {
    pub engine: Arc<Engine>,
    pub options: DatabaseOptions,
    /// What planning and running share; its runtime owns the memory pool.
    pub plan: Shared,
    /// Who may hold how much memory.
    pub(crate) memory: Arc<Memory>,
    /// When it was opened, microseconds since 1970.
    pub started_us: i64,
    /// The numbers of sequences that are reserved.
    pub(crate) sequences: Sequences,
    sessions: Mutex<HashMap<i32, Arc<Registered>>>,
    next_pid: AtomicI32,
    /// Who changes which table in turn.
    pub(crate) turns: Arc<Turns>,
}

/// What is known of a role's password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// None if the role has none, or does not exist.
    pub verifier: Option<Verifier>,
    /// `VALID UNTIL` is over.
    pub expired: bool,
    /// A superuser has a password: from then on nobody comes in without one.
    pub asked: bool,
}

/// A session in the register.
#[derive(Debug)]
pub(crate) struct Registered {
    pub pid: i32,
    pub secret: [u8; 32],
    pub info: SessionInfo,
    /// Stops the statement that runs now.
    pub running: Mutex<Running>,
    /// What `set_config` asked for.
    pub settings: Mutex<Vec<Requested>>,
    /// What the session keeps under names.
    pub shown: Mutex<Shown>,
    /// How far its COPY is.
    pub progress: Mutex<Option<Arc<Progress>>>,
}

/// A change of a setting that `set_config` asked for.
#[derive(Debug)]
pub(crate) struct Requested {
    pub name: String,
    /// None for the default.
    pub values: Option<Vec<String>>,
    /// For the transaction only.
    pub local: bool,
}

/// What a session keeps under names, for `pg_cursors` and `pg_prepared_statements`.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub cursors: BTreeMap<String, CursorInfo>,
    pub prepared: BTreeMap<String, Kept>,
}

/// What a session does now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    pub cancel: CancellationToken,
    /// When `statement_timeout` is over.
    pub deadline: Option<Instant>,
    pub query: String,
    pub started_us: i64,
    pub active: bool,
    /// Its rows are on their way.
    pub streams: bool,
    /// Between statements: the status of the transaction, as [`Session::transaction_status`] says it, and since when.
    pub resting: u8,
    pub changed_us: i64,
    /// When the transaction block began; 0 without one.
    pub block_us: i64,
    pub application_name: Arc<str>,
}

/// What `pg_stat_activity` shows of a session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub role: RoleId,
    pub role_name: String,
    pub superuser: bool,
    pub peer: Option<std::net::SocketAddr>,
    /// Microseconds since 1970.
    pub connected_us: i64,
}

impl SessionInfo {
    /// True if it is of that role of that tenant, or of that operator.
    pub(crate) fn is(&self, tenant: TenantId, role: RoleId) -> bool {
        self.role == role && (role.is_operator() || self.tenant == tenant)
    }
}

/// A session and what it does, for `pg_stat_activity`.
#[derive(Clone, Debug)]
pub struct Activity {
    pub pid: i32,
    pub info: SessionInfo,
    /// The last statement's text.
    pub query: String,
    /// When it began, microseconds since 1970; 0 before the first.
    pub started_us: i64,
    /// As PostgreSQL calls what it does: `active`, `idle`, `idle in transaction` …
    pub state: &'static str,
    /// Since when it does that, and its transaction began; 0 for never. Microseconds since 1970.
    pub changed_us: i64,
    pub transaction_us: i64,
    pub application_name: Arc<str>,
    /// How far its COPY is.
    pub(crate) progress: Option<Arc<Progress>>,
}

impl Database {
    /// Sets up memory pool, caches and function registry over the engine.
    ///
    /// # Errors
    /// XX000 if the options do not fit together.
    pub fn new(engine: Arc<Engine>, options: DatabaseOptions) -> Result<Arc<Database>> {
        let memory = Memory::new(&engine);
        sightline_functions::share_memory(memory.budget().limit());
        let plan = Shared::new(&engine, &options, &memory)?;
        let sessions = Mutex::new(HashMap::new());
        let started_us = engine.clock().now_us();
        Ok(Arc::new(Database {
            engine,
            options,
            plan,
            memory,
            started_us,
            sequences: Sequences::default(),
            sessions,
            next_pid: AtomicI32::new(1),
            turns: Arc::default(),
        }))
    }

    /// Opens a session: finds tenant and role, checks LOGIN and CONNECT, counts the connection.
    ///
    /// # Errors
    /// With PostgreSQL's texts, which clients match: 3D000 `database "x" does not exist`, 28000
    /// `role "x" does not exist`, 42501 for CONNECT, 53300 `sorry, too many clients already`.
    #[expect(clippy::unused_async, reason = "authentication will wait for a hash, and the catalog for its leader")]
    pub async fn connect(self: &Arc<Self>, startup: Startup) -> Result<Session> {
        let meta = self.engine.meta();
        let name = if startup.database.is_empty() { &startup.user } else { &startup.database };
        let tenant = find_tenant(&meta, name);
        // The role is looked up first, as in PostgreSQL; without a tenant only operators are known.
        let catalog = tenant.map(|t| self.engine.snapshot(t.id)).transpose()?;
        let role = find_role(&meta, catalog.as_ref().map(|c| &*c.catalog), &startup.user)?;
        let tenant = tenant
            .ok_or_else(|| Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist")))?;
        let identity = identify(tenant, &role);
        may_connect(tenant, &role, &identity)?;
        let registered = self.register(&identity, tenant, &role, &startup)?;
        let mut parameters = startup.defaults;
        parameters.extend(tenant.settings.iter().chain(&role.settings).cloned());
        let session = Session::open(self.clone(), identity, registered, parameters, startup.parameters)?;
        session.end_statement();
        Ok(session)
    }

    /// What is known of the password of the role that a client says it is, before anything else is told.
    ///
    /// # Errors
    /// XX001 for a stored verifier that is none.
    pub fn credential(&self, startup: &Startup) -> Result<Credential> {
        let meta = self.engine.meta();
        let name = if startup.database.is_empty() { &startup.user } else { &startup.database };
        let catalog = find_tenant(&meta, name).map(|t| self.engine.snapshot(t.id)).transpose()?;
        let role = find_role(&meta, catalog.as_ref().map(|c| &*c.catalog), &startup.user).ok();
        let stored = role.as_ref().and_then(|r| r.verifier.as_ref());
        let damaged = || Error::new(SqlState::DATA_CORRUPTED, "a stored password is damaged");
        let verifier = stored.map(|v| Verifier::parse(v.reveal()).ok_or_else(damaged)).transpose()?;
        let expired = role.as_ref().and_then(|r| r.valid_until).is_some_and(|t| t <= self.engine.clock().now_us());
        let superusers = meta.roles.values().filter(|r| r.superuser);
        let asked = superusers.into_iter().any(|r| r.verifier.is_some());
        Ok(Credential { verifier, expired, asked })
    }

    fn register(
        &self,
        identity: &Identity,
        tenant: &TenantDef,
        role: &RoleDef,
        startup: &Startup,
    ) -> Result<Arc<Registered>> {
        let mut sessions = self.sessions.lock();
        let free = self.options.max_connections.saturating_sub(sessions.len());
        let too_many = |text: String| Err(Error::new(SqlState::TOO_MANY_CONNECTIONS, text));
        if free == 0 {
            return too_many("sorry, too many clients already".to_string());
        }
        if !role.superuser && free <= RESERVED_CONNECTIONS.min(self.options.max_connections / 2) {
            return too_many(
                "remaining connection slots are reserved for non-replication superuser connections".to_string(),
            );
        }
        let of_tenant = sessions.values().filter(|s| s.info.tenant == identity.tenant && !s.info.superuser).count();
        if !role.superuser && usize::try_from(tenant.connection_limit).is_ok_and(|limit| of_tenant >= limit) {
            return too_many(format!("too many connections for database \"{}\"", tenant.name));
        }
        let of_role = sessions.values().filter(|s| s.info.is(identity.tenant, role.id)).count();
        if !role.superuser && usize::try_from(role.connection_limit).is_ok_and(|limit| of_role >= limit) {
            return too_many(format!("too many connections for role \"{}\"", role.name));
        }
        let pid = loop {
            let pid = self.next_pid.fetch_add(1, Ordering::Relaxed) & i32::MAX;
            if pid != 0 && !sessions.contains_key(&pid) {
                break pid;
            }
        };
        let info = SessionInfo {
            tenant: identity.tenant,
            tenant_name: identity.tenant_name.clone(),
            role: identity.role,
            role_name: identity.role_name.clone(),
            superuser: identity.superuser,
            peer: startup.peer,
            connected_us: self.engine.clock().now_us(),
        };
        let registered = Arc::new(Registered {
            pid,
            secret: secret(),
            info,
            running: Mutex::default(),
            settings: Mutex::default(),
            shown: Mutex::default(),
            progress: Mutex::default(),
        });
        sessions.insert(pid, registered.clone());
        Ok(registered)
    }

    pub(crate) fn unregister(&self, pid: i32) {
        self.sessions.lock().remove(&pid);
    }

    /// CancelRequest: stops the running statement of the session with this process id and secret. Answers nothing.
    pub fn cancel(&self, pid: i32, secret: &[u8]) {
        let sessions = self.sessions.lock();
        // An older client sends the first 4 bytes only, as much as protocol 3.0 has room for.
        let matches = |s: &Registered| s.secret == *secret || (secret.len() == 4 && s.secret.starts_with(secret));
        if let Some(session) = sessions.get(&pid).filter(|s| matches(s)) {
            session.running.lock().cancel.cancel();
        }
    }

    /// Stops the running statement of a session, for `pg_cancel_backend`. False if there is no such session.
    pub fn cancel_backend(&self, pid: i32) -> bool {
        let sessions = self.sessions.lock();
        let found = sessions.get(&pid);
        if let Some(session) = found {
            session.running.lock().cancel.cancel();
        }
        found.is_some()
    }

    /// Has the session change a setting before its next statement, for `set_config`.
    pub(crate) fn request_setting(&self, pid: i32, name: &str, values: Option<Vec<String>>, local: bool) {
        if let Some(session) = self.sessions.lock().get(&pid) {
            session.settings.lock().push(Requested { name: name.to_string(), values, local });
        }
    }

    /// All sessions and what they do.
    pub fn activity(&self) -> Vec<Activity> {
        let sessions = self.sessions.lock();
        let mut all = sessions
            .values()
            .map(|s| {
                let running = s.running.lock();
                Activity {
                    pid: s.pid,
                    info: s.info.clone(),
                    query: running.query.clone(),
                    started_us: running.started_us,
                    state: match (running.active || running.streams, running.resting) {
                        (true, _) => "active",
                        (false, b'T') => "idle in transaction",
                        (false, b'E') => "idle in transaction (aborted)",
                        _ => "idle",
                    },
                    changed_us: running.changed_us,
                    transaction_us: if running.block_us != 0 || !(running.active || running.streams) {
                        running.block_us
                    } else {
                        running.started_us
                    },
                    application_name: running.application_name.clone(),
                    progress: s.progress.lock().clone(),
                }
            })
            .collect::<Vec<_>>();
        all.sort_by_key(|a| a.pid);
        all
    }

    /// To be called when no session is left: gives back the numbers of sequences that were reserved and not drawn, so that the
    /// next start goes on without a gap.
    pub fn settle_sequences(&self) {
        self.sequences.settle_all(&self.engine);
    }

    /// Bytes of the temporary files of all statements.
    pub fn spilled_bytes(&self) -> u64 {
        self.memory.spilled()
    }

    /// How many sessions are in the tenant.
    pub(crate) fn sessions_in(&self, tenant: TenantId) -> usize {
        self.sessions.lock().values().filter(|s| s.info.tenant == tenant).count()
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("options", &self.options).finish_non_exhaustive()
    }
}

/// 32 random bytes.
fn secret() -> [u8; 32] {
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(a.as_bytes());
    secret[16..].copy_from_slice(b.as_bytes());
    secret
}

/// The tenant that a client calls by this name.
pub(crate) fn find_tenant<'a>(meta: &'a MetaCatalog, name: &str) -> Option<&'a Arc<TenantDef>> {
    let default = || meta.tenants.get(sightline_storage::catalog::tenant::DEFAULT_TENANT);
    meta.tenants.get(name).or_else(|| if name == ALIAS { default() } else { None })
}

/// The role with this name: the tenant's own, or else an operator's.
fn find_role(meta: &MetaCatalog, catalog: Option<&TenantCatalog>, name: &str) -> Result<Arc<RoleDef>> {
    let own = catalog.and_then(|c| c.roles.get(name));
    own.or_else(|| meta.roles.get(name))
        .cloned()
        .ok_or_else(|| Error::new(SqlState::INVALID_AUTHORIZATION, format!("role \"{name}\" does not exist")))
}

/// Who a role is in a tenant.
pub(crate) fn identify(tenant: &TenantDef, role: &RoleDef) -> Identity {
    Identity {
        tenant: tenant.id,
        tenant_name: tenant.name.clone(),
        role: role.id,
        role_name: role.name.clone(),
        superuser: role.superuser,
        owner: tenant.owner == role.id,
        create_db: role.create_db,
        create_role: role.create_role,
        read_files: role.superuser || role.member_of.contains(&READ_SERVER_FILES),
        write_files: role.superuser || role.member_of.contains(&WRITE_SERVER_FILES),
    }
}

/// Who a role is, by its number, in the tenant of a snapshot.
///
/// # Errors
/// 42704 if there is no such role, 3D000 if the tenant is gone.
pub(crate) fn identity_of(meta: &MetaCatalog, snapshot: &TenantSnapshot, role: RoleId) -> Result<Identity> {
    let gone = || Error::new(SqlState::INVALID_CATALOG_NAME, "the database was dropped");
    let tenant = meta.tenant(snapshot.tenant).ok_or_else(gone)?;
    let roles = if role.is_operator() { &meta.roles } else { &snapshot.catalog.roles };
    let missing = || Error::new(SqlState::UNDEFINED_OBJECT, format!("role with OID {role} does not exist"));
    let role = roles.values().find(|r| r.id == role).ok_or_else(missing)?;
    Ok(identify(tenant, role))
}

/// LOGIN, and CONNECT on the tenant.
fn may_connect(tenant: &TenantDef, role: &RoleDef, identity: &Identity) -> Result<()> {
    if !role.login {
        let text = format!("role \"{}\" is not permitted to log in", role.name);
        return Err(Error::new(SqlState::INVALID_AUTHORIZATION, text));
    }
    let by_name = tenant.connect.contains(&role.id);
    let revoked = tenant.no_connect.contains(&role.id) || (tenant.connect_revoked && !by_name);
    if revoked && !identity.superuser && !identity.owner {
        let text = format!("permission denied for database \"{}\"", tenant.name);
        return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, text).detail("User does not have CONNECT privilege."));
    }
    Ok(())
}
