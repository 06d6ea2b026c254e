//! The scenarios of tokio-postgres, as `clients/*/scenarios.*` has those of other drivers: `it --tokio-postgres` prints a
//! line each for the server of PGHOST, PGPORT, PGUSER and PGDATABASE, and `clients/run.py` compares them between
//! PostgreSQL 15 and Sightline.
//!
//! Values go as the bytes they are: nothing of the driver's conversion lies between.

use std::error::Error;
use std::fmt::{Debug, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::join_all;
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::{repository, runtime};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ENDLESS: &str =
    "SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)";

/// Runs all scenarios.
#[expect(clippy::print_stderr, reason = "a process of its own, which tells its parent")]
pub(crate) fn run() -> ExitCode {
    match runtime().block_on(scenarios()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// A value's binary form.
#[derive(Clone)]
struct Raw(Vec<u8>);

impl Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What the server said of an error.
fn failure(e: &(dyn Error + Send + Sync + 'static)) -> String {
    match e.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error) {
        Some(e) => {
            let (code, message) = (e.code().code(), e.message());
            format!("error: {code} {message} | {:?} | {:?} | {:?}", e.detail(), e.hint(), e.position())
        }
        None => format!("error: {e}"),
    }
}

#[expect(clippy::print_stdout, reason = "the lines are what is compared")]
fn say<T: Debug>(name: &str, outcome: Outcome<T>) {
    let shown = match outcome {
        Ok(value) => format!("{value:?}"),
        Err(e) => failure(e.as_ref()),
    };
    println!("{}", format!("{}: {shown}", name.replace(": ", ":")).replace('\n', "\\n"));
}

/// A section of `values.json`, of which each line has one key or one string.
fn table(section: &str) -> Outcome<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(repository().join("clients/values.json"))?;
    let (mut inside, mut rows) = (false, Vec::new());
    for line in text.lines().map(str::trim) {
        if line.ends_with('{') || line.ends_with('[') {
            inside = strings(line).first().is_some_and(|name| name == section);
        } else if inside && line.starts_with('"') {
            rows.push(strings(line));
        }
    }
    Ok(rows)
}

/// The JSON strings of a line.
fn strings(line: &str) -> Vec<String> {
    let (mut all, mut text) = (Vec::new(), None::<String>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (&mut text, c) {
            (None, '"') => text = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => all.extend(text.take()),
            (Some(t), '\\') => match chars.next() {
                Some('n') => t.push('\n'),
                Some('t') => t.push('\t'),
                other => t.extend(other),
            },
            (Some(t), c) => t.push(c),
        }
    }
    all
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn connect(database: Option<&str>) -> Outcome<Client> {
    let get = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let mut config = tokio_postgres::Config::new();
    config.host(get("PGHOST")?).port(get("PGPORT")?.parse()?).user(get("PGUSER")?);
    let own = get("PGDATABASE")?;
    let (client, connection) = config.dbname(database.unwrap_or(&own)).connect(NoTls).await?;
    tokio::spawn(async move {
        // It ends with the client, or with an error that the client's calls show.
        let _ended = connection.await;
    });
    Ok(client)
}

async fn scenarios() -> Outcome<()> {
    let mut client = connect(None).await?;
    for sql in [
        "CREATE TABLE kinds (a integer, b text, c numeric(8,2), d timestamptz, e varchar(20), f char(3), g integer[])",
        "CREATE TABLE strict (a integer NOT NULL CHECK (a > 0))",
        "CREATE TABLE short (a varchar(3))",
    ] {
        client.batch_execute(sql).await?;
    }
    values(&client).await?;
    described(&client).await;
    errors(&client).await?;
    pipelines(&client).await;
    transactions(&mut client).await?;
    portals(&mut client).await?;
    copies(&client).await?;
    prepared(&client).await?;
    stopping(&client).await;
    Ok(())
}

async fn one(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<Option<Raw>> {
    Ok(client.query_one(sql, parameters).await?.try_get(0)?)
}

async fn values(client: &Client) -> Outcome<()> {
    for row in table("types")? {
        let (ty, texts) = row.split_first().ok_or("a line without a type")?;
        let finite = texts.iter().filter(|t| !t.contains("BC") && !t.to_lowercase().contains("inf") && *t != "NaN");
        let items = finite.map(|t| format!("\"{}\"", t.replace('\\', "\\\\").replace('"', "\\\"")));
        let array = format!("{{NULL,{}}}", items.collect::<Vec<_>>().join(","));
        let single = texts.iter().map(|t| (ty.clone(), t.clone()));
        let all = single.chain([(format!("{ty}[]"), "{}".to_string()), (format!("{ty}[]"), array)]);
        for (ty, text) in all {
            let sql = format!("SELECT {}::{ty}", quoted(&text));
            let found = one(client, &sql, &[]).await;
            if let Ok(Some(raw)) = &found {
                let back = format!("SELECT $1::{ty}::text");
                say(&format!("parameter {ty} {text:?}"), one(client, &back, &[raw]).await.map(shown_text));
                say(&format!("returned {ty} {text:?}"), one(client, &format!("SELECT $1::{ty}"), &[raw]).await);
            }
            say(&format!("binary {ty} {text:?}"), found);
            say(&format!("text {ty} {text:?}"), simple(client, &sql).await);
        }
        say(&format!("null {ty}"), one(client, &format!("SELECT NULL::{ty}"), &[]).await);
        let null = None::<&str>;
        let nothing = client.query_one(&format!("SELECT $1::text::{ty} IS NULL"), &[&null]).await;
        say(&format!("null parameter {ty}"), nothing.map(|r| r.get::<_, bool>(0)).map_err(Into::into));
    }
    let large = "中文 and more ".repeat(80_000);
    let same = client.query_one("SELECT $1::text", &[&large]).await.map(|r| r.get::<_, String>(0) == large);
    say("large text", same.map_err(Into::into));
    Ok(())
}

fn shown_text(raw: Option<Raw>) -> Option<String> {
    raw.map(|raw| String::from_utf8_lossy(&raw.0).into_owned())
}

async fn simple(client: &Client, sql: &str) -> Outcome<Vec<String>> {
    let shown = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            format!("{:?}", (0..row.len()).map(|n| row.get(n).map(String::from)).collect::<Vec<_>>())
        }
        SimpleQueryMessage::CommandComplete(count) => format!("done {count}"),
        _ => "columns".to_string(),
    };
    Ok(client.simple_query(sql).await?.into_iter().map(shown).collect())
}

async fn described(client: &Client) {
    for sql in [
        "SELECT $1",
        "SELECT $1 + 1, $2 || 'x'",
        "SELECT $1::int, $1 + 1",
        "SELECT * FROM kinds WHERE a = $1 AND b = $2 AND c > $3 AND d < $4 AND e = $5",
        "INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6, $7)",
        "SELECT $1::varchar(3), $2::numeric(4,2), $3::char(5)",
        "SELECT coalesce($1, 1), ARRAY[$2, 2]",
        "SELECT 2 = ANY($1)",
        "SELECT a FROM kinds WHERE a = ANY($1)",
        "SELECT generate_series(1, 5) LIMIT $1",
        "SELECT 5 BETWEEN $1 AND $2",
        "SELECT 'a' LIKE $1",
        "SELECT CASE WHEN $1 THEN 1 ELSE $2 END",
        "SELECT a, count(*) FROM kinds GROUP BY a HAVING count(*) > $1",
        "SELECT now() - $1",
    ] {
        let found = client.prepare(sql).await.map(|statement| {
            let columns = statement.columns().iter().map(|c| format!("{} {}", c.name(), c.type_().name()));
            (statement.params().iter().map(|t| t.name().to_string()).collect::<Vec<_>>(), columns.collect::<Vec<_>>())
        });
        say(&format!("types of {sql}"), found.map_err(Into::into));
    }
    for sql in ["SELECT $1::varchar(3)", "SELECT $1::char(3)::text || '|'", "INSERT INTO short VALUES ($1)"] {
        for text in ["ab", "abcd", "ab   "] {
            let ran = client.query(sql, &[&text]).await.map(|rows| rows.first().map(|r| r.get::<_, String>(0)));
            say(&format!("{sql} of {text:?}"), ran.map_err(Into::into));
        }
    }
}

async fn errors(client: &Client) -> Outcome<()> {
    for row in table("errors")? {
        let sql = row.join("");
        if !sql.starts_with("COPY") {
            say(&format!("error simple {sql}"), simple(client, &sql).await);
            say(&format!("error prepared {sql}"), client.query(&sql, &[]).await.map(|r| r.len()).map_err(Into::into));
        }
    }
    Ok(())
}

async fn pipelines(client: &Client) {
    let numbers = join_all((0..50).map(|n: i32| async move { client.query_one("SELECT $1::int4 * 2", &[&n]).await }));
    let sum = numbers.await.into_iter().map(|r| r.map(|r| r.get::<_, i32>(0))).sum::<Result<i32, _>>();
    say("pipelined", sum.map_err(Into::into));
    let mixed = join_all([4, 0, 2].map(|n: i32| async move { client.query_one("SELECT 8 / $1::int4", &[&n]).await }));
    for (n, answer) in mixed.await.into_iter().enumerate() {
        say(&format!("pipelined with an error {n}"), answer.map(|r| r.get::<_, i32>(0)).map_err(Into::into));
    }
}

async fn transactions(client: &mut Client) -> Outcome<()> {
    client.batch_execute("CREATE TABLE tx (a integer)").await?;
    let mut tx = client.transaction().await?;
    tx.execute("INSERT INTO tx VALUES (1)", &[]).await?;
    let inner = tx.savepoint("here").await?;
    inner.execute("INSERT INTO tx VALUES (2)", &[]).await?;
    say("in a savepoint", inner.query("SELECT 1 / 0", &[]).await.map(|r| r.len()).map_err(Into::into));
    say("after it", inner.query("SELECT 1", &[]).await.map(|r| r.len()).map_err(Into::into));
    inner.rollback().await?;
    tx.execute("INSERT INTO tx VALUES (3)", &[]).await?;
    tx.commit().await?;
    say("committed", simple(client, "SELECT a FROM tx ORDER BY a").await);
    let read = client.build_transaction().read_only(true).isolation_level(tokio_postgres::IsolationLevel::Serializable);
    let tx = read.start().await?;
    say("read only", tx.execute("INSERT INTO tx VALUES (4)", &[]).await.map_err(Into::into));
    tx.rollback().await?;
    Ok(())
}

async fn portals(client: &mut Client) -> Outcome<()> {
    let tx = client.transaction().await?;
    let portal = tx.bind("SELECT i FROM generate_series(1, 10) AS g(i) WHERE i > $1", &[&3_i32]).await?;
    for n in 0..5 {
        let rows = tx.query_portal(&portal, 3).await;
        let numbers = rows.map(|rows| rows.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>());
        say(&format!("portal {n}"), numbers.map_err(Into::into));
    }
    let insert = tx.bind("INSERT INTO tx VALUES (9)", &[]).await?;
    say("portal of an insert", tx.query_portal(&insert, 1).await.map(|r| r.len()).map_err(Into::into));
    tx.rollback().await?;
    let rows =
        client.query_raw::<_, i32, _>("SELECT i::int4 FROM generate_series(1, $1::int4) AS g(i)", [20_000_i32]).await?;
    let sum = rows.try_fold(0_i64, |sum, row| async move { Ok(sum + i64::from(row.get::<_, i32>(0))) });
    say("streamed", sum.await.map_err(Into::into));
    Ok(())
}

async fn copies(client: &Client) -> Outcome<()> {
    client.batch_execute("CREATE TABLE cp (id integer, name text)").await?;
    for (name, sql, data) in [
        ("text", "COPY cp FROM STDIN", "1\tnaïve\n2\t\\N\n"),
        ("csv", "COPY cp FROM STDIN (FORMAT csv)", "3,\"a, b\"\n"),
        ("wrong", "COPY cp FROM STDIN", "x\ty\n"),
    ] {
        say(&format!("copy in {name}"), copy_in(client, sql, data).await);
    }
    for format in ["text", "csv", "binary"] {
        let sql = format!("COPY (SELECT * FROM cp ORDER BY id) TO STDOUT (FORMAT {format})");
        let pieces = client.copy_out(sql.as_str()).await?.map_ok(|piece| piece.to_vec()).try_concat().await;
        say(&format!("copy out {format}"), pieces.map(Raw).map_err(Into::into));
    }
    Ok(())
}

async fn copy_in(client: &Client, sql: &str, data: &'static str) -> Outcome<u64> {
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(data.as_bytes())).await?;
    Ok(sink.finish().await?)
}

async fn prepared(client: &Client) -> Outcome<()> {
    client.batch_execute("CREATE TABLE shifting (a integer); INSERT INTO shifting VALUES (1)").await?;
    let statement = client.prepare("SELECT * FROM shifting").await?;
    let read = || async { client.query(&statement, &[]).await.map(|r| r.len()).map_err(Into::into) };
    say("prepared", read().await);
    client.batch_execute("ALTER TABLE shifting ADD COLUMN b text").await?;
    say("prepared after a column more", read().await);
    client.batch_execute("DROP TABLE shifting").await?;
    say("prepared after drop", read().await);
    Ok(())
}

async fn stopping(client: &Client) {
    let token = client.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await
    });
    say("cancelled", client.query(ENDLESS, &[]).await.map(|r| r.len()).map_err(Into::into));
    say("set", client.batch_execute("SET statement_timeout = 200").await.map_err(Into::into));
    say("statement timeout", client.query(ENDLESS, &[]).await.map(|r| r.len()).map_err(Into::into));
    say("reset", client.batch_execute("RESET statement_timeout").await.map_err(Into::into));
    say("unknown database", connect(Some("nosuch")).await.map(|_| ()));
    let mut stream = Box::pin(
        futures::stream::iter(0..3_i32)
            .then(|n| async move { client.query_one("SELECT $1::int4", &[&n]).await.map(|r| r.get::<_, i32>(0)) }),
    );
    let mut line = String::new();
    while let Some(answer) = stream.next().await {
        let shown = answer.map_or_else(|e| failure(&e), |n| n.to_string());
        write!(line, "{shown} ").expect("a string takes all");
    }
    say("after all", Ok(line));
}
