//! Real clients against a server: the programs of `clients/`, each through connect, query, parameters, COPY, errors and big
//! results; the drivers also with 1,000 idle connections. tokio-postgres is in [`crate::wire`], [`crate::memory`].
//!
//! psycopg and node-postgres are installed once into `~/.cache/sightline`.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::server::Server;
use crate::support::{Outcome, ensure, repository, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("clients::psql", psql));
    trials.push(trial("clients::psycopg", psycopg));
    trials.push(trial("clients::node_postgres", node_postgres));
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

/// Runs a client with the server's address in PGHOST and PGPORT, as libpq and its kin read them.
async fn ask(client: Command) -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_LOG_LEVEL", "warn")])?;
    let output = tokio::process::Command::from(client)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", server.port.to_string())
        .env("PGUSER", crate::server::USER)
        .env("PGDATABASE", crate::server::DATABASE)
        .env_remove("PGPASSWORD")
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).join("\n");
    ensure!(output.status.success(), "{}\n{said}\nserver: {}", output.status, server.logged()?);
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
