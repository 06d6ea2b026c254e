//! Who may do what across tenants, seen from several sessions at once. (What one session sees is in `tests/slt`.)

use std::time::Duration;

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client};
use crate::server::{self, Server, USER};
use crate::support::{Outcome, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("tenants::roles_of_one_tenant_are_strangers_to_another", strangers));
    trials.push(trial("tenants::operators_are_changed_by_superusers_only", operators));
    trials.push(trial("tenants::reads_are_checked_by_name_and_view", reads));
    trials.push(trial("tenants::rights_end_at_once", rights_end));
    trials.push(trial("tenants::all_or_nothing_and_read_only", all_or_nothing));
}

/// Runs statements that must succeed.
async fn all(client: &mut Client, statements: &[&str]) -> Outcome {
    for sql in statements {
        ensure_eq!(code(client, sql).await?, "", "{sql}");
    }
    Ok(())
}

/// The SQLSTATE of a statement's error; empty if it succeeds.
async fn code(client: &mut Client, sql: &str) -> Outcome<String> {
    Ok(match client.simple(sql).await?.pop() {
        Some(Answer::Error(fields)) => fields.code().to_string(),
        _ => String::new(),
    })
}

/// Two tenants, each with a login role; the roles have the same number.
async fn two_tenants(server: &Server, a: &str, b: &str) -> Outcome<(Client, Client)> {
    let mut of_a = server.tenant(a).await?;
    let mut of_b = server.tenant(b).await?;
    all(&mut of_a, &["CREATE ROLE alice LOGIN"]).await?;
    all(&mut of_b, &["CREATE ROLE bob LOGIN"]).await?;
    let oid = "SELECT max(oid) FROM pg_roles";
    ensure_eq!(single(&mut of_a, oid).await?, single(&mut of_b, oid).await?, "the roles share a number");
    Ok((of_a, of_b))
}

async fn strangers() -> Outcome {
    let server = server::shared()?;
    let (mut of_a, mut of_b) = two_tenants(&server, "strangers_a", "strangers_b").await?;
    all(&mut of_b, &["ALTER DATABASE strangers_b OWNER TO bob", "CREATE TABLE t (a integer)"]).await?;
    drop(of_b);
    let mut alice = Client::connect(server.port, "alice", "strangers_a").await?;
    for sql in [
        "DROP DATABASE strangers_b",
        "ALTER DATABASE strangers_b RENAME TO stolen",
        "ALTER DATABASE strangers_b OWNER TO sightline",
        "REVOKE CONNECT ON DATABASE strangers_b FROM public",
        "COMMENT ON DATABASE strangers_b IS 'mine'",
    ] {
        ensure_eq!(code(&mut alice, sql).await?, "42501", "{sql}");
    }
    // Neither is bob's session hers, nor does his ownership keep her from being dropped.
    let mut bob = Client::connect(server.port, "bob", "strangers_b").await?;
    let pid = single(&mut bob, "SELECT pg_backend_pid()").await?;
    ensure_eq!(code(&mut alice, &format!("SELECT pg_cancel_backend({pid})")).await?, "42501", "bob's session");
    drop(alice);
    all(&mut of_a, &["DROP ROLE alice"]).await?;
    // The owner himself may.
    all(&mut bob, &["COMMENT ON DATABASE strangers_b IS 'mine'"]).await
}

async fn operators() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.connect().await?;
    all(&mut admin, &["CREATE ROLE operators_dba CREATEDB LOGIN"]).await?;
    let mut tenant = server.tenant("operators_a").await?;
    all(&mut tenant, &["CREATE ROLE owner LOGIN CREATEROLE", "ALTER DATABASE operators_a OWNER TO owner"]).await?;
    let mut owner = Client::connect(server.port, "owner", "operators_a").await?;
    for sql in [
        "ALTER ROLE operators_dba NOLOGIN",
        "ALTER ROLE operators_dba RENAME TO x",
        "COMMENT ON ROLE operators_dba IS 'x'",
        "DROP ROLE operators_dba",
    ] {
        ensure_eq!(code(&mut owner, sql).await?, "42501", "{sql}");
    }
    all(&mut owner, &["CREATE ROLE helper", "ALTER ROLE helper LOGIN", "DROP ROLE helper"]).await?;
    all(&mut admin, &["DROP ROLE operators_dba"]).await
}

