//! A file that was opened to be read, wherever it lies.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

use super::bucket::{Faults, Object};

/// Of the folder, or of a bucket.
#[derive(Debug)]
pub(crate) enum Opened {
    Local(File),
    Remote(Object),
}

impl Opened {
    /// Its size in bytes.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn size(&self) -> io::Result<u64> {
        match self {
            Opened::Local(file) => Ok(file.metadata()?.len()),
            Opened::Remote(object) => Ok(object.size()),
        }
    }

    /// What goes wrong with it from now on, where errors of readers do not tell.
    pub(super) fn faults(&self) -> Faults {
        match self {
            Opened::Local(_) => Faults::default(),
            Opened::Remote(object) => object.faults(),
        }
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Opened::Local(file) => file.read(buffer),
            Opened::Remote(object) => object.read(buffer),
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Opened::Local(file) => file.seek(to),
            Opened::Remote(object) => object.seek(to),
        }
    }
}

impl Length for Opened {
    fn len(&self) -> u64 {
        match self {
            Opened::Local(file) => Length::len(file),
            Opened::Remote(object) => object.size(),
        }
    }
}

impl ChunkReader for Opened {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Box<dyn Read>> {
        Ok(match self {
            Opened::Local(file) => Box::new(file.get_read(start)?),
            Opened::Remote(object) => Box::new(object.again(start)),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            Opened::Local(file) => file.get_bytes(start, length),
            Opened::Remote(object) => Ok(object.bytes(start, length)?),
        }
    }
}
