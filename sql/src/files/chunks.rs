//! Bytes read or written on a thread of their own, a few chunks apart from who takes or gives them.

use std::io::Read;

use bytes::Bytes;
use sightline_storage::error::{Error, Result, SqlState};
use tokio::sync::mpsc;

use super::Target;

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait to be taken.
const AHEAD: usize = 4;

/// The bytes of a reader, in order. Dropping it ends the reading with the chunk at hand.
#[derive(Debug)]
pub(crate) struct Chunks(mpsc::Receiver<Result<Bytes>>);

impl Chunks {
    /// Opens something and reads it, both on a thread that may wait.
    pub(crate) fn start<R: Read>(open: impl FnOnce() -> Result<R> + Send + 'static) -> Chunks {
        let (sender, receiver) = mpsc::channel(AHEAD);
        drop(tokio::task::spawn_blocking(move || {
            let ended = open().and_then(|mut reader| send_all(&mut reader, &sender));
            if let Err(e) = ended {
                // Nobody to be told: the statement is over.
                drop(sender.blocking_send(Err(e)));
            }
        }));
        Chunks(receiver)
    }

    /// As [`start`](Chunks::start), for what gives its chunks itself: it is told whether anybody still takes them.
    pub(crate) fn produce(work: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> + Send + 'static) -> Chunks {
        let (sender, receiver) = mpsc::channel(AHEAD);
        drop(tokio::task::spawn_blocking(move || {
            let ended = work(&mut |chunk| sender.blocking_send(Ok(Bytes::from(chunk))).is_ok());
            if let Err(e) = ended {
                drop(sender.blocking_send(Err(e)));
            }
        }));
        Chunks(receiver)
    }

    /// The next chunk; none at the end.
    ///
    /// # Errors
    /// Those of opening and reading. Nothing follows.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.0.recv().await.transpose()
    }
}

fn send_all(reader: &mut impl Read, sender: &mpsc::Sender<Result<Bytes>>) -> Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(cannot_read)?;
        if read == 0 || sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
            return Ok(());
        }
    }
}

/// An error of ours that came through a reader, or PostgreSQL's words for one of the system.
pub(super) fn cannot_read(e: std::io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(ours) => ours,
        Err(e) => Error::new(SqlState::IO_ERROR, format!("could not read from COPY file: {e}")).source(e),
    }
}

/// A file written on a thread of its own. Dropping it before [`finish`](Sink::finish) leaves no file.
#[derive(Debug)]
pub(crate) struct Sink {
    /// None is the end: the file takes its name.
    sender: mpsc::Sender<Option<Vec<u8>>>,
    written: tokio::task::JoinHandle<Result<()>>,
}

impl Sink {
    /// Begins the file.
    ///
    /// # Errors
    /// Those of `create`.
    pub(crate) async fn start(create: impl FnOnce() -> Result<Target> + Send + 'static) -> Result<Sink> {
        let target = tokio::task::spawn_blocking(create).await.map_err(ended)??;
        let (sender, mut receiver) = mpsc::channel::<Option<Vec<u8>>>(AHEAD);
        let written = tokio::task::spawn_blocking(move || {
            let mut target = target;
            while let Some(message) = receiver.blocking_recv() {
                match message {
                    Some(bytes) => target.write(&bytes)?,
                    None => return target.finish(),
                }
            }
            Ok(())
        });
        Ok(Sink { sender, written })
    }

    /// Appends bytes; waits while enough are on their way.
    ///
    /// # Errors
    /// Those of writing what came before. The file is gone then.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        if self.sender.send(Some(bytes)).await.is_err() {
            (&mut self.written).await.map_err(ended)??;
        }
        Ok(())
    }

    /// All is written: the file takes its name.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) async fn finish(self) -> Result<()> {
        // Should it have ended before, it says why.
        drop(self.sender.send(None).await);
        self.written.await.map_err(ended)?
    }
}

fn ended(e: tokio::task::JoinError) -> Error {
    Error::internal(format!("the thread of a file ended early: {e}"))
}