async fn reads() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.tenant("reads_a").await?;
    all(
        &mut admin,
        &[
            "CREATE ROLE eve LOGIN",
            "CREATE ROLE u2 LOGIN",
            "CREATE TABLE \"Ärger\" (a integer)",
            "CREATE SCHEMA sch",
            "ALTER SCHEMA sch OWNER TO eve",
            "CREATE TABLE Öl (a integer)",
            "INSERT INTO öl VALUES (1)",
        ],
    )
    .await
    .expect_err("Ö is no letter of ASCII and stays as it is: öl is another name");
    all(&mut admin, &["INSERT INTO Öl VALUES (1)"]).await?;
    let mut eve = Client::connect(server.port, "eve", "reads_a").await?;
    for sql in [
        "SELECT * FROM \"Ärger\"",
        "SELECT * FROM Ärger",
        "COPY (SELECT * FROM Ärger) TO STDOUT",
        "COPY Ärger TO STDOUT",
        "EXPLAIN SELECT * FROM Ärger",
        "SELECT (SELECT max(a) FROM Ärger)",
        "WITH x AS (SELECT * FROM Ärger) SELECT * FROM x",
        "CREATE TABLE sch.mine AS SELECT * FROM Ärger",
        "CREATE VIEW sch.w AS SELECT * FROM Ärger",
    ] {
        ensure_eq!(code(&mut eve, sql).await?, "42501", "{sql}");
    }
    // A view reads in its owner's name, whoever asks, and whatever became of its tables.
    all(&mut eve, &["CREATE TABLE sch.t (a integer)", "CREATE VIEW sch.v AS SELECT a FROM sch.t"]).await?;
    all(&mut admin, &["ALTER TABLE sch.t OWNER TO u2", "INSERT INTO sch.t VALUES (42)"]).await?;
    ensure_eq!(code(&mut eve, "SELECT * FROM sch.t").await?, "42501", "the table is u2's now");
    ensure_eq!(code(&mut eve, "SELECT * FROM sch.v").await?, "42501", "and so is what the view reads");
    all(&mut admin, &["CREATE VIEW sch.open AS SELECT a FROM sch.t", "ALTER VIEW sch.open OWNER TO u2"]).await?;
    let mut u2 = Client::connect(server.port, "u2", "reads_a").await?;
    ensure_eq!(single(&mut u2, "SELECT a FROM sch.open").await?, "42", "the owner reads");
    Ok(())
}

async fn rights_end() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.connect().await?;
    all(&mut admin, &["CREATE ROLE rights_su SUPERUSER LOGIN", "CREATE DATABASE rights_a"]).await?;
    let mut su = Client::connect(server.port, "rights_su", "rights_a").await?;
    all(&mut su, &["CREATE TABLE t (a integer)", "CREATE ROLE passing LOGIN"]).await?;
    all(&mut admin, &["ALTER ROLE rights_su NOSUPERUSER"]).await?;
    ensure_eq!(code(&mut su, "CREATE DATABASE rights_b").await?, "42501", "no longer a superuser");
    let mut passing = Client::connect(server.port, "passing", "rights_a").await?;
    all(&mut passing, &["SELECT 1"]).await?;
    let mut other = Client::connect(server.port, USER, "rights_a").await?;
    all(&mut other, &["DROP ROLE passing"]).await?;
    ensure_eq!(code(&mut passing, "SELECT 1").await?, "28000", "the role is gone");
    drop((su, passing));
    all(&mut other, &["DROP TABLE t"]).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    all(&mut admin, &["DROP ROLE rights_su"]).await
}

async fn all_or_nothing() -> Outcome {
    let server = server::shared()?;
    let mut admin = server.connect().await?;
    all(&mut admin, &["CREATE ROLE whole_op CREATEDB", "CREATE ROLE whole_guest LOGIN"]).await?;
    ensure_eq!(code(&mut admin, "DROP ROLE whole_op, no_such_role").await?, "42704", "one of two is missing");
    ensure_eq!(single(&mut admin, "SELECT count(*) FROM pg_roles WHERE rolname = 'whole_op'").await?, "1", "both stay");
    let grant = "REVOKE CONNECT ON DATABASE sightline, no_such_database FROM whole_guest";
    ensure_eq!(code(&mut admin, grant).await?, "3D000", "one of two is missing");
    drop(Client::connect(server.port, "whole_guest", server::DATABASE).await?);
    ensure_eq!(code(&mut admin, "CREATE DATABASE whole_half; SELECT 1").await?, "25001", "with other statements");
    all(&mut admin, &["SET default_transaction_read_only = on"]).await?;
    for sql in ["CREATE DATABASE whole_ro", "DROP DATABASE sightline", "DROP ROLE whole_op"] {
        ensure_eq!(code(&mut admin, sql).await?, "25006", "{sql}");
    }
    all(&mut admin, &["SET default_transaction_read_only = off", "DROP ROLE whole_op, whole_guest"])
        .await
        .expect_err("operators and a tenant's roles go by different statements");
    all(&mut admin, &["DROP ROLE whole_op", "DROP ROLE whole_guest"]).await
}
