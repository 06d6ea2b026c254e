//! Our physical operators: reading tables ([`scan`]) and writing them ([`mod@write`]).
pub mod scan;
pub mod write;
