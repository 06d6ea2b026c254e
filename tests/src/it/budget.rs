//! Limits of memory and of temporary files: over one a statement fails or writes files, nothing is half loaded, and the
//! server goes on.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::copy::{copy_error, copy_in};
use crate::pg_client::{Answer, Client, Fields};
use crate::server::Server;
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("budget::of_a_statement", statement));
    trials.push(trial("budget::of_temporary_files", temporary_files));
    trials.push(trial("budget::of_a_tenant", tenant));
    trials.push(trial("budget::of_the_server", server_limit));
    trials.push(trial("budget::of_the_server_with_wide_rows", wide_rows));
}

const MANY_GROUPS: &str = "SELECT count(*) FROM (SELECT i, count(*) FROM generate_series(1, 400000) g(i) GROUP BY i) x";

async fn error(client: &mut Client, sql: &str) -> Outcome<Fields> {
    for answer in client.simple(sql).await? {
        if let Answer::Error(fields) = answer {
            return Ok(fields);
        }
    }
    Err(format!("no error: {sql}").into())
}

/// Waits until there are no temporary files: they go with the statement, whose end may come after its answer.
pub(crate) async fn no_files(server: &Server) -> Outcome {
    let folder = server.data().join("tmp");
    for _ in 0..200 {
        if files_in(&folder)? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{} temporary files are left", files_in(&folder)?).into())
}

fn files_in(folder: &Path) -> std::io::Result<usize> {
    Ok(std::fs::read_dir(folder)?.count())
}

async fn statement() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    client.simple("SET statement_memory_limit = '8MB'").await?;
    ensure_eq!(single(&mut client, "SHOW statement_memory_limit").await?, "8MB", "shown");
    // What can spill does.
    ensure_eq!(single(&mut client, MANY_GROUPS).await?, "400000", "groups");
    let sorted = "SELECT min(d) FROM (SELECT i - lag(i) OVER (ORDER BY i) AS d FROM generate_series(1, 400000) g(i)) x";
    ensure_eq!(single(&mut client, sorted).await?, "1", "a sort");
    // What cannot fails.
    let gathered = "SELECT length(string_agg(repeat('x', 100), '')) FROM generate_series(1, 400000)";
    let e = error(&mut client, gathered).await?;
    ensure_eq!((e.code(), e.message()), ("53200", "out of memory"), "a large value");
    ensure!(e.get('D').contains("statement_memory_limit = 8192 kB"), "detail {}", e.get('D'));
    ensure!(e.get('H').contains("Raise statement_memory_limit"), "hint {}", e.get('H'));
    client.simple("RESET statement_memory_limit").await?;
    ensure_eq!(single(&mut client, gathered).await?, "40000000", "without the limit");
    no_files(&server).await?;
    // A load that needs more than the limit fails, and leaves nothing.
    client.simple("CREATE TABLE t (a text)").await?;
    client.simple("SET statement_memory_limit = '1MB'").await?;
    let rows = "x".repeat(1000) + "\n";
    let (code, ..) = copy_error(&mut client, "COPY t FROM STDIN", &[rows.repeat(20_000).as_bytes()]).await?;
    ensure_eq!(code, "53200", "a COPY");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing is half loaded");
    ensure!(!server.data().join("cold").exists() || files_in(&server.data().join("cold"))? == 0, "parts are left");
    // Rows that a transaction keeps count as well.
    let insert = format!("INSERT INTO t VALUES ('{}')", "x".repeat(2 << 20));
    ensure_eq!(error(&mut client, &insert).await?.code(), "53200", "an INSERT");
    client.simple("RESET statement_memory_limit; BEGIN").await?;
    client.simple(&insert).await?;
    let held = "SELECT bytes >= 2097152 FROM sys.memory WHERE consumer = 'loads'";
    ensure_eq!(single(&mut client, held).await?, "t", "held by the transaction");
    client.simple("ROLLBACK").await?;
    let held = "SELECT bytes FROM sys.memory WHERE consumer = 'loads'";
    ensure_eq!(single(&mut client, held).await?, "0", "given back");
    Ok(())
}

async fn temporary_files() -> Outcome {
    let mut server = Server::fresh()?;
    let mut client = server.connect().await?;
    ensure_eq!(single(&mut client, "SHOW temp_file_limit").await?, "-1", "the default");
    client.simple("SET statement_memory_limit = '4MB'; SET temp_file_limit = '1MB'").await?;
    let e = error(&mut client, MANY_GROUPS).await?;
    let wanted = ("53400", "temporary file size exceeds temp_file_limit (1024kB)");
    ensure_eq!((e.code(), e.message()), wanted, "over the limit");
    client.simple("RESET temp_file_limit").await?;
    ensure_eq!(single(&mut client, MANY_GROUPS).await?, "400000", "without the limit");
    no_files(&server).await?;
    // What a crash leaves goes with the next start.
    let data = server.data().to_path_buf();
    std::fs::write(data.join("tmp/7-7.spill"), "left")?;
    server.kill();
    let server = Server::start(&data, &[])?;
    ensure_eq!(files_in(&data.join("tmp"))?, 0, "files after a start");
    drop(server.connect().await?);
    Ok(())
}

