//! The whole protocol: portals by name, cursors of SQL in it, COPY in its binary form, descriptions of columns, reports of
//! settings, limits of connections and of time. With [`crate::wire`] it shows of each flaw that was found in the pgwire
//! crate that it is none of ours: results stream (`memory`), cancels stop them (`wire::cancel_*`), and the rest here.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use libtest_mimic::Trial;

use crate::copy::{copy_error, copy_in, copy_out};
use crate::pg_client::{
    Answer, Client, Frame, answers, bind, cstring, describe, execute, fields, message, parse, query, startup, sync,
};
use crate::server::{self, DATABASE, Server, USER};
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("protocol::cursors_and_portals_are_one", cursors));
    trials.push(trial("protocol::declare_takes_parameters", declare_with_parameters));
    trials.push(trial("protocol::binary_cursors", binary_cursors));
    trials.push(trial("protocol::a_forward_cursor_streams", streaming_cursor));
    trials.push(trial("protocol::portals_after_sync", after_sync));
    trials.push(trial("protocol::function_calls_are_refused", function_call));
    trials.push(trial("protocol::wrong_counts_in_bind", wrong_counts));
    trials.push(trial("protocol::an_error_in_copy_out", copy_out_error));
    trials.push(trial("protocol::copy_counts_rows", copy_counts));
    trials.push(trial("protocol::copy_binary", copy_binary));
    trials.push(trial("protocol::copy_binary_broken", copy_binary_broken));
    trials.push(trial("protocol::copy_options", copy_options));
    trials.push(trial("protocol::copy_errors_say_where", copy_contexts));
    trials.push(trial("protocol::columns_are_described", described));
    trials.push(trial("protocol::settings_are_reported", reported));
    trials.push(trial("protocol::idle_clients_are_ended", idle));
    trials.push(trial("protocol::a_slow_reader_holds_no_memory", slow_reader));
    trials.push(trial("protocol::half_open_connections_end", half_open));
    trials.push(trial("protocol::roles_and_tenants_have_settings", defaults));
    trials.push(trial("protocol::wrong_binary_lengths", binary_lengths));
    trials.push(trial("protocol::connection_limits", connection_limits));
}

