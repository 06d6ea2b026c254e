//! `oracle [file.slt …]`: runs the records of the corpus on Debian's PostgreSQL 15 and writes what it answered into the
//! files, as `./dev slt --oracle` does. So an expected value never comes from our own output.
//!
//! Each file runs in a fresh database. Records between `# sightline-only` and `# end sightline-only` are ours (our own
//! syntax, `sys.*`): they stay as they stand. An error record keeps its own, wider pattern as long as it matches.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod format;
#[expect(dead_code, reason = "the recorder needs a part of it; the tests need all")]
mod pg_client;

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pg_client::{Answer, Client};
use sqllogictest::parser::{ExpectedError, QueryExpect, SortMode, StatementExpect};
use sqllogictest::{Connection, DefaultColumnType, Record};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// No record needs longer; one that does is written wrongly. (PostgreSQL's own setting is part of what is recorded.)
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
const BEGIN_OURS: &str = "sightline-only";
const END_OURS: &str = "end sightline-only";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        find_scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("slt"), &mut files)?;
    }
    let oracle = Oracle::start().await?;
    let mut records = 0;
    for (number, file) in files.iter().enumerate() {
        let count = oracle.record(number, file).await.map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{:5} records  {}", count, file.display());
        records += count;
    }
    println!("{records:5} records of {} files, from PostgreSQL {}", files.len(), oracle.version);
    Ok(())
}

fn find_scripts(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find_scripts(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "slt") {
            found.push(path);
        }
    }
    Ok(())
}

/// A PostgreSQL 15 with a cluster of its own, which goes with it.
struct Oracle {
    server: Child,
    folder: tempfile::TempDir,
    port: u16,
    version: String,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let stopped = postgres_command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-s", "stop"]).status();
        if stopped.is_err() {
            println!("could not stop PostgreSQL in {}", self.data());
        }
        let _reaped = self.server.wait();
    }
}

