//! The wire protocol, message by message: what drivers rely on and never show.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio::io::AsyncWriteExt;

use crate::pg_client::{
    self, Answer, Client, Frame, answers, bind, cancel, close, describe, execute, fields, message, parse, query,
    row_description, sync,
};
use crate::server::{self, DATABASE, USER};
use crate::support::{Outcome, ensure, ensure_eq, trial};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("wire::startup", startup));
    trials.push(trial("wire::refused_logins", refused_logins));
    trials.push(trial("wire::gss_request_is_declined", gss_request));
    trials.push(trial("wire::empty_queries", empty_queries));
    trials.push(trial("wire::statements_of_one_message_are_one_transaction", implicit_transaction));
    trials.push(trial("wire::transaction_status", transaction_status));
    trials.push(trial("wire::portals_with_row_limits", portals));
    trials.push(trial("wire::portals_end_with_their_transaction", portal_life));
    trials.push(trial("wire::pipelines", pipelines));
    trials.push(trial("wire::describe_agrees_with_execute", describe_agrees));
    trials.push(trial("wire::error_fields", error_fields));
    trials.push(trial("wire::names_and_counts", names_and_counts));
    trials.push(trial("wire::cancel_while_computing", cancel_while_computing));
    trials.push(trial("wire::cancel_while_streaming", cancel_while_streaming));
    trials.push(trial("wire::timeout_while_streaming", timeout_while_streaming));
    trials.push(trial("wire::abandoned_connection_stops_its_query", abandoned));
    trials.push(trial("wire::errors_before_sync", errors_before_sync));
    trials.push(trial("wire::lengths_of_parameters", lengths_of_parameters));
    trials.push(trial("wire::fields_of_constraints", fields_of_constraints));
    trials.push(trial("wire::cancel_at_once", cancel_at_once));
    trials.push(trial("wire::left_at_once", left_at_once));
    trials.push(trial("wire::explain_analyze_is_stopped", explain_analyze_is_stopped));
    trials.push(trial("wire::a_portal_goes_on_with_its_own_time", portal_time));
    trials.push(trial("wire::execute_runs_queries_only", execute_runs_queries));
    trials.push(trial("wire::what_would_take_all_memory_is_refused", greedy));
    trials.push(trial("wire::parameters_of_all_types", parameters));
    trials.push(trial("wire::binary_equals_text", binary_equals_text));
    trials.push(trial("wire::many_writers", many_writers));
}

async fn startup() -> Outcome {
    let server = server::shared()?;
    let options =
        [("user", USER), ("database", DATABASE), ("application_name", "it"), ("options", "-c timezone=Asia/Tokyo")];
    let mut client = Client::connect_with(server.port, &options).await?;
    for name in [
        "server_version",
        "server_encoding",
        "client_encoding",
        "DateStyle",
        "IntervalStyle",
        "TimeZone",
        "integer_datetimes",
        "standard_conforming_strings",
        "application_name",
        "is_superuser",
        "session_authorization",
        "default_transaction_read_only",
        "in_hot_standby",
    ] {
        ensure!(client.parameters.contains_key(name), "ParameterStatus {name} is missing");
    }
    ensure!(client.parameters["server_version"].starts_with("15."), "{}", client.parameters["server_version"]);
    ensure_eq!(client.parameters["TimeZone"], "Asia/Tokyo", "options=-c");
    ensure_eq!(client.parameters["application_name"], "it", "startup parameter");
    client.simple("SET application_name = 'changed'").await?;
    ensure_eq!(client.parameters["application_name"], "changed", "ParameterStatus after SET");
    ensure_eq!(client.status, b'I', "status after login");
    // `postgres` is what tools connect to before they know a database.
    Client::connect(server.port, USER, "postgres").await?;
    Ok(())
}

async fn refused_logins() -> Outcome {
    let server = server::shared()?;
    let refused = |database: &'static str, user: &'static str| async move {
        match Client::connect(server::shared()?.port, user, database).await {
            Ok(_) => Err(format!("{user} got into {database}").into()),
            Err(e) => Outcome::Ok(e.to_string()),
        }
    };
    ensure_eq!(refused("nosuch", USER).await?, "[3D000] database \"nosuch\" does not exist", "unknown database");
    ensure_eq!(refused(DATABASE, "nobody").await?, "[28000] role \"nobody\" does not exist", "unknown role");
    server.connect().await?;
    Ok(())
}

