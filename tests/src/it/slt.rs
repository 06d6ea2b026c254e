//! The SQL scripts of `tests/slt`, each run three ways: in process, through the wire, and on a mirrored log.
//!
//! * `slt::local`: a session of `sql` over a fresh store, no wire between.
//! * `slt::wire`: a server process, simple and extended protocol in turn.
//! * `slt::mirror`: as local, with every command applied to a second store in another directory, which is reopened at
//!   random; afterwards both must be equal. Tables are flushed early, so parts and hot rows mix.
//!
//! A script goes on after a record that fails, and the test names all of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use libtest_mimic::Trial;
use sightline_sql::answer::{Answer, Column, RowStream};
use sightline_sql::codec::{Cells, Style};
use sightline_sql::database::{Database, DatabaseOptions};
use sightline_sql::session::{Session, Startup};
use sightline_storage::clock::SystemClock;
use sightline_storage::engine::{Engine, Options};
use sightline_storage::error::{Error, SqlState};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, MakeConnection, Runner, strict_column_validator};

use crate::format;
use crate::pg_client::{self, Client};
use crate::server::{self, DATABASE, USER};
use crate::support::{Outcome, repository, seed, trial};

/// One trial a script and way.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    let folder = repository().join("tests/slt");
    let mut scripts = Vec::new();
    find(&folder, &mut scripts);
    for script in scripts {
        let name = script.strip_prefix(&folder).unwrap_or(&script).display().to_string();
        let paths = [script.clone(), script.clone(), script];
        let [local, wire, mirror] = paths;
        trials.push(trial(format!("slt::local::{name}"), move || run_local(local)));
        trials.push(trial(format!("slt::wire::{name}"), move || run_wire(wire)));
        trials.push(trial(format!("slt::mirror::{name}"), move || run_mirror(mirror)));
    }
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|e| e == "slt") {
            found.push(path);
        }
    }
}

async fn run_local(script: PathBuf) -> Outcome {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(Options::new(folder.path()), Arc::new(SystemClock)).await?;
    run_in_process(&engine, &script).await?;
    Ok(engine.close().await?)
}

async fn run_mirror(script: PathBuf) -> Outcome {
    let (folder, mirror) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut options = Options::new(folder.path());
    options.flush_bytes = 32 << 10;
    let seed = seed();
    let engine = Engine::open_mirrored(options, mirror.path().to_path_buf(), Arc::new(SystemClock), seed).await?;
    let ran = run_in_process(&engine, &script).await;
    engine.check_mirror().map_err(|e| format!("the stores differ (SIGHTLINE_TEST_SEED={seed}): {e}"))?;
    ran?;
    Ok(engine.close().await?)
}

async fn run_in_process(engine: &Arc<Engine>, script: &Path) -> Outcome {
    let options = DatabaseOptions {
        threads: 2,
        max_connections: 100,
        version: "0.0.0".to_string(),
        file_root: None,
        s3_files: Arc::default(),
    };
    let database = Database::new(engine.clone(), options)?;
    let mut admin = Local::connect(&database, DATABASE).await?;
    admin.run("CREATE DATABASE slt").await?;
    run_script(script, || Local::connect(&database, "slt")).await
}

async fn run_wire(script: PathBuf) -> Outcome {
    let server = server::shared()?;
    let mut hasher = DefaultHasher::new();
    script.hash(&mut hasher);
    let tenant = format!("slt_{:016x}", hasher.finish());
    drop(server.tenant(&tenant).await?);
    let port = server.port;
    run_script(&script, || Wire::connect(port, tenant.clone())).await
}

async fn run_script<M>(script: &Path, connect: M) -> Outcome
where
    M: MakeConnection,
    M::Conn: AsyncDB<ColumnType = DefaultColumnType>,
{
    let mut runner = Runner::new(connect);
    runner.with_validator(equal);
    runner.with_column_validator(strict_column_validator);
    let mut failures = Vec::new();
    for record in sqllogictest::parse_file::<DefaultColumnType>(script)? {
        if let Err(failure) = runner.run_async(record).await {
            failures.push(failure.to_string());
        }
    }
    runner.shutdown_async().await;
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} records failed\n{}", failures.len(), failures.join("\n\n")).into())
}

