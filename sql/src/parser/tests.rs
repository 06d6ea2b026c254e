//! Statements as they are split and read, and the errors of those that are not.

use sightline_storage::error::SqlState;

use super::*;

fn texts(sql: &str) -> Vec<String> {
    parse(sql).expect("parses").iter().map(|s| s.text.clone()).collect()
}

fn one(sql: &str) -> Body {
    let mut all = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0).body.clone()
}

fn error(sql: &str) -> (String, Option<usize>) {
    let e = parse(sql).expect_err(sql);
    assert_eq!(e.code(), SqlState::SYNTAX_ERROR, "{sql}");
    (e.message().to_string(), e.get_position())
}

#[test]
fn splits_at_semicolons_only() {
    assert_eq!(texts("SELECT 1; SELECT ';' ;; -- end ;\n"), ["SELECT 1", "SELECT ';'"]);
    assert_eq!(texts("select $a$ ; $$ ; $a$; select 2"), ["select $a$ ; $$ ; $a$", "select 2"]);
    assert_eq!(texts("select \"a;b\", E'\\';' /* ; /* ; */ ; */ ;select 2").len(), 2);
    assert!(texts(" ; /* nothing */ -- here").is_empty());
}

#[test]
fn errors_are_postgresqls() {
    assert_eq!(error("SELEC 1"), ("syntax error at or near \"SELEC\"".into(), Some(1)));
    assert_eq!(error("SELECT 1; SELECT FROM WHERE x").1.map(|p| p > 10), Some(true));
    assert_eq!(error("SELECT * FROM t WHERE").0, "syntax error at end of input");
    assert_eq!(error("SELECT 'abc").0, "unterminated quoted string at or near \"'abc\"");
    assert_eq!(error("é; SELECT 1 FRM t x y").1, Some(1));
    assert_eq!(error("INSERT INTO t VALUES (1").0, "syntax error at end of input");
}

#[test]
fn positions_count_characters_of_the_whole_string() {
    assert_eq!(error("SELECT 'é';\nSELECT 1 +\n)"), ("syntax error at or near \")\"".into(), Some(24)));
}

#[test]
fn deep_statements_are_refused() {
    let deep = [
        format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SELECT {}", vec!["1"; 2_000].join("+")),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(2000)),
    ];
    for sql in deep {
        assert_eq!(parse(&sql).expect_err("too deep").code(), SqlState::STATEMENT_TOO_COMPLEX);
    }
    let wide = format!("INSERT INTO t VALUES {}", vec!["(1, -2, 'x')"; 100_000].join(","));
    assert_eq!(texts(&wide).len(), 1);
}

#[test]
fn tables_with_clauses_in_any_order() {
    let create = |sql: &str| match one(sql) {
        Body::CreateTable(t) => *t,
        other => panic!("{other:?}"),
    };
    let a = create(
        "CREATE TABLE t (a int NOT NULL DEFAULT 1, CHECK (a > 0)) PARTITION BY (month(a), hash(a, 8)) CLUSTER BY (a)",
    );
    assert_eq!((a.columns.len(), a.constraints.len()), (1, 1));
    assert_eq!(a.partition_by.map(|p| p.len()), Some(2));
    let b = create("CREATE TABLE t (a int) WITH (retention = '30 days', cluster_by = 'a') PARTITION BY (a)");
    assert_eq!(b.options[0], ("retention".to_string(), Some("30 days".to_string())));
    let c = create("CREATE TABLE IF NOT EXISTS t (x, y) CLUSTER BY (x) AS SELECT 1, 2 WITH NO DATA");
    assert!(c.if_not_exists && !c.with_data && c.column_names.len() == 2 && c.query.is_some());
    assert!(create("CREATE TABLE p (a int) PARTITION BY RANGE (a)").unsupported.is_some());
    assert!(create("SELECT 1 AS a INTO t").select_into);
}

#[test]
fn statements_that_sqlparser_does_not_know() {
    for sql in [
        "ABORT",
        "ABORT TRANSACTION",
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE",
        "START TRANSACTION READ WRITE",
        "END WORK AND NO CHAIN",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE",
        "SET SESSION TIMEZONE TO 'UTC'",
        "SHOW TRANSACTION ISOLATION LEVEL",
        "SHOW SESSION AUTHORIZATION",
        "VACUUM ANALYZE t",
        "CHECKPOINT",
        "DISCARD ALL",
        "TABLE t",
        "CREATE DATABASE d WITH OWNER = o ENCODING 'UTF8' TEMPLATE template0",
        "CREATE TENANT acme OWNER boss",
        "DROP DATABASE IF EXISTS d WITH (FORCE)",
        "ALTER DATABASE a RENAME TO b",
        "CREATE USER u WITH PASSWORD 'x' CREATEDB CONNECTION LIMIT 5",
        "GRANT CONNECT ON DATABASE a, b TO PUBLIC, r",
        "REVOKE pg_read_server_files, pg_write_server_files FROM r, GROUP s CASCADE",
        "COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';')",
        "COPY t FROM STDIN CSV HEADER DELIMITER ','",
        "COPY (SELECT 1) TO STDOUT WITH CSV",
        "PREPARE p (int, text) AS SELECT $1, $2",
        "EXECUTE p (1, 'a')",
        "EXPLAIN (ANALYZE, COSTS off) SELECT 1",
        "EXPLAIN ANALYZE VERBOSE SELECT 1",
        "DEALLOCATE PREPARE p",
        "ALTER TABLE t SET (retention = '1 day'), ADD COLUMN b int DEFAULT 1",
        "ALTER VIEW v RENAME COLUMN a TO b",
        "COMMENT ON COLUMN s.t.c IS NULL",
        "TRUNCATE TABLE ONLY a, b RESTART IDENTITY CASCADE",
        "CREATE OR REPLACE VIEW v (a, b) AS SELECT 1, 2",
        "DROP SCHEMA a, b CASCADE",
    ] {
        one(sql);
    }
    assert!(matches!(one("UPDATE t SET a = 1"), Body::Change(..)));
    assert!(matches!(one("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE"), Body::Unsupported(..)));
    assert!(matches!(one("LISTEN x"), Body::Unsupported(..)));
}

#[test]
fn inner_statements_keep_their_text() {
    match one("EXPLAIN  SELECT 1") {
        Body::Explain(e) => assert_eq!((e.statement.text.as_str(), e.statement.offset), ("SELECT 1", 9)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn long_chains_of_or_become_bushes() {
    let terms = (0..10_000).map(|i| format!("a = {i}")).collect::<Vec<_>>();
    let sql = format!("SELECT 1 WHERE {}", terms.join(" OR "));
    match one(&sql) {
        Body::Query(query) => assert_eq!(query.to_string(), sql),
        other => panic!("{other:?}"),
    }
}