async fn gss_request() -> Outcome {
    let server = server::shared()?;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 48]).await?;
    let mut byte = [0];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut byte).await?;
    ensure_eq!(byte[0], b'N', "answer to GSSENCRequest");
    stream.write_all(&pg_client::startup(&[("user", USER), ("database", DATABASE)])).await?;
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut byte).await?;
    ensure_eq!(byte[0], b'R', "the login goes on");
    Ok(())
}

async fn empty_queries() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for sql in ["", ";", "  ;; ", "-- ping", "/* ping */ ;"] {
        client.send(&query(sql)).await?;
        let tags: Vec<u8> = client.read_to_ready().await?.iter().map(|f| f.tag).collect();
        ensure_eq!(tags, b"IZ".to_vec(), "answer to {sql:?}");
    }
    ensure!(matches!(client.extended("", &[]).await?, Answer::Empty), "an empty extended query");
    Ok(())
}

async fn implicit_transaction() -> Outcome {
    let mut client = server::shared()?.tenant("implicit").await?;
    client.simple("CREATE TABLE t (a integer)").await?;
    let all = client.simple("INSERT INTO t VALUES (1); SELECT 1 / 0; INSERT INTO t VALUES (2)").await?;
    ensure_eq!(all.len(), 2, "answers up to the error");
    ensure_eq!(error_code(&all[1])?, "22012", "the error");
    ensure_eq!(count(&mut client, "t").await?, 0, "rows after the error");
    client.simple("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4), (5)").await?;
    ensure_eq!(count(&mut client, "t").await?, 3, "rows of two statements");
    client.simple("BEGIN; INSERT INTO t VALUES (6); COMMIT; SELECT 1 / 0").await?;
    ensure_eq!(count(&mut client, "t").await?, 4, "what a statement committed stays");
    // Not even the parsable part runs if the string as a whole does not parse.
    let all = client.simple("INSERT INTO t VALUES (7); SELEC 1").await?;
    ensure_eq!(error_code(&all[0])?, "42601", "syntax error");
    ensure_eq!(count(&mut client, "t").await?, 4, "nothing of it ran");
    let all = client.simple("SELECT 1 AS a; SELECT 'x' AS b, 2 AS c; CREATE TABLE u (a integer)").await?;
    let [Answer::Rows { rows, .. }, Answer::Rows { columns, .. }, Answer::Done { tag }] = &all[..] else {
        return Err(format!("three answers: {all:?}").into());
    };
    ensure_eq!((rows.len(), columns.len(), tag.as_str()), (1, 2, "CREATE TABLE"), "each has its answer");
    Ok(())
}

async fn transaction_status() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for (sql, status) in [
        ("SELECT 1", b'I'),
        ("BEGIN", b'T'),
        ("SELECT 1", b'T'),
        ("SELECT 1 / 0", b'E'),
        ("SELECT 1", b'E'),
        ("ROLLBACK", b'I'),
        ("SELEC", b'I'),
        ("BEGIN", b'T'),
        ("COMMIT", b'I'),
    ] {
        client.simple(sql).await?;
        ensure_eq!(client.status, status, "status after {sql}");
    }
    client.simple("BEGIN").await?;
    client.simple("SELECT * FROM nosuch").await?;
    let Some(Answer::Done { tag }) = client.simple("COMMIT").await?.pop() else { return Err("no tag".into()) };
    ensure_eq!(tag, "ROLLBACK", "COMMIT of a failed block");
    client.simple("COMMIT").await?;
    let notices = client.take_notices();
    ensure!(notices.iter().any(|n| n.code() == "25P01"), "warning: {notices:?}");
    Ok(())
}

async fn portals() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let mut out = query("BEGIN");
    out.extend(parse("s", "SELECT i FROM generate_series(1, 10) AS g(i) ORDER BY i", &[]));
    out.extend(bind("p", "s", &[], 0));
    for _ in 0..3 {
        out.extend(execute("p", 4));
    }
    out.extend(sync());
    client.send(&out).await?;
    client.read_to_ready().await?;
    let frames = client.read_to_ready().await?;
    let shape: String = frames.iter().map(|f| char::from(f.tag)).collect();
    ensure_eq!(shape, "12DDDDsDDDDsDDCZ", "rows in portions");
    let tag = frames.iter().find(|f| f.tag == b'C').map(tag_of);
    ensure_eq!(tag.as_deref(), Some("SELECT 2"), "the tag counts the last portion");
    client.simple("COMMIT").await?;
    Ok(())
}

