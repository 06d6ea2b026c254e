//! What is stored about groups, tables and hot rows. `HardState` and `ConfState` have the tags of raft's own messages.

use crate::catalog::MetaCatalog;
use crate::command::{Applied, Outcome};
use crate::error::{Error, SqlState};
use crate::ids::Index;

/// Raft's `HardState`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HardState {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) vote: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) commit: u64,
}

/// Raft's `ConfState`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConfState {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) voters: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) learners: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) voters_outgoing: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) learners_next: Vec<u64>,
    #[prost(bool, tag = "5")]
    pub(crate) auto_leave: bool,
}

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct GroupMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) applied: u64,
    /// The time of its last command.
    #[prost(sint64, tag = "2")]
    pub(crate) last_at: i64,
}

/// Where a table stands.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct TableMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) next_row: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) flushed: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) changed: u64,
    #[prost(sint64, tag = "4")]
    pub(crate) marked_at: i64,
}

/// Which row came next after an entry, and when: at most one a second for each table.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct MarkMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) next_row: u64,
    #[prost(sint64, tag = "2")]
    pub(crate) at: i64,
}

/// The numbers of a catalog.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct HeaderMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) version: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) next_oid: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) boots: u64,
}

impl HeaderMessage {
    pub(crate) fn of_meta(meta: &MetaCatalog) -> HeaderMessage {
        HeaderMessage { version: 0, next_oid: meta.next_oid, boots: meta.boots }
    }
}

/// The rows that one entry brought to a table.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HotMessage {
    /// The table version whose columns they have.
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) pieces: Vec<PieceMessage>,
    /// The entry's batch: rows outside `pieces` belong to commands that were refused.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) ipc: bytes::Bytes,
}

/// Rows of a batch that became rows of the table.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct PieceMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) offset: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) rows: u64,
    /// `_row` of the first one.
    #[prost(uint64, tag = "3")]
    pub(crate) row_base: u64,
}

/// The commands of one entry and what became of them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SeenMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) commands: Vec<SeenCommand>,
    /// The time of the last one.
    #[prost(sint64, tag = "2")]
    pub(crate) at: i64,
}

/// One command that was applied or refused.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SeenCommand {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    /// 0 applied, 1 conflict, 2 moved, 3 stale, 4 an error.
    #[prost(uint32, tag = "2")]
    pub(crate) outcome: u32,
    #[prost(sint64, tag = "3")]
    pub(crate) at: i64,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) oids: Vec<u32>,
    #[prost(string, tag = "5")]
    pub(crate) code: String,
    #[prost(string, tag = "6")]
    pub(crate) message: String,
}

impl SeenCommand {
    pub(crate) fn new(id: u128, result: &Result<Outcome, Error>) -> SeenCommand {
        let mut seen = SeenCommand { id: id.to_be_bytes().to_vec(), ..SeenCommand::default() };
        match result {
            Ok(Outcome::Applied(a)) => (seen.at, seen.oids) = (a.at, a.oids.clone()),
            Ok(Outcome::Conflict) => seen.outcome = 1,
            Ok(Outcome::Moved) => seen.outcome = 2,
            Ok(Outcome::Stale) => seen.outcome = 3,
            Err(e) => {
                seen.outcome = 4;
                (seen.code, seen.message) = (e.code().as_str().to_string(), e.message().to_string());
            }
        }
        seen
    }

    pub(crate) fn id(&self) -> Option<u128> {
        Some(u128::from_be_bytes(self.id.as_slice().try_into().ok()?))
    }

    pub(crate) fn result(&self, index: Index) -> Result<Outcome, Error> {
        match self.outcome {
            0 => Ok(Outcome::Applied(Applied { index, at: self.at, oids: self.oids.clone() })),
            1 => Ok(Outcome::Conflict),
            2 => Ok(Outcome::Moved),
            3 => Ok(Outcome::Stale),
            _ if self.code.len() == 5 => Err(Error::new(SqlState::new(&self.code), self.message.clone())),
            _ => Err(Error::internal(self.message.clone())),
        }
    }
}
