//! SIGKILL keeps the page cache, so a kill does not prove the sync. Here strace does: between the receipt of an INSERT
//! and its CommandComplete a sync of the log must have begun and ended. With the sync switched off the same check must
//! fail, so it is known to be able to.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::pg_client::Answer;
use crate::server::Server;
use crate::support::{Outcome, ensure, ensure_eq, trial};

const INSERTS: usize = 200;
/// Marks the statements that are looked for in the trace.
const MARK: &str = "INSERT INTO synced";

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("sync::every_acknowledged_insert_is_synced", synced));
    trials.push(trial("sync::the_check_detects_a_missing_sync", not_synced));
}

async fn synced() -> Outcome {
    let verdict = traced(&[]).await?;
    ensure_eq!(verdict, Verdict { inserts: INSERTS, synced: INSERTS }, "inserts with a sync before their answer");
    Ok(())
}

async fn not_synced() -> Outcome {
    let verdict = traced(&[("SIGHTLINE_UNSAFE_NO_SYNC", "true")]).await?;
    ensure_eq!(verdict.inserts, INSERTS, "inserts in the trace");
    ensure!(verdict.synced < INSERTS / 10, "{} inserts look synced without a sync", verdict.synced);
    Ok(())
}

/// What a trace shows.
#[derive(Debug, PartialEq)]
struct Verdict {
    inserts: usize,
    synced: usize,
}

async fn traced(environment: &[(&str, &str)]) -> Outcome<Verdict> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-s", "64", "-ttt", "-e"])
        .arg("trace=fdatasync,fsync,sync_file_range,write,sendto,recvfrom,read,writev,sendmsg,recvmsg,readv")
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe()?);
    let server = Server::start_command(strace, &folder.path().join("data"), environment)?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE synced (a integer)").await?;
    for n in 0..INSERTS {
        match client.simple(&format!("{MARK} VALUES ({n})")).await?.pop() {
            Some(Answer::Done { tag }) if tag == "INSERT 0 1" => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    drop(client);
    server.stop()?;
    judge(&trace)
}

/// Reads the trace line by line. One client sends one statement at a time, so receipt, sync and answer follow each other.
fn judge(trace: &Path) -> Outcome<Verdict> {
    let text = String::from_utf8_lossy(&std::fs::read(trace)?).into_owned();
    let mut verdict = Verdict { inserts: 0, synced: 0 };
    // The line of the receipt, and whether a sync that began after it has ended.
    let mut open: Option<(usize, bool)> = None;
    let mut began: HashMap<&str, (usize, bool)> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let call = rest.trim_start().split_once(' ').map_or("", |(_time, call)| call.trim_start());
        if call.contains(MARK) && is_receipt(call) {
            open = Some((number, false));
        } else if let Some(started) = sync_end(call, number, thread, &mut began) {
            if let Some((receipt, synced)) = &mut open
                && started > *receipt
            {
                *synced = true;
            }
        } else if call.contains("INSERT 0 1")
            && let Some((_, synced)) = open.take()
        {
            verdict.inserts += 1;
            verdict.synced += usize::from(synced);
        }
    }
    Ok(verdict)
}

fn is_receipt(call: &str) -> bool {
    ["recvfrom(", "read(", "recvmsg(", "readv(", "<... recvfrom", "<... read", "<... recvmsg"]
        .iter()
        .any(|c| call.starts_with(c))
}

/// If this line ends a sync of the log: the line on which it began. Another thread's call may stand between the two.
fn sync_end<'a>(
    call: &str,
    number: usize,
    thread: &'a str,
    began: &mut HashMap<&'a str, (usize, bool)>,
) -> Option<usize> {
    let is_sync = ["fdatasync(", "fsync("].iter().any(|c| call.starts_with(c));
    if is_sync {
        let of_log = call.contains("/raft/") && call.contains(".log>");
        if call.contains("<unfinished") {
            began.insert(thread, (number, of_log));
            return None;
        }
        return (of_log && call.ends_with("= 0")).then_some(number);
    }
    if call.starts_with("<... fdatasync resumed") || call.starts_with("<... fsync resumed") {
        let (started, of_log) = began.remove(thread)?;
        return (of_log && call.ends_with("= 0")).then_some(started);
    }
    None
}
