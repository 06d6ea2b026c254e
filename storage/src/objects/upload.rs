//! Writes an object piece by piece: nothing is to be seen of it before all of it is there.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::pause;
use crate::error::{Error, Result};

/// Bytes of a piece. S3 wants at least 5 MiB, and some servers that all are of one size.
pub const PIECE_BYTES: usize = 8 << 20;
/// Pieces in flight: with the one that is being gathered, 32 MiB of memory.
pub const IN_FLIGHT_MAX: usize = 2;
/// How often what failed is tried to be taken back.
const ABORTS_MAX: u32 = 20;

/// An object that is being written. Dropped before [`finish`](Upload::finish) it is given up, in the background.
#[derive(Debug)]
pub struct Upload {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    multipart: Option<Box<dyn MultipartUpload>>,
    in_flight: JoinSet<object_store::Result<()>>,
    /// The name is ours alone: what may be there after a failure can be deleted.
    own_name: bool,
    /// Whether the object may be there.
    completing: bool,
    done: bool,
}

impl Upload {
    /// Begins to write the object, in place of what has its name.
    pub fn new(objects: Arc<dyn ObjectStore>, path: ObjectPath) -> Upload {
        Upload {
            objects,
            path,
            gathered: Vec::new(),
            gathered_bytes: 0,
            multipart: None,
            in_flight: JoinSet::new(),
            own_name: false,
            completing: false,
            done: false,
        }
    }

    /// The same for a name that nobody else has: after a failure nothing is left of it.
    pub(crate) fn of_part(objects: Arc<dyn ObjectStore>, path: ObjectPath) -> Upload {
        let mut upload = Upload::new(objects, path);
        upload.own_name = true;
        upload
    }

    /// Adds bytes; waits while too many are on their way.
    ///
    /// # Errors
    /// Those of the store. The upload cannot go on then.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        while self.gathered_bytes + bytes.len() > PIECE_BYTES {
            let piece = bytes.split_to(PIECE_BYTES - self.gathered_bytes);
            self.gather(piece);
            self.send().await?;
        }
        self.gather(bytes);
        Ok(())
    }

    fn gather(&mut self, bytes: Bytes) {
        self.gathered_bytes += bytes.len();
        if !bytes.is_empty() {
            self.gathered.push(bytes);
        }
    }

    fn piece(&mut self) -> PutPayload {
        self.gathered_bytes = 0;
        PutPayload::from_iter(std::mem::take(&mut self.gathered))
    }

    /// Sends what is gathered as a piece.
    async fn send(&mut self) -> Result<()> {
        if self.multipart.is_none() {
            self.multipart = Some(self.objects.put_multipart(&self.path).await?);
        }
        self.wait(IN_FLIGHT_MAX - 1).await?;
        let piece = self.piece();
        if let Some(multipart) = &mut self.multipart {
            self.in_flight.spawn(multipart.put_part(piece));
        }
        Ok(())
    }

    /// Waits until so many pieces, or fewer, are on their way.
    async fn wait(&mut self, most: usize) -> Result<()> {
        while self.in_flight.len() > most {
            let Some(sent) = self.in_flight.join_next().await else { break };
            sent.map_err(|e| Error::internal("sending a piece of an object failed").source(e))??;
        }
        Ok(())
    }

    /// Sends the rest; now the object is there, whole.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn finish(mut self) -> Result<()> {
        if self.multipart.is_none() {
            self.completing = true;
            let all = self.piece();
            self.objects.put(&self.path, all).await?;
        } else {
            if self.gathered_bytes > 0 {
                self.send().await?;
            }
            self.wait(0).await?;
            self.completing = true;
            if let Some(multipart) = &mut self.multipart {
                multipart.complete().await?;
            }
        }
        self.done = true;
        Ok(())
    }

    /// Gives the object up and returns when nothing of it is left, or when that could not be done once.
    pub(crate) async fn abort(mut self) {
        self.done = true;
        let rest = self.rest();
        if let Err(e) = rest.take_back().await.1 {
            tracing::warn!(error = %e, "what was written of an object could not be deleted");
        }
    }

    fn rest(&mut self) -> Rest {
        Rest {
            objects: self.objects.clone(),
            path: self.path.clone(),
            multipart: self.multipart.take(),
            in_flight: std::mem::take(&mut self.in_flight),
            delete: self.own_name && self.completing,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.done || (self.multipart.is_none() && !(self.own_name && self.completing)) {
            return;
        }
        let mut rest = self.rest();
        // Outside a runtime nothing can be sent; the next start gives up what is left.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        drop(runtime.spawn(async move {
            for attempt in 0..ABORTS_MAX {
                let taken;
                (rest, taken) = rest.take_back().await;
                match taken {
                    Ok(()) => return,
                    Err(e) => tracing::warn!(path = %rest.path, error = %e, "an upload could not be given up yet"),
                }
                tokio::time::sleep(pause(attempt)).await;
            }
        }));
    }
}

/// What is to be taken back of an upload.
struct Rest {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    multipart: Option<Box<dyn MultipartUpload>>,
    in_flight: JoinSet<object_store::Result<()>>,
    delete: bool,
}

impl Rest {
    async fn take_back(mut self) -> (Rest, object_store::Result<()>) {
        // Not cut off: a piece that arrives after the upload was given up would stay.
        while self.in_flight.join_next().await.is_some() {}
        let taken = self.once().await;
        (self, taken)
    }

    async fn once(&mut self) -> object_store::Result<()> {
        // An upload that ended, one way or the other, is not there any more.
        let gone = |result: object_store::Result<()>| match result {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        };
        if let Some(multipart) = &mut self.multipart {
            gone(multipart.abort().await)?;
        }
        if self.delete {
            gone(self.objects.delete(&self.path).await)?;
        }
        Ok(())
    }
}
