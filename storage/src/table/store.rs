//! Where parts lie: an object store, and if that is a local directory, what it takes to make a file survive a power cut.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;

use super::PartMeta;
use crate::budget::Budget;
use crate::directory::{disk_full, spare_bytes};
use crate::error::{Error, Result};

/// The store of parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PartStore {
    pub objects: Arc<dyn ObjectStore>,
    /// The directory behind `objects`, if it is one: [`LocalFileSystem`] does not sync, so we do.
    pub local_root: Option<PathBuf>,
    /// What writing parts takes its memory from.
    memory: Option<Arc<Budget>>,
}

impl PartStore {
    /// A store that is durable by itself.
    pub fn new(objects: Arc<dyn ObjectStore>) -> PartStore {
        PartStore { objects, local_root: None, memory: None }
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
        Ok(PartStore { objects, local_root: Some(root), memory: None })
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
