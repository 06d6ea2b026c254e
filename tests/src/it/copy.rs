//! COPY through the wire: text and csv, in and out, and what breaks it. A COPY that fails leaves nothing.

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client, answers, fields, message, query};
use crate::server;
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("copy::text_in_and_out", text));
    trials.push(trial("copy::csv_in_and_out", csv));
    trials.push(trial("copy::of_a_query_and_of_columns", of_query));
    trials.push(trial("copy::data_cut_anywhere", cut));
    trials.push(trial("copy::broken_lines_leave_nothing", broken));
    trials.push(trial("copy::wrong_encoding", encoding));
    trials.push(trial("copy::failed_by_the_client", failed));
    trials.push(trial("copy::in_a_transaction", in_transaction));
}

async fn fresh(name: &str) -> Outcome<Client> {
    let mut client = server::shared()?.tenant(name).await?;
    client.simple("CREATE TABLE t (id integer, name text, price numeric(8,2), at timestamp)").await?;
    Ok(client)
}

async fn text() -> Outcome {
    let mut client = fresh("copy_text").await?;
    let data = "1\tone\t1.50\t2024-01-01 10:00:00\n2\t\\N\t\\N\t\\N\n3\ttab\\tnl\\nback\\\\slash\t-2.25\t2024-02-29 00:00:00.5\n4\t\t0.00\t\\N\n5\t中文\t\\N\t\\N\n";
    ensure_eq!(copy_in(&mut client, "COPY t FROM STDIN", &[data.as_bytes()]).await?, "COPY 5", "tag");
    ensure_eq!(single(&mut client, "SELECT name FROM t WHERE id = 3").await?, "tab\tnl\nback\\slash", "escapes");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t WHERE name IS NULL").await?, "1", "NULL is not empty");
    let (tag, out) = copy_out(&mut client, "COPY t TO STDOUT").await?;
    ensure_eq!((tag.as_str(), sorted(&out)), ("COPY 5", sorted(data)), "what went in comes out");
    let (_, out) = copy_out(
        &mut client,
        "COPY (SELECT id, name FROM t WHERE id < 3 ORDER BY id) TO STDOUT WITH (DELIMITER '|', NULL 'nil')",
    )
    .await?;
    ensure_eq!(out, "1|one\n2|nil\n", "delimiter and null");
    copy_in(
        &mut client,
        "COPY t (id, name) FROM STDIN WITH (DELIMITER '|', NULL 'nil')",
        &[b"10|nil\n11|x\\|y\n\\.\n"],
    )
    .await?;
    ensure_eq!(single(&mut client, "SELECT name FROM t WHERE id = 11").await?, "x|y", "an escaped delimiter");
    Ok(())
}

async fn csv() -> Outcome {
    let mut client = fresh("copy_csv").await?;
    let data = "id,name,price,at\n1,\"a, b\",1.50,2024-01-01 10:00:00\n2,,,\n3,\"\",,\n4,\"say \"\"hi\"\"\nover lines\",2.00,\n5,plain,,\n";
    let tag = copy_in(&mut client, "COPY t FROM STDIN WITH (FORMAT csv, HEADER true)", &[data.as_bytes()]).await?;
    ensure_eq!(tag, "COPY 5", "tag");
    ensure_eq!(single(&mut client, "SELECT name FROM t WHERE id = 4").await?, "say \"hi\"\nover lines", "quoted");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t WHERE name IS NULL").await?, "1", "unquoted empty is NULL");
    let (_, out) =
        copy_out(&mut client, "COPY (SELECT * FROM t ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)").await?;
    ensure_eq!(out, data, "what went in comes out");
    // Lines may end in CR LF; other quotes and delimiters.
    copy_in(
        &mut client,
        "COPY t (id, name) FROM STDIN WITH (FORMAT csv, DELIMITER ';', QUOTE '''')",
        &[b"20;'x;y'\r\n21;z\r\n"],
    )
    .await?;
    ensure_eq!(
        single(&mut client, "SELECT string_agg(name, '/' ORDER BY id) FROM t WHERE id >= 20").await?,
        "x;y/z",
        "options"
    );
    copy_in(&mut client, "COPY t (id, name) FROM STDIN CSV NULL 'nothing'", &[b"30,nothing\n"]).await?;
    ensure_eq!(
        single(&mut client, "SELECT count(*) FROM t WHERE id = 30 AND name IS NULL").await?,
        "1",
        "the old syntax"
    );
    Ok(())
}

