//! SIGKILL at random points of INSERT, COPY and flush, against the client's ledger.
//!
//! Each batch has an id. When the server says that a batch is committed, the ledger notes it; then the process is killed
//! and started again. A batch of the ledger must be there, whole and once; one that was on its way when the server died
//! may be there whole, or not at all. A tiny flush threshold keeps the flush busy all the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::copy::copy_in;
use crate::pg_client::{Answer, Client};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Chance, Outcome, ensure, explained, seed, sized, trial};

/// Rows of a table are moved to a part as soon as there are so many bytes.
const FLUSH: (&str, &str) = ("SIGHTLINE_FLUSH_BYTES", "64KiB");

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("crash::kill_while_writing", kill_while_writing));
    trials.push(trial("crash::kill_during_bulk_loads", kill_during_bulk_loads));
    trials.push(trial("crash::kill_right_after_the_acknowledgement", kill_after_acknowledgement));
    trials.push(trial("crash::clean_stop_and_start", clean_stop));
    trials.push(trial("crash::sigterm_ends_a_running_query", sigterm));
}

/// What was sent and what was acknowledged, by batch.
#[derive(Default)]
struct Ledger {
    sent: BTreeMap<u32, Batch>,
    acknowledged: BTreeMap<u32, Batch>,
}

/// Rows of one batch: how many, and the sum of their numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Batch {
    rows: u32,
    sum: u64,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug)]
enum Way {
    OneRow,
    ManyRows,
    Copy,
    Block,
    /// A COPY so large that its rows go to parts at once.
    Bulk,
}

/// More rows than go through the log.
const BULK_ROWS: u32 = 140_000;

async fn kill_while_writing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut chance = Chance(seed());
    let seed = chance.0;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let next = Arc::new(AtomicU32::new(1));
    for round in 0..sized(10, 60) {
        let ran = one_round(&data, &mut chance, &ledger, &next, round == 0).await;
        ran.map_err(|e| explained(format!("round {round}, SIGHTLINE_TEST_SEED={seed}"), &e))?;
    }
    ensure!(parts_in(&data.join("cold"))? > 0, "no flush has written a part");
    let ledger = ledger.lock().expect("no writer panics");
    ensure!(ledger.acknowledged.len() > 50, "only {} batches were acknowledged", ledger.acknowledged.len());
    Ok(())
}

async fn kill_during_bulk_loads() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut chance = Chance(seed());
    let seed = chance.0;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let next = Arc::new(AtomicU32::new(1));
    let rounds = sized(4, 20);
    for round in 0..rounds {
        // The last round lets one load through, however slow the machine is.
        let wait = if round + 1 == rounds { None } else { Some(Duration::from_millis(300 + chance.below(2500))) };
        let ran = bulk_round(&data, &mut chance, &ledger, &next, wait).await;
        ran.map_err(|e| explained(format!("round {round}, SIGHTLINE_TEST_SEED={seed}"), &e))?;
    }
    let server = Server::start(&data, &[FLUSH])?;
    check_bulk(&server, &ledger).await?;
    let acknowledged = ledger.lock().expect("no writer panics").acknowledged.len();
    ensure!(acknowledged > 0, "no load was acknowledged");
    ensure!(parts_in(&data.join("cold"))? > 0, "the loads have left no parts");
    Ok(())
}