async fn portal_life() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let mut out = parse("s", "SELECT i FROM generate_series(1, 10) AS g(i)", &[]);
    out.extend(bind("p", "s", &[], 0));
    out.extend(execute("p", 2));
    out.extend(sync());
    out.extend(execute("p", 2));
    out.extend(sync());
    client.send(&out).await?;
    client.read_to_ready().await?;
    let frames = client.read_to_ready().await?;
    ensure_eq!(fields(&frames[0].body).code(), "34000", "a portal after its transaction");
    // In a block it lives until the end of the block, even across Sync.
    client.simple("BEGIN").await?;
    let mut out = bind("p", "s", &[], 0);
    out.extend(execute("p", 2));
    out.extend(sync());
    out.extend(execute("p", 0));
    out.extend(close(b'P', "p"));
    out.extend(execute("p", 0));
    out.extend(sync());
    client.send(&out).await?;
    client.read_to_ready().await?;
    let frames = client.read_to_ready().await?;
    ensure_eq!(frames.iter().filter(|f| f.tag == b'D').count(), 8, "the rest of its rows");
    ensure!(frames.iter().any(|f| f.tag == b'E' && fields(&f.body).code() == "34000"), "after Close it is gone");
    Ok(())
}

async fn pipelines() -> Outcome {
    let mut client = server::shared()?.tenant("pipelines").await?;
    client.simple("CREATE TABLE t (a integer)").await?;
    let one = |sql: &str| {
        let mut out = parse("", sql, &[]);
        out.extend(bind("", "", &[], 0));
        out.extend(execute("", 0));
        out
    };
    // One Sync: one transaction; after the error all is skipped.
    let mut out = one("INSERT INTO t VALUES (1)");
    out.extend(one("INSERT INTO t VALUES (1 / (SELECT count(*) FROM t WHERE a < 0))"));
    out.extend(one("INSERT INTO t VALUES (2)"));
    out.extend(sync());
    client.send(&out).await?;
    let frames = client.read_to_ready().await?;
    ensure_eq!(frames.iter().filter(|f| f.tag == b'E').count(), 1, "one error");
    ensure_eq!(count(&mut client, "t").await?, 0, "the pipeline is one transaction");
    // A Sync each: each for itself.
    let mut out = Vec::new();
    for sql in ["INSERT INTO t VALUES (1)", "SELECT nosuch", "INSERT INTO t VALUES (2)"] {
        out.extend(one(sql));
        out.extend(sync());
    }
    client.send(&out).await?;
    for failed in [false, true, false] {
        let frames = client.read_to_ready().await?;
        ensure_eq!(frames.iter().any(|f| f.tag == b'E'), failed, "each Sync ends its own");
    }
    ensure_eq!(count(&mut client, "t").await?, 2, "rows of those that succeeded");
    // A thousand statements before anything is read.
    let mut out: Vec<u8> = (0..1000).flat_map(|i| one(&format!("SELECT {i}"))).collect();
    out.extend(sync());
    client.send(&out).await?;
    ensure_eq!(answers(client.read_to_ready().await?).len(), 1000, "answers of a long pipeline");
    Ok(())
}

