//! `PUT /api/v1/tables/{tenant}/{table}`: who may, which formats, and that a file is loaded whole or not at all.

use std::time::Instant;

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::files::script;
use crate::server::Server;
use crate::support::{Outcome, ensure, ensure_eq, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("upload::formats", formats));
    trials.push(trial("upload::who_may", who_may));
    trials.push(trial("upload::limits", limits));
}

/// Sends a request; the status and the body of the answer.
async fn put(server: &Server, path: &str, headers: &[&str], body: &[u8]) -> Outcome<(u16, String)> {
    let head = format!(
        "PUT /api/v1/tables/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    send(server, &format!("{head}{}", headers.iter().map(|h| format!("{h}\r\n")).collect::<String>()), body).await
}

async fn send(server: &Server, head: &str, body: &[u8]) -> Outcome<(u16, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", server.http_port)).await?;
    socket.write_all(format!("{head}\r\n").as_bytes()).await?;
    // The server may answer, and close, before it has all.
    let sent = socket.write_all(body).await;
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer).await;
    if answer.is_empty() {
        sent?;
        read?;
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default();
    Ok((status, if status == 401 { answer } else { body }))
}

async fn formats() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    script(
        &mut client,
        &[(
            "CREATE TABLE t (id integer, name text NOT NULL, price numeric(6,2), day date DEFAULT '2000-01-01')",
            "CREATE TABLE",
        )],
    )
    .await?;
    let gb = encoding_rs::GB18030.encode("name,id\n北京,9\n").0.into_owned();
    let csv = "Content-Type: text/csv";
    for (path, headers, body, status, wanted) in [
        ("sightline/t", vec![csv], b"id,name,price\n1,one,1.50\n2,\"two\",\n".to_vec(), 200, "{\"rows\":2}"),
        ("sightline/public.t", vec![csv], b"name;id;day\nthree;3;2024-01-31\n".to_vec(), 200, "{\"rows\":1}"),
        ("sightline/t?header=false", vec![csv], b"4,four,4,2024-02-29\n".to_vec(), 200, "{\"rows\":1}"),
        (
            "sightline/t?format=ndjson",
            vec![],
            b"{\"id\":5,\"name\":\"five\"}\n{\"name\":\"six\",\"id\":6,\"price\":6.66}".to_vec(),
            200,
            "{\"rows\":2}",
        ),
        (
            "sightline/t",
            vec!["Content-Type: application/json"],
            b"[{\"id\":7,\"name\":\"007\"}]".to_vec(),
            200,
            "{\"rows\":1}",
        ),
        ("sightline/t", vec!["Content-Type: text/csv; charset=gb18030"], gb, 200, "{\"rows\":1}"),
        (
            "sightline/t",
            vec![csv],
            b"id,name\n1,ok\nx,no\n".to_vec(),
            400,
            "invalid input syntax for type integer: \\\"x\\\"",
        ),
        (
            "sightline/t",
            vec![csv],
            b"id,nonsense\n1,ok\n".to_vec(),
            400,
            "column \\\"nonsense\\\" of relation \\\"t\\\" does not exist",
        ),
        ("sightline/t", vec![csv], b"id,price\n1,1\n".to_vec(), 400, "violates not-null constraint"),
        ("sightline/t", vec![csv], b"id,name,price\n1,x,123456789\n".to_vec(), 400, "numeric field overflow"),
        ("sightline/t", vec![csv], b"id,name\n1\n".to_vec(), 400, "missing data for column"),
        ("sightline/t", vec![csv], Vec::new(), 200, "{\"rows\":0}"),
        ("sightline/t", vec![csv], b"id,name\n1,ok\nx,no\n".to_vec(), 400, "file \\\"upload\\\", line 3"),
        (
            "sightline/t",
            vec!["Content-Type: application/vnd.apache.parquet"],
            b"PAR1 no".to_vec(),
            400,
            "file \\\"upload\\\" is no valid Parquet file",
        ),
        ("sightline/t?format=xlsx", vec![], b"PK no".to_vec(), 400, "no valid xlsx workbook"),
        ("sightline/t?nonsense=1", vec![csv], b"id\n1\n".to_vec(), 400, "has no argument \\\"nonsense\\\""),
        ("sightline/none", vec![csv], b"id\n1\n".to_vec(), 404, "relation \\\"none\\\" does not exist"),
        ("nowhere/t", vec![csv], b"id\n1\n".to_vec(), 404, "database \\\"nowhere\\\" does not exist"),
        ("sightline/pg_catalog.pg_class", vec![csv], b"id\n1\n".to_vec(), 403, "system catalog"),
        ("sightline/t", vec!["Content-Type: image/png"], b"x".to_vec(), 415, "is no format of a table"),
    ] {
        let (got, answer) = put(&server, path, &headers, &body).await?;
        ensure!(
            got == status && answer.contains(wanted),
            "{path} {headers:?}: {got} {answer}, wanted {status} {wanted}"
        );
    }
    script(
        &mut client,
        &[
            ("SELECT count(*), count(price), sum(id) FROM t", "8,3,37"),
            (
                "SELECT name, price, day FROM t WHERE id IN (1, 3, 9) ORDER BY id",
                "one,1.50,2000-01-01;three,NULL,2024-01-31;北京,NULL,2000-01-01",
            ),
            ("SELECT name FROM t WHERE id = 7", "007"),
        ],
    )
    .await
}