async fn tenant() -> Outcome {
    let server = Server::fresh()?;
    let mut owner = server.tenant("small").await?;
    owner.simple("CREATE ROLE u LOGIN").await?;
    let mut admin = server.connect().await?;
    let gathered = "SELECT length(string_agg(repeat('x', 100), '')) FROM generate_series(1, 400000)";
    let mut user = Client::connect(server.port, "u", "small").await?;
    ensure_eq!(error(&mut user, "SET tenant_memory_limit = '1GB'").await?.code(), "42501", "for operators only");
    ensure_eq!(single(&mut user, gathered).await?, "40000000", "no limit yet");
    admin.simple("ALTER DATABASE small SET tenant_memory_limit = '8MB'").await?;
    // It holds for sessions that are there already.
    let e = error(&mut user, gathered).await?;
    ensure_eq!(e.code(), "53200", "the tenant's limit");
    ensure!(e.get('D').contains("tenant_memory_limit = 8192 kB"), "detail {}", e.get('D'));
    ensure_eq!(single(&mut user, MANY_GROUPS).await?, "400000", "what can spill does");
    let mut late = Client::connect(server.port, "u", "small").await?;
    ensure!(late.take_notices().is_empty(), "a session begins without a word");
    ensure_eq!(single(&mut admin, gathered).await?, "40000000", "another tenant");
    let limit = "SELECT limit_bytes FROM sys.memory WHERE consumer = 'database' AND database_name = 'small'";
    ensure_eq!(single(&mut admin, limit).await?, "8388608", "sys.memory");
    ensure_eq!(single(&mut late, "SELECT count(*) FROM sys.memory WHERE consumer = 'total'").await?, "0", "not theirs");
    admin.simple("ALTER DATABASE small RESET tenant_memory_limit").await?;
    ensure_eq!(single(&mut user, gathered).await?, "40000000", "no limit any more");
    Ok(())
}

async fn server_limit() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_MEMORY_LIMIT", "64MiB")])?;
    let mut client = server.connect().await?;
    ensure_eq!(single(&mut client, "SHOW memory_limit").await?, "64MB", "shown");
    let fixed =
        "SELECT bytes > 0 AND bytes < 33554432 AND limit_bytes = 67108864 FROM sys.memory WHERE consumer = 'total'";
    ensure_eq!(single(&mut client, fixed).await?, "t", "what is held at rest");
    let e =
        error(&mut client, "SELECT length(string_agg(repeat('x', 100), '')) FROM generate_series(1, 4000000)").await?;
    ensure_eq!(e.code(), "53200", "too much for the server");
    ensure!(e.get('D').contains("memory_limit = 64 MB"), "detail {}", e.get('D'));
    // Loads do with small buffers.
    client.simple("CREATE TABLE t (a text)").await?;
    let rows = "x".repeat(1000) + "\n";
    let some = rows.repeat(60);
    let tag = copy_in(&mut client, "COPY t FROM STDIN", &[some.as_bytes(); 1000]).await?;
    ensure_eq!(tag, "COPY 60000", "tag");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "60000", "rows");
    let held = "SELECT bytes FROM sys.memory WHERE consumer = 'loads'";
    ensure_eq!(single(&mut client, held).await?, "0", "given back");
    // What a function makes is counted by nobody until somebody keeps it.
    for made in [
        "repeat('x', 100000000)",
        "replace(repeat('a', 1000000), 'a', repeat('b', 100))",
        "array_fill(1, array[10000000])::text",
        "jsonb_build_array(repeat('x', 5000000), repeat('x', 5000000))::text",
        "lpad('x', 10000000)",
        "repeat('x', 5000000) || i::text || repeat('x', 5000000)",
    ] {
        let e = error(&mut client, &format!("SELECT length({made}) FROM generate_series(1, 3) i")).await?;
        ensure_eq!((e.code(), e.message()), ("53200", "out of memory"), "{made}");
        ensure!(e.get('D').contains("it may make 8 MB, an eighth of memory_limit"), "{made}: {}", e.get('D'));
    }
    // Groups share the batches that their rows came in; each counts its own rows.
    let ordered = "SELECT sum(length(r)) FROM (SELECT string_agg(i::text, ',' ORDER BY i DESC) r \
        FROM generate_series(1, 100000) i GROUP BY i % 1000) x";
    ensure_eq!(single(&mut client, ordered).await?, "587895", "ordered texts of many groups");
    Ok(())
}

/// Rows that are larger in memory than the buffers of a load go to parts, again and again.
async fn wide_rows() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_MEMORY_LIMIT", "64MiB")])?;
    let mut client = server.connect().await?;
    let columns = (0..1500).map(|c| format!("c{c} text")).collect::<Vec<_>>().join(", ");
    client.simple(&format!("CREATE TABLE wide ({columns})")).await?;
    let values = vec!["g::text"; 1500].join(", ");
    for _ in 0..4 {
        for answer in
            client.simple(&format!("INSERT INTO wide SELECT {values} FROM generate_series(1, 1500) g")).await?
        {
            if let Answer::Error(e) = answer {
                return Err(format!("{}: {}", e.message(), e.get('D')).into());
            }
        }
    }
    ensure_eq!(single(&mut client, "SELECT count(*) FROM wide").await?, "6000", "rows");
    Ok(())
}