async fn describe_agrees() -> Outcome {
    let mut client = server::shared()?.tenant("describing").await?;
    client
        .simple("CREATE TABLE t (a integer, b text, n numeric(8,2), d date, ts timestamptz, arr text[], u uuid)")
        .await?;
    for sql in [
        "SELECT * FROM t",
        "SELECT 1, 'x', NULL, 1.5, true",
        "SELECT sum(a), avg(a), count(*), max(d) FROM t",
        "SELECT sum(n), sum(a::bigint), avg(1.5::real) FROM t",
        "VALUES (1, 'a'), (2, 'b')",
        "SHOW search_path",
        "SELECT a + 1, b || 'x', d + 1, ts - ts, arr[1], upper(b) FROM t",
        "EXPLAIN SELECT 1",
        "WITH x AS (SELECT a FROM t) SELECT * FROM x",
        "SELECT NULL::numeric(5,1), now(), interval '1 day'",
        "SELECT row_number() OVER (), lag(a) OVER (ORDER BY a) FROM t",
        "SELECT a FROM t UNION ALL SELECT 1.5",
        "SELECT relname, oid FROM pg_class LIMIT 1",
        "SELECT ARRAY[1, 2], '{}'::jsonb, '\\x00'::bytea",
    ] {
        let Some(Answer::Rows { columns: simple, .. }) = client.simple(sql).await?.pop() else {
            return Err(format!("{sql}: no rows").into());
        };
        let mut out = parse("d", sql, &[]);
        out.extend(describe(b'S', "d"));
        out.extend(bind("", "d", &[], 0));
        out.extend(describe(b'P', ""));
        out.extend(execute("", 0));
        out.extend(close(b'S', "d"));
        out.extend(sync());
        client.send(&out).await?;
        let frames = client.read_to_ready().await?;
        let told: Vec<_> = frames.iter().filter(|f| f.tag == b'T').map(|f| row_description(f.body.clone())).collect();
        ensure_eq!(told, vec![simple.clone(), simple], "{sql}");
    }
    let mut out = parse("", "INSERT INTO t (a) VALUES ($1)", &[]);
    out.extend(describe(b'S', ""));
    out.extend(sync());
    client.send(&out).await?;
    let shape: String = client.read_to_ready().await?.iter().map(|f| char::from(f.tag)).collect();
    ensure_eq!(shape, "1tnZ", "an INSERT answers no rows");
    Ok(())
}

async fn error_fields() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let mut all = client.simple("SELECT 1 + nosuch FROM generate_series(1, 2)").await?;
    let Some(Answer::Error(error)) = all.pop() else { return Err("no error".into()) };
    ensure_eq!((error.get('S'), error.get('V'), error.code()), ("ERROR", "ERROR", "42703"), "severity and code");
    ensure_eq!(error.message(), "column \"nosuch\" does not exist", "message");
    ensure_eq!(error.get('P'), "12", "position");
    let mut all = client.simple("SELECT 1;\n  SELEC 2").await?;
    let Some(Answer::Error(error)) = all.pop() else { return Err("no error".into()) };
    ensure_eq!((error.code(), error.get('P')), ("42601", "13"), "position in a later statement");
    let Answer::Error(error) = client.extended("SELECT * FROM nosuch", &[]).await? else {
        return Err("no error".into());
    };
    ensure_eq!((error.code(), error.get('P')), ("42P01", "15"), "position by the extended protocol");
    Ok(())
}

async fn names_and_counts() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let twice = [parse("s", "SELECT 1", &[]), parse("s", "SELECT 2", &[])].concat();
    expect_error(&mut client, twice, "42P05").await?;
    let mut gone = close(b'S', "s");
    gone.extend(parse("s", "SELECT $1::integer + 1", &[]));
    client.send(&[gone, sync()].concat()).await?;
    client.read_to_ready().await?;
    expect_error(&mut client, bind("", "s", &[], 0), "08P01").await?;
    expect_error(&mut client, bind("", "s", &[Some("1"), Some("2")], 0), "08P01").await?;
    expect_error(&mut client, bind("", "nosuch", &[], 0), "26000").await?;
    expect_error(&mut client, describe(b'S', "nosuch"), "26000").await?;
    expect_error(&mut client, execute("nosuch", 0), "34000").await?;
    expect_error(&mut client, [bind("", "s", &[Some("x")], 0), execute("", 0)].concat(), "22P02").await?;
    expect_error(&mut client, parse("", "SELECT 1; SELECT 2", &[]), "42601").await?;
    // A name that is not there may be closed.
    client.send(&[close(b'S', "nosuch"), close(b'P', "nosuch"), sync()].concat()).await?;
    let shape: String = client.read_to_ready().await?.iter().map(|f| char::from(f.tag)).collect();
    ensure_eq!(shape, "33Z", "closing what is not there");
    Ok(())
}

async fn cancel_while_computing() -> Outcome {
    let server = server::shared()?;
    let mut client = server.connect().await?;
    client
        .send(&query(
            "SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)",
        ))
        .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    send_cancel(server.port, &client).await?;
    let started = Instant::now();
    let all = answers(client.read_to_ready().await?);
    ensure_eq!(last_error(&all)?, "57014", "a cancelled query");
    ensure!(started.elapsed() < Duration::from_secs(5), "it took {:?} to stop", started.elapsed());
    ensure!(matches!(client.simple("SELECT 1").await?[0], Answer::Rows { .. }), "the connection goes on");
    Ok(())
}

