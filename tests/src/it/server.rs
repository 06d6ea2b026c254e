//! The server under test: this binary again, as a process that can be killed.
//!
//! `it --serve DIR` starts a node on free ports, prints them, and stops cleanly when its standard input ends: so no
//! server outlives the tests, however they end.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use sightline_server::config::Config;
use sightline_server::{logging, node};
use sightline_storage::error::Error;

use crate::pg_client::Client;
use crate::support::{Outcome, runtime};

/// The superuser that every data directory has.
pub(crate) const USER: &str = "sightline";
/// The tenant that every data directory has.
pub(crate) const DATABASE: &str = "sightline";

/// A server process.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    data: PathBuf,
    /// The directory that goes with the server, if it is its own.
    _own: Option<tempfile::TempDir>,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Starts one on a new directory.
    pub(crate) fn fresh() -> Outcome<Server> {
        Server::fresh_with(&[])
    }

    /// Starts one on a new directory with environment variables.
    pub(crate) fn fresh_with(environment: &[(&str, &str)]) -> Outcome<Server> {
        let folder = tempfile::Builder::new().prefix("sightline-it-").tempdir()?;
        let mut server = Server::start(&folder.path().join("data"), environment)?;
        server._own = Some(folder);
        Ok(server)
    }

    /// Starts one on this directory.
    pub(crate) fn start(data: &Path, environment: &[(&str, &str)]) -> Outcome<Server> {
        Server::start_command(Command::new(std::env::current_exe()?), data, environment)
    }

    /// Starts one by a command such as `strace … it`.
    pub(crate) fn start_command(mut command: Command, data: &Path, environment: &[(&str, &str)]) -> Outcome<Server> {
        let log = data.with_extension("log");
        if let Some(parent) = log.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let output = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut child = command
            .arg("--serve")
            .arg(data)
            .envs(environment.iter().copied())
            .env_remove("SIGHTLINE_DATA_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ports = ports_of(line.trim());
        let Some((port, http_port)) = ports else {
            let status = child.wait()?;
            let said = std::fs::read_to_string(&log)?;
            return Err(format!("the server did not start ({status}): {line}{said}").into());
        };
        Ok(Server { child, port, http_port, data: data.to_path_buf(), _own: None, log })
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing is written any more.
    pub(crate) fn kill(&mut self) {
        if self.child.kill().is_ok() {
            let _reaped = self.child.wait();
        }
    }

    /// A clean stop, as by SIGTERM.
    pub(crate) fn stop(mut self) -> Outcome<ExitStatus> {
        drop(self.child.stdin.take());
        Ok(self.child.wait()?)
    }

    /// SIGTERM, and how the process ended.
    pub(crate) fn terminate(mut self) -> Outcome<ExitStatus> {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        if !sent.success() {
            return Err("kill -TERM failed".into());
        }
        Ok(self.child.wait()?)
    }

    /// A connection as superuser to the default tenant.
    pub(crate) async fn connect(&self) -> Outcome<Client> {
        Ok(Client::connect(self.port, USER, DATABASE).await?)
    }

    /// A connection by tokio-postgres.
    pub(crate) async fn driver(&self, database: &str) -> Outcome<tokio_postgres::Client> {
        let config = format!("host=127.0.0.1 port={} user={USER} dbname={database}", self.port);
        let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await?;
        tokio::spawn(async move {
            // The server was killed, or the client dropped: the test sees it in its calls.
            let _ended = connection.await;
        });
        Ok(client)
    }

    /// Makes a tenant of this name and connects to it.
    pub(crate) async fn tenant(&self, name: &str) -> Outcome<Client> {
        let mut admin = self.connect().await?;
        admin.simple(&format!("CREATE DATABASE \"{name}\"")).await?;
        Ok(Client::connect(self.port, USER, name).await?)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// What the server logged.
    pub(crate) fn logged(&self) -> Outcome<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

static SHARED: Mutex<Option<Arc<Server>>> = Mutex::new(None);

/// The server that tests share which leave it as they found it.
pub(crate) fn shared() -> Outcome<Arc<Server>> {
    let mut shared = SHARED.lock().expect("no test panics while it starts the server");
    if let Some(server) = &*shared {
        return Ok(server.clone());
    }
    let server = Arc::new(Server::fresh()?);
    *shared = Some(server.clone());
    Ok(server)
}

/// Ends the shared server.
pub(crate) fn stop_shared() {
    let mut shared = SHARED.lock().expect("no test panics while it starts the server");
    drop(shared.take());
}

/// The ports in what a server says when it is ready: our own line, or that of `sightline serve`.
fn ports_of(line: &str) -> Option<(u16, u16)> {
    if let Some(ours) = line.strip_prefix("ready ") {
        let (pg, http) = ours.split_once(' ')?;
        return Some((pg.parse().ok()?, http.parse().ok()?));
    }
    let (pg, http) = line.split_once("postgres://sightline@127.0.0.1:")?.1.split_once('/')?;
    Some((pg.parse().ok()?, http.rsplit(':').next()?.parse().ok()?))
}

/// The hidden mode `--serve DIR`; with `SIGHTLINE_IT_RUN` it runs what `sightline serve` does.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a process of its own, which tells its parent")]
pub(crate) fn serve(data: Option<&str>) -> ExitCode {
    let Some(data) = data else {
        eprintln!("--serve takes a directory");
        return ExitCode::from(2);
    };
    let ended: Result<(), Error> = runtime().block_on(async {
        let flags = [("data_dir", data), ("pg_listen", "127.0.0.1:0"), ("http_listen", "127.0.0.1:0")];
        let config = Config::load(None, std::env::vars(), &flags.map(|(key, value)| (key, value.to_string())))?;
        if std::env::var_os("SIGHTLINE_IT_RUN").is_some() {
            return node::run(config).await;
        }
        logging::start(&config.log_level, config.log_format)?;
        let node = node::start(config).await?;
        println!("ready {} {}", node.pg_address.port(), node.http_address.port());
        let waited = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
        if let Err(e) = waited {
            eprintln!("standard input: {e}");
        }
        node.stop().await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
