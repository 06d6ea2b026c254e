//! The persisted form of sequences: their definition, where they stand, and what moves them.

use super::catalog::{sql_type, stored_type};
use super::narrow;
use crate::catalog::{SequenceDef, SequenceOwner, SequenceState};
use crate::error::Result;
use crate::ids::{ColumnId, RoleId, SchemaId, SequenceId, TableId};

/// A sequence.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SequenceMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint32, tag = "2")]
    schema: u32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint32, tag = "4")]
    owner: u32,
    #[prost(string, tag = "5")]
    ty: String,
    #[prost(sint64, tag = "6")]
    start: i64,
    #[prost(sint64, tag = "7")]
    increment: i64,
    #[prost(sint64, tag = "8")]
    min: i64,
    #[prost(sint64, tag = "9")]
    max: i64,
    #[prost(sint64, tag = "10")]
    cache: i64,
    #[prost(bool, tag = "11")]
    cycle: bool,
    #[prost(message, optional, tag = "12")]
    owned_by: Option<OwnerMessage>,
    #[prost(string, optional, tag = "13")]
    comment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct OwnerMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint32, tag = "2")]
    column: u32,
    #[prost(bool, tag = "3")]
    identity: bool,
}

/// Where a sequence stands.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct SequenceStateMessage {
    #[prost(sint64, tag = "1")]
    last: i64,
    #[prost(bool, tag = "2")]
    is_called: bool,
    #[prost(uint64, tag = "3")]
    version: u64,
}

/// What moves a sequence; `seen` is only for an advance.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct MoveMessage {
    #[prost(uint32, tag = "1")]
    pub(super) sequence: u32,
    #[prost(uint64, tag = "2")]
    pub(super) seen: u64,
    #[prost(sint64, tag = "3")]
    pub(super) last: i64,
    #[prost(bool, tag = "4")]
    pub(super) is_called: bool,
}

impl From<&SequenceDef> for SequenceMessage {
    fn from(s: &SequenceDef) -> SequenceMessage {
        let owner =
            |o: SequenceOwner| OwnerMessage { table: o.table.0, column: u32::from(o.column.0), identity: o.identity };
        SequenceMessage {
            id: s.id.0,
            schema: s.schema.0,
            name: s.name.clone(),
            owner: s.owner.0,
            ty: stored_type(&s.ty),
            start: s.start,
            increment: s.increment,
            min: s.min,
            max: s.max,
            cache: s.cache,
            cycle: s.cycle,
            owned_by: s.owned_by.map(owner),
            comment: s.comment.clone(),
        }
    }
}

impl TryFrom<SequenceMessage> for SequenceDef {
    type Error = crate::error::Error;

    fn try_from(s: SequenceMessage) -> Result<SequenceDef> {
        let owner = |o: OwnerMessage| -> Result<SequenceOwner> {
            let column = ColumnId(narrow(o.column, "a sequence")?);
            Ok(SequenceOwner { table: TableId(o.table), column, identity: o.identity })
        };
        Ok(SequenceDef {
            id: SequenceId(s.id),
            schema: SchemaId(s.schema),
            name: s.name,
            owner: RoleId(s.owner),
            ty: sql_type(&s.ty)?,
            start: s.start,
            increment: s.increment,
            min: s.min,
            max: s.max,
            cache: s.cache,
            cycle: s.cycle,
            owned_by: s.owned_by.map(owner).transpose()?,
            comment: s.comment,
        })
    }
}

impl From<&SequenceState> for SequenceStateMessage {
    fn from(s: &SequenceState) -> SequenceStateMessage {
        SequenceStateMessage { last: s.last, is_called: s.is_called, version: s.version }
    }
}

impl From<SequenceStateMessage> for SequenceState {
    fn from(s: SequenceStateMessage) -> SequenceState {
        SequenceState { last: s.last, is_called: s.is_called, version: s.version }
    }
}