impl Oracle {
    async fn start() -> Outcome<Oracle> {
        let folder = tempfile::Builder::new().prefix("sightline-oracle-").tempdir()?;
        if root() {
            Command::new("chown").arg("postgres").arg(folder.path()).status()?;
        }
        let data = folder.path().join("data").display().to_string();
        let made = postgres_command(
            "initdb",
            &["-D", &data, "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8"],
        )
        .stdout(Stdio::null())
        .status()?;
        if !made.success() {
            return Err("initdb failed (is postgresql-15 installed?)".into());
        }
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let socket = format!("unix_socket_directories={}", folder.path().display());
        let port_setting = format!("port={port}");
        let settings = [
            socket.as_str(),
            &port_setting,
            "fsync=off",
            "TimeZone=UTC",
            "log_min_messages=fatal",
            "temp_file_limit=1GB",
        ];
        let mut arguments = vec!["-D", data.as_str()];
        for setting in settings {
            arguments.extend(["-c", setting]);
        }
        let server = postgres_command("postgres", &arguments).stderr(Stdio::null()).spawn()?;
        let mut oracle = Oracle { server, folder, port, version: String::new() };
        let client = oracle.wait().await?;
        let full = client.parameters.get("server_version").cloned().unwrap_or_default();
        oracle.version = full.split(' ').next().unwrap_or_default().to_string();
        if !oracle.version.starts_with("15.") {
            return Err(format!("PostgreSQL 15 is needed, this is {}", oracle.version).into());
        }
        Ok(oracle)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    async fn wait(&mut self) -> Outcome<Client> {
        for _ in 0..200 {
            if let Ok(client) = Client::connect(self.port, "postgres", "postgres").await {
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("PostgreSQL did not start".into())
    }

    /// Rewrites one file and returns the number of its statements and queries.
    async fn record(&self, number: usize, file: &Path) -> Outcome<usize> {
        let database = format!("slt_{number}");
        let mut admin = Client::connect(self.port, "postgres", "postgres").await?;
        admin.simple(&format!("CREATE DATABASE {database}")).await?;
        let mut recorder = Recorder { port: self.port, database, connections: HashMap::new(), ours: false, count: 0 };
        let mut out = format!("# recorded from PostgreSQL {}\n", self.version);
        for record in sqllogictest::parse_file::<DefaultColumnType>(file)? {
            if let Record::Comment(lines) = &record
                && lines.first().is_some_and(|l| l.trim().starts_with("recorded from"))
            {
                if lines.len() > 1 {
                    out.push_str(&format!("{}\n", Record::<DefaultColumnType>::Comment(lines[1..].to_vec())));
                }
                continue;
            }
            out.push_str(&format!("{}\n", recorder.apply(record).await?));
        }
        std::fs::write(file, format!("{}\n", out.trim_end_matches('\n')))?;
        Ok(recorder.count)
    }
}

fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// A program of Debian's PostgreSQL 15, as user postgres if we are root (it refuses to run as root).
fn postgres_command(program: &str, arguments: &[&str]) -> Command {
    let path = format!("/usr/lib/postgresql/15/bin/{program}");
    let mut command = if root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", &path]);
        command
    } else {
        Command::new(path)
    };
    command.args(arguments).current_dir("/");
    command
}

/// The state while one file is recorded.
struct Recorder {
    port: u16,
    database: String,
    connections: HashMap<String, Client>,
    ours: bool,
    count: usize,
}

impl Recorder {
    async fn apply(&mut self, record: Record<DefaultColumnType>) -> Outcome<Record<DefaultColumnType>> {
        if let Record::Comment(lines) = &record {
            for line in lines {
                match line.trim() {
                    END_OURS => self.ours = false,
                    text if text.starts_with(BEGIN_OURS) => self.ours = true,
                    _ => {}
                }
            }
        }
        let (sql, connection) = match &record {
            Record::Statement { sql, connection, .. } | Record::Query { sql, connection, .. } => {
                (sql.clone(), connection.clone())
            }
            _ => return Ok(record),
        };
        self.count += 1;
        if self.ours {
            return Ok(record);
        }
        let answer = self.run(&connection, &sql).await?;
        Ok(recorded(record, answer))
    }

    async fn run(&mut self, connection: &Connection, sql: &str) -> Outcome<Answer> {
        let name = match connection {
            Connection::Default => String::new(),
            Connection::Named(name) => name.clone(),
        };
        if !self.connections.contains_key(&name) {
            let client = Client::connect(self.port, "postgres", &self.database).await?;
            self.connections.insert(name.clone(), client);
        }
        let client = self.connections.get_mut(&name).ok_or("just inserted")?;
        let answer = tokio::time::timeout(STATEMENT_TIMEOUT, client.simple(sql)).await;
        let mut answers = answer.map_err(|_| format!("PostgreSQL takes too long for {sql}"))??;
        Ok(answers.pop().unwrap_or(Answer::Empty))
    }
}

/// The record with what PostgreSQL answered.
fn recorded(record: Record<DefaultColumnType>, answer: Answer) -> Record<DefaultColumnType> {
    let (loc, conditions, connection, sql, retry, sort, error, ok) = match record {
        Record::Query { loc, conditions, connection, sql, retry, expected } => match expected {
            QueryExpect::Results { sort_mode, .. } => (loc, conditions, connection, sql, retry, sort_mode, None, false),
            QueryExpect::Error(e) => (loc, conditions, connection, sql, retry, None, Some(e), false),
        },
        Record::Statement { loc, conditions, connection, sql, retry, expected } => match expected {
            StatementExpect::Ok => (loc, conditions, connection, sql, retry, None, None, true),
            StatementExpect::Count(_) => (loc, conditions, connection, sql, retry, None, None, false),
            StatementExpect::Error(e) => (loc, conditions, connection, sql, retry, None, Some(e), false),
        },
        other => return other,
    };
    let expected = match answer {
        Answer::Rows { columns, rows, .. } if !ok => {
            let types = columns.iter().map(|c| format::column_type(c.oid)).collect();
            let sort_mode = sort.or_else(|| needs_sort(&sql, rows.len()));
            let mut results: Vec<String> = rows.iter().map(|row| line(row)).collect();
            if sort_mode == Some(SortMode::RowSort) {
                results = sorted(&rows);
            }
            let expected = QueryExpect::Results { types, sort_mode, result_mode: None, label: None, results };
            return Record::Query { loc, conditions, connection, sql, expected, retry };
        }
        Answer::Rows { .. } | Answer::Empty => StatementExpect::Ok,
        Answer::Done { tag } => match affected(&tag) {
            Some(count) => StatementExpect::Count(count),
            None => StatementExpect::Ok,
        },
        Answer::Error(fields) => {
            let text = format::error_text(fields.code(), fields.message());
            StatementExpect::Error(match error {
                Some(ExpectedError::Inline(wanted)) if wanted.is_match(&text) => ExpectedError::Inline(wanted),
                _ => ExpectedError::Inline(
                    regex::Regex::new(&format!("{}$", escape(&text))).expect("an escaped text is a pattern"),
                ),
            })
        }
    };
    Record::Statement { loc, conditions, connection, sql, expected, retry }
}

/// Rows without ORDER BY may come in any order.
fn needs_sort(sql: &str, rows: usize) -> Option<SortMode> {
    (rows > 1 && !sql.to_ascii_lowercase().contains("order by")).then_some(SortMode::RowSort)
}

fn line(row: &[Option<String>]) -> String {
    row.iter().map(|v| format::cell(v.as_deref())).collect::<Vec<_>>().join(format::SEPARATOR)
}

/// Rows in the order that the runner's `rowsort` gives them.
fn sorted(rows: &[Vec<Option<String>>]) -> Vec<String> {
    let mut cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|v| format::cell(v.as_deref())).collect()).collect();
    cells.sort_unstable();
    cells.into_iter().map(|row| row.join(format::SEPARATOR)).collect()
}

/// The count of a command tag that has one.
fn affected(tag: &str) -> Option<u64> {
    tag.rsplit_once(' ').and_then(|(_, count)| count.parse().ok())
}

/// Escapes what a pattern would take as special, and no more: records are read by people.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
