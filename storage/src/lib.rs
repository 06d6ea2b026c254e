//! What is durable: the replicated log, the catalog of definitions, recent rows as Arrow batches in RocksDB (hot) and
//! immutable Parquet files, called parts (cold).
//!
//! A write passes through here as follows:
//!
//! 1. `sql` builds a [`Command`](command::Command): every position resolved, no clock, no randomness left in it.
//! 2. [`Log::propose`](log::Log::propose) queues it; what queued while the last sync ran becomes one log entry a group and
//!    one sync (group commit, `writer.rs`).
//! 3. Apply (`apply/`) changes the state of the entry's group, deterministically, and publishes new immutable
//!    [`TenantSnapshot`](engine::TenantSnapshot)s.
//! 4. Later the flush (`flush.rs`) moves hot rows to parts, and publishes them by a command as well. Parts lie in the data
//!    directory or in a bucket ([`objects`]).
//!
//! A read takes a snapshot, which pins everything it shows. Nothing here knows SQL text or DataFusion.

pub mod budget;
pub mod catalog;
pub mod clock;
pub mod command;
pub mod engine;
pub mod error;
pub mod ids;
pub mod log;
pub mod metrics;
pub mod numeric;
pub mod objects;
pub mod parts;
pub mod secret;
pub mod snapshot;
pub mod table;
pub mod types;

mod apply;
mod directory;
mod entry;
mod flush;
mod format;
mod hash;
mod kv;
mod local;
mod mirror;
mod published;
mod rows;
mod store;
mod writer;