async fn rows(client: &mut Client, sql: &str) -> Outcome<Vec<String>> {
    match client.simple(sql).await?.pop() {
        Some(Answer::Rows { rows, .. }) => Ok(rows
            .into_iter()
            .map(|r| r.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(","))
            .collect()),
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

async fn code(client: &mut Client, sql: &str) -> Outcome<String> {
    match client.simple(sql).await?.pop() {
        Some(Answer::Error(e)) => Ok(e.code().to_string()),
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

/// Sends messages and a Sync; what came, by letter, and the first error's code.
async fn exchange(client: &mut Client, messages: &[Vec<u8>]) -> Outcome<(String, String, Vec<Frame>)> {
    client.send(&[messages.concat(), sync()].concat()).await?;
    let frames = client.read_to_ready().await?;
    let error = frames.iter().find(|f| f.tag == b'E').map(|f| fields(&f.body).code().to_string());
    let tags = frames.iter().map(|f| char::from(f.tag)).collect();
    Ok((tags, error.unwrap_or_default(), frames))
}

async fn cursors() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("BEGIN").await?;
    // A portal of Bind is a cursor to FETCH, …
    let opened = [parse("", "SELECT i FROM generate_series(1, 10) AS g(i)", &[]), bind("p", "", &[], 0)];
    ensure_eq!(exchange(&mut client, &opened).await?.0, "12Z", "Bind of a named portal");
    ensure_eq!(rows(&mut client, "FETCH 2 FROM p").await?, ["1", "2"], "FETCH of it");
    let (tags, _, _) = exchange(&mut client, &[execute("p", 3)]).await?;
    ensure_eq!(tags, "DDDsZ", "Execute goes on where FETCH was");
    ensure_eq!(rows(&mut client, "FETCH ALL FROM p").await?, ["6", "7", "8", "9", "10"], "and FETCH where Execute was");
    let shown = rows(&mut client, "SELECT name, is_holdable, is_scrollable FROM pg_cursors WHERE name = 'p'").await?;
    ensure_eq!(shown, ["p,f,f"], "pg_cursors");
    ensure_eq!(code(&mut client, "FETCH PRIOR FROM p").await?, "55000", "no way back");
    client.simple("ROLLBACK; BEGIN; DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 4) AS g(i)").await?;
    // … and a cursor of DECLARE is a portal to Execute.
    let (tags, _, frames) = exchange(&mut client, &[describe(b'P', "c"), execute("c", 3), execute("c", 3)]).await?;
    ensure_eq!(tags, "TDDDsDCZ", "Execute of a cursor");
    let tag = frames.iter().find(|f| f.tag == b'C').map(|f| cstring(&mut f.body.clone()));
    ensure_eq!(tag.as_deref(), Some("SELECT 1"), "its tag");
    ensure_eq!(
        exchange(&mut client, &[parse("", "SELECT 1", &[]), bind("c", "", &[], 0)]).await?.1,
        "42P03",
        "its name is taken"
    );
    client.simple("ROLLBACK").await?;
    let fetched = client.extended("FETCH 1 FROM c", &[]).await?;
    ensure!(matches!(&fetched, Answer::Error(e) if e.code() == "34000"), "it ended with its transaction: {fetched:?}");
    Ok(())
}

async fn declare_with_parameters() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("BEGIN").await?;
    let declared = client
        .extended(
            "DECLARE c SCROLL CURSOR FOR SELECT i * $2::integer FROM generate_series(1, $1::integer) AS g(i)",
            &[Some("5"), Some("10")],
        )
        .await?;
    ensure!(matches!(&declared, Answer::Done { tag } if tag == "DECLARE CURSOR"), "{declared:?}");
    ensure_eq!(rows(&mut client, "FETCH 2 FROM c").await?, ["10", "20"], "forward");
    let last = client.extended("FETCH LAST FROM c", &[]).await?;
    ensure!(
        matches!(&last, Answer::Rows { rows, tag, .. } if rows[0][0].as_deref() == Some("50") && tag == "FETCH 1"),
        "{last:?}"
    );
    let moved = client.extended("MOVE BACKWARD 3 FROM c", &[]).await?;
    ensure!(matches!(&moved, Answer::Done { tag } if tag == "MOVE 3"), "{moved:?}");
    ensure_eq!(rows(&mut client, "FETCH PRIOR FROM c").await?, ["10"], "backward");
    client.simple("COMMIT").await?;
    Ok(())
}

async fn binary_cursors() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.simple("BEGIN; DECLARE b BINARY CURSOR FOR SELECT 258 AS n").await?;
    client.send(&query("FETCH b")).await?;
    let frames = client.read_to_ready().await?;
    let row = frames.iter().find(|f| f.tag == b'D').ok_or("no row")?;
    ensure_eq!(row.body.as_ref(), &[0, 1, 0, 0, 0, 4, 0, 0, 1, 2][..], "four bytes");
    ensure_eq!(columns(&frames)?[0].format, 1, "its format");
    client.simple("ROLLBACK").await?;
    Ok(())
}

async fn streaming_cursor() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let begun = Instant::now();
    client.simple("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT i FROM generate_series(1, 2000000000) AS g(i)").await?;
    ensure_eq!(rows(&mut client, "FETCH FORWARD 3 FROM c").await?, ["1", "2", "3"], "the first rows");
    let moved = client.simple("MOVE 100000 FROM c").await?;
    ensure!(matches!(&moved[..], [Answer::Done { tag }] if tag == "MOVE 100000"), "{moved:?}");
    ensure_eq!(rows(&mut client, "FETCH c").await?, ["100004"], "a later row");
    client.simple("CLOSE c; COMMIT").await?;
    ensure!(begun.elapsed() < Duration::from_secs(30), "two billion rows were not made: {:?}", begun.elapsed());
    Ok(())
}