/// Loads until the server is killed: after `wait`, or right after an acknowledgement.
async fn bulk_round(
    data: &Path,
    chance: &mut Chance,
    ledger: &Arc<Mutex<Ledger>>,
    next: &Arc<AtomicU32>,
    wait: Option<Duration>,
) -> Outcome {
    let mut server = Server::start(data, &[FLUSH])?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE IF NOT EXISTS big (batch integer NOT NULL, n bigint NOT NULL)").await?;
    check_bulk(&server, ledger).await?;
    let loader = write(client, Way::Bulk, Chance(chance.below(u64::MAX)), ledger.clone(), next.clone());
    let loader = tokio::spawn(loader);
    let before = ledger.lock().expect("no writer panics").acknowledged.len();
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => {
            while ledger.lock().expect("no writer panics").acknowledged.len() == before && !loader.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    server.kill();
    loader.await?
}

/// Every load is there whole or not at all, and those that were acknowledged are there.
async fn check_bulk(server: &Server, ledger: &Arc<Mutex<Ledger>>) -> Outcome {
    let mut client = server.connect().await?;
    let sql = "SELECT batch, count(*), sum(n), sum(n * n) FROM big GROUP BY batch";
    let Some(Answer::Rows { rows, .. }) = client.simple(sql).await?.pop() else { return Err("no rows".into()) };
    let ns = || 0..u64::from(BULK_ROWS);
    let whole = (u64::from(BULK_ROWS), ns().sum::<u64>(), ns().map(|n| n * n).sum::<u64>());
    let mut found = Vec::new();
    for row in rows {
        let cell = |i: usize| row[i].as_deref().unwrap_or("0").parse::<u64>();
        let got = (cell(1)?, cell(2)?, cell(3)?);
        ensure!(got == whole, "load {} is not whole: {got:?}", cell(0)?);
        found.push(u32::try_from(cell(0)?)?);
    }
    let ledger = ledger.lock().expect("no writer panics");
    for id in ledger.acknowledged.keys() {
        ensure!(found.contains(id), "load {id} was acknowledged and is lost");
    }
    ensure!(found.iter().all(|id| ledger.sent.contains_key(id)), "a load that was never sent");
    Ok(())
}

/// How many files lie below a directory.
fn parts_in(directory: &Path) -> Outcome<usize> {
    let mut count = 0;
    for item in std::fs::read_dir(directory)? {
        let item = item?;
        count += if item.file_type()?.is_dir() { parts_in(&item.path())? } else { 1 };
    }
    Ok(count)
}

async fn one_round(
    data: &Path,
    chance: &mut Chance,
    ledger: &Arc<Mutex<Ledger>>,
    next: &Arc<AtomicU32>,
    first: bool,
) -> Outcome {
    let mut server = Server::start(data, &[FLUSH])?;
    if first {
        let mut client = server.connect().await?;
        client.simple("CREATE TABLE t (batch integer NOT NULL, n bigint NOT NULL, filler text)").await?;
    } else {
        check(&server, ledger).await?;
    }
    let ways = [Way::OneRow, Way::OneRow, Way::ManyRows, Way::Copy, Way::Block];
    let mut writers = Vec::new();
    for way in ways {
        let client = Client::connect(server.port, USER, DATABASE).await?;
        let chance = Chance(chance.below(u64::MAX));
        writers.push(tokio::spawn(write(client, way, chance, ledger.clone(), next.clone())));
    }
    tokio::time::sleep(Duration::from_millis(100 + chance.below(900))).await;
    server.kill();
    for writer in writers {
        writer.await??;
    }
    let server = Server::start(data, &[FLUSH])?;
    check(&server, ledger).await
}

/// Writes batches until the server is gone. Another error is a failure.
async fn write(
    mut client: Client,
    way: Way,
    mut chance: Chance,
    ledger: Arc<Mutex<Ledger>>,
    next: Arc<AtomicU32>,
) -> Outcome {
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let rows = match way {
            Way::OneRow => 1,
            Way::ManyRows | Way::Block => u32::try_from(chance.below(300))? + 1,
            Way::Copy => u32::try_from(chance.below(5000))? + 1,
            Way::Bulk => BULK_ROWS,
        };
        let sum = (0..u64::from(rows)).sum();
        let batch = Batch { rows, sum };
        ledger.lock().expect("no writer panics").sent.insert(id, batch);
        match write_batch(&mut client, way, id, rows).await {
            Ok(true) => {
                ledger.lock().expect("no writer panics").acknowledged.insert(id, batch);
            }
            Ok(false) => return Ok(()),
            Err(e) => return Err(explained(format!("{way:?}"), &e)),
        }
    }
}

