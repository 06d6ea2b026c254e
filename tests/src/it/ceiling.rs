//! The process stays near `memory_limit` whatever is asked of it, and goes on.
//!
//! Small here; `./dev soak` runs it with 1 GiB and the sizes that limit is judged by. What counts is memory of the process's own:
//! pages of the binary, which an unoptimised build has many of, are the system's to drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::budget::no_files;
use crate::pg_client::{Answer, Client, answers, fields, message, query};
use crate::server::Server;
use crate::support::{Outcome, ensure, ensure_eq, sized, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("ceiling::load_group_flush_and_many_queries", ceiling));
}

/// What an idle process has, which matters for small limits only.
const AT_REST_BYTES: u64 = 64 << 20;
const QUERIES: usize = 16;
const WIDE_COLUMNS: usize = 2000;

/// Looks at a process's memory until it is dropped.
struct Watch {
    highest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(pid: u32) -> Watch {
        let (highest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (highest.clone(), stop.clone());
        tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(bytes) = own_bytes(pid) {
                    seen.fetch_max(bytes, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Watch { highest, stop }
    }

    /// The most it had since the last call, in bytes.
    fn take(&self) -> u64 {
        self.highest.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Resident memory that is no file's.
fn own_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

async fn ceiling() -> Outcome {
    let mib: u64 = sized(192, 1024);
    let limit = format!("{mib}MiB");
    let server = Server::fresh_with(&[("SIGHTLINE_MEMORY_LIMIT", &limit), ("SIGHTLINE_FLUSH_BYTES", "16MiB")])?;
    let most = (mib << 20) / 10 * 13 + sized(AT_REST_BYTES, 0);
    let watch = Watch::start(server.pid());
    let mut told = Vec::new();
    let mut look = |what: &str| -> Outcome {
        let bytes = watch.take();
        told.push(format!("{what} {} MiB", bytes >> 20));
        ensure!(bytes <= most, "over {} MiB: {}", most >> 20, told.join(", "));
        Ok(())
    };
    let mut client = server.connect().await?;

    client.simple("CREATE TABLE t (id bigint, k integer, name text, v double precision, at timestamp)").await?;
    let rows: u64 = sized(200_000, 5_000_000);
    let line = |i: u64| format!("{i}\t{}\tname of number {i}\t{}.5\t2024-01-01 00:00:00\n", i % 1000, i % 97);
    ensure_eq!(copy(&mut client, "t", rows, line).await?, format!("COPY {rows}"), "rows");
    look("COPY")?;

    let groups: u64 = sized(500_000, 10_000_000);
    let grouped = format!(
        "SELECT count(*) FROM (SELECT i, count(*), sum(i) FROM generate_series(1, {groups}) g(i) GROUP BY i) x"
    );
    ensure_eq!(single(&mut client, &grouped).await?, groups.to_string(), "groups");
    look("GROUP BY")?;

    let columns = (0..WIDE_COLUMNS)
        .map(|c: usize| if c.is_multiple_of(2) { format!("c{c} integer") } else { format!("c{c} text") });
    client.simple(&format!("CREATE TABLE w ({})", columns.collect::<Vec<_>>().join(", "))).await?;
    let wide: u64 = sized(600, 20_000);
    let cell = |i: u64, c: usize| {
        if c.is_multiple_of(2) { (i + c as u64).to_string() } else { format!("text {i} of column {c}") }
    };
    let line = |i: u64| (0..WIDE_COLUMNS).map(|c| cell(i, c)).collect::<Vec<_>>().join("\t") + "\n";
    ensure_eq!(copy(&mut client, "w", wide, line).await?, format!("COPY {wide}"), "wide rows");
    look("COPY of wide rows")?;
    let parts = "SELECT count(*) FROM sys.parts WHERE table_name = 'w' AND tier = 'cold'";
    for _ in 0..200 {
        if single(&mut client, parts).await? != "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(single(&mut client, parts).await? != "0", "the wide table was not flushed");
    look("its flush")?;

    let queries = [
        "SELECT count(*) FROM (SELECT id, max(name) FROM t GROUP BY id) x".to_string(),
        "SELECT count(*) FROM (SELECT name, row_number() OVER (ORDER BY name, id) FROM t) x".to_string(),
        "SELECT count(*) FROM t a JOIN t b ON a.id = b.id WHERE b.k < 100".to_string(),
        "SELECT count(DISTINCT name) FROM t".to_string(),
        "SELECT sum(c0), max(c1), min(c1599) FROM w".to_string(),
        grouped,
    ];
    let mut running = tokio::task::JoinSet::new();
    for n in 0..QUERIES {
        let (sql, mut client) = (queries[n % queries.len()].clone(), server.connect().await?);
        running
            .spawn(async move { answer(&mut client, &sql).await.map_err(|e| e.message().unwrap_or("?").to_string()) });
    }
    let (mut answered, mut refused) = (0, 0);
    while let Some(done) = running.join_next().await {
        match done?? {
            Ok(()) => answered += 1,
            Err(code) if code == "53200" => refused += 1,
            Err(code) => return Err(format!("a query failed with {code}").into()),
        }
    }
    look("many queries")?;
    ensure!(answered >= QUERIES / 2, "{answered} queries were answered, {refused} refused");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, rows.to_string(), "the server goes on");
    no_files(&server).await
}

/// How a query ended: the SQLSTATE of its error.
async fn answer(client: &mut Client, sql: &str) -> Outcome<Result<(), String>> {
    for answer in client.simple(sql).await? {
        if let Answer::Error(e) = answer {
            return Ok(Err(e.code().to_string()));
        }
    }
    Ok(Ok(()))
}

/// COPY of made-up lines, sent as they are made.
async fn copy(client: &mut Client, table: &str, rows: u64, line: impl Fn(u64) -> String) -> Outcome<String> {
    client.send(&query(&format!("COPY {table} FROM STDIN"))).await?;
    let first = client.read().await?;
    ensure!(first.tag == b'G', "COPY: {}", fields(&first.body).message());
    let mut piece = String::new();
    for i in 0..rows {
        piece.push_str(&line(i));
        if piece.len() >= 64 << 10 || i + 1 == rows {
            client.send(&message(b'd', piece.as_bytes())).await?;
            piece.clear();
        }
    }
    client.send(&message(b'c', b"")).await?;
    match answers(client.read_to_ready().await?).pop() {
        Some(Answer::Done { tag }) => Ok(tag),
        Some(Answer::Error(e)) => Err(format!("COPY {table}: [{}] {} {}", e.code(), e.message(), e.get('D')).into()),
        other => Err(format!("COPY {table}: {other:?}").into()),
    }
}