/// Rows must be equal to the letter.
fn equal(_: fn(&String) -> String, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.iter().map(|row| row.join(format::SEPARATOR)).eq(expected.iter().cloned())
}

/// An error as records match it.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl From<Error> for Fault {
    fn from(e: Error) -> Fault {
        Fault(format::error_text(e.code().as_str(), e.message()))
    }
}

/// A session without a wire.
struct Local(Session);

impl Local {
    async fn connect(database: &Arc<Database>, tenant: &str) -> Result<Local, Fault> {
        let startup = Startup { user: USER.to_string(), database: tenant.to_string(), ..Startup::default() };
        Ok(Local(database.connect(startup).await?))
    }

    async fn answer(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let Some(answer) = self.0.run_simple(sql).await?.pop() else {
            return Ok(DBOutput::StatementComplete(0));
        };
        match answer {
            Answer::Rows { columns, rows, .. } | Answer::Fetched { columns, rows, .. } => {
                let style = Style::new(&self.0.format());
                let read = read_rows(&columns, rows, &style).await;
                if read.is_err() {
                    self.0.fail_transaction();
                }
                let types = columns.iter().map(|c| format::column_type(c.ty.oid())).collect();
                Ok(DBOutput::Rows { types, rows: read? })
            }
            Answer::Done { tag } => Ok(DBOutput::StatementComplete(count(&tag))),
            Answer::Empty => Ok(DBOutput::StatementComplete(0)),
            Answer::CopyIn(_) | Answer::CopyOut { .. } => {
                Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "COPY needs a wire"))
            }
        }
    }
}

#[async_trait]
impl AsyncDB for Local {
    type Error = Fault;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Fault> {
        Ok(self.answer(sql).await?)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "sightline"
    }
}

async fn read_rows(columns: &[Column], mut rows: RowStream, style: &Style) -> Result<Vec<Vec<String>>, Error> {
    let mut all = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let cells: Vec<Cells> =
            batch.columns().iter().zip(columns).map(|(a, c)| Cells::new(a, &c.ty)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            all.push(cells.iter().map(|c| shown(c, row, style)).collect());
        }
    }
    Ok(all)
}

fn shown(cells: &Cells, row: usize, style: &Style) -> String {
    if cells.is_null(row) {
        return format::cell(None);
    }
    let mut text = Vec::new();
    cells.write_text(row, style, &mut text);
    format::cell(Some(&String::from_utf8_lossy(&text)))
}

fn count(tag: &str) -> u64 {
    tag.rsplit_once(' ').and_then(|(_, n)| n.parse().ok()).unwrap_or(0)
}

/// A connection to the server process.
struct Wire(Client);

impl Wire {
    async fn connect(port: u16, tenant: String) -> Result<Wire, Fault> {
        Ok(Wire(Client::connect(port, USER, &tenant).await.map_err(broken)?))
    }
}

fn broken(e: std::io::Error) -> Fault {
    Fault(format!("connection: {e}"))
}

/// Half of the queries take the extended protocol: which ones depends on their text, so that a failure repeats.
fn takes_extended(sql: &str) -> bool {
    let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let mut hasher = DefaultHasher::new();
    sql.hash(&mut hasher);
    ["SELECT", "VALUES", "WITH", "INSERT"].contains(&word.as_str()) && hasher.finish().is_multiple_of(2)
}

#[async_trait]
impl AsyncDB for Wire {
    type Error = Fault;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Fault> {
        let answer = if takes_extended(sql) {
            self.0.extended(sql, &[]).await.map_err(broken)?
        } else {
            self.0.simple(sql).await.map_err(broken)?.pop().unwrap_or(pg_client::Answer::Empty)
        };
        match answer {
            pg_client::Answer::Rows { columns, rows, .. } => Ok(DBOutput::Rows {
                types: columns.iter().map(|c| format::column_type(c.oid)).collect(),
                rows: rows.iter().map(|r| r.iter().map(|v| format::cell(v.as_deref())).collect()).collect(),
            }),
            pg_client::Answer::Done { tag } => Ok(DBOutput::StatementComplete(count(&tag))),
            pg_client::Answer::Empty => Ok(DBOutput::StatementComplete(0)),
            pg_client::Answer::Error(fields) => Err(Fault(format::error_text(fields.code(), fields.message()))),
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "sightline"
    }
}
