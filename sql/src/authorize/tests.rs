//! Who may do what, by role, owner and grant.

use std::sync::Arc;

use sightline_storage::ids::{SchemaId, TableId, TenantId};

use super::*;

fn identity(role: u32) -> Identity {
    Identity {
        tenant: TenantId(20_000),
        tenant_name: "acme".into(),
        role: RoleId(role),
        role_name: format!("r{role}"),
        superuser: false,
        owner: false,
        create_db: false,
        create_role: false,
        read_files: false,
        write_files: false,
    }
}

fn table(owner: u32) -> TableDef {
    TableDef {
        id: TableId(30_000),
        schema: SchemaId(2200),
        name: "t".into(),
        owner: RoleId(owner),
        version: 1,
        columns: vec![],
        next_column: 1,
        checks: vec![],
        indexes: vec![],
        foreign_keys: vec![],
        partition_by: vec![],
        cluster_by: vec![],
        retention_us: None,
        comment: None,
        created_at: 0,
    }
}

fn refusal(identity: &Identity, action: Action) -> String {
    let error = authorize(identity, action).expect_err("refused");
    assert_eq!(error.code(), SqlState::INSUFFICIENT_PRIVILEGE);
    error.message().to_string()
}

#[test]
fn tables_belong_to_their_owner() {
    let (t, other) = (table(1), identity(2));
    assert!(authorize(&identity(1), Action::Insert(&t)).is_ok());
    assert_eq!(refusal(&other, Action::Insert(&t)), "permission denied for table t");
    assert_eq!(refusal(&other, Action::ChangeTable(&t)), "must be owner of table t");
    let relation = Relation::Table(Arc::new(t.clone()));
    assert_eq!(refusal(&other, Action::Read(&relation)), "permission denied for table t");
    assert!(authorize(&Identity { owner: true, ..other.clone() }, Action::ChangeTable(&t)).is_ok());
    assert!(authorize(&Identity { superuser: true, ..other }, Action::Truncate(&t)).is_ok());
}

#[test]
fn the_system_catalog_is_for_all() {
    assert!(authorize(&identity(9), Action::Read(&Relation::System("pg_catalog", "pg_class".into()))).is_ok());
}

#[test]
fn tenants_are_made_by_operators() {
    let owner = Identity { owner: true, ..identity(1) };
    assert_eq!(refusal(&owner, Action::CreateTenant), "permission denied to create database");
    assert!(authorize(&Identity { create_db: true, ..identity(1) }, Action::CreateTenant).is_ok());
}

#[test]
fn only_superusers_make_superusers() {
    let role = |superuser| RoleDef {
        id: RoleId(0),
        name: "x".into(),
        superuser,
        login: true,
        create_role: false,
        create_db: false,
        verifier: None,
        valid_until: None,
        connection_limit: -1,
        settings: Vec::new(),
        comment: None,
        member_of: Vec::new(),
    };
    let owner = Identity { owner: true, ..identity(1) };
    assert!(authorize(&owner, Action::CreateRole(&role(false))).is_ok());
    assert_eq!(refusal(&owner, Action::CreateRole(&role(true))), "must be superuser to create or alter superusers");
    assert_eq!(refusal(&identity(1), Action::CreateRole(&role(false))), "permission denied to create role");
}
