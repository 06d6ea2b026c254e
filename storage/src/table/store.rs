//! Where parts lie: an object store, and if that is a local directory, what it takes to make a file survive a power cut.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;

use super::PartMeta;
use crate::budget::Budget;
use crate::directory::{disk_full, spare_bytes};
use crate::error::{Error, Result, SqlState};
use crate::objects::cache::{Cache, Cached};
use crate::objects::upload::Upload;
use crate::objects::{Bucket, pause};

/// The store of parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PartStore {
    pub objects: Arc<dyn ObjectStore>,
    /// The directory behind `objects`, if it is one: [`LocalFileSystem`] does not sync, so we do.
    pub local_root: Option<PathBuf>,
    /// What writing parts takes its memory from.
    memory: Option<Arc<Budget>>,
    /// The bucket behind `objects`, if it is one.
    pub bucket: Option<Arc<Bucket>>,
    /// Copies of what was read of the bucket.
    pub cache: Option<Arc<Cache>>,
}

impl PartStore {
    /// A store that is durable by itself.
    pub fn new(objects: Arc<dyn ObjectStore>) -> PartStore {
        PartStore { objects, local_root: None, bucket: None, cache: None, memory: None }
    }

    /// A store in a bucket, with up to so many bytes of copies of what was read in the data directory.
    ///
    /// # Errors
    /// 58030 or 53100 from the disk.
    pub(crate) fn cached(bucket: Bucket, data_dir: &Path, cache_bytes: u64) -> Result<PartStore> {
        let folder = data_dir.join("cache");
        if cache_bytes == 0 {
            match std::fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                Ok(()) | Err(_) => {}
            }
            let objects = bucket.objects.clone();
            return Ok(PartStore { bucket: Some(Arc::new(bucket)), ..PartStore::new(objects) });
        }
        let cache = Arc::new(Cache::open(folder, cache_bytes)?);
        let objects = Arc::new(Cached { inner: bucket.objects.clone(), cache: cache.clone() });
        Ok(PartStore { bucket: Some(Arc::new(bucket)), cache: Some(cache), ..PartStore::new(objects) })
    }

    /// A store in the directory `root`, which is made if it is missing.
    ///
    /// # Errors
    /// 58030 or 53100 from the disk.
    pub fn local(root: impl Into<PathBuf>) -> Result<PartStore> {
        let root = root.into();
        std::fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        let objects = Arc::new(LocalFileSystem::new_with_prefix(&root)?);
        Ok(PartStore { local_root: Some(root), ..PartStore::new(objects) })
    }

    /// With memory that writing parts counts in.
    #[must_use]
    pub fn with_memory(self, memory: Arc<Budget>) -> PartStore {
        PartStore { memory: Some(memory), ..self }
    }

    /// What writing parts takes its memory from.
    pub(crate) fn memory(&self) -> Option<&Arc<Budget>> {
        self.memory.as_ref()
    }

    /// Returns when the named objects are durable: a local file and all directories above it are synced.
    ///
    /// # Errors
    /// 58030 or 53100 from the disk.
    pub async fn sync(&self, paths: Vec<String>) -> Result<()> {
        let Some(root) = self.local_root.clone() else { return Ok(()) };
        let work = move || sync_files(&root, &paths);
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("sync of parts failed").source(e))?
    }

    /// Checks that there is room for parts of about so many bytes.
    ///
    /// # Errors
    /// 53100 if there is not.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        let Some(root) = &self.local_root else { return Ok(()) };
        if spare_bytes(root).is_some_and(|spare| spare >= bytes) { Ok(()) } else { Err(disk_full()) }
    }

    /// Writes an object with a name that nobody else has.
    pub(crate) fn upload(&self, path: &str) -> Upload {
        Upload::of_part(self.objects.clone(), object_path(path))
    }

    /// Gives an upload up: at once in a directory, in the background in a store that may be what failed.
    pub(crate) async fn abort(&self, upload: Upload) {
        if self.local_root.is_some() {
            upload.abort().await;
        }
    }

    /// Deletes parts that no manifest lists, sooner or later: nobody waits for a store that is away.
    pub(crate) async fn discard(&self, parts: Vec<PartMeta>) {
        if parts.is_empty() {
            return;
        }
        let Err(e) = self.remove_for(&parts, Some(PATIENCE)).await else { return };
        tracing::warn!(parts = parts.len(), error = %e, "could not delete parts that nobody needs yet");
        if self.bucket.is_some() {
            let store = self.clone();
            drop(tokio::spawn(async move { store.remove_in_time(&parts).await }));
        }
    }

    async fn remove_for(&self, parts: &[PartMeta], patience: Option<Duration>) -> Result<()> {
        let limit = patience.filter(|_| self.bucket.is_some()).unwrap_or(Duration::MAX);
        let late = |_| Error::new(SqlState::IO_ERROR, "object storage does not answer");
        tokio::time::timeout(limit, self.remove(parts)).await.map_err(late)?
    }

    /// Deletes parts that no manifest lists, and tries it again while the store is away.
    pub(crate) async fn remove_in_time(&self, parts: &[PartMeta]) {
        for attempt in 0..REMOVES_MAX {
            match self.remove(parts).await {
                Ok(()) => return tracing::debug!(parts = parts.len(), "parts deleted"),
                Err(e) => {
                    tracing::warn!(parts = parts.len(), error = %e, "could not delete parts; the next start will")
                }
            }
            if self.bucket.is_none() {
                return;
            }
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    /// Deletes parts that no manifest lists, as after a load that failed. What is gone already is no error.
    ///
    /// # Errors
    /// 58030 from the store; parts after the failing one may be left.
    pub async fn remove(&self, parts: &[PartMeta]) -> Result<()> {
        let paths = parts.iter().map(|p| Ok(object_path(&p.path))).collect::<Vec<_>>();
        let deleted = self.objects.delete_stream(stream::iter(paths).boxed());
        deleted
            .filter(|r| futures::future::ready(!matches!(r, Err(object_store::Error::NotFound { .. }))))
            .try_for_each(|_| futures::future::ready(Ok(())))
            .await?;
        Ok(())
    }
}

/// How long a statement that failed waits until its parts are deleted from a bucket.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often parts that nobody lists are tried to be deleted: while a store is away there is nothing to be done, and the
/// next start deletes what is left.
const REMOVES_MAX: u32 = 20;

/// A [`PartMeta::path`] as the store wants it. Such paths hold nothing that would be escaped.
pub fn object_path(path: &str) -> ObjectPath {
    ObjectPath::from(path)
}

fn sync_files(root: &Path, paths: &[String]) -> Result<()> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let file = root.join(path);
        File::open(&file)?.sync_all()?;
        directories.extend(file.ancestors().skip(1).take_while(|d| d.starts_with(root)).map(Path::to_path_buf));
    }
    // Deepest first: a directory is durable before the entry that names it.
    for directory in directories.iter().rev() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
