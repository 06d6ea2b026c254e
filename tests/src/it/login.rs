//! Passwords and encryption, by clients that have them: tokio-postgres and psql.

use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sightline_sql::password::Verifier;
use tokio_postgres::NoTls;

use crate::pg_client::{Answer, Client, Frame, fields, message, startup};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("login::passwords", passwords));
    trials.push(trial("login::wrong_passwords_take_longer", throttled));
    trials.push(trial("login::broken_exchanges", broken_exchanges));
    trials.push(trial("login::encryption", encryption));
}

const PASSWORD: &str = "geheim 密码 '$'";

/// Logs in with a password and answers `current_user`, or the SQLSTATE of the refusal.
async fn log_in(server: &Server, user: &str, database: &str, password: &str) -> Outcome<String> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user(user).dbname(database).password(password);
    match config.connect(NoTls).await {
        Ok((client, connection)) => {
            let served = tokio::spawn(connection);
            let row = client.query_one("SELECT current_user::text", &[]).await?;
            let user = row.get::<_, String>(0);
            drop(client);
            served.await??;
            Ok(user)
        }
        Err(e) => Ok(e.code().map_or_else(|| e.to_string(), |code| code.code().to_string())),
    }
}

async fn run(client: &mut Client, sql: &str) -> Outcome<String> {
    Ok(match client.simple(sql).await?.pop() {
        Some(Answer::Error(fields)) => fields.code().to_string(),
        _ => String::new(),
    })
}

async fn passwords() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &[])?;
    let mut admin = server.connect().await?;
    let verifier = Verifier::of_password("bob's", vec![7; 16], std::num::NonZeroU32::new(4096).ok_or("4096")?);
    for sql in [
        "CREATE DATABASE acme".to_string(),
        format!("CREATE ROLE dba SUPERUSER LOGIN PASSWORD '{}'", PASSWORD.replace('\'', "''")),
        format!("CREATE ROLE bob LOGIN PASSWORD '{}'", verifier.to_string().replace('\'', "''")),
        "CREATE ROLE old LOGIN PASSWORD 'old' VALID UNTIL '2020-01-01'".to_string(),
        "CREATE ROLE young LOGIN PASSWORD 'young' VALID UNTIL 'infinity'".to_string(),
        "CREATE ROLE bare LOGIN".to_string(),
    ] {
        ensure_eq!(run(&mut admin, &sql).await?, "", "{sql}");
    }
    for (sql, code) in [
        ("ALTER ROLE bob PASSWORD 'md5d41d8cd98f00b204e9800998ecf8427e'", "0A000"),
        ("ALTER ROLE bob PASSWORD ''", "22023"),
        ("ALTER ROLE bob VALID UNTIL 'gestern'", "22007"),
    ] {
        ensure_eq!(run(&mut admin, sql).await?, code, "{sql}");
    }
    let shown = single(&mut admin, "SELECT string_agg(query, ' ') FROM pg_stat_activity").await?;
    ensure!(!shown.contains("geheim"), "a password is shown: {shown}");
    for round in ["before", "after"] {
        for (user, password, wanted) in [
            ("dba", PASSWORD, "dba"),
            ("dba", "geheim", "28P01"),
            ("bob", "bob's", "bob"),
            ("bob", &verifier.to_string(), "28P01"),
            ("young", "young", "young"),
            ("old", "old", "28P01"),
            ("bare", "", "28P01"),
            ("bare", "x", "28P01"),
            ("nobody", "x", "28P01"),
            (USER, "x", "28P01"),
        ] {
            let got = log_in(&server, user, DATABASE, password).await?;
            ensure_eq!(got, wanted, "{user} with {password:?} {round} a restart");
        }
        ensure_eq!(log_in(&server, "dba", "acme", PASSWORD).await?, "dba", "into another tenant");
        ensure_eq!(log_in(&server, "dba", "no_such_db", PASSWORD).await?, "3D000", "told to who may know");
        ensure_eq!(log_in(&server, "dba", "no_such_db", "x").await?, "28P01", "not to who may not");
        server.kill();
        server = Server::start(&data, &[])?;
    }
    let logged = server.logged()?;
    ensure!(!logged.contains("geheim") && !logged.contains("SCRAM-SHA-256$"), "the log has a password");
    Ok(())
}

async fn throttled() -> Outcome {
    let server = Server::fresh()?;
    let mut admin = server.connect().await?;
    ensure_eq!(run(&mut admin, "ALTER ROLE sightline PASSWORD 'right'").await?, "", "a password");
    let started = Instant::now();
    for _ in 0..4 {
        ensure_eq!(log_in(&server, USER, DATABASE, "wrong").await?, "28P01", "a wrong password");
    }
    ensure!(started.elapsed() >= Duration::from_millis(100 + 200 + 400 + 800), "{:?}", started.elapsed());
    let started = Instant::now();
    ensure_eq!(log_in(&server, USER, DATABASE, "right").await?, USER, "the right one");
    ensure!(started.elapsed() < Duration::from_millis(1500), "the right one waits for nothing");
    // The session that was there goes on, and may take the password away: then there is trust again.
    ensure_eq!(run(&mut admin, "ALTER ROLE sightline PASSWORD NULL").await?, "", "no password");
    server.connect().await?;
    Ok(())
}

