//! What must not break a server: garbage, sizes beyond reason, a directory in use, a full disk. Each has a clear
//! SQLSTATE, and nothing is left half done.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pg_client::{Answer, Client, fields, message, parse, query, sync};
use crate::server::{self, DATABASE, Server, USER};
use crate::support::{Chance, Outcome, ensure, ensure_eq, explained, root, seed, sized, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("bad_input::garbage_before_login", garbage_before_login));
    trials.push(trial("bad_input::huge_startup_packet", huge_startup));
    trials.push(trial("bad_input::silent_connections", silent));
    trials.push(trial("bad_input::garbage_after_login", garbage_after_login));
    trials.push(trial("bad_input::random_messages", random_messages));
    trials.push(trial("bad_input::broken_parameters", broken_parameters));
    trials.push(trial("bad_input::thousands_of_errors", thousands_of_errors));
    trials.push(trial("bad_input::clients_that_do_not_read", slow_readers));
    trials.push(trial("bad_input::clients_that_do_not_log_in", half_open));
    trials.push(trial("bad_input::out_of_step", out_of_step));
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

/// Bind of one parameter in binary.
fn bind_binary(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a short value").to_be_bytes();
    message(b'B', &[&[0, 0, 0, 1, 0, 1, 0, 1][..], &length, data, &[0, 0]].concat())
}

/// The messages up to ReadyForQuery that answer a Parse and a Bind: the error's SQLSTATE and message, or nothing.
async fn bound(client: &mut Client, sql: &str, bind: Vec<u8>) -> Outcome<Option<(String, String)>> {
    client.send(&[parse("", sql, &[]), bind, sync()].concat()).await?;
    let frames = tokio::time::timeout(Duration::from_secs(30), client.read_to_ready()).await??;
    let error = frames.iter().find(|f| f.tag == b'E').map(|f| fields(&f.body));
    Ok(error.map(|e| (e.code().to_string(), e.message().to_string())))
}

/// Codes and messages are PostgreSQL 15's: `clients/hostile` compares many more.
async fn broken_parameters() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let short = ("08P01", "insufficient data left in message");
    let long = ("22P03", "incorrect binary data format in bind parameter 1");
    let cases: &[(&str, &[u8], (&str, &str))] = &[
        ("integer", b"\0\0\0", short),
        ("integer", b"\0\0\0\0\0", long),
        ("boolean", b"", ("08P01", "no data left in message")),
        ("double precision", b"\0", short),
        ("uuid", &[0; 17], long),
        ("timestamp", &[0; 4], short),
        ("timestamp", b"\x7f\xff\xff\xff\xff\xff\xff\xfe", ("22008", "timestamp out of range")),
        ("date", b"\x7f\xff\xff\xfe", ("22008", "date out of range")),
        ("text", b"a\0b", ("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")),
        ("text", b"\xe4\xb8", ("22021", "invalid byte sequence for encoding \"UTF8\": 0xe4 0xb8")),
        ("integer[]", b"\xff\xff\xff\xff", ("22P03", "invalid number of dimensions: -1")),
        ("integer[]", b"\0\0\0\x07", ("54000", "number of array dimensions (7) exceeds the maximum allowed (6)")),
        ("integer[]", b"\0\0\0\x01\0\0\0\x02\0\0\0\x17", ("22P03", "invalid array flags")),
        (
            "integer[]",
            b"\0\0\0\x01\0\0\0\0\0\0\0\x14",
            ("42804", "binary data has array element type 20 (bigint) instead of expected 23 (integer)"),
        ),
        (
            "integer[]",
            b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01",
            ("54000", "array size exceeds the maximum allowed (134217727)"),
        ),
        (
            "integer[]",
            b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x09abc",
            ("22P03", "insufficient data left in message"),
        ),
    ];
    for (ty, data, (code, text)) in cases {
        let got = bound(&mut client, &format!("SELECT $1::{ty}"), bind_binary(data)).await?;
        ensure_eq!(got, Some((code.to_string(), text.to_string())), "{ty} {data:?}");
    }
    for ty in
        "boolean smallint integer bigint real float8 numeric text varchar(3) char(3) name bytea date time timestamp \
               timestamptz interval uuid json jsonb oid integer[] text[] numeric[]"
            .split_whitespace()
    {
        for data in [&[][..], &[1], &[0; 3], &[0xff; 5], &[0x7f; 9], &[0xff; 17], &[0x80; 40]] {
            // An error or none, but never a lost connection.
            bound(&mut client, &format!("SELECT $1::{ty}"), bind_binary(data)).await?;
        }
    }
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "the connection goes on");
    Ok(())
}