async fn after_sync() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    exchange(&mut client, &[parse("", "SELECT 1", &[]), bind("p", "", &[], 0)]).await?;
    ensure_eq!(exchange(&mut client, &[execute("p", 0)]).await?.1, "34000", "a portal ends at Sync outside of a block");
    ensure_eq!(
        exchange(&mut client, &[parse("twice", "SELECT 1", &[]), parse("twice", "SELECT 1", &[])]).await?.1,
        "42P05",
        "a second Parse of a name"
    );
    // A cursor WITH HOLD stays.
    client.simple("DECLARE h CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 3) AS g(i)").await?;
    ensure_eq!(exchange(&mut client, &[execute("h", 2)]).await?.0, "DDsZ", "Execute of a held cursor");
    ensure_eq!(rows(&mut client, "FETCH ALL FROM h").await?, ["3"], "the rest");
    client.simple("DISCARD ALL").await?;
    ensure_eq!(code(&mut client, "FETCH h").await?, "34000", "DISCARD ALL closes it");
    Ok(())
}

async fn function_call() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.send(&message(b'F', &[0, 0, 5, 0x18, 0, 0, 0, 0, 0, 0])).await?;
    let frames = client.read_to_ready().await?;
    let tags: Vec<u8> = frames.iter().map(|f| f.tag).collect();
    ensure_eq!(tags, b"EZ".to_vec(), "answer to FunctionCall");
    ensure_eq!(fields(&frames[0].body).code(), "0A000", "its error");
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "the session goes on");
    Ok(())
}

async fn wrong_counts() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let bound = |parameters: &[Option<&str>]| [parse("", "SELECT 1, 2", &[]), bind("", "", parameters, 0)];
    ensure_eq!(exchange(&mut client, &bound(&[Some("1"), Some("2")])).await?.1, "08P01", "parameters for none");
    // Three format codes for two columns; two would be right, and one or none.
    for (codes, wanted) in [(3u16, "08P01"), (2, ""), (1, ""), (0, "")] {
        let mut body = vec![0, 0, 0, 0, 0, 0];
        body.extend(codes.to_be_bytes());
        body.extend(std::iter::repeat_n([0u8, 1], codes.into()).flatten());
        let sent = [parse("", "SELECT 1, 2", &[]), message(b'B', &body), execute("", 0)];
        ensure_eq!(exchange(&mut client, &sent).await?.1, wanted, "{codes} format codes");
    }
    Ok(())
}

async fn copy_out_error() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    client.send(&query("COPY (SELECT 10 / (3 - i) FROM generate_series(1, 3) AS g(i)) TO STDOUT")).await?;
    let tags: String = client.read_to_ready().await?.iter().map(|f| char::from(f.tag)).collect();
    ensure!(tags.ends_with("EZ") && !tags.contains(['f', 'c', 'C']), "an error ends COPY OUT: {tags}");
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "the session goes on");
    Ok(())
}

async fn copy_counts() -> Outcome {
    let mut client = server::shared()?.tenant("copy_counts").await?;
    client.simple("CREATE TABLE t (a integer, b text DEFAULT 'd')").await?;
    ensure_eq!(copy_in(&mut client, "COPY t FROM STDIN", &[b"1\ta\n2\tb\n3\tc\n"]).await?, "COPY 3", "one message");
    ensure_eq!(
        copy_in(&mut client, "COPY t (a) FROM STDIN WHERE a > 5 AND b = 'd'", &[b"4\n6\n", b"7\n5"]).await?,
        "COPY 2",
        "WHERE leaves rows out"
    );
    ensure_eq!(
        single(&mut client, "SELECT string_agg(a::text, ' ' ORDER BY a) FROM t").await?,
        "1 2 3 6 7",
        "the rows"
    );
    ensure_eq!(code(&mut client, "COPY t FROM STDIN WHERE a").await?, "42804", "no condition");
    ensure_eq!(code(&mut client, "COPY t FROM STDIN WHERE nosuch > 1").await?, "42703", "no such column");
    ensure_eq!(code(&mut client, "COPY t FROM STDIN WHERE a IN (SELECT 1)").await?, "0A000", "a subquery");
    ensure_eq!(code(&mut client, "COPY t TO STDOUT WHERE a > 1").await?, "42601", "WHERE of COPY TO");
    Ok(())
}

/// All bytes of a COPY TO STDOUT in its binary form.
async fn binary_out(client: &mut Client, sql: &str) -> Outcome<Vec<u8>> {
    client.send(&query(sql)).await?;
    let frames = client.read_to_ready().await?;
    ensure!(frames.iter().all(|f| f.tag != b'E'), "{sql}: {:?}", answers(frames));
    Ok(frames.iter().filter(|f| f.tag == b'd').flat_map(|f| f.body.to_vec()).collect())
}

