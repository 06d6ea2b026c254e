//! The two RocksDB instances of a node, as families of ordered keys.
//!
//! `raft/` holds the log and is the only one that is synced; `hot/` holds what apply made of it, without a log of its own:
//! after a crash it falls back to its last flush, together with the applied index in it, and the log replays the rest.

pub(crate) mod hot;
pub(crate) mod key;
pub(crate) mod raft;

use rocksdb::{BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, Options};

use crate::error::{Error, SqlState};

/// A column family of the hot store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// Definitions.
    Catalog,
    /// Recent rows.
    Hot,
    /// The parts of each table.
    Manifest,
    /// Where each group and table stands.
    State,
    /// Deleted rows, by the entry that deleted them.
    Deleted,
}

impl Family {
    pub(crate) const ALL: [Family; 5] =
        [Family::Catalog, Family::Hot, Family::Manifest, Family::State, Family::Deleted];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Catalog => "catalog",
            Family::Hot => "hot",
            Family::Manifest => "man",
            Family::State => "state",
            Family::Deleted => "deleted",
        }
    }
}

/// One change of the hot store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    /// Deletes the keys from the first to before the second.
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

/// What both instances have in common. `memtable_bytes` bounds all families together.
fn options(memtable_bytes: usize, create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    options.set_paranoid_checks(true);
    options.set_db_write_buffer_size(memtable_bytes);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_max_open_files(256);
    options
}

/// Options of one family.
fn family_options(memtable_bytes: usize, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_block_size(16 << 10);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(memtable_bytes);
    options.set_max_write_buffer_number(3);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

/// Bytes of a family that are in memory only, apart from RocksDB's own log.
fn memtable_bytes(db: &DB, family: &ColumnFamily) -> u64 {
    // What RocksDB cannot tell counts as nothing: it is a guess for the reserve, not a promise.
    db.property_int_value_cf(family, rocksdb::properties::CUR_SIZE_ALL_MEM_TABLES).ok().flatten().unwrap_or(0)
}

/// The error of a store that cannot be opened: damaged, unless the disk is full.
fn open_error(name: &str, e: rocksdb::Error) -> Error {
    let text = e.to_string();
    if text.contains("No space left") {
        return e.into();
    }
    Error::new(SqlState::DATA_CORRUPTED, format!("could not open the {name} of the data directory: {text}"))
        .hint("Restore the directory from a backup; do not delete files in it.")
        .source(e)
}

/// The error of a stored value that does not decode.
pub(crate) fn damaged(what: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, format!("{what} is damaged"))
}