/// A thousand times the same mistakes: the server does not grow with them, and does not panic.
async fn thousands_of_errors() -> Outcome {
    let server = Server::fresh()?;
    let mistakes = [
        query("SELECT nosuch"),
        [parse("", "SELECT $1::int", &[]), bind_binary(b"x"), sync()].concat(),
        [message(b'B', b"\0\0\0\0\xff\xff"), message(b'E', b"x\0\0\0\0\0"), sync()].concat(),
        [message(b'D', b"Xname\0"), sync()].concat(),
        [parse("s", "SELECT 1", &[]), parse("s", "SELECT 2", &[]), message(b'C', b"Ss\0"), sync()].concat(),
        [message(b'd', b"data"), message(b'c', b""), message(b'f', b"x\0"), sync()].concat(),
        [query("BEGIN"), query("SELECT 1 / 0"), query("COMMIT")].concat(),
    ];
    let mut before = 0;
    for round in 0..sized(200, 1000) {
        if round == 50 {
            before = server.resident_bytes()?;
        }
        let mut client = server.connect().await?;
        for mistake in &mistakes {
            client.send(mistake).await?;
        }
        // All was answered once this is: nothing is read ahead of it.
        client.send(&query("SELECT 'end'")).await?;
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(30), client.read()).await??;
            if frame.tag == b'D' && frame.body.ends_with(b"end") {
                break;
            }
        }
        for bytes in [&b"!!!!!"[..], b"Q\0\0\0\x03", b"B\x7f\xff\xff\xff"] {
            let mut client = server.connect().await?;
            client.send(bytes).await?;
        }
    }
    let growth = server.resident_bytes()?.saturating_sub(before);
    ensure!(growth < 48 << 20, "errors took {} MiB", growth >> 20);
    ensure!(!server.logged()?.contains("panicked"), "{}", server.logged()?);
    Ok(())
}

/// Clients that ask for much and read nothing cost their buffers; others go on, and a cancel still arrives.
async fn slow_readers() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    single(&mut client, "SELECT count(*) FROM generate_series(1, 1000)").await?;
    let before = server.resident_bytes()?;
    let mut idle = Vec::new();
    for n in 0..20 {
        let mut slow = server.connect().await?;
        let sql = "SELECT i, repeat('x', 1000) FROM generate_series(1, 2000000) AS g(i)";
        let copy = format!("COPY ({sql}) TO STDOUT");
        slow.send(&query(if n % 2 == 0 { sql } else { &copy })).await?;
        idle.push(slow);
    }
    for _ in 0..10 {
        ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "beside clients that do not read");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let growth = server.resident_bytes()?.saturating_sub(before);
    ensure!(growth < 256 << 20, "20 clients that do not read hold {} MiB", growth >> 20);
    // They hang up in the middle, and their statements end with them.
    drop(idle);
    for _ in 0..100 {
        if single(&mut client, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'").await? == "1" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("statements of clients that left go on".into())
}

/// Who says nothing, or half of what a login needs, is let go after a minute.
async fn half_open() -> Outcome {
    let server = server::shared()?;
    let mut waiting = Vec::new();
    for bytes in [&b""[..], b"\0\0\0", b"\0\0\0\x40\0\x03\0\0user\0", b"\0\0\0\x08\x04\xd2\x16\x2f"] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
        stream.write_all(bytes).await?;
        waiting.push(stream);
    }
    for mut stream in waiting {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(90), stream.read_to_end(&mut answer)).await;
        ensure!(ended.is_ok(), "it may wait for ever");
    }
    Ok(())
}

/// A query in the middle of COPY's data: what follows cannot be told from data, so the connection ends, as in PostgreSQL.
async fn out_of_step() -> Outcome {
    let mut client = server::shared()?.tenant("out_of_step").await?;
    client.simple("CREATE TABLE t (a integer)").await?;
    let copy = query("COPY t FROM STDIN");
    client.send(&[copy, message(b'd', b"1\n"), query("SELECT 1")].concat()).await?;
    let mut said = Vec::new();
    while let Ok(frame) = tokio::time::timeout(Duration::from_secs(10), client.read()).await? {
        if frame.tag == b'E' {
            let error = fields(&frame.body);
            said.push(format!("{} {} {}", error.get('S'), error.code(), error.message()));
        }
    }
    ensure_eq!(
        said,
        [
            "ERROR 08P01 unexpected message type 0x51 during COPY from stdin",
            "FATAL 08P01 terminating connection because protocol synchronization was lost",
        ],
        "a query within COPY"
    );
    let mut client = Client::connect(server::shared()?.port, USER, "out_of_step").await?;
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing was copied");
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
    let columns: Vec<String> = (0..5000).map(|i| format!("c{i} integer")).collect();
    let all = client.simple(&format!("CREATE TABLE wide ({})", columns.join(", "))).await?;
    let Some(Answer::Error(error)) = all.last() else { return Err("5,000 columns were taken".into()) };
    ensure_eq!((error.code(), error.message()), ("54011", "tables can have at most 4096 columns"), "CREATE TABLE");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM pg_class WHERE relname = 'wide'").await?, "0", "no table");
    let all = client.simple(&format!("CREATE TABLE wide ({})", columns[..4096].join(", "))).await?;
    ensure!(matches!(all.last(), Some(Answer::Done { .. })), "4,096 columns: {all:?}");
    let values: Vec<String> = (0..4096).map(|i| i.to_string()).collect();
    client.simple(&format!("INSERT INTO wide VALUES ({})", values.join(", "))).await?;
    ensure_eq!(single(&mut client, "SELECT c0 + c4095 FROM wide").await?, "4095", "a wide row");
    let items: Vec<String> = (0..9000).map(|i| format!("{i}")).collect();
    let all = client.simple(&format!("SELECT {}", items.join(", "))).await?;
    let Some(Answer::Error(error)) = all.last() else { return Err("9,000 items were taken".into()) };
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
