//! Clients whose texts are not UTF-8: psql on a Chinese Windows says `client_encoding = GBK`. What PostgreSQL 15 sends to
//! such a client was seen with psql and written down here as bytes.

use libtest_mimic::Trial;

use crate::copy::{copy_error, copy_in};
use crate::pg_client::{Answer, Client, answers, fields, message, query, sync};
use crate::server;
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("encodings::queries_and_answers_in_gbk", gbk));
    trials.push(trial("encodings::parameters_in_gbk", parameters));
    trials.push(trial("encodings::copy_in_an_encoding_of_its_own", copy_own));
    trials.push(trial("encodings::copy_in_the_clients_encoding", copy_clients));
    trials.push(trial("encodings::names_and_faults", faults));
}

/// 中文.
const ZHONGWEN: &[u8] = b"\xd6\xd0\xce\xc4";

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|w| w == part)
}

/// The bodies of the messages of one kind that answer a query string of any bytes.
async fn bodies(client: &mut Client, sql: &[u8], kind: u8) -> Outcome<Vec<Vec<u8>>> {
    client.send(&message(b'Q', &joined(&[sql, b"\0"]))).await?;
    let frames = client.read_to_ready().await?;
    Ok(frames.iter().filter(|f| f.tag == kind).map(|f| f.body.to_vec()).collect())
}

async fn gbk() -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant("encodings_gbk").await?;
    client.simple("SET client_encoding TO 'gbk'").await?;
    ensure_eq!(client.parameters.get("client_encoding").map(String::as_str), Some("GBK"), "it is reported");
    // The second byte of this character is a backslash, that of the next one a quote's neighbour.
    let sql = joined(&[b"SELECT '", ZHONGWEN, b"\x81\x5c' AS \"", ZHONGWEN, b"\", length('", ZHONGWEN, b"')"]);
    client.send(&message(b'Q', &joined(&[&sql, b"\0"]))).await?;
    let frames = client.read_to_ready().await?;
    let of = |tag: u8| frames.iter().find(|f| f.tag == tag).map(|f| f.body.to_vec()).unwrap_or_default();
    ensure!(of(b'T').get(2..7) == Some(&joined(&[ZHONGWEN, b"\0"])[..]), "the column's name: {:?}", of(b'T'));
    ensure_eq!(of(b'D'), joined(&[b"\0\x02\0\0\0\x06", ZHONGWEN, b"\x81\x5c\0\0\0\x012"]), "the row");
    // The text of an error, with what it quotes.
    let error = bodies(&mut client, &joined(&[b"SELECT * FROM ", ZHONGWEN]), b'E').await?.concat();
    ensure!(contains(&error, &joined(&[b"relation \"", ZHONGWEN, b"\" does not exist"])), "{error:?}");
    // The place of an error counts characters.
    ensure!(contains(&error, b"P15\0"), "{error:?}");
    let notice = bodies(&mut client, &joined(&[b"DROP TABLE IF EXISTS ", ZHONGWEN]), b'N').await;
    ensure!(notice.is_ok(), "a notice");
    // A character that GBK has not, and bytes that are none.
    let code = |bodies: Vec<Vec<u8>>| fields(&bodies.concat().into()).code().to_string();
    ensure_eq!(code(bodies(&mut client, b"SELECT U&'\\+01F600'", b'E').await?), "22P05", "no equivalent");
    ensure_eq!(code(bodies(&mut client, b"SELECT 1 -- \xff", b'E').await?), "22021", "no character");
    // The row before the fault was sent whole, and the connection goes on.
    ensure_eq!(single(&mut client, "SELECT 1").await?, "1", "after a fault");
    // What is stored is the text itself.
    client.send(&message(b'Q', &joined(&[b"CREATE TABLE t AS SELECT '", ZHONGWEN, b"' AS x\0"]))).await?;
    client.read_to_ready().await?;
    client.simple("SET client_encoding TO 'UTF8'").await?;
    ensure_eq!(single(&mut client, "SELECT x FROM t").await?, "中文", "as UTF-8");
    // Two statements in one string: the second is already answered in the new encoding.
    let rows = bodies(&mut client, "SET client_encoding TO big5; SELECT x FROM t".as_bytes(), b'D').await?;
    ensure_eq!(rows, [b"\0\x01\0\0\0\x04\xa4\xa4\xa4\xe5".to_vec()], "in Big5");
    Ok(())
}

