//! Parts as snapshots hold them. A part that left the manifest is deleted when the last snapshot that shows it is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::table::{PartMeta, PartStore};

/// A part that stays on disk as long as somebody holds it.
#[derive(Debug)]
pub struct Part {
    pub meta: PartMeta,
    removed: AtomicBool,
    deleter: Option<Deleter>,
}

/// Where the paths of parts go that nobody needs any more.
pub(crate) type Deleter = UnboundedSender<PartMeta>;

impl Part {
    /// A part whose file somebody else looks after.
    pub fn new(meta: PartMeta) -> Part {
        Part { meta, removed: AtomicBool::new(false), deleter: None }
    }

    /// A part of the manifest; [`remove`](Part::remove) deletes its file in time.
    pub(crate) fn listed(meta: PartMeta, deleter: Option<Deleter>) -> Part {
        Part { meta, removed: AtomicBool::new(false), deleter }
    }

    /// The manifest no longer lists it.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.removed.load(Ordering::Acquire) {
            return;
        }
        if let Some(deleter) = &self.deleter {
            // At shutdown nobody listens any more; the sweep of orphans at the next start deletes the file then.
            drop(deleter.send(self.meta.clone()));
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
