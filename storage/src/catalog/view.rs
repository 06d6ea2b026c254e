//! A view: a stored query.

use crate::ids::{RoleId, SchemaId, ViewId};
use crate::types::SqlType;

/// One view.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewDef {
    pub id: ViewId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    /// The query, as text that parses again.
    pub query: String,
    /// `search_path` when it was made: names inside resolve by it.
    pub search_path: Vec<String>,
    /// Names and types of the columns, as of its creation.
    pub columns: Vec<(String, SqlType)>,
    /// The relations it reads, by OID: they can't be dropped before it.
    pub depends_on: Vec<u32>,
    pub comment: Option<String>,
    /// Comments on columns, by position from 1.
    pub column_comments: Vec<(u16, String)>,
}
