//! What must not break a server: garbage, sizes beyond reason, a directory in use, a full disk. Each has a clear
//! SQLSTATE, and nothing is left half done.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pg_client::{Answer, Client, fields, message};
use crate::server::{self, DATABASE, Server, USER};
use crate::support::{Chance, Outcome, ensure, ensure_eq, explained, root, seed, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("bad_input::garbage_before_login", garbage_before_login));
    trials.push(trial("bad_input::huge_startup_packet", huge_startup));
    trials.push(trial("bad_input::silent_connections", silent));
    trials.push(trial("bad_input::garbage_after_login", garbage_after_login));
    trials.push(trial("bad_input::random_messages", random_messages));
    trials.push(trial("bad_input::ten_megabytes_of_sql", large_sql));
    trials.push(trial("bad_input::deep_nesting", deep_nesting));
    trials.push(trial("bad_input::two_thousand_columns", many_columns));
    trials.push(trial("bad_input::second_process_on_the_directory", second_process));
    // Shown as ignored where nothing may be mounted, so that nobody takes it for tested.
    trials.push(trial("bad_input::full_disk", full_disk).with_ignored_flag(!may_mount()));
}

async fn garbage_before_login() -> Outcome {
    let server = server::shared()?;
    let mut chance = Chance(seed());
    let seed = chance.0;
    for _ in 0..50 {
        let length = chance.below(200) + 1;
        let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(chance.below(256)).unwrap_or(0)).collect();
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        drain(&mut stream).await.map_err(|e| explained(format!("SIGHTLINE_TEST_SEED={seed}"), &e))?;
    }
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\x08\0\x02\0\0", b"\0\0\0\0"]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        drain(&mut stream).await?;
    }
    server.connect().await?;
    Ok(())
}

async fn huge_startup() -> Outcome {
    let server = Server::fresh()?;
    let before = server.resident_bytes()?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
    stream.write_all(&[0x3f, 0xff, 0xff, 0xff, 0, 3, 0, 0]).await?;
    // It says 1 GiB; as much as it likes to take of that is sent, until it closes.
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        if tokio::time::timeout(Duration::from_secs(1), stream.write_all(&piece)).await.is_ok_and(|w| w.is_err()) {
            break;
        }
    }
    let growth = server.resident_bytes()?.saturating_sub(before);
    ensure!(growth < 32 << 20, "a huge startup packet took {} MiB", growth >> 20);
    // A Query before login, said to be huge.
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
    stream.write_all(b"Q\x3f\xff\xff\xff").await?;
    stream.shutdown().await?;
    drain(&mut stream).await?;
    server.connect().await?;
    Ok(())
}

async fn silent() -> Outcome {
    let server = server::shared()?;
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting.push(TcpStream::connect(("127.0.0.1", server.port)).await?);
    }
    let mut client = server.connect().await?;
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "beside silent connections");
    Ok(())
}

async fn garbage_after_login() -> Outcome {
    let server = server::shared()?;
    for bytes in [
        message(b'!', b"what"),
        message(0, b""),
        vec![b'Q', 0, 0, 0, 0],
        vec![b'Q', 0xff, 0xff, 0xff, 0xff],
        message(b'B', b"no zero byte"),
        message(b'P', b"\0"),
        message(b'D', b""),
        message(b'E', b"\0"),
    ] {
        let mut client = server.connect().await?;
        client.send(&bytes).await?;
        client.send(&message(b'S', b"")).await?;
        let answer = tokio::time::timeout(Duration::from_secs(10), client.read()).await;
        match answer {
            Err(_) => return Err(format!("no answer to {bytes:?}").into()),
            Ok(Ok(frame)) if frame.tag == b'E' => {
                let code = fields(&frame.body).code().to_string();
                ensure!(code.starts_with("08") || code == "22021" || code == "54000", "{bytes:?}: {code}");
            }
            Ok(Ok(frame)) => return Err(format!("{bytes:?} was answered by '{}'", char::from(frame.tag)).into()),
            Ok(Err(e)) => return Err(format!("{bytes:?} was answered by a closed connection: {e}").into()),
        }
    }
    server.connect().await?;
    Ok(())
}

async fn random_messages() -> Outcome {
    let server = server::shared()?;
    let mut chance = Chance(seed());
    let seed = chance.0;
    for _ in 0..100 {
        let mut client = server.connect().await?;
        for _ in 0..chance.below(8) + 1 {
            let tags = b"QPBDECSHFfdcX";
            let tag = tags[usize::try_from(chance.below(tags.len() as u64))?];
            let body: Vec<u8> = (0..chance.below(60)).map(|_| u8::try_from(chance.below(128)).unwrap_or(0)).collect();
            if client.send(&message(tag, &body)).await.is_err() {
                break;
            }
        }
    }
    let mut client = server.connect().await.map_err(|e| explained(format!("SIGHTLINE_TEST_SEED={seed}"), &e))?;
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "after random messages, SIGHTLINE_TEST_SEED={seed}");
    Ok(())
}

async fn large_sql() -> Outcome {
    let mut client = server::shared()?.tenant("large_sql").await?;
    let filler = "x".repeat(10 << 20);
    ensure_eq!(
        single(&mut client, &format!("SELECT length('{filler}')")).await?,
        filler.len().to_string(),
        "a literal"
    );
    client.simple("CREATE TABLE t (a integer, b text)").await?;
    client.simple(&format!("INSERT INTO t VALUES (1, '{filler}')")).await?;
    ensure_eq!(single(&mut client, "SELECT length(b) FROM t").await?, filler.len().to_string(), "a value");
    let rows: Vec<String> = (0..200_000).map(|i| format!("({i}, 'row {i} {}')", "y".repeat(30))).collect();
    let sql = format!("INSERT INTO t VALUES {}", rows.join(", "));
    ensure!(sql.len() > 9 << 20, "{} bytes", sql.len());
    let all = client.simple(&sql).await?;
    ensure!(matches!(&all[0], Answer::Done { tag } if tag == "INSERT 0 200000"), "{:?}", all[0]);
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "200001", "rows");
    Ok(())
}

