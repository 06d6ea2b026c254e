//! What runs and listens: the parts of the `sightline` binary, as a library so that tests can start a node in process.

pub mod node;

pub mod config;
pub mod logging;

pub mod authenticate;
pub mod http;
pub mod metrics;
pub mod pg;

pub mod parquet_to_csv;