async fn parameters() -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant("encodings_parameters").await?;
    client.simple("SET client_encoding TO 'GB18030'").await?;
    let parse = joined(&[ZHONGWEN, b"\0SELECT $1 || '", ZHONGWEN, b"', $2::bytea\0\0\0"]);
    let bind = |format: u8| {
        let parameters = joined(&[b"\0\x02\0\0\0\x04", ZHONGWEN, b"\0\0\0\x02\xd6\xd0"]);
        let formats = [0, 2, 0, format, 0, 1];
        joined(&[b"\0", ZHONGWEN, b"\0", &formats, &parameters, &[0, 1, 0, format]])
    };
    for format in [0, 1] {
        let mut out = message(b'P', &parse);
        out.extend(message(b'B', &bind(format)));
        out.extend(message(b'E', b"\0\0\0\0\0"));
        out.extend(message(b'C', &joined(&[b"S", ZHONGWEN, b"\0"])));
        out.extend(sync());
        client.send(&out).await?;
        let frames = client.read_to_ready().await?;
        let row = frames.iter().find(|f| f.tag == b'D').map(|f| f.body.to_vec()).unwrap_or_default();
        ensure!(contains(&row, &joined(&[b"\0\0\0\x08", ZHONGWEN, ZHONGWEN])), "format {format}: {frames:?}");
        let bytea: &[u8] = if format == 0 { b"\\xd6d0" } else { b"\xd6\xd0" };
        ensure!(row.ends_with(bytea), "bytes stay bytes: {row:?}");
    }
    Ok(())
}

async fn copy_own() -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant("encodings_copy").await?;
    client.simple("CREATE TABLE t (id integer, name text)").await?;
    let line = joined(&[b"1,", ZHONGWEN, b"\n2,\"a", ZHONGWEN, b"\"\n"]);
    let sql = "COPY t FROM STDIN WITH (FORMAT csv, ENCODING 'GBK')";
    for cut in 0..line.len() {
        client.simple("TRUNCATE t").await?;
        ensure_eq!(copy_in(&mut client, sql, &[&line[..cut], &line[cut..]]).await?, "COPY 2", "cut at {cut}");
        let names = "SELECT string_agg(name, '/' ORDER BY id) FROM t";
        ensure_eq!(single(&mut client, names).await?, "中文/a中文", "cut at {cut}");
    }
    for (encoding, wanted) in [("GBK", ZHONGWEN), ("big5", b"\xa4\xa4\xa4\xe5"), ("EUC_JP", b"\xc3\xe6\xca\xb8")] {
        let sql = format!("COPY (SELECT name FROM t WHERE id = 1) TO STDOUT (ENCODING '{encoding}')");
        let data = bodies(&mut client, sql.as_bytes(), b'd').await?.concat();
        ensure_eq!(data, joined(&[wanted, b"\n"]), "to {encoding}");
    }
    let (code, text, place) = copy_error(&mut client, sql, &[b"3,x\n4,\xfe \n"]).await?;
    let wanted = "character with byte sequence 0xfe 0x20 in encoding \"GBK\" has no equivalent in encoding \"UTF8\"";
    ensure_eq!((code.as_str(), text.as_str(), place.as_str()), ("22P05", wanted, "COPY t, line 2"), "unknown");
    let (code, text, place) = copy_error(&mut client, sql, &[b"3,\xd6"]).await?;
    let wanted = "invalid byte sequence for encoding \"GBK\": 0xd6";
    ensure_eq!((code.as_str(), text.as_str(), place.as_str()), ("22021", wanted, "COPY t, line 1"), "cut off");
    let out = b"COPY (VALUES ('a'), ('\xf0\x9f\x98\x80')) TO STDOUT (ENCODING 'GBK')";
    client.send(&message(b'Q', &joined(&[out, b"\0"]))).await?;
    let frames = client.read_to_ready().await?;
    let error = frames.iter().find(|f| f.tag == b'E').map(|f| fields(&f.body).code().to_string());
    ensure_eq!(error.as_deref(), Some("22P05"), "no equivalent");
    let sent = frames.iter().filter(|f| f.tag == b'd').map(|f| f.body.to_vec()).collect::<Vec<_>>();
    ensure_eq!(sent, [b"a\n".to_vec()], "nothing of the row that failed");
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, "2", "nothing of what failed");
    Ok(())
}

