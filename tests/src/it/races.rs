//! Definitions that get tighter while others write: no row slips through that the new condition forbids. PostgreSQL lets
//! one wait for the other; here the one that comes second loses the race (40001), or is run again by the server.

use libtest_mimic::{Failed, Trial};

use crate::pg_client::{Answer, Client};
use crate::server::{self, USER};
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("races::a_row_that_came_first_is_seen", row_first));
    trials.push(trial("races::a_row_that_comes_second_is_checked", row_second));
    trials.push(trial("races::statements_of_their_own_are_run_again", run_again));
}

/// What a definition gets, and what it says of `-1` where it was first.
const TIGHTER: [(&str, &str); 4] = [
    ("ALTER TABLE t ADD CHECK (n > 0)", "23514"),
    ("ALTER TABLE t ALTER COLUMN m SET NOT NULL", "23502"),
    ("ALTER DOMAIN d ADD CHECK (VALUE > 0)", "23514"),
    ("ALTER DOMAIN d SET NOT NULL", "23502"),
];

/// Breaks each of them.
const BAD: &str = "INSERT INTO t VALUES (-1, NULL, NULL), (-1, 1, -1)";

async fn fresh(a: &mut Client) -> Outcome {
    for sql in [
        "DROP TABLE IF EXISTS t",
        "DROP DOMAIN IF EXISTS d",
        "CREATE DOMAIN d AS integer",
        "CREATE TABLE t (n integer, m integer, v d)",
        "INSERT INTO t VALUES (1, 1, 1)",
    ] {
        ensure_eq!(code(a, sql).await?, "", "{sql}");
    }
    Ok(())
}

async fn code(client: &mut Client, sql: &str) -> Outcome<String> {
    Ok(match client.simple(sql).await?.pop() {
        Some(Answer::Error(fields)) => fields.code().to_string(),
        _ => String::new(),
    })
}

/// The definition is worked out, then a row arrives, then the definition is to become true.
async fn row_first() -> Outcome {
    let server = server::shared()?;
    let mut a = server.tenant("races_row_first").await?;
    let mut b = Client::connect(server.port, USER, "races_row_first").await?;
    for (tighter, _) in TIGHTER {
        fresh(&mut a).await?;
        ensure_eq!(code(&mut a, "BEGIN").await?, "", "BEGIN");
        ensure_eq!(code(&mut a, tighter).await?, "", "{tighter}");
        ensure_eq!(code(&mut b, BAD).await?, "", "{tighter}");
        ensure_eq!(code(&mut a, "COMMIT").await?, "40001", "{tighter}");
        ensure_eq!(single(&mut a, "SELECT count(*) FROM t").await?, "3", "{tighter}");
        // Without a row in between it passes, rows of its own included.
        fresh(&mut a).await?;
        for sql in ["BEGIN", "INSERT INTO t VALUES (2, 2, 2)", tighter, "INSERT INTO t VALUES (3, 3, 3)", "COMMIT"] {
            ensure_eq!(code(&mut a, sql).await?, "", "{tighter}: {sql}");
        }
    }
    Ok(())
}

/// A row is checked, then the definition becomes true, then the row is to arrive.
async fn row_second() -> Outcome {
    let server = server::shared()?;
    let mut a = server.tenant("races_row_second").await?;
    let mut b = Client::connect(server.port, USER, "races_row_second").await?;
    for (tighter, refused) in TIGHTER {
        fresh(&mut a).await?;
        ensure_eq!(code(&mut b, "BEGIN").await?, "", "BEGIN");
        ensure_eq!(code(&mut b, BAD).await?, "", "{tighter}");
        ensure_eq!(code(&mut a, tighter).await?, "", "{tighter}");
        ensure_eq!(code(&mut b, "COMMIT").await?, "40001", "{tighter}");
        ensure_eq!(single(&mut a, "SELECT count(*) FROM t").await?, "1", "{tighter}");
        ensure_eq!(code(&mut b, BAD).await?, refused, "{tighter}");
    }
    Ok(())
}

/// Outside of blocks the server runs what lost again: writers go on, and the definition comes to hold.
async fn run_again() -> Outcome {
    let server = server::shared()?;
    let mut a = server.tenant("races_run_again").await?;
    fresh(&mut a).await?;
    let mut b = Client::connect(server.port, USER, "races_run_again").await?;
    let writer = tokio::spawn(async move {
        let mut refused = 0;
        for n in 0..200 {
            let sql = format!("INSERT INTO t VALUES ({}, 1, 1)", if n % 50 == 49 { -1 } else { n + 1 });
            match code(&mut b, &sql).await?.as_str() {
                "" => {}
                "23514" => refused += 1,
                other => return Err(format!("{sql}: {other}").into()),
            }
        }
        Ok::<usize, Failed>(refused)
    });
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(code(&mut a, "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)").await?);
        if answers.last().is_some_and(|code| code.is_empty() || code == "23514") {
            break;
        }
    }
    let refused = writer.await.map_err(|e| e.to_string())??;
    let holds = single(&mut a, "SELECT count(*) FROM pg_constraint WHERE conname = 'positive'").await?;
    let bad = single(&mut a, "SELECT count(*) FROM t WHERE n <= 0").await?;
    for answer in &answers {
        ensure!(matches!(answer.as_str(), "" | "23514" | "40001"), "{answers:?}");
    }
    ensure!(answers.last().is_some_and(|code| code != "40001"), "{answers:?}");
    // Either it came before the first bad row, and no bad row came in, or it saw one.
    match holds.as_str() {
        "1" => ensure_eq!((bad.as_str(), refused), ("0", 4), "{answers:?}"),
        _ => ensure_eq!(bad == "0", false, "{answers:?}"),
    }
    Ok(())
}