async fn deep_nesting() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for sql in [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(3000), ")".repeat(3000)),
        format!("SELECT 1{}", " + 1".repeat(20_000)),
        format!("SELECT 1 WHERE true{}", " AND true".repeat(20_000)),
    ] {
        let all = client.simple(&sql).await?;
        match all.last() {
            Some(Answer::Error(e)) if ["54001", "42601"].contains(&e.code()) => {}
            Some(Answer::Rows { .. }) => {}
            other => return Err(format!("{}…: {other:?}", &sql[..40]).into()),
        }
    }
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "the connection goes on");
    Ok(())
}

async fn many_columns() -> Outcome {
    let mut client = server::shared()?.tenant("many_columns").await?;
    let columns: Vec<String> = (0..2000).map(|i| format!("c{i} integer")).collect();
    let all = client.simple(&format!("CREATE TABLE wide ({})", columns.join(", "))).await?;
    let Some(Answer::Error(error)) = all.last() else { return Err("2,000 columns were taken".into()) };
    ensure_eq!((error.code(), error.message()), ("54011", "tables can have at most 1600 columns"), "CREATE TABLE");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM pg_class WHERE relname = 'wide'").await?, "0", "no table");
    let all = client.simple(&format!("CREATE TABLE wide ({})", columns[..1600].join(", "))).await?;
    ensure!(matches!(all.last(), Some(Answer::Done { .. })), "1,600 columns: {all:?}");
    let values: Vec<String> = (0..1600).map(|i| i.to_string()).collect();
    client.simple(&format!("INSERT INTO wide VALUES ({})", values.join(", "))).await?;
    ensure_eq!(single(&mut client, "SELECT c0 + c1599 FROM wide").await?, "1599", "a wide row");
    let items: Vec<String> = (0..2000).map(|i| format!("{i}")).collect();
    let all = client.simple(&format!("SELECT {}", items.join(", "))).await?;
    let Some(Answer::Error(error)) = all.last() else { return Err("2,000 items were taken".into()) };
    ensure_eq!(error.code(), "54011", "{}", error.message());
    Ok(())
}

async fn second_process() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    let Err(failure) = Server::start(&data, &[]) else { return Err("two processes have one directory".into()) };
    let said = failure.message().unwrap_or_default().to_string();
    ensure!(said.contains("55006"), "{said}");
    ensure!(said.contains(&data.display().to_string()), "it names the directory: {said}");
    let mut client = server.connect().await?;
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "the first goes on");
    drop(client);
    server.stop()?;
    Server::start(&data, &[])?.connect().await?;
    Ok(())
}

/// A small tmpfs that is unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mib: u32) -> Outcome<SmallDisk> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={mib}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status()?;
        ensure!(status.success(), "cannot mount a tmpfs");
        Ok(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn may_mount() -> bool {
    root() && SmallDisk::mount(1).is_ok()
}

/// Fills the disk: 53100, reads go on, and writes go on once there is room again. Only root may mount.
async fn full_disk() -> Outcome {
    let disk = SmallDisk::mount(192)?;
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1_u8; 48 << 20])?;
    let mut server = Server::start(&disk.path().join("data"), &[("SIGHTLINE_FLUSH_BYTES", "4MiB")])?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE t (batch integer, n integer, filler text)").await?;
    let insert = |batch: u32| {
        format!(
            "INSERT INTO t SELECT {batch}, i, md5(i::text || '{batch}') || md5({batch}::text || i) || md5((i * 7)::text) FROM generate_series(1, 5000) AS g(i)"
        )
    };
    let (mut batch, mut acknowledged) = (0, Vec::new());
    let code = loop {
        batch += 1;
        ensure!(batch < 2000, "the disk does not fill");
        match client.simple(&insert(batch)).await?.pop() {
            Some(Answer::Done { .. }) => acknowledged.push(batch),
            Some(Answer::Error(error)) => break format!("{} {}", error.code(), error.message()),
            other => return Err(format!("{other:?}").into()),
        }
    };
    ensure!(code.starts_with("53100"), "a full disk: {code}");
    let rows = (acknowledged.len() * 5000).to_string();
    let mut reader = Client::connect(server.port, USER, DATABASE).await?;
    ensure_eq!(single(&mut reader, "SELECT count(*) FROM t").await?, rows, "reads go on, and nothing is half done");
    std::fs::remove_file(&ballast)?;
    let mut resumed = false;
    for _ in 0..100 {
        batch += 1;
        if let Some(Answer::Done { .. }) = client.simple(&insert(batch)).await?.pop() {
            acknowledged.push(batch);
            resumed = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(resumed, "writes do not go on after space was freed");
    let rows = (acknowledged.len() * 5000).to_string();
    ensure_eq!(single(&mut reader, "SELECT count(*) FROM t").await?, rows, "after it went on");
    server.kill();
    let server = Server::start(&disk.path().join("data"), &[])?;
    let mut client = server.connect().await?;
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, rows, "after a kill");
    ensure_eq!(
        single(&mut client, "SELECT count(DISTINCT batch) FROM t").await?,
        acknowledged.len().to_string(),
        "batches"
    );
    Ok(())
}

/// Reads until the server closes; it may close at once, and it must close.
async fn drain(stream: &mut TcpStream) -> Outcome {
    let mut bytes = Vec::new();
    match tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await {
        Ok(_closed) => Ok(()),
        Err(_) => Err("the server neither answers nor closes".into()),
    }
}