async fn copy_clients() -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant("encodings_copy_client").await?;
    client.simple("CREATE TABLE t (id integer, name text)").await?;
    client.simple("SET client_encoding TO 'GBK'").await?;
    copy_in(&mut client, "COPY t FROM STDIN", &[&joined(&[b"1\t", ZHONGWEN, b"\n"])]).await?;
    copy_in(&mut client, "COPY t FROM STDIN (ENCODING 'UTF8')", &["2\t中文\n".as_bytes()]).await?;
    let data = bodies(&mut client, b"COPY (SELECT name FROM t ORDER BY id) TO STDOUT", b'd').await?;
    ensure_eq!(data, vec![joined(&[ZHONGWEN, b"\n"]); 2], "out");
    // The binary form of a text is in the encoding as well.
    let data =
        bodies(&mut client, b"COPY (SELECT 7, name FROM t WHERE id = 1) TO STDOUT (FORMAT binary)", b'd').await?;
    let row = data.concat();
    ensure!(contains(&row, &joined(&[b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x04", ZHONGWEN])), "binary: {row:?}");
    copy_in(&mut client, "COPY t FROM STDIN (FORMAT binary)", &[&row]).await?;
    client.simple("RESET client_encoding").await?;
    ensure_eq!(single(&mut client, "SELECT name FROM t WHERE id = 7").await?, "中文", "binary in");
    Ok(())
}

async fn faults() -> Outcome {
    let server = server::shared()?;
    let mut client = server.tenant("encodings_faults").await?;
    for (name, wanted) in [("Windows-936", "GBK"), ("'utf-8'", "UTF8"), ("iso_8859-15", "LATIN9"), ("SJIS", "SJIS")] {
        client.simple(&format!("SET client_encoding TO \"{name}\"")).await?;
        ensure_eq!(single(&mut client, "SHOW client_encoding").await?, wanted, "{name}");
    }
    for (name, code) in [("klingon", "22023"), ("EUC_TW", "0A000"), ("utf16", "22023")] {
        client.send(&query(&format!("SET client_encoding TO '{name}'"))).await?;
        let Some(Answer::Error(e)) = answers(client.read_to_ready().await?).pop() else {
            return Err(format!("{name} is taken").into());
        };
        ensure_eq!(e.code(), code, "{name}");
    }
    // A whole array of texts has no binary form in it.
    client.simple("SET client_encoding TO GBK").await?;
    let mut out = message(b'P', b"\0SELECT ARRAY['a']\0\0\0");
    out.extend(message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01"));
    out.extend(message(b'E', b"\0\0\0\0\0"));
    out.extend(sync());
    // Nor has one as a parameter.
    let mut bound = message(b'P', b"\0SELECT $1::text[]\0\0\0");
    let array = b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01a";
    bound.extend(message(b'B', &joined(&[b"\0\0\0\x01\0\x01\0\x01\0\0\0\x19", array, b"\0\0"])));
    bound.extend(sync());
    for (out, what) in [(out, "arrays"), (bound, "arrays as parameters")] {
        client.send(&out).await?;
        let frames = client.read_to_ready().await?;
        let error = frames.iter().find(|f| f.tag == b'E').map(|f| fields(&f.body).code().to_string());
        ensure_eq!(error.as_deref(), Some("0A000"), "{what}: {frames:?}");
    }
    Ok(())
}
