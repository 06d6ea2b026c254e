//! The one door: may this identity do that? Whatever changes or reads something takes the [`Allowed`] that
//! [`authorize`] gives out, so a statement without a check does not compile.
//!
//! The rules of this step, before GRANT arrives:
//!
//! - A superuser may do all; only superusers and operator roles with CREATEDB may make tenants.
//! - The owner of a tenant may do all inside of it, and make roles there.
//! - Other roles of a tenant use and change what they own; a role with CREATEROLE makes roles.
//! - The system catalog can be read by all; who sees which rows is decided there.

#[cfg(test)]
mod tests;

use sightline_storage::catalog::{RoleDef, SchemaDef, SequenceDef, TableDef, TenantDef, TypeDef, ViewDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::RoleId;

use crate::plan::Relation;
use crate::session::Identity;

/// Proof that a check was made. Only this module can make one.
#[derive(Clone, Copy, Debug)]
pub struct Allowed(());

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// What changes nothing but the own session: SET, SHOW, BEGIN.
    OwnSession,
    /// SELECT, COPY TO.
    Read(&'a Relation),
    /// INSERT, COPY FROM.
    Insert(&'a TableDef),
    Update(&'a TableDef),
    Delete(&'a TableDef),
    Truncate(&'a TableDef),
    /// ALTER, DROP, COMMENT ON.
    ChangeTable(&'a TableDef),
    ChangeView(&'a ViewDef),
    ChangeSequence(&'a SequenceDef),
    /// nextval, currval, setval.
    UseSequence(&'a SequenceDef),
    ChangeSchema(&'a SchemaDef),
    ChangeType(&'a TypeDef),
    /// CREATE TABLE, VIEW, TYPE or DOMAIN in it.
    CreateIn(&'a SchemaDef),
    /// CREATE SCHEMA in the own tenant.
    CreateSchema,
    /// To make `RoleId` the owner of something.
    GiveTo(RoleId),
    CreateTenant,
    /// ALTER, DROP, COMMENT ON, GRANT CONNECT.
    ChangeTenant(&'a TenantDef),
    /// CREATE ROLE with these attributes.
    CreateRole(&'a RoleDef),
    /// ALTER ROLE, from and to; DROP ROLE, to itself.
    ChangeRole(&'a RoleDef, &'a RoleDef),
    /// ALTER ROLE … PASSWORD and nothing else.
    ChangePassword(&'a RoleDef),
    /// GRANT and REVOKE of a predefined role of this name.
    GrantRole(&'a str),
    /// COPY FROM a file of the server, and functions that read one: what does it, e.g. `COPY from a file`.
    ReadFiles(&'a str),
    /// COPY TO a file of the server.
    WriteFiles,
}

/// Checks it.
///
/// # Errors
/// 42501 in PostgreSQL's words; 42809 for a write to a view or a system relation.
pub fn authorize(identity: &Identity, action: Action) -> Result<Allowed> {
    let all = identity.superuser || identity.owner;
    let own = |owner: RoleId| all || owner == identity.role;
    match action {
        Action::OwnSession | Action::Read(Relation::System(..)) => Ok(Allowed(())),
        Action::Read(Relation::Table(t)) => check(own(t.owner), || denied("table", &t.name)),
        Action::Read(Relation::View(v)) => check(own(v.owner), || denied("view", &v.name)),
        Action::Read(Relation::Sequence(s)) => check(own(s.owner), || denied("sequence", &s.name)),
        Action::UseSequence(s) => check(own(s.owner), || denied("sequence", &s.name)),
        Action::ChangeSequence(s) => check(own(s.owner), || not_owner("sequence", &s.name)),
        Action::Insert(t) | Action::Update(t) | Action::Delete(t) | Action::Truncate(t) => {
            check(own(t.owner), || denied("table", &t.name))
        }
        Action::ChangeTable(t) => check(own(t.owner), || not_owner("table", &t.name)),
        Action::ChangeView(v) => check(own(v.owner), || not_owner("view", &v.name)),
        Action::ChangeSchema(s) => check(own(s.owner), || not_owner("schema", &s.name)),
        Action::ChangeType(t) => check(own(t.owner), || not_owner("type", &t.name)),
        Action::CreateIn(s) => check(own(s.owner), || denied("schema", &s.name)),
        Action::CreateSchema => check(all, || denied("database", &identity.tenant_name)),
        Action::GiveTo(role) => {
            check(all || role == identity.role, || privilege("must be able to SET ROLE to the new owner"))
        }
        Action::CreateTenant => {
            check(identity.superuser || identity.create_db, || privilege("permission denied to create database"))
        }
        Action::ChangeTenant(t) => {
            check(identity.superuser || identity.is(t.id, t.owner), || not_owner("database", &t.name))
        }
        Action::CreateRole(new) => change_role(identity, new, new, "permission denied to create role"),
        Action::ChangePassword(role) if role.id == identity.role => Ok(Allowed(())),
        Action::ChangePassword(role) => authorize(identity, Action::ChangeRole(role, role)),
        // Tenants share the server's files: an owner of a tenant cannot give away what is not of the tenant.
        Action::GrantRole(name) => {
            check(identity.superuser, || privilege(&format!("must have admin option on role \"{name}\"")))
        }
        Action::ReadFiles(what) => check(identity.read_files, || no_files("pg_read_server_files", what)),
        Action::WriteFiles => check(identity.write_files, || no_files("pg_write_server_files", "COPY to a file")),
        Action::ChangeRole(old, _) if old.id.is_operator() && !identity.superuser => {
            Err(privilege("must be superuser to alter roles that all databases know"))
        }
        Action::ChangeRole(old, new) => change_role(identity, old, new, "permission denied"),
    }
}

/// Roles are made by superusers, the owner of the tenant, and roles with CREATEROLE; superusers by superusers only.
fn change_role(identity: &Identity, old: &RoleDef, new: &RoleDef, message: &str) -> Result<Allowed> {
    if (old.superuser || new.superuser) && !identity.superuser {
        return Err(privilege("must be superuser to create or alter superusers"));
    }
    let give_create_db = new.create_db && !old.create_db && !identity.superuser;
    check(!give_create_db && (identity.superuser || identity.owner || identity.create_role), || privilege(message))
}

fn check(allowed: bool, refusal: impl FnOnce() -> Error) -> Result<Allowed> {
    if allowed { Ok(Allowed(())) } else { Err(refusal()) }
}

fn privilege(message: &str) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

/// PostgreSQL's refusal, whose hint is about COPY.
fn no_files(role: &str, what: &str) -> Error {
    let refusal = privilege(&format!("must be superuser or have privileges of the {role} role to {what}"));
    match what.starts_with("COPY") {
        true => refusal.hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."),
        false => refusal,
    }
}

fn denied(kind: &str, name: &str) -> Error {
    privilege(&format!("permission denied for {kind} {name}"))
}

fn not_owner(kind: &str, name: &str) -> Error {
    privilege(&format!("must be owner of {kind} {name}"))
}
