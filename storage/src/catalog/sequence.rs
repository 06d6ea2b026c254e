//! A sequence: a generator of numbers (<https://www.postgresql.org/docs/15/sql-createsequence.html>).
//!
//! Its definition is part of the catalog. Its state is not: a number that is drawn changes no plan and belongs to no
//! transaction, so states lie beside the catalog ([`TenantSnapshot::sequences`](crate::snapshot::TenantSnapshot)).

use crate::ids::{ColumnId, RoleId, SchemaId, SequenceId, TableId};
use crate::types::SqlType;

/// One sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceDef {
    pub id: SequenceId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    /// smallint, integer or bigint.
    pub ty: SqlType,
    pub start: i64,
    /// Never 0; below 0 the sequence descends.
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    /// How many numbers a session draws at once.
    pub cache: i64,
    /// Goes on at the other end when a limit is reached.
    pub cycle: bool,
    /// The column it goes with.
    pub owned_by: Option<SequenceOwner>,
    pub comment: Option<String>,
}

/// The column that a sequence goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceOwner {
    pub table: TableId,
    pub column: ColumnId,
    /// It is the column's identity, and cannot be dropped without it.
    pub identity: bool,
}

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    /// The last number that was drawn, or that somebody has reserved; the first one while `is_called` is false.
    pub last: i64,
    pub is_called: bool,
    /// Raised by each change, so that a state seen earlier is told from one that looks like it.
    pub version: u64,
}

impl SequenceDef {
    /// The state of a new one.
    pub fn fresh(&self) -> SequenceState {
        SequenceState { last: self.start, is_called: false, version: 1 }
    }
}
