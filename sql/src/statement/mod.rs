//! Statements, one file a family. Skeleton.
pub mod copy;
