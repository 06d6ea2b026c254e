//! A tenant: what PostgreSQL clients see as a database.

use crate::ids::{GroupId, RoleId, TenantId};

/// The name of the tenant made with a data directory.
pub const DEFAULT_TENANT: &str = "sightline";

/// One tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantDef {
    pub id: TenantId,
    pub name: String,
    /// An operator role, or a role of this tenant.
    pub owner: RoleId,
    /// Where its catalog and rows live: a row, not a hash, so that a tenant can be moved.
    pub group: GroupId,
    /// The most connections of roles that are no superusers, or -1.
    pub connection_limit: i32,
    /// What its sessions begin with: `ALTER DATABASE … SET`, names and values.
    pub settings: Vec<(String, String)>,
    /// Microseconds since 1970.
    pub created_at: i64,
    pub comment: Option<String>,
    /// Roles of the tenant that lost CONNECT (`REVOKE CONNECT ON DATABASE`); all others of the tenant have it.
    pub no_connect: Vec<RoleId>,
    /// `REVOKE CONNECT … FROM PUBLIC`: only `connect` may enter then (and the owner, and superusers).
    pub connect_revoked: bool,
    /// Roles that were granted CONNECT by name.
    pub connect: Vec<RoleId>,
}
