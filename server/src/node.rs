//! A node: everything that runs, started in one visible order and stopped in reverse.
//!
//! 1. both ports are bound, so that a start that cannot succeed fails before a long replay;
//! 2. HTTP answers: `/health` 200, `/ready` 503;
//! 3. storage opens: the lock on the directory, the log's replay, the background flush;
//! 4. the database: memory, caches, functions, sessions;
//! 5. PostgreSQL clients are let in, `/ready` turns 200, and one line on standard output says so.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sightline_sql::database::{Database, DatabaseOptions};
use sightline_sql::files::S3Files;
use sightline_storage::clock::SystemClock;
use sightline_storage::engine::{Engine, Options};
use sightline_storage::error::{Error, Result, SqlState};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::authenticate::Door;
use crate::config::{self, Config};
use crate::http::health::Phase;
use crate::http::router::{Shared, router};
use crate::http::upload::Uploads;
use crate::logging;
use crate::pg::listen::{PgOptions, serve};
use crate::tls;

/// The version this binary says it is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long a stop waits for connections to end their statements before it leaves them. They are cancelled at once, so
/// this is only for one that does not listen.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections the kernel queues for us while we are busy accepting: a pool of clients starts all at once.
const BACKLOG: u32 = 1024;

/// A running node. Dropping it leaves its tasks running: call [`Node::stop`].
pub struct Node {
    pub pg_address: SocketAddr,
    pub http_address: SocketAddr,
    pub database: Arc<Database>,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    pg: Service,
    http: Service,
}

/// Runs a node until SIGTERM or SIGINT: what `sightline serve` does.
///
/// # Errors
/// Those of [`start`], and of a stop that could not close its files.
pub async fn run(config: Config) -> Result<()> {
    logging::start(&config.log_level, config.log_format)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = tokio::select! {
        node = start(config) => node?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    say_ready(&node)?;
    tokio::select! {
        _ = terminate.recv() => info!("stopping: SIGTERM"),
        _ = interrupt.recv() => info!("stopping: SIGINT"),
    }
    tokio::select! {
        stopped = node.stop() => stopped,
        _ = interrupt.recv() => Err(Error::new(SqlState::ADMIN_SHUTDOWN, "stopped at once: SIGINT came again")),
    }
}

/// Builds and starts everything. Ports may be 0: the node tells the real ones.
///
/// # Errors
/// 58030 naming the address if a port cannot be had, 55006 if another process has the directory, and what
/// [`Engine::open`] says of a damaged or full one.
pub async fn start(config: Config) -> Result<Node> {
    warn_of(&config);
    let connections = allow_files(config.max_connections);
    let pg_socket = bind(config.pg_listen, "pg_listen")?;
    let http_socket = bind(config.http_listen, "http_listen")?;

    let shared = Arc::new(Shared::default());
    let http_listener = listen(http_socket, "http_listen")?;
    let http_address = http_listener.local_addr()?;
    let http = Service::start(|stop| serve_http(http_listener, Arc::clone(&shared), stop));

    let opened = open(&config, connections).await;
    let (engine, database) = match opened {
        Ok(opened) => opened,
        Err(e) => {
            http.stop("http").await;
            return Err(e);
        }
    };
    shared.database.get_or_init(|| Arc::clone(&database));

    let tls = match tls::acceptor(&config) {
        Ok(tls) => tls,
        Err(e) => {
            http.stop("http").await;
            // What was opened is durable as it is; the error that the caller needs is the first.
            drop(engine.close().await);
            return Err(e);
        }
    };
    let pg_listener = listen(pg_socket, "pg_listen")?;
    let pg_address = pg_listener.local_addr()?;
    // One count of wrong passwords for all listeners.
    let door = Door::new(config.trust_remote)?;
    let uploads = Uploads::new(door.clone(), &config.data_dir, config.http_upload_max)?;
    shared.uploads.get_or_init(|| uploads);
    let options = PgOptions {
        door,
        tls,
        statement_timeout: config.statement_timeout,
        authentication_timeout: config.authentication_timeout,
        statements: Arc::clone(&shared.statements),
    };
    let served = Arc::clone(&database);
    let pg = Service::start(|stop| serve(pg_listener, served, stop, options));
    shared.readiness.set(Phase::Serving);
    info!(%pg_address, %http_address, data_dir = %config.data_dir.display(), version = VERSION, "ready");
    Ok(Node { pg_address, http_address, database, engine, shared, pg, http })
}

impl Node {
    /// Stops everything, last started first. Statements that run are cancelled, sessions end with 57P01; what was
    /// acknowledged is durable already.
    ///
    /// # Errors
    /// From closing the files.
    pub async fn stop(self) -> Result<()> {
        let Node { pg_address: _, http_address: _, database, engine, shared, pg, http } = self;
        shared.readiness.set(Phase::Stopping);
        pg.stop("pg").await;
        database.settle_sequences();
        drop(database);
        let closed = engine.close().await;
        http.stop("http").await;
        info!("stopped");
        closed
    }

    /// The line that tells a person or a script where to connect.
    pub fn ready_line(&self) -> String {
        let (pg, http) = (self.pg_address, self.http_address);
        format!("sightline {VERSION} ready: postgres://sightline@{pg}/sightline http://{http}")
    }
}

/// A listener's task and the token that ends it.
struct Service {
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Service {
    fn start<F: Future<Output = Result<()>> + Send + 'static>(run: impl FnOnce(CancellationToken) -> F) -> Service {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Service { stop, task }
    }

    /// Ends the task and waits for it; what went wrong in it is for the log, a stop goes on.
    async fn stop(self, name: &'static str) {
        self.stop.cancel();
        match tokio::time::timeout(STOP_TIMEOUT, self.task).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(name, %error, "listener ended with an error"),
            Ok(Err(error)) => warn!(name, %error, "listener panicked"),
            Err(_) => warn!(name, "listener did not stop in time and is left"),
        }
    }
}

