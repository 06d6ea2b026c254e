//! Files for what statements have no memory for: sorts, hash tables, shared WITH queries.
//!
//! They lie in `tmp/` of the data directory. A file goes when nobody needs it any more, which is at the end of its
//! statement at the latest; what a crash leaves goes at the next start. One statement's files have at most `temp_file_limit`
//! bytes (53400), those of all together at most [`SPILL_LIMIT`], and they leave the disk's reserve to writes (53100).
//! <https://www.postgresql.org/docs/15/runtime-config-resource.html#GUC-TEMP-FILE-LIMIT>

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use futures::stream::try_unfold;
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, SqlState};

use super::{Usage, shown};
use crate::error::to_datafusion;

/// The most bytes of all files together (100 GiB): more is a query gone wild.
pub(crate) const SPILL_LIMIT: u64 = 100 << 30;
/// After so many bytes the disk's free space is looked at again.
const LOOK_BYTES: u64 = 32 << 20;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 128 << 10;

/// Where all statements of a node spill.
pub(crate) struct SpillSpace {
    engine: Arc<Engine>,
    held: AtomicU64,
    next: AtomicU64,
}

impl SpillSpace {
    pub(super) fn new(engine: Arc<Engine>) -> SpillSpace {
        SpillSpace { engine, held: AtomicU64::new(0), next: AtomicU64::new(0) }
    }

    /// Bytes of all files.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for SpillSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpillSpace").field("held", &self.held).finish_non_exhaustive()
    }
}

/// Makes the files of one statement.
#[derive(Debug)]
pub(super) struct Spills {
    space: Arc<SpillSpace>,
    usage: Arc<Usage>,
}

impl Spills {
    pub(super) fn new(space: Arc<SpillSpace>, usage: Arc<Usage>) -> Spills {
        Spills { space, usage }
    }
}

impl TempFileFactory for Spills {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let number = self.space.next.fetch_add(1, Ordering::Relaxed);
        let path = self.space.engine.temporary().join(format!("{}-{number}.spill", self.usage.owner.pid));
        let file = File::options().create_new(true).read(true).write(true).open(&path);
        let file = file.map_err(|e| to_datafusion(Error::from(e)))?;
        let (space, usage) = (self.space.clone(), self.usage.clone());
        Ok(Arc::new(Spilled(Arc::new(Inner { space, usage, path, file, bytes: AtomicU64::new(0) }))))
    }
}

#[derive(Debug)]
struct Spilled(Arc<Inner>);

/// A file, which goes with the last who needs it.
#[derive(Debug)]
struct Inner {
    space: Arc<SpillSpace>,
    usage: Arc<Usage>,
    path: PathBuf,
    file: File,
    bytes: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.space.held.fetch_sub(bytes, Ordering::Relaxed);
        self.usage.spilled.fetch_sub(bytes, Ordering::Relaxed);
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "a temporary file could not be removed");
        }
    }
}

impl SpillFile for Spilled {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn size(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let inner = self.0.clone();
        Ok(Box::pin(try_unfold(0_u64, move |at| {
            let inner = inner.clone();
            async move {
                let read = tokio::task::spawn_blocking(move || {
                    let mut buffer = vec![0; CHUNK_BYTES];
                    let count = inner.file.read_at(&mut buffer, at)?;
                    buffer.truncate(count);
                    Ok::<_, io::Error>(buffer)
                });
                let buffer = read.await.map_err(|e| exec_datafusion_err!("reading a temporary file stopped: {e}"))?;
                let buffer = buffer.map_err(DataFusionError::IoError)?;
                let next = at + buffer.len() as u64;
                Ok((!buffer.is_empty()).then(|| (Bytes::from(buffer), next)))
            }
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer { inner: self.0.clone(), unlooked: LOOK_BYTES }))
    }
}

/// Appends to a file.
struct Writer {
    inner: Arc<Inner>,
    /// Bytes since the disk's free space was looked at.
    unlooked: u64,
}

impl Writer {
    /// Counts bytes that are about to be written.
    fn count(&mut self, bytes: u64) -> Result<(), Error> {
        let Inner { space, usage, bytes: own, .. } = self.inner.as_ref();
        if let Some(limit) = usage.owner.spill_limit
            && usage.spilled() + bytes > limit
        {
            let message = format!("temporary file size exceeds temp_file_limit ({}kB)", limit >> 10);
            return Err(Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message));
        }
        if space.held() + bytes > SPILL_LIMIT {
            let message = format!("temporary files of all statements exceed {}", shown(SPILL_LIMIT));
            return Err(Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
                .hint("Make the statement smaller, or run fewer at once."));
        }
        self.unlooked += bytes;
        if self.unlooked >= LOOK_BYTES {
            space.engine.check_room(LOOK_BYTES)?;
            self.unlooked = 0;
        }
        space.held.fetch_add(bytes, Ordering::Relaxed);
        usage.spilled.fetch_add(bytes, Ordering::Relaxed);
        own.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.count(buffer.len() as u64).map_err(io::Error::other)?;
        (&self.inner.file).write_all(buffer)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
