//! A role: an operator's (meta group) or a tenant's own.

use crate::ids::RoleId;
use crate::secret::Secret;

/// One role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleDef {
    pub id: RoleId,
    pub name: String,
    pub superuser: bool,
    pub login: bool,
    pub create_role: bool,
    /// May make tenants (operator roles only).
    pub create_db: bool,
    /// The most connections, or -1.
    pub connection_limit: i32,
    /// What its sessions begin with: `ALTER ROLE … SET`, names and values.
    pub settings: Vec<(String, String)>,
    /// A SCRAM-SHA-256 verifier in PostgreSQL's form, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; none
    /// for a role without a password.
    pub verifier: Option<Secret>,
    /// The password is good until then, in microseconds since 1970; none for ever.
    pub valid_until: Option<i64>,
    pub comment: Option<String>,
    /// The predefined roles whose privileges it has (`GRANT pg_read_server_files TO …`), in order of their numbers.
    pub member_of: Vec<RoleId>,
}