async fn of_query() -> Outcome {
    let mut client = fresh("copy_query").await?;
    copy_in(&mut client, "COPY t (name, id) FROM STDIN", &[b"x\t1\ny\t2\n"]).await?;
    let (_, out) = copy_out(&mut client, "COPY (SELECT id * 2, upper(name) FROM t ORDER BY id) TO STDOUT").await?;
    ensure_eq!(out, "2\tX\n4\tY\n", "a query");
    let (tag, out) = copy_out(&mut client, "COPY (SELECT 1 WHERE false) TO STDOUT").await?;
    ensure_eq!((tag.as_str(), out.as_str()), ("COPY 0", ""), "no rows");
    for (sql, code) in [
        ("COPY nosuch FROM STDIN", "42P01"),
        ("COPY t (nosuch) FROM STDIN", "42703"),
        ("COPY nosuch TO STDOUT", "42P01"),
        ("COPY t FROM STDIN WITH (FORMAT nosuch)", "22023"),
        ("COPY t FROM STDIN WITH (nosuch 1)", "42601"),
        ("COPY (SELECT nosuch) TO STDOUT", "42703"),
        ("COPY t (id, id) FROM STDIN", "42701"),
    ] {
        let all = client.simple(sql).await?;
        let Some(Answer::Error(error)) = all.last() else { return Err(format!("{sql}: {all:?}").into()) };
        ensure_eq!(error.code(), code, "{sql}: {}", error.message());
    }
    Ok(())
}

async fn cut() -> Outcome {
    let mut client = fresh("copy_cut").await?;
    let lines: String = (0..500).map(|i| format!("{i},\"name {i}, 中\",{i}.25,2024-01-01\n")).collect();
    let pieces: Vec<&[u8]> = lines.as_bytes().chunks(7).collect();
    ensure_eq!(
        copy_in(&mut client, "COPY t FROM STDIN CSV", &pieces).await?,
        "COPY 500",
        "tag counts rows, not messages"
    );
    ensure_eq!(
        single(&mut client, "SELECT sum(id) || ' ' || sum(price) || ' ' || count(DISTINCT name) FROM t").await?,
        "124750 124875.00 500",
        "rows"
    );
    ensure_eq!(
        copy_in(&mut client, "COPY t (id) FROM STDIN CSV", &[b"1000"]).await?,
        "COPY 1",
        "a last line without an end"
    );
    ensure_eq!(copy_in(&mut client, "COPY t FROM STDIN CSV", &[]).await?, "COPY 0", "no data at all");
    Ok(())
}

async fn broken() -> Outcome {
    let mut client = fresh("copy_broken").await?;
    for (sql, data, code, part) in [
        ("COPY t FROM STDIN CSV", "1,a,1,2024-01-01\nx,b,1,2024-01-01\n", "22P02", "COPY t, line 2, column id: \"x\""),
        ("COPY t FROM STDIN CSV", "1,a,1,2024-01-01\n2,b\n", "22P04", "COPY t, line 2"),
        ("COPY t FROM STDIN CSV", "1,a,1,2024-01-01,extra\n", "22P04", "COPY t, line 1"),
        ("COPY t FROM STDIN CSV", "1,\"unterminated\n", "22P04", "COPY t, line"),
        ("COPY t FROM STDIN CSV", "1,a,9999999,2024-01-01\n", "22003", "COPY t, line 1, column price"),
        ("COPY t FROM STDIN CSV", "1,a,1,2024-02-30\n", "22008", "COPY t, line 1, column at"),
        ("COPY t FROM STDIN", "1\ta\n", "22P04", "COPY t, line 1"),
        ("COPY t FROM STDIN", "99999999999\ta\t1\t\\N\n", "22003", "COPY t, line 1, column id"),
    ] {
        // Many good lines before, so that the fault is not in the first batch.
        let mut all = Vec::new();
        if part.contains("line 1") || !sql.ends_with("CSV") {
            all.extend_from_slice(data.as_bytes());
        } else {
            all.extend_from_slice(data.as_bytes());
            all.extend((0..20_000).flat_map(|i| format!("{i},after,1,2024-01-01\n").into_bytes()));
        }
        let error = copy_error(&mut client, sql, &[&all]).await?;
        ensure_eq!(error.0, code, "{data:?}: {}", error.1);
        ensure!(error.2.contains(part), "context of {data:?}: {}", error.2);
        ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "rows after {data:?}");
    }
    // The same after many good lines.
    let mut data: Vec<u8> = (0..20_000).flat_map(|i| format!("{i},good,1,2024-01-01\n").into_bytes()).collect();
    data.extend_from_slice(b"bad,line,1,2024-01-01\n");
    let error = copy_error(&mut client, "COPY t FROM STDIN CSV", &[&data]).await?;
    ensure!(error.2.contains("line 20001"), "context: {}", error.2);
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing half done");
    Ok(())
}

