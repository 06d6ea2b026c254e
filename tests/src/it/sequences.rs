//! Sequences: many clients draw from one, the server is killed and started again, and no number comes twice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Chance, Outcome, ensure, explained, seed, sized, trial};

/// How many draw at once.
const CLIENTS: usize = 16;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("sequences::no_number_comes_twice_through_kills", no_number_twice));
    trials.push(trial("sequences::a_clean_stop_leaves_no_gap", no_gap));
}

/// What was drawn so far.
#[derive(Default)]
struct Drawn {
    numbers: HashSet<i64>,
    twice: Vec<i64>,
}

async fn no_number_twice() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut chance = Chance(seed());
    let seed = chance.0;
    let drawn = Arc::new(Mutex::new(Drawn::default()));
    for round in 0..sized(4, 30) {
        let ran = one_round(&data, &mut chance, &drawn, round == 0).await;
        ran.map_err(|e| explained(format!("round {round}, SIGHTLINE_TEST_SEED={seed}"), &e))?;
    }
    let drawn = drawn.lock().expect("no client panics");
    ensure!(drawn.twice.is_empty(), "drawn twice: {:?} (SIGHTLINE_TEST_SEED={seed})", drawn.twice);
    ensure!(drawn.numbers.len() > 500, "only {} numbers were drawn", drawn.numbers.len());
    Ok(())
}

async fn one_round(data: &std::path::Path, chance: &mut Chance, drawn: &Arc<Mutex<Drawn>>, first: bool) -> Outcome {
    let mut server = Server::start(data, &[])?;
    let mut client = server.connect().await?;
    if first {
        client.simple("CREATE SEQUENCE s; CREATE TABLE t (id bigserial, n integer)").await?;
    }
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let client = Client::connect(server.port, USER, DATABASE).await?;
        clients.push(tokio::spawn(draw(client, number, chance.below(u64::MAX), drawn.clone())));
    }
    tokio::time::sleep(Duration::from_millis(100 + chance.below(600))).await;
    server.kill();
    for client in clients {
        client.await??;
    }
    let server = Server::start(data, &[])?;
    let mut client = server.connect().await?;
    let Some(Answer::Rows { rows, .. }) = client.simple("SELECT count(*), count(DISTINCT id) FROM t").await?.pop()
    else {
        return Err("no rows".into());
    };
    ensure!(rows[0][0] == rows[0][1], "rows of one number: {:?} rows, {:?} numbers", rows[0][0], rows[0][1]);
    Ok(())
}

/// Draws one number, or several, or has a table draw them, until the server is gone.
async fn draw(mut client: Client, number: usize, seed: u64, drawn: Arc<Mutex<Drawn>>) -> Outcome {
    let mut chance = Chance(seed);
    loop {
        let sql = match number % 4 {
            0 | 1 => "SELECT nextval('s')".to_string(),
            2 => format!("SELECT nextval('s') FROM generate_series(1, {})", 1 + chance.below(500)),
            _ => "INSERT INTO t (n) VALUES (1)".to_string(),
        };
        let Ok(mut answers) = client.simple(&sql).await else { return Ok(()) };
        match answers.pop() {
            Some(Answer::Rows { rows, .. }) => {
                let mut drawn = drawn.lock().expect("no client panics");
                for row in rows {
                    let got = row[0].as_deref().unwrap_or_default().parse::<i64>()?;
                    if !drawn.numbers.insert(got) {
                        drawn.twice.push(got);
                    }
                }
            }
            Some(Answer::Error(e)) if e.code() != "57P01" => {
                return Err(format!("[{}] {}", e.code(), e.message()).into());
            }
            Some(Answer::Done { .. }) => {}
            _ => return Ok(()),
        }
    }
}

async fn no_gap() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let next = |answers: Vec<Answer>| match answers.into_iter().next_back() {
        Some(Answer::Rows { rows, .. }) => rows[0][0].clone(),
        _ => None,
    };
    let server = Server::start(&data, &[])?;
    let mut client = server.connect().await?;
    client.simple("CREATE SEQUENCE s").await?;
    for n in 1..=3 {
        let got = next(client.simple("SELECT nextval('s')").await?);
        ensure!(got.as_deref() == Some(&n.to_string()), "{got:?} instead of {n}");
    }
    drop(client);
    server.stop()?;
    let server = Server::start(&data, &[])?;
    let mut client = server.connect().await?;
    let got = next(client.simple("SELECT nextval('s')").await?);
    ensure!(got.as_deref() == Some("4"), "{got:?} instead of 4");
    Ok(())
}
