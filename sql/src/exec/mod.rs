//! Our physical operators: reading tables ([`scan`]) and writing them ([`write`]).
pub mod scan;
pub mod write;