async fn encoding() -> Outcome {
    let mut client = fresh("copy_encoding").await?;
    let error = copy_error(&mut client, "COPY t (id, name) FROM STDIN CSV", &[b"1,ok\n2,\xff\xfe\n"]).await?;
    ensure_eq!(error.0, "22021", "{}", error.1);
    ensure!(error.1.starts_with("invalid byte sequence for encoding \"UTF8\": 0xff"), "{}", error.1);
    let error = copy_error(&mut client, "COPY t (id, name) FROM STDIN", &[b"1\tzero\0byte\n"]).await?;
    ensure_eq!(error.0, "22021", "{}", error.1);
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing half done");
    let all = {
        client.send(&message(b'Q', b"SELECT '\xff'\0")).await?;
        answers(client.read_to_ready().await?)
    };
    let Some(Answer::Error(error)) = all.last() else { return Err("a query that is not UTF-8".into()) };
    ensure_eq!(error.code(), "22021", "{}", error.message());
    Ok(())
}

async fn failed() -> Outcome {
    let mut client = fresh("copy_failed").await?;
    client.send(&query("COPY t (id) FROM STDIN")).await?;
    ensure_eq!(client.read().await?.tag, b'G', "CopyInResponse");
    client.send(&[message(b'd', b"1\n2\n"), message(b'f', b"changed my mind\0")].concat()).await?;
    let frames = client.read_to_ready().await?;
    let error = fields(&frames[0].body);
    ensure_eq!((error.code(), error.message()), ("57014", "COPY from stdin failed: changed my mind"), "CopyFail");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing half done");
    // A connection that goes away in the middle.
    client.send(&query("COPY t (id) FROM STDIN")).await?;
    client.read().await?;
    client.send(&message(b'd', b"1\n2\n")).await?;
    drop(client);
    let mut again = Client::connect(server::shared()?.port, server::USER, "copy_failed").await?;
    ensure_eq!(single(&mut again, "SELECT count(*) FROM t").await?, "0", "nothing of an abandoned COPY");
    Ok(())
}

async fn in_transaction() -> Outcome {
    let mut client = fresh("copy_transaction").await?;
    client.simple("BEGIN").await?;
    copy_in(&mut client, "COPY t (id) FROM STDIN", &[b"1\n2\n"]).await?;
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "2", "seen by itself");
    client.simple("ROLLBACK").await?;
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "rolled back");
    client.simple("BEGIN").await?;
    copy_in(&mut client, "COPY t (id) FROM STDIN", &[b"1\n2\n"]).await?;
    copy_in(&mut client, "COPY t (id) FROM STDIN", &[b"3\n"]).await?;
    client.simple("COMMIT").await?;
    ensure_eq!(single(&mut client, "SELECT sum(id) FROM t").await?, "6", "committed together");
    Ok(())
}

/// Runs a COPY FROM STDIN with these CopyData messages and returns its tag.
pub(crate) async fn copy_in(client: &mut Client, sql: &str, data: &[&[u8]]) -> Outcome<String> {
    client.send(&query(sql)).await?;
    let first = client.read().await?;
    if first.tag != b'G' {
        client.read_to_ready().await?;
        return Err(format!("{sql}: {}", fields(&first.body).message()).into());
    }
    for piece in data {
        client.send(&message(b'd', piece)).await?;
    }
    client.send(&message(b'c', b"")).await?;
    match answers(client.read_to_ready().await?).pop() {
        Some(Answer::Done { tag }) => Ok(tag),
        Some(Answer::Error(e)) => Err(format!("{sql}: [{}] {} ({})", e.code(), e.message(), e.get('W')).into()),
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

/// Code, message and context of a COPY that must fail.
pub(crate) async fn copy_error(client: &mut Client, sql: &str, data: &[&[u8]]) -> Outcome<(String, String, String)> {
    client.send(&query(sql)).await?;
    client.read().await?;
    for piece in data {
        client.send(&message(b'd', piece)).await?;
    }
    client.send(&message(b'c', b"")).await?;
    match answers(client.read_to_ready().await?).pop() {
        Some(Answer::Error(e)) => Ok((e.code().to_string(), e.message().to_string(), e.get('W').to_string())),
        other => Err(format!("{sql} of {} bytes: {other:?}", data.iter().map(|d| d.len()).sum::<usize>()).into()),
    }
}

/// Runs a COPY TO STDOUT: its tag and all it sent.
pub(crate) async fn copy_out(client: &mut Client, sql: &str) -> Outcome<(String, String)> {
    client.send(&query(sql)).await?;
    let frames = client.read_to_ready().await?;
    let mut bytes = Vec::new();
    for frame in frames.iter().filter(|f| f.tag == b'd') {
        bytes.extend_from_slice(&frame.body);
    }
    match answers(frames).pop() {
        Some(Answer::Done { tag }) => Ok((tag, String::from_utf8(bytes)?)),
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