/// Files that storage and queries may have open beside connections.
const FILES_BESIDE: u64 = 600;

/// Raises the limit of open files as far as the system allows, and answers how many connections fit below it: without a
/// file descriptor left the log could not be written either.
fn allow_files(connections: usize) -> usize {
    let raised = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get_soft());
    let Ok(files) = raised else { return connections };
    let room = usize::try_from(files.saturating_sub(FILES_BESIDE)).unwrap_or(usize::MAX).max(1);
    if room < connections {
        warn!(files, max_connections = room, "the limit of open files (ulimit -Hn) lowers max_connections");
    }
    connections.min(room)
}

/// Who may use files of the server must not get at the database's own through them.
///
/// # Errors
/// F0000 if `file_root` and the data directory contain one another.
fn check_file_root(config: &Config) -> Result<()> {
    let Some(root) = &config.file_root else { return Ok(()) };
    // It may not be there yet, and made later.
    let (Ok(root), Ok(data)) = (resolved(root), resolved(&config.data_dir)) else { return Ok(()) };
    if !root.starts_with(&data) && !data.starts_with(&root) {
        return Ok(());
    }
    let text = format!("file_root \"{}\" and data_dir \"{}\" contain one another", root.display(), data.display());
    Err(Error::new(SqlState::new("F0000"), text).hint("Name another folder as file_root."))
}

/// The path without links and dots: of what is there as the system says, of the rest as it reads.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let there = |above: &Path| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?.to_path_buf()));
    let Some((mut resolved, rest)) = path.ancestors().find_map(there) else { return Ok(path) };
    for component in rest.components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
    }
    Ok(resolved)
}

async fn open(config: &Config, max_connections: usize) -> Result<(Arc<Engine>, Arc<Database>)> {
    let options = Options {
        data_dir: config.data_dir.clone(),
        flush_bytes: config.flush_bytes,
        hot_bytes_max: config.hot_bytes_max,
        memory_limit: config.memory_limit,
        parts: config.parts_url.clone().map(|url| (url, config.s3.clone())),
        part_cache_bytes: config.part_cache_size,
        unsafe_no_sync: config.unsafe_no_sync,
    };
    let engine = Engine::open(options, Arc::new(SystemClock)).await?;
    check_file_root(config)?;
    let options = DatabaseOptions {
        threads: config.threads,
        max_connections,
        version: VERSION.to_owned(),
        file_root: config.file_root.clone(),
        s3_files: Arc::new(S3Files::new(config.s3.clone(), config.s3_files.clone())),
    };
    let database = Database::new(Arc::clone(&engine), options)?;
    database.drop_leftovers().await;
    Ok((engine, database))
}

async fn serve_http(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) -> Result<()> {
    axum::serve(listener, router(shared).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

/// Takes the port without accepting anybody yet: until [`listen`] a client is refused, not left waiting.
fn bind(address: SocketAddr, key: &'static str) -> Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address).map_err(|e| cannot_listen(address, key, e))?;
    Ok(socket)
}

fn listen(socket: TcpSocket, key: &'static str) -> Result<TcpListener> {
    let address = socket.local_addr()?;
    socket.listen(BACKLOG).map_err(|e| cannot_listen(address, key, e))
}

fn cannot_listen(address: SocketAddr, key: &str, e: std::io::Error) -> Error {
    let error = match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            Error::new(SqlState::IO_ERROR, format!("cannot listen on {address}: the port is in use"))
        }
        _ => Error::new(SqlState::IO_ERROR, format!("cannot listen on {address}: {e}")),
    };
    let flag = key.replace('_', "-");
    error.hint(format!("Is another sightline running? Choose another address with --{flag}.")).source(e)
}

fn say_ready(node: &Node) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", node.ready_line())?;
    out.flush()?;
    Ok(())
}

/// Says aloud what a production node should not have.
fn warn_of(config: &Config) {
    if config.unsafe_no_sync {
        warn!("unsafe_no_sync is on: a power cut LOSES what was acknowledged; this is for tests only");
    }
    if config.trust_remote && !config.pg_listen.ip().is_loopback() {
        warn!(pg_listen = %config.pg_listen, "trust_remote is on: everybody who reaches the port may log in as superuser");
    }
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in config::unknown_variables(names) {
        warn!(name, "environment variable is no setting; ignored");
    }
}
