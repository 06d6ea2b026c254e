//! A node's storage: opens the directory, hands out snapshots, runs flushes. Skeleton: signatures are the contract.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use object_store::ObjectStore;

use crate::catalog::{MetaCatalog, TableDef, TenantCatalog};
use crate::clock::Clock;
use crate::command::{Applied, Command, Op, Outcome};
use crate::error::Result;
use crate::ids::{Index, TableId, TenantId};
use crate::log::Log;
use crate::table::{PartMeta, TableSnapshot};

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct Options {
    pub data_dir: PathBuf,
    /// Hot bytes of one table from which it is flushed (64 MiB).
    pub flush_bytes: u64,
    /// Hot bytes of all tables from which the largest are flushed, and twice which writes wait (512 MiB).
    pub hot_bytes_max: u64,
    /// Tests only: skips the sync of the log, to prove that the test of the sync can fail.
    pub unsafe_no_sync: bool,
}

/// One tenant's state as of one index.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    pub tenant: TenantId,
    pub index: Index,
    pub catalog: Arc<TenantCatalog>,
    pub tables: HashMap<TableId, Arc<TableSnapshot>>,
}

impl TenantSnapshot {
    /// This state with `ops` applied, for a transaction's own eyes: nothing durable changes. Ids given out are those
    /// a commit would give out if nobody else changed the catalog meanwhile.
    pub fn with_ops(&self, _ops: &[Op], _at: i64) -> Result<(TenantSnapshot, Applied)> {
        unimplemented!()
    }
}

/// A node's storage.
pub struct Engine {}

impl Engine {
    /// Opens or makes the data directory, replays the log, sweeps orphans and starts the background flush.
    ///
    /// # Errors
    /// 55006 if another process has the directory, XX001 if it is damaged, 58030 and 53100 from the disk.
    pub async fn open(_options: Options, _clock: Arc<dyn Clock>) -> Result<Arc<Engine>> {
        unimplemented!()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        unimplemented!()
    }

    /// The one door for changes.
    pub fn log(&self) -> Arc<dyn Log> {
        unimplemented!()
    }

    /// Proposes to the meta group.
    pub async fn propose_meta(&self, _ops: Vec<Op>) -> Result<Outcome> {
        unimplemented!()
    }

    /// Proposes to the group of the command's tenant.
    pub async fn propose(&self, _command: Command) -> Result<Outcome> {
        unimplemented!()
    }

    /// The meta group's catalog as it is now.
    pub fn meta(&self) -> Arc<MetaCatalog> {
        unimplemented!()
    }

    /// The tenant's state as it is now.
    ///
    /// # Errors
    /// 3D000 if there is no such tenant.
    pub fn snapshot(&self, _tenant: TenantId) -> Result<Arc<TenantSnapshot>> {
        unimplemented!()
    }

    /// Where parts lie; a [`PartMeta::path`] is a path in it.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        unimplemented!()
    }

    /// A writer of parts for a load too large for the hot tier.
    pub fn bulk_writer(&self, _tenant: TenantId, _table: Arc<TableDef>) -> BulkWriter {
        unimplemented!()
    }

    /// Moves all hot rows of the table to parts now.
    pub async fn flush(&self, _tenant: TenantId, _table: TableId) -> Result<()> {
        unimplemented!()
    }

    /// A hash of everything durable (catalog, rows, manifest) that two stores with the same log agree on.
    pub fn state_hash(&self) -> Result<u64> {
        unimplemented!()
    }

    /// Stops background work and closes the files. Nothing acknowledged needs it.
    pub async fn close(&self) -> Result<()> {
        unimplemented!()
    }
}

/// Sorts rows and writes them as parts, in bounded memory. Parts it wrote are deleted again unless `finish` was called
/// and the parts were published.
pub struct BulkWriter {}

impl BulkWriter {
    /// Adds rows in `TableDef::arrow_schema`.
    pub async fn write(&mut self, _rows: RecordBatch) -> Result<()> {
        unimplemented!()
    }

    /// Syncs and returns the parts, for [`Op::AddParts`].
    pub async fn finish(self) -> Result<Vec<PartMeta>> {
        unimplemented!()
    }
}
