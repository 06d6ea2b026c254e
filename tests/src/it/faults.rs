//! Wrong statements, and all that is told of them: SQLSTATE, message, place, detail and hint.
//!
//! Each file of `tests/faults` is a session's statements with what PostgreSQL 15 answered (`tests/oracle/record_faults.py`
//! writes it), put to a server by the simple protocol and then by the extended one.

use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client, Fields};
use crate::server;
use crate::support::{Outcome, ensure, repository, trial};

/// How many wrong statements there must be at least.
const FAULTS_MIN: usize = 300;

/// The trials of this file: one a script and protocol.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    let mut count = 0;
    for script in scripts() {
        let name = script.file_stem().map(|n| n.to_string_lossy().to_string()).unwrap_or_default();
        let records = std::fs::read_to_string(&script).map(|text| records(&text)).unwrap_or_default();
        count += records.iter().filter(|r| r.wanted != "ok").count();
        for extended in [false, true] {
            let (records, tenant) = (records.clone(), format!("faults_{name}_{extended}"));
            let way = if extended { "extended" } else { "simple" };
            trials.push(trial(format!("faults::{way}::{name}"), move || run(records, tenant, extended)));
        }
    }
    trials.push(trial("faults::there_are_enough", move || async move {
        ensure!(count >= FAULTS_MIN, "{count} wrong statements, {FAULTS_MIN} are wanted");
        Ok(())
    }));
}

fn scripts() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join("tests/faults"));
    let mut paths = entries.into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path())).collect::<Vec<_>>();
    paths.retain(|p| p.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    paths
}

/// A statement, and what came of it: `ok`, or the fields of the error, a line each.
#[derive(Clone, Debug)]
struct Record {
    sql: String,
    wanted: String,
}

/// Records stand apart by empty lines; the lines of the answer begin with `--> `.
fn records(text: &str) -> Vec<Record> {
    let mut all = Vec::new();
    for block in text.split("\n\n") {
        let lines = block.lines().filter(|l| !l.starts_with('#'));
        let (wanted, sql): (Vec<_>, Vec<_>) = lines.partition(|l| l.starts_with("--> "));
        if !sql.is_empty() && !wanted.is_empty() {
            let wanted = wanted.iter().map(|l| &l[4..]).collect::<Vec<_>>().join("\n");
            all.push(Record { sql: sql.join("\n"), wanted });
        }
    }
    all
}

fn shown(fault: &Fields) -> String {
    let mut text = format!("{} {}", fault.code(), fault.message());
    for (letter, name) in [('P', "position"), ('D', "detail"), ('H', "hint")] {
        if !fault.get(letter).is_empty() {
            text.push_str(&format!("\n{name}: {}", fault.get(letter)));
        }
    }
    text
}

async fn run(records: Vec<Record>, tenant: String, extended: bool) -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant(&tenant).await?;
    client.simple("SET timezone = 'UTC'").await?;
    let mut failures = Vec::new();
    for record in &records {
        // Without values for its parameters the extended protocol fails before the statement does.
        let extended = extended && record.wanted != "ok" && !record.sql.contains('$');
        let got = outcome(&mut client, &record.sql, extended).await?;
        if got != record.wanted {
            failures.push(format!("{}\nwanted: {}\ngot: {got}", record.sql, record.wanted));
        }
    }
    ensure!(failures.is_empty(), "{} records failed\n{}", failures.len(), failures.join("\n\n"));
    Ok(())
}

async fn outcome(client: &mut Client, sql: &str, extended: bool) -> Outcome<String> {
    let answers = if extended { vec![client.extended(sql, &[]).await?] } else { client.simple(sql).await? };
    let fault = answers.iter().find_map(|a| match a {
        Answer::Error(fault) => Some(shown(fault)),
        _ => None,
    });
    Ok(fault.unwrap_or_else(|| "ok".to_string()))
}