async fn copy_binary() -> Outcome {
    let mut client = server::shared()?.tenant("copy_binary").await?;
    let types = "b boolean, s smallint, i integer, l bigint, r real, d double precision, n numeric, n2 numeric(12,3), \
                 t text, v varchar(20), c char(4), y bytea, da date, ti time, ts timestamp, tz timestamptz, \
                 iv interval, u uuid, j json, jb jsonb, ia integer[], ta text[]";
    client.simple(&format!("CREATE TABLE t ({types}); CREATE TABLE again ({types})")).await?;
    let filled = client
        .simple(
            "INSERT INTO t VALUES (true, -7, 42, 9000000000, 1.5, -2.25, 12345.678, -0.001, 'ünïcode', 'v', 'ab', \
             '\\x00ff10', '2024-02-29', '23:59:59.5', '1999-12-31 23:59:59', '2024-03-31 01:30:00+00', \
             '1 year 2 mons -3 days 04:05:06', '00112233-4455-6677-8899-aabbccddeeff', '{\"a\": 1}', '[1, \"x\"]', \
             '{1,NULL,3}', '{a,\"b c\",NULL}'); INSERT INTO t (i, t) VALUES (1, ''), (NULL, NULL)",
        )
        .await?;
    ensure!(!filled.iter().any(|a| matches!(a, Answer::Error(_))), "{filled:?}");
    let data = binary_out(&mut client, "COPY t TO STDOUT (FORMAT binary)").await?;
    ensure!(data.starts_with(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"), "the header");
    for cut in [data.len(), 1, 7, 100] {
        let pieces: Vec<&[u8]> = data.chunks(cut).collect();
        ensure_eq!(copy_in(&mut client, "COPY again FROM STDIN BINARY", &pieces).await?, "COPY 3", "cut at {cut}");
        let (_, first) = copy_out(&mut client, "COPY (SELECT * FROM t ORDER BY i) TO STDOUT").await?;
        let (_, second) = copy_out(&mut client, "COPY (SELECT * FROM again ORDER BY i) TO STDOUT").await?;
        ensure_eq!(second, first, "cut at {cut}");
        client.simple("TRUNCATE again").await?;
    }
    Ok(())
}

async fn copy_binary_broken() -> Outcome {
    let mut client = server::shared()?.tenant("copy_binary_broken").await?;
    client.simple("CREATE TABLE t (a integer, b text)").await?;
    let head: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    let with = |rest: &[u8]| [head, rest].concat();
    let cases: [(Vec<u8>, &str, &str); 10] = [
        (b"".to_vec(), "22P04", "COPY file signature not recognized"),
        (b"PGCOPY?".to_vec(), "22P04", "COPY file signature not recognized"),
        (b"PGCOPY\n\xff\r\n\0\0\0".to_vec(), "22P04", "invalid COPY file header (missing flags)"),
        (b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0".to_vec(), "22P04", "invalid COPY file header (WITH OIDS)"),
        (b"PGCOPY\n\xff\r\n\0\x01\0\0\0\0\0\0\0".to_vec(), "22P04", "unrecognized critical flags in COPY file header"),
        (with(b"\0\x03"), "22P04", "row field count is 3, expected 2"),
        (with(b"\0\x02\0\0\0\x04\0\0\0\x01\xff\xff\xff\xfe"), "22P04", "invalid field size"),
        (with(b"\0\x02\0\0\0\x04\0\0"), "22P04", "unexpected EOF in COPY data"),
        (with(b"\xff\xffmore"), "22P04", "received copy data after EOF marker"),
        (
            with(b"\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01\xff\xff\xff"),
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0xff",
        ),
    ];
    for (data, wanted, text) in cases {
        let (code, message, _) = copy_error(&mut client, "COPY t FROM STDIN (FORMAT binary)", &[&data]).await?;
        ensure_eq!((code.as_str(), message.as_str()), (wanted, text), "{data:?}");
    }
    let (_, _, context) = copy_error(
        &mut client,
        "COPY t FROM STDIN (FORMAT binary)",
        &[&with(b"\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01a\0\x02\0\0\0\x02\0\0\0\0\0\x01a")],
    )
    .await?;
    ensure_eq!(context, "COPY t, line 2, column a", "where a value is too short");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "0", "nothing is left");
    Ok(())
}

async fn copy_options() -> Outcome {
    let mut client = server::shared()?.tenant("copy_options").await?;
    client.simple("CREATE TABLE t (a text, b text, c text)").await?;
    let go = "COPY t FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NOT_NULL (b), FORCE_NULL (c))";
    ensure_eq!(copy_in(&mut client, go, &[b"nil,nil,\"nil\"\n\"nil\",x,y\n"]).await?, "COPY 2", "FORCE_*");
    let (_, out) = copy_out(&mut client, "COPY (SELECT * FROM t ORDER BY b) TO STDOUT (FORMAT csv, NULL '-')").await?;
    ensure_eq!(out, "-,nil,-\nnil,x,y\n", "what is NULL");
    let (_, out) =
        copy_out(&mut client, "COPY (SELECT 1 AS a, 'x' AS b, NULL AS c) TO STDOUT WITH CSV HEADER FORCE QUOTE b, c")
            .await?;
    ensure_eq!(out, "a,b,c\n1,\"x\",\n", "FORCE QUOTE, old spelling");
    let (_, out) =
        copy_out(&mut client, "COPY (SELECT 1 AS a, 'x' AS b) TO STDOUT (FORMAT csv, FORCE_QUOTE *)").await?;
    ensure_eq!(out, "\"1\",\"x\"\n", "FORCE_QUOTE *");
    let (_, out) =
        copy_out(&mut client, "COPY (SELECT 'it''s', 'a\"b') TO STDOUT (FORMAT csv, QUOTE '''', ESCAPE '\\')").await?;
    ensure_eq!(out, "'it\\'s',a\"b\n", "QUOTE and ESCAPE");
    client.simple("TRUNCATE t").await?;
    let matched = "COPY t FROM STDIN (FORMAT csv, HEADER match)";
    ensure_eq!(copy_in(&mut client, matched, &[b"a,b,c\n1,2,3\n"]).await?, "COPY 1", "HEADER match");
    let (code, message, context) = copy_error(&mut client, matched, &[b"a,x,c\n1,2,3\n"]).await?;
    ensure_eq!(
        (code.as_str(), message.as_str(), context.as_str()),
        (
            "22P04",
            "column name mismatch in header line field 2: got \"x\", expected \"b\"",
            "COPY t, line 1: \"a,x,c\""
        ),
        "another name"
    );
    let (_, message, _) = copy_error(&mut client, matched, &[b"a,b\n"]).await?;
    ensure_eq!(message, "wrong number of fields in header line: got 2, expected 3", "fewer names");
    let data: &[u8] = b"caf\xe9,\xfc,x\n";
    ensure_eq!(
        copy_in(&mut client, "COPY t FROM STDIN (FORMAT csv, ENCODING 'LATIN1')", &[data]).await?,
        "COPY 1",
        "LATIN1"
    );
    ensure_eq!(single(&mut client, "SELECT a || b FROM t WHERE c = 'x'").await?, "caféü", "LATIN1 in");
    let out =
        binary_out(&mut client, "COPY (SELECT a, b, c FROM t WHERE c = 'x') TO STDOUT (FORMAT csv, ENCODING 'latin1')")
            .await?;
    ensure_eq!(out, data, "LATIN1 out");
    client.send(&query("COPY (SELECT '中') TO STDOUT (ENCODING 'LATIN1')")).await?;
    let refused = answers(client.read_to_ready().await?);
    ensure!(matches!(refused.last(), Some(Answer::Error(e)) if e.code() == "22P05"), "{refused:?}");
    Ok(())
}

async fn copy_contexts() -> Outcome {
    let mut client = server::shared()?.tenant("copy_contexts").await?;
    client.simple("CREATE TABLE t (a integer NOT NULL, b text CHECK (length(b) < 5), c varchar(3))").await?;
    let text = "COPY t FROM STDIN";
    let csv = "COPY t FROM STDIN CSV HEADER";
    let cases: [(&str, &[u8], &str, &str); 9] = [
        (text, b"1\ta\tx\n\\N\tb\ty\n", "23502", "COPY t, line 2: \"\\N\tb\ty\""),
        (text, b"1\ta\tx\n2\tb\ty\n3\ttoo long\tz\n4\tc\tx\n", "23514", "COPY t, line 3: \"3\ttoo long\tz\""),
        (csv, b"a,b,c\n1,x,y\n,x,y\n", "23502", "COPY t, line 3: \",x,y\""),
        (text, b"1\ta\tlong\n", "22001", "COPY t, line 1, column c: \"long\""),
        (text, b"x\ta\tb\n", "22P02", "COPY t, line 1, column a: \"x\""),
        (text, b"1\ta\n", "22P04", "COPY t, line 1: \"1\ta\""),
        (text, b"1\ta\tb\tc\n", "22P04", "COPY t, line 1: \"1\ta\tb\tc\""),
        (text, b"1\ta\tb\r\n2\tb\tc\n", "22P04", "COPY t, line 2"),
        (text, b"1\ta\tb\n\\.x\n", "22P04", "COPY t, line 2: \"\""),
    ];
    for (sql, data, wanted, place) in cases {
        let (code, message, context) = copy_error(&mut client, sql, &[data]).await?;
        ensure_eq!(
            (code.as_str(), context.as_str()),
            (wanted, place),
            "{message} of {:?}",
            String::from_utf8_lossy(data)
        );
    }
    // Lines may end in any of three ways, but all alike.
    for data in [&b"1\ta\tb\n2\tc\td\n"[..], b"1\ta\tb\r\n2\tc\td\r\n", b"1\ta\tb\r2\tc\td\r", b"1\ta\tb\r2\tc\td"] {
        ensure_eq!(copy_in(&mut client, text, &[data]).await?, "COPY 2", "{:?}", String::from_utf8_lossy(data));
    }
    Ok(())
}

/// A column as RowDescription tells it.
#[derive(Debug, PartialEq)]
struct Described {
    name: String,
    table: u32,
    number: i16,
    oid: u32,
    length: i16,
    typmod: i32,
    format: i16,
}

fn columns(frames: &[Frame]) -> Outcome<Vec<Described>> {
    let mut body: Bytes = frames.iter().find(|f| f.tag == b'T').ok_or("no RowDescription")?.body.clone();
    let count = body.get_u16();
    let column = |_| Described {
        name: cstring(&mut body),
        table: body.get_u32(),
        number: body.get_i16(),
        oid: body.get_u32(),
        length: body.get_i16(),
        typmod: body.get_i32(),
        format: body.get_i16(),
    };
    Ok((0..count).map(column).collect())
}

async fn described() -> Outcome {
    let mut client = server::shared()?.tenant("described").await?;
    client
        .simple(
            "CREATE TABLE t (a integer, v varchar(10), n numeric(12,3), c char(4), va varchar(7)[], t text, \
             f double precision, u uuid)",
        )
        .await?;
    let table: u32 = single(&mut client, "SELECT 't'::regclass::oid").await?.parse()?;
    client.send(&query("SELECT *, a + 1 AS sum, v || 'x' AS cat FROM t")).await?;
    let got = columns(&client.read_to_ready().await?)?;
    let wanted = [
        ("a", table, 1, 23, 4, -1),
        ("v", table, 2, 1043, -1, 14),
        ("n", table, 3, 1700, -1, (12 << 16 | 3) + 4),
        ("c", table, 4, 1042, -1, 8),
        ("va", table, 5, 1015, -1, 11),
        ("t", table, 6, 25, -1, -1),
        ("f", table, 7, 701, 8, -1),
        ("u", table, 8, 2950, 16, -1),
        ("sum", 0, 0, 23, 4, -1),
        ("cat", 0, 0, 25, -1, -1),
    ];
    for (got, (name, table, number, oid, length, typmod)) in got.iter().zip(wanted) {
        let wanted = Described { name: name.into(), table, number, oid, length, typmod, format: 0 };
        ensure_eq!(*got, wanted, "column {name}");
    }
    ensure_eq!(got.len(), wanted.len(), "columns");
    Ok(())
}

async fn reported() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    let steps = [
        ("SET application_name = 'one'", "one"),
        ("BEGIN; SET application_name = 'two'", "two"),
        ("ROLLBACK", "one"),
        ("BEGIN; SET LOCAL application_name = 'three'", "three"),
        ("COMMIT", "one"),
        ("BEGIN; SAVEPOINT s; SET application_name = 'four'", "four"),
        ("ROLLBACK TO s", "one"),
        ("ROLLBACK", "one"),
        ("SELECT set_config('application_name', 'five', false)", "five"),
        ("RESET application_name", ""),
    ];
    for (sql, wanted) in steps {
        client.simple(sql).await?;
        ensure_eq!(client.parameters["application_name"], wanted, "after {sql}");
    }
    client.simple("SET default_transaction_read_only = on").await?;
    ensure_eq!(client.parameters["default_transaction_read_only"], "on", "another one");
    Ok(())
}

async fn idle() -> Outcome {
    let server = server::shared()?;
    for (setting, begin, code) in [
        ("idle_session_timeout", "", "57P05"),
        ("idle_in_transaction_session_timeout", "BEGIN", "25P03"),
        ("idle_in_transaction_session_timeout", "BEGIN; SELECT 1 / 0", "25P03"),
    ] {
        let mut client = server.connect().await?;
        client.simple(&format!("SET {setting} = '100ms'")).await?;
        client.simple(begin).await?;
        let ended = tokio::time::timeout(Duration::from_secs(20), client.read()).await??;
        ensure_eq!((ended.tag, fields(&ended.body).code()), (b'E', code), "{setting}");
        ensure_eq!(fields(&ended.body).get('S'), "FATAL", "{setting}");
        ensure!(client.read().await.is_err(), "the connection is closed");
    }
    // The one does not count where the other does.
    let mut client = server.connect().await?;
    client.simple("SET idle_in_transaction_session_timeout = '50ms'").await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "idle, but in no transaction");
    Ok(())
}

