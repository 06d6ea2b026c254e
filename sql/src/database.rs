//! What all sessions of a node share: storage, memory, plans, the register of sessions. Skeleton: the contract.

use std::sync::Arc;

use sightline_storage::engine::Engine;
use sightline_storage::error::Result;

use crate::session::{Session, Startup};

/// How to set up a node's SQL.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// Bytes for queries and ingest together.
    pub memory_limit: u64,
    /// Partitions of a plan; 0 is the number of cores.
    pub threads: usize,
    /// The most client connections of all tenants.
    pub max_connections: usize,
    /// e.g. `0.1.0`.
    pub version: String,
}

/// A node's SQL.
pub struct Database {
    pub engine: Arc<Engine>,
    pub options: DatabaseOptions,
}

impl Database {
    /// Sets up memory pool, caches and function registry over the engine.
    pub fn new(_engine: Arc<Engine>, _options: DatabaseOptions) -> Result<Arc<Database>> {
        unimplemented!()
    }

    /// Opens a session: finds tenant and role, checks LOGIN and CONNECT, counts the connection.
    ///
    /// # Errors
    /// With PostgreSQL's texts, which clients match: 3D000 `database "x" does not exist`, 28000
    /// `role "x" does not exist`, 42501 for CONNECT, 53300 `sorry, too many clients already`.
    pub async fn connect(self: &Arc<Self>, _startup: Startup) -> Result<Session> {
        unimplemented!()
    }

    /// CancelRequest: stops the running statement of the session with this process id and secret. Answers nothing.
    pub fn cancel(&self, _pid: i32, _secret: &[u8]) {}
}
