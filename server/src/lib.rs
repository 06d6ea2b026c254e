//! What runs and listens: the parts of the `sightline` binary, as a library so that tests can start a node in process.

pub mod node;

pub mod config;
pub mod logging;

pub mod authenticate;
pub mod http;
pub mod metrics;
pub mod pg;
pub mod tls;

pub mod parquet_to_csv;

/// The allocator of every binary that links the server. glibc keeps what many threads freed in their arenas.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