/// True if it was acknowledged, false if the server went away.
async fn write_batch(client: &mut Client, way: Way, id: u32, rows: u32) -> Outcome<bool> {
    let values = |rows: std::ops::Range<u32>| {
        let list: Vec<String> = rows.map(|n| format!("({id}, {n}, 'filler of {id}/{n}')")).collect();
        format!("INSERT INTO t VALUES {}", list.join(", "))
    };
    match way {
        Way::OneRow | Way::ManyRows => done(client.simple(&values(0..rows)).await),
        Way::Block => {
            let half = rows / 2 + 1;
            let mut statements = vec!["BEGIN".to_string(), values(0..half.min(rows))];
            if half < rows {
                statements.push(values(half..rows));
            }
            statements.push("COMMIT".to_string());
            for sql in statements {
                if !done(client.simple(&sql).await)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Way::Copy | Way::Bulk => {
            let (table, lines) = match way {
                Way::Bulk => ("big", (0..rows).map(|n| format!("{id}\t{n}\n")).collect::<String>()),
                _ => ("t", (0..rows).map(|n| format!("{id}\t{n}\tfiller of {id}/{n}\n")).collect::<String>()),
            };
            let pieces: Vec<&[u8]> = lines.as_bytes().chunks(16 << 10).collect();
            match copy_in(client, &format!("COPY {table} FROM STDIN"), &pieces).await {
                Ok(_) => Ok(true),
                // The connection broke: which is what a kill looks like. An error of the server has a SQLSTATE.
                Err(e) if e.message().is_some_and(|m| m.contains('[')) => Err(e),
                Err(_) => Ok(false),
            }
        }
    }
}

fn done(answer: std::io::Result<Vec<Answer>>) -> Outcome<bool> {
    match answer.map(|mut all| all.pop()) {
        Err(_) | Ok(None) => Ok(false),
        Ok(Some(Answer::Error(e))) if e.code() == "57P01" => Ok(false),
        Ok(Some(Answer::Error(e))) => Err(format!("[{}] {}", e.code(), e.message()).into()),
        Ok(Some(_)) => Ok(true),
    }
}

async fn check(server: &Server, ledger: &Arc<Mutex<Ledger>>) -> Outcome {
    let mut client = server.connect().await?;
    let sql = "SELECT batch, count(*), sum(n), count(DISTINCT n), count(DISTINCT filler) FROM t GROUP BY batch";
    let Some(Answer::Rows { rows, .. }) = client.simple(sql).await?.pop() else { return Err("no rows".into()) };
    let mut found = BTreeMap::new();
    for row in rows {
        let cell = |i: usize| row[i].as_deref().unwrap_or("0").parse::<u64>();
        let (id, count, sum, distinct, fillers) = (cell(0)?, cell(1)?, cell(2)?, cell(3)?, cell(4)?);
        ensure!(count == distinct && count == fillers, "batch {id} has {count} rows, {distinct} of them different");
        found.insert(u32::try_from(id)?, Batch { rows: u32::try_from(count)?, sum });
    }
    let ledger = ledger.lock().expect("no writer panics");
    for (id, batch) in &ledger.acknowledged {
        ensure!(found.get(id) == Some(batch), "batch {id} was acknowledged as {batch:?}, found {:?}", found.get(id));
    }
    for (id, batch) in &found {
        ensure!(
            ledger.sent.get(id) == Some(batch),
            "batch {id} is there in part: {batch:?} of {:?}",
            ledger.sent.get(id)
        );
    }
    Ok(())
}

/// The narrowest moment: the kill follows the acknowledgement at once.
async fn kill_after_acknowledgement() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let rounds = sized(5, 30);
    for round in 0..rounds {
        let mut server = Server::start(&data, &[FLUSH])?;
        let mut client = server.connect().await?;
        client.simple("CREATE TABLE IF NOT EXISTS t (round integer, n integer)").await?;
        let sql = format!("INSERT INTO t SELECT {round}, i FROM generate_series(1, 1000) AS g(i)");
        let ok = matches!(client.simple(&sql).await?.pop(), Some(Answer::Done { .. }));
        server.kill();
        ensure!(ok, "round {round} was refused");
    }
    let server = Server::start(&data, &[FLUSH])?;
    let mut client = server.connect().await?;
    let found =
        crate::wire::single(&mut client, "SELECT count(*) || ' ' || count(DISTINCT round * 10000 + n) FROM t").await?;
    ensure!(found == format!("{0} {0}", rounds * 1000), "found {found}");
    Ok(())
}

async fn clean_stop() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    let mut client = server.connect().await?;
    client.simple("CREATE DATABASE other").await?;
    client.simple("CREATE TABLE t (a integer, b text DEFAULT 'x' CHECK (b <> 'bad'))").await?;
    client.simple("CREATE VIEW v AS SELECT sum(a) AS s FROM t").await?;
    client.simple("INSERT INTO t VALUES (1, 'a'), (2, 'b')").await?;
    client.simple("BEGIN; INSERT INTO t VALUES (100, 'open')").await?;
    let status = server.stop()?;
    ensure!(status.success(), "the stop ended with {status}");
    let frame = client.read().await;
    ensure!(frame.is_err() || frame.is_ok_and(|f| f.tag == b'E'), "the session ends with an error or at once");
    let server = Server::start(&data, &[])?;
    let mut client = server.connect().await?;
    let found = crate::wire::single(&mut client, "SELECT s FROM v").await?;
    ensure!(found == "3", "after a clean stop the sum is {found}");
    let Some(Answer::Error(error)) = client.simple("INSERT INTO t VALUES (3, 'bad')").await?.pop() else {
        return Err("the check constraint is lost".into());
    };
    ensure!(error.code() == "23514", "{}", error.message());
    Client::connect(server.port, USER, "other").await?;
    Ok(())
}

/// What `sightline serve` runs, until SIGTERM: the query that runs is cancelled, the process ends with 0, and all that was
/// acknowledged is there when the directory is opened again.
async fn sigterm() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[("SIGHTLINE_IT_RUN", "1")])?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE t (a integer)").await?;
    client.simple("INSERT INTO t VALUES (1), (2)").await?;
    let mut busy = server.connect().await?;
    let sql = "SELECT sum(a.i) FROM generate_series(1, 2000000) a(i), generate_series(1, 2000000)";
    busy.send(&crate::pg_client::query(sql)).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = server.terminate()?;
    ensure!(status.success(), "SIGTERM ended it with {status}");
    let server = Server::start(&data, &[])?;
    let found = crate::wire::single(&mut server.connect().await?, "SELECT sum(a) FROM t").await?;
    ensure!(found == "3", "after SIGTERM the sum is {found}");
    Ok(())
}
