//! Sessions over a real engine: statements, transactions, settings.

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use sightline_storage::clock::SystemClock;
use sightline_storage::engine::{Engine, Options};

use super::*;
use crate::answer::RowsTag;
use crate::database::DatabaseOptions;

struct Node {
    database: Arc<Database>,
    _dir: tempfile::TempDir,
}

async fn node() -> Node {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(Options::new(dir.path()), Arc::new(SystemClock)).await.expect("opens");
    let options = DatabaseOptions {
        threads: 2,
        max_connections: 10,
        version: "0.0.0".to_string(),
        file_root: None,
        s3_files: Arc::default(),
    };
    Node { database: Database::new(engine, options).expect("starts"), _dir: dir }
}

impl Node {
    async fn session(&self, user: &str, database: &str) -> Session {
        let startup = Startup { user: user.into(), database: database.into(), ..Startup::default() };
        self.database.connect(startup).await.expect("connects")
    }
}

/// Runs a query string; answers tags and rows as text, errors as `SQLSTATE message`.
async fn run(session: &mut Session, sql: &str) -> String {
    let answers = match session.run_simple(sql).await {
        Ok(answers) => answers,
        Err(e) => return format!("{} {}", e.code(), e.message()),
    };
    let mut lines = Vec::new();
    for answer in answers {
        match answer {
            Answer::Rows { rows, tag, .. } => {
                let batches = match rows.try_collect::<Vec<_>>().await {
                    Ok(batches) => batches,
                    Err(e) => return format!("{} {}", e.code(), e.message()),
                };
                let mut count = 0;
                for batch in &batches {
                    let options = FormatOptions::new().with_null("NULL");
                    let columns =
                        batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).expect("formats"));
                    let columns = columns.collect::<Vec<_>>();
                    for row in 0..batch.num_rows() {
                        lines.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(","));
                    }
                    count += batch.num_rows();
                }
                lines.push(match tag {
                    RowsTag::Counted(word) => format!("{word} {count}"),
                    RowsTag::Fixed(tag) => tag,
                });
            }
            Answer::Fetched { rows, .. } => {
                let batches = rows.try_collect::<Vec<_>>().await.expect("fetches");
                lines.push(format!("FETCH {}", batches.iter().map(|b| b.num_rows()).sum::<usize>()));
            }
            Answer::Done { tag } => lines.push(tag),
            Answer::CopyIn(_) => lines.push("copy in".into()),
            Answer::CopyOut { .. } => lines.push("copy out".into()),
            Answer::Empty => lines.push("empty".into()),
        }
    }
    lines.join("|")
}