async fn who_may() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE t (a integer)", "CREATE TABLE"),
            ("CREATE ROLE ann LOGIN PASSWORD 'geheim:密'", "CREATE ROLE"),
            ("CREATE SCHEMA ann AUTHORIZATION ann", "CREATE SCHEMA"),
        ],
    )
    .await?;
    let basic = |user: &str, password: &str| {
        use base64::Engine as _;
        format!("Authorization: Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")))
    };
    let (csv, body) = ("Content-Type: text/csv", b"a\n1\n");
    // On trust, until a superuser has a password; a role's own is asked always.
    ensure_eq!(put(&server, "sightline/t", &[csv], body).await?.0, 200, "on trust");
    ensure_eq!(put(&server, "sightline/t", &[csv, &basic("ann", "wrong")], body).await?.0, 401, "her password");
    let (status, answer) = put(&server, "sightline/t", &[csv, &basic("ann", "geheim:密")], body).await?;
    ensure!(status == 403 && answer.contains("permission denied for table t"), "{status} {answer}");
    script(
        &mut client,
        &[("CREATE TABLE ann.t (a integer)", "CREATE TABLE"), ("ALTER TABLE ann.t OWNER TO ann", "ALTER TABLE")],
    )
    .await?;
    ensure_eq!(
        put(&server, "sightline/ann.t", &[csv, &basic("ann", "geheim:密")], body).await?.0,
        200,
        "her own table"
    );
    script(&mut client, &[("ALTER ROLE sightline PASSWORD 'root'", "ALTER ROLE")]).await?;
    let (status, answer) = put(&server, "sightline/t", &[csv], body).await?;
    ensure!(status == 401 && answer.to_lowercase().contains("www-authenticate: basic realm"), "{status} {answer}");
    ensure_eq!(put(&server, "sightline/t", &[csv, "Authorization: Bearer x"], body).await?.0, 401, "no basic");
    ensure_eq!(put(&server, "sightline/t", &[csv, &basic("nobody", "x")], body).await?.0, 401, "nobody");
    let begun = Instant::now();
    for _ in 0..4 {
        ensure_eq!(put(&server, "sightline/t", &[csv, &basic("sightline", "wrong")], body).await?.0, 401, "wrong");
    }
    ensure!(begun.elapsed().as_millis() > 700, "wrong passwords are answered at once");
    ensure_eq!(put(&server, "sightline/t", &[csv, &basic("sightline", "root")], body).await?.0, 200, "right");
    script(&mut client, &[("SELECT count(*) FROM t", "2")]).await
}

async fn limits() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_HTTP_UPLOAD_MAX", "100kB")])?;
    let mut client = server.connect().await?;
    script(&mut client, &[("CREATE TABLE t (a integer)", "CREATE TABLE")]).await?;
    let large = [b"a\n".to_vec(), b"1\n".repeat(100_000)].concat();
    let (status, answer) = put(&server, "sightline/t?format=csv", &[], &large).await?;
    ensure!(status == 413 && answer.contains("http_upload_max"), "by its length: {status} {answer}");
    let chunks = large
        .chunks(10_000)
        .map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat())
        .collect::<Vec<_>>();
    let head = "PUT /api/v1/tables/sightline/t?format=csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    let (status, _) = send(&server, head, &[chunks.concat(), b"0\r\n\r\n".to_vec()].concat()).await?;
    ensure_eq!(status, 413, "as it comes");
    let (status, answer) = send(&server, head, b"4\r\na\n1\n\r\n0\r\n\r\n").await?;
    ensure!(status == 200 && answer.contains("{\"rows\":1}"), "a small one in chunks: {status} {answer}");
    // One that breaks off.
    let mut socket = TcpStream::connect(("127.0.0.1", server.http_port)).await?;
    socket.write_all(format!("{head}\r\n4\r\na\n2\n\r\n").as_bytes()).await?;
    drop(socket);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    script(&mut client, &[("SELECT count(*), sum(a) FROM t", "1,1")]).await?;
    ensure_eq!(std::fs::read_dir(server.data().join("uploads"))?.count(), 0, "files left behind");
    Ok(())
}
