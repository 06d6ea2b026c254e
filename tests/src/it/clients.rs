//! Real clients against a server: the programs of `clients/`, each through connect, query, parameters, COPY, errors and big
//! results; the drivers also with 1,000 idle connections, and each through scenarios whose lines are compared with those of
//! PostgreSQL 15 (`clients/run.py`; tokio-postgres: [`crate::driver`]).
//!
//! The drivers are installed once into `~/.cache/sightline`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::Trial;

use crate::server::Server;
use crate::support::{Outcome, ensure, repository, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("clients::psql", psql));
    trials.push(trial("clients::psycopg", psycopg));
    trials.push(trial("clients::node_postgres", node_postgres));
    for driver in DRIVERS {
        trials.push(trial(format!("clients::like_postgresql::{driver}"), move || like_postgresql(driver)));
    }
}

/// Those of `clients/run.py`.
const DRIVERS: [&str; 8] =
    ["psycopg", "psycopg2", "asyncpg", "node-postgres", "postgres.js", "pgjdbc", "hostile", "tokio-postgres"];

/// A driver's scenarios, or those of a hostile client, on this server and on a PostgreSQL 15.
async fn like_postgresql(driver: &'static str) -> Outcome {
    let mut command = scenarios()?;
    command.arg(driver);
    ask(command).await
}

fn scenarios() -> Outcome<Command> {
    let mut python = Command::new("python3");
    python.arg(repository().join("clients/run.py")).arg("--it").arg(std::env::current_exe()?);
    Ok(python)
}

/// Prints the table of these drivers, or of all, and what differs.
#[expect(clippy::print_stderr, reason = "a command's own output")]
pub(crate) fn table(drivers: &[String]) -> ExitCode {
    let ran = Server::fresh_with(ENVIRONMENT).and_then(|server| {
        let mut command = scenarios()?;
        Ok(at(&mut command, &server).args(drivers).status()?)
    });
    match ran {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{}", e.message().unwrap_or("the server did not start"));
            ExitCode::FAILURE
        }
    }
}

async fn psql() -> Outcome {
    let mut bash = Command::new("bash");
    bash.arg(repository().join("clients/psql/check.sh"));
    ask(bash).await
}

async fn psycopg() -> Outcome {
    let venv = cache("venv")?;
    let python = venv.join("bin/python");
    if !installed(Command::new(&python).args(["-c", "import psycopg"])) {
        must(Command::new("python3").args(["-m", "venv"]).arg(&venv), "python3 -m venv")?;
        must(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "psycopg[binary]>=3.2,<4"]),
            "pip install",
        )?;
    }
    let mut python = Command::new(python);
    python.arg(repository().join("clients/psycopg/check.py"));
    ask(python).await
}

async fn node_postgres() -> Outcome {
    let folder = cache("node")?;
    if !folder.join("node_modules/pg").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        must(npm.args(["pg@8", "pg-copy-streams@6", "pg-query-stream@4"]), "npm install")?;
    }
    let mut node = Command::new("node");
    node.env("NODE_PATH", folder.join("node_modules")).arg(repository().join("clients/node-postgres/check.js"));
    ask(node).await
}

/// A server for clients that ask for no encryption, as PostgreSQL's beside it has none.
const ENVIRONMENT: &[(&str, &str)] = &[("SIGHTLINE_LOG_LEVEL", "warn"), ("SIGHTLINE_TLS", "off")];

/// The server's address in PGHOST and PGPORT, as libpq and its kin read them.
fn at<'a>(client: &'a mut Command, server: &Server) -> &'a mut Command {
    client
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", server.port.to_string())
        .env("PGUSER", crate::server::USER)
        .env("PGDATABASE", crate::server::DATABASE)
        .env_remove("PGPASSWORD")
}

/// Runs a client against a server of its own.
async fn ask(mut client: Command) -> Outcome {
    let server = Server::fresh_with(ENVIRONMENT)?;
    at(&mut client, &server);
    let output = tokio::process::Command::from(client).kill_on_drop(true).output().await?;
    let said = [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).join("\n");
    ensure!(output.status.success(), "{}\n{said}\nserver: {}", output.status, server.logged()?);
    let logged = server.logged()?;
    ensure!(!logged.contains("panicked"), "a panic: {logged}");
    Ok(())
}

fn cache(name: &str) -> Outcome<PathBuf> {
    let home = std::env::var("HOME")?;
    let folder = Path::new(&home).join(".cache/sightline").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn installed(probe: &mut Command) -> bool {
    probe.output().is_ok_and(|o| o.status.success())
}

fn must(command: &mut Command, what: &str) -> Outcome {
    let output = command.output().map_err(|e| format!("{what}: {e}"))?;
    ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
