//! A role: an operator's (meta group) or a tenant's own.

use crate::ids::RoleId;

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
    pub comment: Option<String>,
}