/// Sends a startup packet and then these messages; answers the frames up to the end of the connection.
async fn exchange(server: &Server, messages: &[Vec<u8>]) -> Outcome<Vec<Frame>> {
    let mut client = Client::open(server.port).await?;
    client.send(&startup(&[("user", USER), ("database", DATABASE)])).await?;
    let mut frames = vec![client.read_any().await?];
    for message in messages {
        client.send(message).await?;
        match tokio::time::timeout(Duration::from_secs(15), client.read_any()).await? {
            Ok(frame) => frames.push(frame),
            Err(_) => break,
        }
    }
    Ok(frames)
}

async fn broken_exchanges() -> Outcome {
    let server = Server::fresh()?;
    let mut admin = server.connect().await?;
    run(&mut admin, "ALTER ROLE sightline PASSWORD 'right'").await?;
    let first = |mechanism: &str, data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap_or(0).to_be_bytes();
        message(b'p', &[mechanism.as_bytes(), &[0], &length, data].concat())
    };
    let scram = |data: &str| first("SCRAM-SHA-256", data.as_bytes());
    for messages in [
        vec![first("PLAIN", b"x")],
        vec![first("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abc")],
        vec![message(b'p', b"")],
        vec![message(b'p', b"no zero")],
        vec![message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff")],
        vec![scram("")],
        vec![scram("n,,n=,r=")],
        vec![scram("n,,n=,r=abc"), message(b'p', b"c=biws,r=abc,p=AAAA")],
        vec![scram("n,,n=,r=abc"), message(b'p', b"")],
        vec![scram("n,,n=,r=abc"), message(b'p', &[0xff; 100])],
        vec![message(b'Q', b"SELECT 1\0")],
        vec![vec![b'p', 0x7f, 0xff, 0xff, 0xff]],
        vec![vec![b'p', 0, 0, 0, 0]],
    ] {
        let frames = exchange(&server, &messages).await?;
        let last = frames.last().ok_or("no answer")?;
        ensure_eq!(last.tag, b'E', "{messages:?}");
        let code = fields(&last.body).code().to_string();
        ensure!(code == "08P01" || code == "22021" || code == "28P01", "{messages:?}: {code}");
    }
    ensure_eq!(log_in(&server, USER, DATABASE, "right").await?, USER, "afterwards");
    Ok(())
}

/// What psql answers to a connection string.
fn psql(connection: &str, command: &str) -> Outcome<(bool, String)> {
    let output = Command::new("psql").args(["-XAtq", "-d", connection, "-c", command]).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).trim().to_string()))
}

async fn encryption() -> Outcome {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&data, &[])?;
    let at = |rest: &str| {
        format!("host=localhost hostaddr=127.0.0.1 port={} user={USER} dbname={DATABASE} {rest}", server.port)
    };
    let root = data.join("tls/server.crt").display().to_string();
    let (_, shown) = psql(&at("sslmode=require"), "\\conninfo")?;
    ensure!(shown.contains("TLSv1.3"), "{shown}");
    let verified = at(&format!("sslmode=verify-full sslrootcert={root}"));
    ensure_eq!(psql(&verified, "SELECT 1")?, (true, "1".to_string()), "the certificate is that of localhost");
    ensure_eq!(psql(&at("sslmode=disable"), "SELECT 1")?, (true, "1".to_string()), "without, who does not ask");
    let (worked, said) = psql(&at("sslmode=require ssl_max_protocol_version=TLSv1.2"), "SELECT 1")?;
    ensure!(!worked, "an old version is spoken: {said}");
    let (worked, rows) =
        psql(&at("sslmode=require"), "SELECT i, repeat('x', 100) FROM generate_series(1, 100000) AS g(i)")?;
    ensure!(worked && rows.lines().count() == 100_000, "a large result: {} lines", rows.lines().count());
    // What is slipped in between the request and the handshake breaks the connection and is never read as a packet.
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await?;
    let slipped = [&[0, 0, 0, 8, 4, 210, 22, 47][..], &startup(&[("user", USER), ("database", DATABASE)])].concat();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &slipped).await?;
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(10), read).await?;
    ensure!(answer.first() == Some(&b'S') && !answer.contains(&b'Z'), "{ended:?} {answer:?}");
    drop(server);
    let server = Server::start(&data, &[("SIGHTLINE_TLS", "off")])?;
    let (worked, said) = psql(
        &format!("host=127.0.0.1 port={} user={USER} dbname={DATABASE} sslmode=require", server.port),
        "SELECT 1",
    )?;
    ensure!(!worked && said.contains("does not support SSL"), "{said}");
    Ok(())
}
