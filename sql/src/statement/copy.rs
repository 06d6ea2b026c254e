//! COPY … FROM STDIN and TO STDOUT. Skeleton.

use std::sync::Arc;

use bytes::Bytes;
use sightline_storage::error::Result;

use crate::answer::Column;

/// COPY's options.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: u8,
    pub null: String,
    pub header: bool,
    pub quote: u8,
    pub escape: u8,
}

/// COPY's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

/// A running COPY … FROM STDIN. Nothing is visible before `finish`; dropping it undoes it.
pub struct CopyIn {}

impl CopyIn {
    /// The columns that the data has, in order.
    pub fn columns(&self) -> &Arc<[Column]> {
        unimplemented!()
    }

    pub fn options(&self) -> &CopyOptions {
        unimplemented!()
    }

    /// Takes the next bytes, cut anywhere.
    pub async fn write(&mut self, _data: Bytes) -> Result<()> {
        unimplemented!()
    }

    /// CopyDone: commits and answers the number of rows.
    pub async fn finish(self) -> Result<u64> {
        unimplemented!()
    }
}