async fn slow_reader() -> Outcome {
    let server = Server::fresh()?;
    single(&mut server.connect().await?, "SELECT count(*) FROM generate_series(1, 100000) AS g(i)").await?;
    let before = server.resident_bytes()?;
    let mut readers = Vec::new();
    for sql in [
        "SELECT repeat('x', 1000) FROM generate_series(1, 2000000)",
        "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 2000000)) TO STDOUT",
    ] {
        let mut client = server.connect().await?;
        client.send(&query(sql)).await?;
        readers.push(client);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = server.resident_bytes()?.saturating_sub(before) >> 20;
    ensure!(grown < 200, "two clients that read nothing of 4 GB cost {grown} MB");
    drop(readers);
    ensure_eq!(single(&mut server.connect().await?, "SELECT 1").await?, "1", "beside them");
    Ok(())
}

async fn defaults() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.tenant("with_settings").await?;
    let made = admin
        .simple("CREATE ROLE carl LOGIN; ALTER ROLE carl SET work_mem = '7MB'; ALTER ROLE carl SET search_path = a, \"B c\"")
        .await?;
    ensure!(made.iter().all(|a| matches!(a, Answer::Done { .. })), "{made:?}");
    admin.simple("ALTER DATABASE with_settings SET work_mem = '9MB'").await?;
    admin.simple("ALTER DATABASE with_settings SET statement_timeout = '1min'").await?;
    ensure_eq!(code(&mut admin, "ALTER ROLE carl SET work_mem = 'much'").await?, "22023", "a wrong value");
    ensure_eq!(code(&mut admin, "ALTER ROLE carl SET nosuch = 1").await?, "42704", "a wrong name");
    let mut carl = Client::connect(server.port, "carl", "with_settings").await?;
    ensure_eq!(single(&mut carl, "SHOW work_mem").await?, "7MB", "the role's before the tenant's");
    ensure_eq!(single(&mut carl, "SHOW search_path").await?, "a, \"B c\"", "a list");
    ensure_eq!(single(&mut carl, "SHOW statement_timeout").await?, "1min", "the tenant's");
    carl.simple("SET work_mem = '1MB'; RESET work_mem").await?;
    ensure_eq!(single(&mut carl, "SHOW work_mem").await?, "7MB", "RESET goes back to it");
    let own = single(&mut carl, "SELECT rolconfig FROM pg_roles WHERE rolname = 'carl'").await?;
    ensure_eq!(own, "{work_mem=7MB,\"search_path=a, \\\"B c\\\"\"}", "pg_roles");
    carl.simple("ALTER ROLE carl RESET ALL; ALTER ROLE carl SET application_name = 'mine'").await?;
    let mut again = Client::connect(server.port, "carl", "with_settings").await?;
    ensure_eq!(single(&mut again, "SHOW work_mem").await?, "9MB", "the tenant's after RESET ALL");
    ensure_eq!(again.parameters["application_name"], "mine", "a role changes its own");
    Ok(())
}

