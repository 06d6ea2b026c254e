//! The persisted form of everything: protobuf messages with tagged optional fields. A field is never given another meaning
//! and a tag is never used again; what is new is added as a field that old data lacks. `tests.rs` holds stored old bytes.
//!
//! Types are persisted as PostgreSQL prints them (`numeric(10,2)`), those of users bare (`SqlType::bare`), rows and statistics as Arrow IPC.

pub(crate) mod catalog;
pub(crate) mod entry;
mod index;
pub(crate) mod part;
pub(crate) mod sequence;
pub(crate) mod state;
pub(crate) mod user_type;

use prost::Message;

use crate::error::Result;
use crate::kv::damaged;

/// Reads a message, or says that `what` is damaged.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M> {
    M::decode(bytes).map_err(|e| damaged(what).source(e))
}

/// A field that must be there.
pub(crate) fn required<T>(field: Option<T>, what: &str) -> Result<T> {
    field.ok_or_else(|| damaged(what))
}

/// A number that was persisted in more bits than it has.
pub(crate) fn narrow<T: TryFrom<u32>>(number: u32, what: &str) -> Result<T> {
    T::try_from(number).map_err(|_| damaged(what))
}

#[cfg(test)]
mod tests;