async fn cancel_while_streaming() -> Outcome {
    let server = server::shared()?;
    for extended in [false, true] {
        let mut client = server.connect().await?;
        send_long_query(&mut client, extended).await?;
        for _ in 0..10_000 {
            client.read().await?;
        }
        send_cancel(server.port, &client).await?;
        ensure_eq!(last_error(&answers(read_to_error(&mut client).await?))?, "57014", "a cancelled stream");
        ensure!(matches!(client.simple("SELECT 1").await?[0], Answer::Rows { .. }), "the connection goes on");
    }
    Ok(())
}

async fn timeout_while_streaming() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("SET statement_timeout = '500ms'").await?;
    for extended in [false, true] {
        send_long_query(&mut client, extended).await?;
        let started = Instant::now();
        let frames = read_to_error(&mut client).await?;
        let Some(Answer::Error(error)) = answers(frames).pop() else { return Err("no error".into()) };
        ensure_eq!(error.code(), "57014", "code");
        ensure_eq!(error.message(), "canceling statement due to statement timeout", "message");
        ensure!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
    }
    client.simple("RESET statement_timeout").await?;
    ensure!(matches!(client.simple("SELECT 1").await?[0], Answer::Rows { .. }), "the connection goes on");
    Ok(())
}

async fn abandoned() -> Outcome {
    let server = server::shared()?;
    let mut client = server.connect().await?;
    let pid = client.key.0;
    send_long_query(&mut client, false).await?;
    for _ in 0..100 {
        client.read().await?;
    }
    drop(client);
    gone(&server, pid).await
}

/// asyncpg and postgres.js send Flush after Parse and only then, once they have read the answer, Sync.
async fn errors_before_sync() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for mistake in [parse("", "SELECT nosuch", &[]), message(b'D', b"Xname\0"), execute("nosuch", 0)] {
        client.send(&[mistake, message(b'H', b"")].concat()).await?;
        let frame = tokio::time::timeout(Duration::from_secs(10), client.read()).await??;
        ensure_eq!(frame.tag, b'E', "an error is sent before Sync");
        client.send(&sync()).await?;
        let frame = tokio::time::timeout(Duration::from_secs(10), client.read()).await??;
        ensure_eq!(frame.tag, b'Z', "then Sync is answered");
    }
    Ok(())
}