async fn binary_lengths() -> Outcome {
    let mut client = server::shared()?.connect().await?;
    for (value, wanted, text) in [
        (&[0u8, 1][..], "08P01", "insufficient data left in message"),
        (&[0, 0, 0, 0, 1], "22P03", "incorrect binary data format in bind parameter 1"),
        (&[0, 0, 0, 7], "", ""),
    ] {
        let mut body = vec![0, 0, 0, 1, 0, 1, 0, 1];
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value);
        body.extend([0, 0]);
        let sent = [parse("", "SELECT $1::integer", &[23]), message(b'B', &body), execute("", 0)];
        let (_, code, frames) = exchange(&mut client, &sent).await?;
        let said = frames.iter().find(|f| f.tag == b'E').map(|f| fields(&f.body).message().to_string());
        ensure_eq!((code.as_str(), said.unwrap_or_default().as_str()), (wanted, text), "{value:?}");
    }
    Ok(())
}

async fn half_open() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_AUTHENTICATION_TIMEOUT", "300ms")])?;
    let mut silent = Client::open(server.port).await?;
    let mut halfway = Client::open(server.port).await?;
    halfway.send(&startup(&[("user", USER)])[..9]).await?;
    for client in [&mut silent, &mut halfway] {
        let ended = tokio::time::timeout(Duration::from_secs(20), client.read()).await?;
        ensure!(ended.is_err(), "a client that does not log in is left");
    }
    ensure_eq!(single(&mut server.connect().await?, "SELECT 1").await?, "1", "one that does is not");
    Ok(())
}

