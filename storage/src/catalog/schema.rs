//! A schema of a tenant.

use crate::ids::{RoleId, SchemaId};

/// One schema.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaDef {
    pub id: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub comment: Option<String>,
}
