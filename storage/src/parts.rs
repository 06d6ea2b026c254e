//! Parts as snapshots hold them. A part that left the manifest is deleted when the last snapshot that shows it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roaring::RoaringBitmap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::table::{Deletion, PartMeta, PartStore};

/// A part as of one snapshot. Its file stays on disk as long as somebody holds it.
#[derive(Clone, Debug)]
pub struct Part {
    pub meta: Arc<PartMeta>,
    /// Its deleted rows, if there are any.
    pub deletion: Option<Deletion>,
    file: Arc<PartFile>,
}

/// What all versions of a part hold in common.
#[derive(Debug)]
struct PartFile {
    meta: Arc<PartMeta>,
    removed: AtomicBool,
    deleter: Option<Deleter>,
}

/// Where the paths of parts go that nobody needs any more.
pub(crate) type Deleter = UnboundedSender<PartMeta>;

impl Part {
    /// A part whose file somebody else looks after.
    pub fn new(meta: PartMeta) -> Part {
        Part::listed(meta, None)
    }

    /// A part of the manifest; [`remove`](Part::remove) deletes its file in time.
    pub(crate) fn listed(meta: PartMeta, deleter: Option<Deleter>) -> Part {
        let meta = Arc::new(meta);
        let file = PartFile { meta: meta.clone(), removed: AtomicBool::new(false), deleter };
        Part { meta, deletion: None, file: Arc::new(file) }
    }

    /// The same part with more of its rows deleted; none if one of them is deleted already, or was never there.
    pub fn without(&self, positions: &RoaringBitmap) -> Option<Part> {
        if positions.max().is_some_and(|last| u64::from(last) >= self.meta.rows) {
            return None;
        }
        let deletion = self.deletion.clone().unwrap_or_default().with(positions)?;
        Some(Part { deletion: Some(deletion).filter(|d| d.rows() > 0), ..self.clone() })
    }

    /// How many rows it shows.
    pub fn rows(&self) -> u64 {
        self.meta.rows - self.deleted_rows()
    }

    /// How many of its rows are deleted.
    pub fn deleted_rows(&self) -> u64 {
        self.deletion.as_ref().map_or(0, Deletion::rows)
    }

    /// The manifest no longer lists it.
    pub(crate) fn remove(&self) {
        self.file.removed.store(true, Ordering::Release);
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.removed.load(Ordering::Acquire) {
            return;
        }
        if let Some(deleter) = &self.deleter {
            // At shutdown nobody listens any more; the sweep of orphans at the next start deletes the file then.
            drop(deleter.send(PartMeta::clone(&self.meta)));
        }
    }
}

/// The queue of files to delete.
pub(crate) fn deleter() -> (Deleter, UnboundedReceiver<PartMeta>) {
    unbounded_channel()
}

/// Deletes files until all senders are gone.
pub(crate) async fn delete_all(store: PartStore, mut paths: UnboundedReceiver<PartMeta>) {
    while let Some(part) = paths.recv().await {
        store.remove_in_time(std::slice::from_ref(&part)).await;
    }
}
