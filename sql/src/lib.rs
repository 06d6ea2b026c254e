//! What is said: sessions, our statements, the catalog as relations, planning and execution on DataFusion.

mod analysis;
pub mod answer;
pub mod authorize;
pub mod catalog;
pub mod codec;
pub mod database;
pub mod error;
pub mod exec;
pub mod files;
mod memory;
pub mod parser;
pub mod password;
pub mod plan;
mod sequence;
pub mod session;
pub mod settings;
pub mod statement;

/// The encodings of clients.
pub use sightline_functions::encoding;
