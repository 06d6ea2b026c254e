//! `pg_roles`, `pg_authid`, `pg_auth_members`, `pg_user` and `pg_shadow`: operators' roles, the tenant's own and predefined
//! ones. Password verifiers are
//! never shown.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::ids::SUPERUSER;

use super::pg_db_role_setting;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// What `pg_roles` shows for every password.
const HIDDEN: &str = "********";

pub(super) fn build_roles(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "rolname",
            "rolsuper",
            "rolinherit",
            "rolcreaterole",
            "rolcreatedb",
            "rolcanlogin",
            "rolreplication",
            "rolconnlimit",
            "rolpassword",
            "rolbypassrls",
            "rolconfig",
            "oid",
        ],
    );
    for role in objects::roles(ctx) {
        rows.push([
            (&role.name).into(),
            role.superuser.into(),
            true.into(),
            role.create_role.into(),
            role.create_db.into(),
            role.login.into(),
            role.superuser.into(),
            role.connection_limit.into(),
            HIDDEN.into(),
            role.superuser.into(),
            pg_db_role_setting::config(&role.settings),
            role.id.0.into(),
        ]);
    }
    rows.finish()
}

pub(super) fn build_authid(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "oid",
            "rolname",
            "rolsuper",
            "rolinherit",
            "rolcreaterole",
            "rolcreatedb",
            "rolcanlogin",
            "rolreplication",
            "rolbypassrls",
            "rolconnlimit",
        ],
    );
    for role in objects::roles(ctx) {
        rows.push([
            role.id.0.into(),
            (&role.name).into(),
            role.superuser.into(),
            true.into(),
            role.create_role.into(),
            role.create_db.into(),
            role.login.into(),
            role.superuser.into(),
            role.superuser.into(),
            role.connection_limit.into(),
        ]);
    }
    rows.finish()
}

pub(super) fn build_members(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["roleid", "member", "grantor", "admin_option"]);
    for role in objects::roles(ctx) {
        for of in &role.member_of {
            rows.push([of.0.into(), role.id.0.into(), SUPERUSER.0.into(), false.into()]);
        }
    }
    rows.finish()
}

pub(super) fn build_user(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    users(ctx, relation, Some(HIDDEN))
}

pub(super) fn build_shadow(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    users(ctx, relation, None)
}

/// Roles that may log in.
fn users(ctx: &QueryContext, relation: &'static Relation, password: Option<&'static str>) -> Result<RecordBatch> {
    let mut rows =
        Rows::new(relation, ["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"]);
    for role in objects::roles(ctx).filter(|r| r.login) {
        rows.push([
            (&role.name).into(),
            role.id.0.into(),
            role.create_db.into(),
            role.superuser.into(),
            role.superuser.into(),
            role.superuser.into(),
            password.into(),
        ]);
    }
    rows.finish()
}