async fn connection_limits() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_MAX_CONNECTIONS", "12")])?;
    let mut admin = server.connect().await?;
    admin.simple("CREATE DATABASE small CONNECTION LIMIT 2").await?;
    let mut small = Client::connect(server.port, USER, "small").await?;
    small.simple("CREATE ROLE ann LOGIN CONNECTION LIMIT 1; CREATE ROLE bob LOGIN").await?;
    let refused = |port: u16, user: &'static str, database: &'static str| async move {
        match Client::connect(port, user, database).await {
            Ok(_) => Err(format!("{user} got into {database}").into()),
            Err(e) => Outcome::Ok(e.to_string()),
        }
    };
    let ann = Client::connect(server.port, "ann", "small").await?;
    ensure_eq!(
        refused(server.port, "ann", "small").await?,
        "[53300] too many connections for role \"ann\"",
        "the role's limit"
    );
    let _bob = Client::connect(server.port, "bob", "small").await?;
    ensure_eq!(
        refused(server.port, "bob", "small").await?,
        "[53300] too many connections for database \"small\"",
        "the tenant's limit, which a superuser does not count in"
    );
    ensure_eq!(
        single(&mut admin, "SELECT datconnlimit FROM pg_database WHERE datname = 'small'").await?,
        "2",
        "pg_database"
    );
    ensure_eq!(code(&mut admin, "ALTER DATABASE small CONNECTION LIMIT -2").await?, "22023", "no limit");
    admin.simple("ALTER TENANT small CONNECTION LIMIT -1").await?;
    let mut bobs = Vec::new();
    let full = loop {
        match Client::connect(server.port, "bob", "small").await {
            Ok(bob) => bobs.push(bob),
            Err(e) => break e.to_string(),
        }
    };
    ensure_eq!(
        full,
        "[53300] remaining connection slots are reserved for non-replication superuser connections",
        "the server's limit"
    );
    let mut admins = Vec::new();
    let full = loop {
        match Client::connect(server.port, USER, DATABASE).await {
            Ok(admin) => admins.push(admin),
            Err(e) => break e.to_string(),
        }
    };
    ensure_eq!((admins.len(), full.as_str()), (3, "[53300] sorry, too many clients already"), "the last ones");
    drop(ann);
    Ok(())
}
