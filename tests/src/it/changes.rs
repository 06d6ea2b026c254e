//! UPDATE and DELETE by many at once, across flushes and kills: what was acknowledged is there once, and nobody who stands alone
//! is told of a lost race.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client};
use crate::server::{self, Server, USER};
use crate::support::{Chance, Outcome, ensure, ensure_eq, explained, seed, sized, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("changes::a_counter_that_all_count_up", counter));
    trials.push(trial("changes::the_first_block_to_commit_wins", blocks));
    trials.push(trial("changes::a_flush_in_between_is_nobodys_fault", flush_between));
    trials.push(trial("changes::kill_while_changing", kill_while_changing));
}

/// The SQLSTATE of the last answer's error; nothing if there is none.
async fn code(client: &mut Client, sql: &str) -> Outcome<String> {
    Ok(match client.simple(sql).await?.pop() {
        Some(Answer::Error(fields)) => fields.code().to_string(),
        _ => String::new(),
    })
}

async fn counter() -> Outcome {
    const CLIENTS: usize = 40;
    const EACH: usize = 25;
    let server = server::shared()?;
    let mut a = server.tenant("changes_counter").await?;
    ensure_eq!(code(&mut a, "CREATE TABLE c (id integer, n integer)").await?, "", "CREATE TABLE");
    ensure_eq!(code(&mut a, "INSERT INTO c SELECT i, 0 FROM generate_series(1, 10) i").await?, "", "INSERT");
    let mut running = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        // Every other client sends prepared statements.
        let mut simple = Client::connect(server.port, USER, "changes_counter").await?;
        let prepared = server.driver("changes_counter").await?;
        running.spawn(async move {
            for _ in 0..EACH {
                if number % 2 == 0 {
                    let refused = code(&mut simple, "UPDATE c SET n = n + 1 WHERE id = 3").await?;
                    ensure_eq!(refused, "", "a statement by itself");
                } else {
                    let rows = prepared.execute("UPDATE c SET n = n + $1 WHERE id = $2", &[&1_i32, &3_i32]).await?;
                    ensure_eq!(rows, 1, "a prepared statement by itself");
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let all = (CLIENTS * EACH).to_string();
    ensure_eq!(single(&mut a, "SELECT n FROM c WHERE id = 3").await?, all, "all were counted");
    ensure_eq!(single(&mut a, "SELECT count(*) FROM c").await?, "10", "rows");
    Ok(())
}

async fn blocks() -> Outcome {
    let server = server::shared()?;
    let mut a = server.tenant("changes_blocks").await?;
    let mut b = Client::connect(server.port, USER, "changes_blocks").await?;
    ensure_eq!(code(&mut a, "CREATE TABLE t (id integer, n integer)").await?, "", "CREATE TABLE");
    let changes = ["UPDATE t SET n = n + 1 WHERE id = 1", "DELETE FROM t WHERE id = 1", "UPDATE t SET n = -n"];
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        for (first, second) in changes.iter().flat_map(|f| changes.iter().map(move |s| (f, s))) {
            for sql in ["TRUNCATE t", "INSERT INTO t VALUES (1, 10), (2, 20)"] {
                ensure_eq!(code(&mut a, sql).await?, "", "{sql}");
            }
            let begin = format!("BEGIN ISOLATION LEVEL {isolation}");
            ensure_eq!(code(&mut a, &begin).await?, "", "BEGIN");
            ensure_eq!(code(&mut b, &begin).await?, "", "BEGIN");
            ensure_eq!(code(&mut a, first).await?, "", "{first}");
            ensure_eq!(code(&mut b, second).await?, "", "{second}");
            ensure_eq!(code(&mut b, "COMMIT").await?, "", "{first}, {second}");
            let after = single(&mut b, "SELECT sum(n) || ' ' || count(*) FROM t").await?;
            ensure_eq!(code(&mut a, "COMMIT").await?, "40001", "{first}, {second}");
            let now = single(&mut a, "SELECT sum(n) || ' ' || count(*) FROM t").await?;
            ensure_eq!(now, after, "{first}, {second}: nothing is half done");
        }
    }
    // Other rows of the same table are no conflict.
    for sql in ["TRUNCATE t", "INSERT INTO t VALUES (1, 10), (2, 20)", "BEGIN", "UPDATE t SET n = 11 WHERE id = 1"] {
        ensure_eq!(code(&mut a, sql).await?, "", "{sql}");
    }
    ensure_eq!(code(&mut b, "UPDATE t SET n = 21 WHERE id = 2").await?, "", "another row");
    ensure_eq!(code(&mut a, "COMMIT").await?, "", "COMMIT");
    ensure_eq!(single(&mut a, "SELECT sum(n) FROM t").await?, "32", "both");
    Ok(())
}

/// Rows that a block has changed are moved to a part before it commits.
async fn flush_between() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_FLUSH_BYTES", "64KiB")])?;
    let (mut a, mut b) = (server.connect().await?, server.connect().await?);
    ensure_eq!(code(&mut a, "CREATE TABLE t (id integer, n integer, pad text)").await?, "", "CREATE TABLE");
    let fill = "INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 2000) i";
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        for sql in ["TRUNCATE t", "INSERT INTO t VALUES (-1, 1, ''), (-2, 2, ''), (-3, 3, '')"] {
            ensure_eq!(code(&mut a, sql).await?, "", "{sql}");
        }
        for sql in [
            &format!("BEGIN ISOLATION LEVEL {isolation}"),
            "UPDATE t SET n = n + 10 WHERE id = -1",
            "DELETE FROM t WHERE id = -2",
            "UPDATE t SET n = n + 10 WHERE id = -1",
        ] {
            ensure_eq!(code(&mut a, sql).await?, "", "{sql}");
        }
        ensure_eq!(code(&mut b, fill).await?, "", "INSERT");
        let parts = "SELECT count(*) FROM sys.parts WHERE table_name = 't' AND tier = 'cold'";
        for _ in 0..300 {
            if single(&mut b, parts).await? != "0" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(single(&mut b, parts).await? != "0", "the table was not flushed");
        ensure_eq!(code(&mut a, "UPDATE t SET n = n + 100 WHERE id IN (-1, -3)").await?, "", "{isolation}");
        ensure_eq!(code(&mut a, "COMMIT").await?, "", "{isolation}");
        let left = "SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM t WHERE id < 0";
        ensure_eq!(single(&mut b, left).await?, "-3:103 -1:121", "{isolation}");
        ensure_eq!(single(&mut b, "SELECT count(*) FROM t").await?, "2002", "{isolation}");
    }
    Ok(())
}

/// Rows, each changed by one client only: what was acknowledged last, and what is on its way.
type Ledger = Arc<Mutex<BTreeMap<u64, Entry>>>;

#[derive(Clone, Copy, Debug)]
struct Entry {
    acknowledged: i64,
    sent: i64,
}

const CLIENTS: u64 = 4;
const ROWS: u64 = 40;

async fn kill_while_changing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut chance = Chance(seed());
    let seed = chance.0;
    let ledger = Ledger::default();
    let rounds = sized(10, 100);
    for round in 0..rounds {
        let ran = one_round(&data, &mut chance, &ledger, round).await;
        ran.map_err(|e| explained(format!("round {round}, SIGHTLINE_TEST_SEED={seed}"), &e))?;
    }
    let changed = ledger.lock().expect("no writer panics").values().map(|e| e.acknowledged).sum::<i64>();
    ensure!(changed > 5 * rounds, "only {changed} changes were acknowledged");
    Ok(())
}

async fn one_round(data: &Path, chance: &mut Chance, ledger: &Ledger, round: i64) -> Outcome {
    let mut server = Server::start(data, &[("SIGHTLINE_FLUSH_BYTES", "16KiB")])?;
    let mut client = server.connect().await?;
    if round == 0 {
        client.simple("CREATE TABLE t (id bigint, n bigint, pad text)").await?;
        let all = CLIENTS * ROWS;
        let rows = format!("INSERT INTO t SELECT i, 0, repeat('x', 50) FROM generate_series(0, {}) i", all - 1);
        ensure_eq!(code(&mut client, &rows).await?, "", "INSERT");
        let fresh = (0..all).map(|id| (id, Entry { acknowledged: 0, sent: 0 }));
        ledger.lock().expect("no writer panics").extend(fresh);
    } else {
        check(&mut client, ledger).await?;
    }
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        writers.spawn(change(server.connect().await?, number, Chance(chance.below(u64::MAX)), ledger.clone()));
    }
    tokio::time::sleep(Duration::from_millis(100 + chance.below(900))).await;
    server.kill();
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// Counts rows of its own up until the server is gone.
async fn change(mut client: Client, number: u64, mut chance: Chance, ledger: Ledger) -> Outcome {
    loop {
        let id = number * ROWS + chance.below(ROWS);
        let next = {
            let mut ledger = ledger.lock().expect("no writer panics");
            let entry = ledger.get_mut(&id).ok_or("a row of nobody")?;
            entry.sent = entry.acknowledged + 1;
            entry.sent
        };
        let sql = match chance.below(3) {
            0 => format!("UPDATE t SET n = n + 1 WHERE id = {id}"),
            1 => format!("BEGIN; DELETE FROM t WHERE id = {id}; INSERT INTO t VALUES ({id}, {next}, 'new'); COMMIT"),
            _ => format!("BEGIN; UPDATE t SET n = -1 WHERE id = {id}; UPDATE t SET n = {next} WHERE id = {id}; COMMIT"),
        };
        let Ok(answers) = client.simple(&sql).await else { return Ok(()) };
        for answer in &answers {
            if let Answer::Error(fields) = answer {
                // The server is on its way down.
                ensure!(fields.code().starts_with("57"), "{sql}: {}", fields.code());
                return Ok(());
            }
        }
        let mut ledger = ledger.lock().expect("no writer panics");
        ledger.get_mut(&id).ok_or("a row of nobody")?.acknowledged = next;
    }
}

/// Every row is there once, as it was acknowledged, or as the change on its way would have made it.
async fn check(client: &mut Client, ledger: &Ledger) -> Outcome {
    let Some(Answer::Rows { rows, .. }) = client.simple("SELECT id, n FROM t ORDER BY id").await?.pop() else {
        return Err("no rows".into());
    };
    let mut ledger = ledger.lock().expect("no writer panics");
    ensure_eq!(rows.len(), ledger.len(), "rows");
    for (row, (id, entry)) in rows.iter().zip(ledger.iter_mut()) {
        let cell = |i: usize| row[i].as_deref().unwrap_or("-2").parse::<i64>();
        let (found, n) = (cell(0)?, cell(1)?);
        ensure_eq!(found, i64::try_from(*id)?, "each row once");
        ensure!(n == entry.acknowledged || n == entry.sent, "row {id} has {n}: {entry:?}");
        *entry = Entry { acknowledged: n, sent: n };
    }
    Ok(())
}