/// A cast cuts what is too long, a column refuses it: so says PostgreSQL of `$1::varchar(3)` and of an INSERT.
async fn lengths_of_parameters() -> Outcome {
    let mut client = server::shared()?.tenant("lengths").await?;
    client.simple("CREATE TABLE short (a varchar(3), b char(3))").await?;
    let shown = |answer: Answer| match answer {
        Answer::Rows { rows, .. } => format!("{rows:?}"),
        Answer::Error(e) => format!("{} {}", e.code(), e.message()),
        other => format!("{other:?}"),
    };
    for (sql, value, wanted) in [
        ("SELECT $1::varchar(3)", "abcd", r#"[[Some("abc")]]"#),
        ("SELECT $1::char(3)", "abcd", r#"[[Some("abc")]]"#),
        ("SELECT $1::char(3)", "a", r#"[[Some("a  ")]]"#),
        ("INSERT INTO short (a) VALUES ($1)", "abcd", "22001 value too long for type character varying(3)"),
        ("INSERT INTO short (b) VALUES ($1)", "abcd", "22001 value too long for type character(3)"),
        ("INSERT INTO short (a) SELECT $1", "abcd", "22001 value too long for type character varying(3)"),
        ("INSERT INTO short (a) VALUES ($1)", "abc  ", r#"Done { tag: "INSERT 0 1" }"#),
        ("INSERT INTO short (b) VALUES ($1)", "a", r#"Done { tag: "INSERT 0 1" }"#),
    ] {
        ensure_eq!(shown(client.extended(sql, &[Some(value)]).await?), wanted, "{sql} of {value:?}");
    }
    let kept = "SELECT string_agg(coalesce(a || '|', b::text || '.'), ' ') FROM short";
    ensure_eq!(single(&mut client, kept).await?, "abc| a.", "what was kept");
    Ok(())
}

async fn fields_of_constraints() -> Outcome {
    let mut client = server::shared()?.tenant("constraints").await?;
    client.simple("CREATE TABLE t (a integer NOT NULL CONSTRAINT positive CHECK (a > 0))").await?;
    for (sql, column, constraint) in
        [("INSERT INTO t VALUES (NULL)", "a", ""), ("INSERT INTO t VALUES (-1)", "", "positive")]
    {
        let Some(Answer::Error(e)) = client.simple(sql).await?.pop() else { return Err(sql.into()) };
        let named = ['s', 't', 'c', 'n'].map(|field| e.get(field).to_string());
        ensure_eq!(named, ["public", "t", column, constraint], "{sql}");
    }
    Ok(())
}

/// A cancel finds a statement from the moment it is taken, planning included.
async fn cancel_at_once() -> Outcome {
    let server = server::shared()?;
    let mut client = server.connect().await?;
    let conditions = (0..20).map(|n| format!("i % {} <> 1", n + 2)).collect::<Vec<_>>().join(" AND ");
    let sql = format!("SELECT count(*) FROM generate_series(1, 2000000000) AS g(i) WHERE {conditions}");
    for wait_ms in [0, 1, 5, 20] {
        client.send(&query(&sql)).await?;
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        // One that comes before the statement is taken finds nothing, as in PostgreSQL: hence several.
        let (port, key) = (server.port, client.key.clone());
        let cancelling = tokio::spawn(async move {
            loop {
                drop(send_key(port, &key).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let started = Instant::now();
        let frames = read_to_error(&mut client).await;
        cancelling.abort();
        ensure_eq!(last_error(&answers(frames?))?, "57014", "cancelled after {wait_ms} ms");
        ensure!(started.elapsed() < Duration::from_secs(10), "it took {:?} to stop", started.elapsed());
        drop(cancelling.await);
    }
    Ok(())
}

/// A client that leaves before its statement has begun does not leave the statement running.
async fn left_at_once() -> Outcome {
    let server = server::shared()?;
    for _ in 0..5 {
        let mut client = server.connect().await?;
        let pid = client.key.0;
        client
            .send(&query("SELECT sum(a.i) FROM generate_series(1, 2000000) a(i), generate_series(1, 2000000)"))
            .await?;
        drop(client);
        gone(&server, pid).await?;
    }
    Ok(())
}

/// Waits until a session has ended.
async fn gone(server: &server::Server, pid: i32) -> Outcome {
    let mut watcher = server.connect().await?;
    for _ in 0..100 {
        if single(&mut watcher, &format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).await? == "0" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the query of a closed connection still runs".into())
}

async fn explain_analyze_is_stopped() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("SET statement_timeout = '300ms'").await?;
    let started = Instant::now();
    let sql = "EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    ensure_eq!(last_error(&client.simple(sql).await?)?, "57014", "it ran {:?}", started.elapsed());
    ensure_eq!(last_error(&client.simple("EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1").await?)?, "0A000", "no write");
    Ok(())
}

/// `statement_timeout` is for each Execute, not for a client that thinks between two.
async fn portal_time() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("SET statement_timeout = '1s'").await?;
    client.simple("BEGIN").await?;
    let sql = "SELECT i FROM generate_series(1, 1000000) AS g(i)";
    client.send(&[parse("", sql, &[]), bind("p", "", &[], 0), execute("p", 2), sync()].concat()).await?;
    ensure!(client.read_to_ready().await?.iter().any(|f| f.tag == b's'), "the portal is suspended");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.send(&[execute("p", 2), sync()].concat()).await?;
    let frames = client.read_to_ready().await?;
    ensure_eq!(frames.iter().filter(|f| f.tag == b'D').count(), 2, "{:?}", answers(frames));
    client.simple("ROLLBACK").await?;
    Ok(())
}

/// Statements of the protocol and of PREPARE share their names: EXECUTE must not run into itself.
async fn execute_runs_queries() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let rounds = [
        [parse("s1", "SELECT 1", &[]), parse("s2", "EXECUTE s1", &[]), close(b'S', "s1")].concat(),
        parse("s1", "EXECUTE s2", &[]),
    ];
    for round in rounds {
        client.send(&[round, sync()].concat()).await?;
        client.read_to_ready().await?;
    }
    expect_error(&mut client, [bind("", "s1", &[], 0), execute("", 0)].concat(), "42809").await?;
    client.send(&[parse("b", "BEGIN", &[]), sync()].concat()).await?;
    client.read_to_ready().await?;
    ensure_eq!(last_error(&client.simple("EXECUTE b").await?)?, "42809", "no transaction control");
    Ok(())
}

async fn greedy() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for (sql, code) in [
        ("SELECT format('%99999999999999s', 'x')", "22003"),
        ("SELECT format('%2147483647s', 'x')", "54000"),
        ("SELECT length(replace(repeat('x', 100000), 'x', repeat('y', 100000)))", "54000"),
        ("SELECT count(*) FROM (SELECT generate_series(1, 10000000000)) s", "54000"),
        ("SELECT timezone('+é1', now())", "22023"),
    ] {
        ensure_eq!(last_error(&client.simple(sql).await?)?, code, "{sql}");
    }
    Ok(())
}

async fn parameters() -> Outcome {
    let server = server::shared()?;
    drop(server.tenant("parameters").await?);
    let client = server.driver("parameters").await?;
    client
        .batch_execute(
            "CREATE TABLE t (a smallint, b integer, c bigint, d real, e double precision, f text, g boolean, h bytea)",
        )
        .await?;
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8)").await?;
    let (text, bytes) = ("naïve 中文".to_string(), vec![0_u8, 255, 10]);
    for n in 0..5_i32 {
        let small = i16::try_from(n)?;
        client
            .execute(&insert, &[&small, &n, &i64::from(n), &1.5_f32, &f64::from(n), &text, &(n % 2 == 0), &bytes])
            .await?;
    }
    let none: (Option<i16>, Option<String>) = (None, None);
    client.execute("INSERT INTO t (a, f) VALUES ($1, $2)", &[&none.0, &none.1]).await?;
    let rows = client.query("SELECT * FROM t WHERE b >= $1 ORDER BY b LIMIT $2", &[&3_i32, &10_i64]).await?;
    ensure_eq!(rows.len(), 2, "rows");
    let row = &rows[1];
    ensure_eq!((row.get::<_, i16>(0), row.get::<_, i32>(1), row.get::<_, i64>(2)), (4, 4, 4), "integers");
    ensure_eq!((row.get::<_, f32>(3), row.get::<_, f64>(4)), (1.5, 4.0), "floats");
    ensure_eq!(
        (row.get::<_, String>(5), row.get::<_, bool>(6), row.get::<_, Vec<u8>>(7)),
        (text, true, bytes),
        "others"
    );
    let nulls = client.query_one("SELECT a, f FROM t WHERE b IS NULL", &[]).await?;
    ensure_eq!((nulls.get::<_, Option<i16>>(0), nulls.get::<_, Option<String>>(1)), none, "NULLs");
    let found = client.query("SELECT b FROM t WHERE b = ANY($1) ORDER BY b", &[&vec![1_i32, 3, 99]]).await?;
    ensure_eq!(found.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>(), vec![1, 3], "an array parameter");
    let wrong = client.query("SELECT b FROM t WHERE b = $1", &[&"text"]).await;
    ensure!(wrong.is_err(), "the driver knows the parameter's type");
    let overflow = client.query("SELECT $1::integer + 1", &[&i32::MAX]).await;
    let code = overflow.err().and_then(|e| e.code().map(|c| c.code().to_string()));
    ensure_eq!(code.as_deref(), Some("22003"), "overflow of a parameter");
    Ok(())
}

async fn binary_equals_text() -> Outcome {
    let server = server::shared()?;
    let client = server.driver(DATABASE).await?;
    let row = client
        .query_one(
            "SELECT 7::smallint, 7, 7::bigint, 1.5::real, 2.5::double precision, true, 'x'::text, 'v'::varchar, ARRAY[1, 2], ARRAY['a', NULL]",
            &[],
        )
        .await?;
    ensure_eq!((row.get::<_, i16>(0), row.get::<_, i32>(1), row.get::<_, i64>(2)), (7, 7, 7), "integers");
    ensure_eq!((row.get::<_, f32>(3), row.get::<_, f64>(4), row.get::<_, bool>(5)), (1.5, 2.5, true), "others");
    ensure_eq!((row.get::<_, &str>(6), row.get::<_, &str>(7)), ("x", "v"), "strings");
    ensure_eq!(row.get::<_, Vec<i32>>(8), vec![1, 2], "an array");
    ensure_eq!(row.get::<_, Vec<Option<String>>>(9), vec![Some("a".to_string()), None], "an array with NULL");
    // The epoch of dates and timestamps is 2000-01-01.
    let mut raw = server.connect().await?;
    let mut out =
        parse("", "SELECT date '2000-01-02', timestamp '2000-01-01 00:00:01', 1.5::numeric, interval '1 day'", &[]);
    out.extend(bind("", "", &[], 1));
    out.extend(execute("", 0));
    out.extend(sync());
    raw.send(&out).await?;
    let frames = raw.read_to_ready().await?;
    let body = &frames.iter().find(|f| f.tag == b'D').ok_or("no row")?.body;
    let wanted: Vec<u8> = [
        vec![0, 4],
        vec![0, 0, 0, 4, 0, 0, 0, 1],
        vec![0, 0, 0, 8, 0, 0, 0, 0, 0, 15, 66, 64],
        vec![0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 19, 136],
        vec![0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    ]
    .concat();
    ensure_eq!(body.to_vec(), wanted, "binary values as PostgreSQL 15 sends them");
    Ok(())
}

async fn many_writers() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.tenant("writers").await?;
    admin.simple("CREATE TABLE t (writer integer, n integer)").await?;
    let (writers, each) = (16, 25);
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let mut client = Client::connect(server.port, USER, "writers").await?;
        tasks.push(tokio::spawn(async move {
            for n in 0..each {
                let answer = client
                    .extended("INSERT INTO t VALUES ($1, $2)", &[Some(&writer.to_string()), Some(&n.to_string())])
                    .await?;
                if let Answer::Error(e) = answer {
                    return Err(std::io::Error::other(format!("[{}] {}", e.code(), e.message())));
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let sql = "SELECT count(*) || ' ' || count(DISTINCT (writer * 1000 + n)) || ' ' || sum(n) FROM t";
    ensure_eq!(single(&mut admin, sql).await?, format!("400 400 {}", writers * each * (each - 1) / 2), "all rows once");
    Ok(())
}

async fn send_long_query(client: &mut Client, extended: bool) -> Outcome {
    let sql = "SELECT i, repeat('x', 50) FROM generate_series(1, 500000000) AS g(i)";
    let out = if extended {
        [parse("", sql, &[]), bind("", "", &[], 0), execute("", 0), sync()].concat()
    } else {
        query(sql)
    };
    Ok(client.send(&out).await?)
}

/// Reads up to ReadyForQuery, keeping errors only: there may be many rows.
async fn read_to_error(client: &mut Client) -> Outcome<Vec<Frame>> {
    let mut errors = Vec::new();
    loop {
        let frame = client.read().await?;
        match frame.tag {
            b'Z' => return Ok(errors),
            b'E' => errors.push(frame),
            _ => {}
        }
    }
}

async fn send_cancel(port: u16, client: &Client) -> Outcome {
    send_key(port, &client.key).await
}

async fn send_key(port: u16, key: &(i32, bytes::Bytes)) -> Outcome {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&cancel(key)).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn expect_error(client: &mut Client, messages: Vec<u8>, code: &str) -> Outcome {
    client.send(&[messages, sync()].concat()).await?;
    let frames = client.read_to_ready().await?;
    let error = frames.iter().find(|f| f.tag == b'E').ok_or_else(|| format!("no error, wanted {code}"))?;
    ensure_eq!(fields(&error.body).code(), code, "{}", fields(&error.body).message());
    Ok(())
}

fn tag_of(frame: &Frame) -> String {
    pg_client::cstring(&mut frame.body.clone())
}

fn error_code(answer: &Answer) -> Outcome<String> {
    match answer {
        Answer::Error(fields) => Ok(fields.code().to_string()),
        other => Err(format!("an error was due: {other:?}").into()),
    }
}

fn last_error(answers: &[Answer]) -> Outcome<String> {
    error_code(answers.last().ok_or("no answer")?)
}

/// The single value of a query.
pub(crate) async fn single(client: &mut Client, sql: &str) -> Outcome<String> {
    match client.simple(sql).await?.pop() {
        Some(Answer::Rows { rows, .. }) if rows.len() == 1 => Ok(rows[0][0].clone().unwrap_or_default()),
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

async fn count(client: &mut Client, table: &str) -> Outcome<u64> {
    Ok(single(client, &format!("SELECT count(*) FROM {table}")).await?.parse()?)
}