async fn check(session: &mut Session, script: &[(&str, &str)]) {
    for (sql, expected) in script {
        assert_eq!(run(session, sql).await, *expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_live() {
    let node = node().await;
    let mut s = node.session("sightline", "postgres").await;
    check(
        &mut s,
        &[
            ("SELECT 1", "1|SELECT 1"),
            ("SHOW server_version", "15.18 (Sightline 0.0.0)|SHOW"),
            ("CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x', c numeric(10,2) CHECK (c > 0))", "CREATE TABLE"),
            ("INSERT INTO t VALUES (1, 'one', 1.5), (2, DEFAULT, 2)", "INSERT 0 2"),
            ("INSERT INTO t (a) SELECT 3", "INSERT 0 1"),
            ("SELECT a, b, c FROM t ORDER BY a", "1,one,1.50|2,x,2.00|3,x,NULL|SELECT 3"),
            (
                "INSERT INTO t (b) VALUES ('y')",
                "23502 null value in column \"a\" of relation \"t\" violates not-null constraint",
            ),
            (
                "INSERT INTO t VALUES (4, 'y', -1)",
                "23514 new row for relation \"t\" violates check constraint \"t_c_check\"",
            ),
            ("INSERT INTO t VALUES (1, 2, 3, 4)", "42601 INSERT has more expressions than target columns"),
            ("INSERT INTO t (a, z) VALUES (1, 2)", "42703 column \"z\" of relation \"t\" does not exist"),
            ("ALTER TABLE t ADD COLUMN d bigint DEFAULT 7, ALTER COLUMN a TYPE bigint", "ALTER TABLE"),
            ("INSERT INTO t VALUES (5000000000, NULL, NULL)", "INSERT 0 1"),
            ("SELECT a, d FROM t ORDER BY a DESC LIMIT 2", "5000000000,7|3,7|SELECT 2"),
            ("CREATE VIEW v AS SELECT a, d FROM t WHERE a < 3", "CREATE VIEW"),
            ("SELECT count(*) FROM v", "2|SELECT 1"),
            ("DROP TABLE t", "2BP01 cannot drop table t because other objects depend on it"),
            ("CREATE TABLE u AS SELECT a, b FROM t", "SELECT 4"),
            ("TRUNCATE t", "TRUNCATE TABLE"),
            ("SELECT count(*) FROM t", "0|SELECT 1"),
            ("SELECT count(*) FROM u", "4|SELECT 1"),
            ("DROP TABLE t, u CASCADE", "DROP TABLE"),
            ("SELECT * FROM u", "42P01 relation \"u\" does not exist"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_atomic() {
    let node = node().await;
    let mut s = node.session("sightline", "sightline").await;
    let mut other = node.session("sightline", "sightline").await;
    check(
        &mut s,
        &[
            ("BEGIN", "BEGIN"),
            ("CREATE TABLE t (a int)", "CREATE TABLE"),
            ("INSERT INTO t VALUES (1)", "INSERT 0 1"),
            ("SAVEPOINT p", "SAVEPOINT"),
            ("INSERT INTO t VALUES (2)", "INSERT 0 1"),
            ("SELECT sum(a) FROM t", "3|SELECT 1"),
            ("ROLLBACK TO p", "ROLLBACK"),
            ("SELECT sum(a) FROM t", "1|SELECT 1"),
        ],
    )
    .await;
    assert_eq!(run(&mut other, "SELECT * FROM t").await, "42P01 relation \"t\" does not exist");
    assert_eq!(run(&mut s, "COMMIT").await, "COMMIT");
    assert_eq!(run(&mut other, "SELECT * FROM t").await, "1|SELECT 1");
    check(&mut s, &[("BEGIN; INSERT INTO t VALUES (5)", "BEGIN|INSERT 0 1"), ("SELECT 1/0", "22012 division by zero")])
        .await;
    s.fail_transaction();
    assert_eq!(s.transaction_status(), b'E');
    check(
        &mut s,
        &[
            ("SELECT 1", "25P02 current transaction is aborted, commands ignored until end of transaction block"),
            ("COMMIT", "ROLLBACK"),
            ("SELECT sum(a) FROM t", "1|SELECT 1"),
            (
                "INSERT INTO t VALUES (10); INSERT INTO t VALUES ('x')",
                "22P02 invalid input syntax for type integer: \"x\"",
            ),
            ("SELECT sum(a) FROM t", "1|SELECT 1"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_apart() {
    let node = node().await;
    let mut s = node.session("sightline", "sightline").await;
    check(
        &mut s,
        &[
            ("CREATE TENANT acme", "CREATE TENANT"),
            ("CREATE DATABASE acme", "42P04 database \"acme\" already exists"),
            ("CREATE TABLE t (a int)", "CREATE TABLE"),
        ],
    )
    .await;
    let mut acme = node.session("sightline", "acme").await;
    check(
        &mut acme,
        &[
            ("SELECT * FROM t", "42P01 relation \"t\" does not exist"),
            ("CREATE ROLE ann LOGIN", "CREATE ROLE"),
            ("CREATE TABLE mine (a int)", "CREATE TABLE"),
        ],
    )
    .await;
    let mut ann = node.session("ann", "acme").await;
    check(
        &mut ann,
        &[
            ("SELECT * FROM mine", "42501 permission denied for table mine"),
            ("CREATE TABLE x (a int)", "42501 permission denied for schema public"),
            ("CREATE TENANT other", "42501 permission denied to create database"),
        ],
    )
    .await;
    let unknown = Startup { user: "ann".into(), database: "sightline".into(), ..Startup::default() };
    let e = node.database.connect(unknown).await.expect_err("refused");
    assert_eq!(e.message(), "role \"ann\" does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_loads() {
    let node = node().await;
    let mut s = node.session("sightline", "sightline").await;
    assert_eq!(run(&mut s, "CREATE TABLE t (a int, b text) PARTITION BY (a)").await, "CREATE TABLE");
    let statement = s.parse("COPY t FROM STDIN CSV").expect("parses").remove(0);
    let prepared = s.prepare(statement, &[]).await.expect("prepares");
    let Answer::CopyIn(mut copy) = s.execute(&prepared, vec![]).await.expect("runs") else { panic!("copies") };
    for n in 0..300 {
        let lines = (0..1000).map(|i| format!("{},row {i}\n", n % 3)).collect::<String>();
        copy.write(lines.into()).await.expect("takes bytes");
    }
    assert_eq!(Box::pin(copy.finish()).await.expect("commits").rows, 300_000);
    assert_eq!(run(&mut s, "SELECT count(*), min(a), max(a) FROM t").await, "300000,0,2|SELECT 1");
}
