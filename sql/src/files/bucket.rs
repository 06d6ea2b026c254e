//! Files in buckets that statements name by `s3://bucket/path`: which may be named, and how their bytes come and go.
//!
//! Only what lies below a bucket or prefix of `s3_files` can be named. An object is read in large pieces, the next one on its
//! way while one is used; it is written in pieces of which nothing is to be seen before all are there.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use glob::Pattern;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::objects::fault::{Fault, Kind};
use sightline_storage::objects::upload::Upload;
use sightline_storage::objects::{Bucket, S3Options, S3Url, connect};
use tokio::runtime::Handle;

use super::glob::{NAMES_MAX, OPTIONS, too_many};
use crate::session::Limits;

/// What the names of such files begin with.
const SCHEME: &str = "s3://";
/// Bytes fetched at a time.
const PIECE_BYTES: u64 = 4 << 20;
/// How often a thread that waits looks whether the statement was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// The buckets that statements may name files in. None by default.
#[derive(Debug, Default)]
pub struct S3Files {
    options: Option<S3Options>,
    allowed: Vec<S3Url>,
    /// Those in use, by their names.
    connected: Mutex<HashMap<String, Bucket>>,
}

impl S3Files {
    /// What lies below these may be named.
    pub fn new(options: S3Options, allowed: Vec<S3Url>) -> S3Files {
        S3Files { options: Some(options), allowed, connected: Mutex::default() }
    }

    /// The bucket of a name, and what follows it.
    fn find(&self, name: &str) -> Result<(Arc<dyn ObjectStore>, String)> {
        let outside = || {
            Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("\"{name}\" is outside of s3_files"))
                .hint("Name an object below one of the buckets and prefixes of the node's setting s3_files.")
        };
        let (Some(options), false) = (&self.options, self.allowed.is_empty()) else {
            let text = "objects of S3 cannot be used: s3_files is not set";
            return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).hint(
                "Set s3_files in the node's settings, or SIGHTLINE_S3_FILES, to the buckets that files are read from and \
                 written to.",
            ));
        };
        let rest = name.strip_prefix(SCHEME).unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let below = |url: &S3Url| {
            url.bucket == bucket && (url.prefix.is_empty() || key.starts_with(&format!("{}/", url.prefix)))
        };
        if !self.allowed.iter().any(below) || key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(outside());
        }
        let mut connected = self.connected.lock();
        if let Some(found) = connected.get(bucket) {
            return Ok((found.objects.clone(), key.to_string()));
        }
        let url = S3Url { bucket: bucket.to_string(), prefix: String::new() };
        let made = connect(&url, options)?;
        let objects = made.objects.clone();
        connected.insert(bucket.to_string(), made);
        Ok((objects, key.to_string()))
    }
}

/// Whether a file is named by such a name.
pub(super) fn is_remote(name: &str) -> bool {
    name.starts_with(SCHEME)
}

/// The buckets, for one statement.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    files: Arc<S3Files>,
    limits: Limits,
    runtime: Handle,
}

impl Remote {
    /// For a statement with these limits. None outside of a runtime.
    pub(super) fn new(files: Arc<S3Files>, limits: Limits) -> Option<Remote> {
        Some(Remote { files, limits, runtime: Handle::try_current().ok()? })
    }

    /// Opens an object to read it. It waits for the store.
    pub(super) fn open(&self, name: &str) -> Result<Object> {
        let (objects, key) = self.files.find(name)?;
        let path = path_of(name, &key)?;
        let (store, at) = (objects.clone(), path.clone());
        let meta = self.wait(async move { store.head(&at).await })?.map_err(|e| cannot(name, "open", "reading", &e))?;
        Ok(Object {
            remote: self.clone(),
            source: Arc::new(Source {
                objects,
                path,
                name: name.to_string(),
                e_tag: meta.e_tag,
                faults: Faults::default(),
            }),
            size: meta.size,
            at: 0,
            piece: (0, Bytes::new()),
            ahead: None,
        })
    }

    /// Begins to write an object.
    pub(super) fn create(&self, name: &str) -> Result<ObjectTarget> {
        let (objects, key) = self.files.find(name)?;
        let path = path_of(name, &key)?;
        Ok(ObjectTarget { upload: Upload::new(objects, path), name: name.to_string(), remote: self.clone() })
    }

    /// The objects that a pattern stands for. It waits for the store.
    pub(super) fn matching(&self, pattern: &str) -> Result<Vec<String>> {
        let (objects, key) = self.files.find(pattern)?;
        let wrong = |e: glob::PatternError| {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid pattern \"{pattern}\": {}", e.msg))
        };
        let whole = Pattern::new(&key).map_err(wrong)?;
        let parts = key.split('/').collect::<Vec<_>>();
        let fixed = parts.iter().position(|p| p.contains(['*', '?', '['])).unwrap_or(0);
        let folder = parts[..fixed].join("/");
        let listing = async move {
            let prefix = if folder.is_empty() { None } else { Some(ObjectPath::from(folder)) };
            let mut listed = objects.list(prefix.as_ref());
            let (mut seen, mut found) = (0, Vec::new());
            while let Some(object) = listed.next().await {
                let location = object?.location;
                seen += 1;
                if seen > NAMES_MAX {
                    return Ok(None);
                }
                if whole.matches_with(location.as_ref(), OPTIONS) {
                    found.push(location.to_string());
                }
            }
            Ok(Some(found))
        };
        let found = self.wait(listing)?.map_err(|e| cannot(pattern, "list", "reading", &e))?;
        let found = found.ok_or_else(|| too_many(NAMES_MAX))?;
        let bucket = &pattern[..pattern.len() - key.len()];
        Ok(found.into_iter().map(|key| format!("{bucket}{key}")).collect())
    }

    /// Starts work on the runtime.
    fn start<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Pending<T> {
        let (sender, receiver) = sync_channel(1);
        let task = self.runtime.spawn(async move {
            // Nobody waits any more: the statement is over.
            drop(sender.send(work.await));
        });
        Pending { task, receiver: Mutex::new(receiver) }
    }

    /// Waits for work, on a thread that may wait, until the statement is cancelled.
    fn finish<T: Send + 'static>(&self, pending: &Pending<T>) -> Result<T> {
        let wait = || loop {
            match pending.receiver.lock().recv_timeout(LOOK) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) => self.limits.check()?,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("a request to S3 ended early")),
            }
        };
        tokio::task::block_in_place(wait)
    }

    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.finish(&self.start(work))
    }
}

/// Work on the runtime, which ends when nobody waits for it.
#[derive(Debug)]
struct Pending<T> {
    task: tokio::task::JoinHandle<()>,
    receiver: Mutex<Receiver<T>>,
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Source {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    name: String,
    /// It must stay the same object.
    e_tag: Option<String>,
    faults: Faults,
}

impl Source {
    async fn get(&self, from: u64, to: u64) -> object_store::Result<Bytes> {
        let range = Some(GetRange::Bounded(from..to));
        let options = GetOptions { range, if_match: self.e_tag.clone(), ..GetOptions::default() };
        self.objects.get_opts(&self.path, options).await?.bytes().await
    }
}

/// What went wrong with the store: readers of formats tell only its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Error>>>);

impl Faults {
    /// The fault of the store, or else this error.
    pub(super) fn or(&self, error: Error) -> Error {
        self.0.lock().take().unwrap_or(error)
    }
}

/// A piece that is on its way, and where it begins.
type Ahead = Option<(u64, Pending<object_store::Result<Bytes>>)>;

/// An object to be read from any place on.
#[derive(Debug)]
pub(crate) struct Object {
    remote: Remote,
    source: Arc<Source>,
    size: u64,
    at: u64,
    /// Bytes, and where they begin.
    piece: (u64, Bytes),
    ahead: Ahead,
}

impl Object {
    /// Bytes of the object.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The same object, to be read from its beginning by somebody else.
    pub(super) fn again(&self, at: u64) -> Object {
        let (remote, source) = (self.remote.clone(), self.source.clone());
        Object { remote, source, size: self.size, at, piece: (0, Bytes::new()), ahead: None }
    }

    /// Some bytes of it.
    pub(super) fn bytes(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let to = (from + length as u64).min(self.size);
        if from >= to {
            return Ok(Bytes::new());
        }
        self.taken(&self.fetch(from, to))
    }

    fn fetch(&self, from: u64, to: u64) -> Pending<object_store::Result<Bytes>> {
        let source = self.source.clone();
        self.remote.start(async move { source.get(from, to).await })
    }

    fn taken(&self, pending: &Pending<object_store::Result<Bytes>>) -> io::Result<Bytes> {
        let got = self.remote.finish(pending).map_err(io::Error::other)?;
        got.map_err(|e| {
            let e = cannot(&self.source.name, "read", "reading", &e);
            *self.source.faults.0.lock() = Some(e.again());
            io::Error::other(e)
        })
    }

    /// What goes wrong from now on.
    pub(super) fn faults(&self) -> Faults {
        self.source.faults.clone()
    }

    /// Sees to it that the piece holds what lies at the place to read from.
    fn fill(&mut self) -> io::Result<()> {
        let (begin, bytes) = &self.piece;
        let end = begin + bytes.len() as u64;
        if (*begin..end).contains(&self.at) {
            return Ok(());
        }
        let follows = self.at == end;
        let to = |from: u64| (from + PIECE_BYTES).min(self.size);
        let pending = match self.ahead.take() {
            Some((from, pending)) if from == self.at => pending,
            _ => self.fetch(self.at, to(self.at)),
        };
        let piece = self.taken(&pending)?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let next = self.at + piece.len() as u64;
        if follows && next < self.size {
            self.ahead = Some((next, self.fetch(next, to(next))));
        }
        self.piece = (self.at, piece);
        Ok(())
    }
}

impl Read for Object {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        self.fill()?;
        let (begin, bytes) = &self.piece;
        let rest = &bytes[(self.at - begin) as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Object {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.size.checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// An object being written. Dropping it before [`finish`](ObjectTarget::finish) leaves what was there.
#[derive(Debug)]
pub(crate) struct ObjectTarget {
    upload: Upload,
    name: String,
    remote: Remote,
}

impl ObjectTarget {
    /// Appends bytes. It waits for the store, on a thread that may wait.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let write = self.upload.write(Bytes::copy_from_slice(bytes));
        self.remote.runtime.block_on(write).map_err(|e| cannot_write(&self.name, &e))
    }

    /// Now the object is there, unless the statement is cancelled first.
    pub(super) fn finish(self) -> Result<()> {
        let ObjectTarget { upload, name, remote } = self;
        remote.wait(upload.finish())?.map_err(|e| cannot_write(&name, &e))
    }
}

fn path_of(name: &str, key: &str) -> Result<ObjectPath> {
    let wrong = || Error::new(SqlState::new("42602"), format!("\"{name}\" is no name of an object"));
    if key.is_empty() || key.ends_with('/') {
        return Err(wrong());
    }
    ObjectPath::parse(key).map_err(|_| wrong())
}

/// The error of a file, as far as there is one like it, with the reason of the store.
fn cannot(name: &str, verb: &str, purpose: &str, e: &object_store::Error) -> Error {
    let text = |reason: &str| format!("could not {verb} file \"{name}\" for {purpose}: {reason}");
    if matches!(e, object_store::Error::Precondition { .. }) {
        return Error::new(SqlState::IO_ERROR, format!("file \"{name}\" was changed while it was read"));
    }
    let Some(fault) = Fault::of(e) else { return Error::new(SqlState::IO_ERROR, text(&e.to_string())) };
    match fault.kind {
        Kind::Missing => Error::new(SqlState::new("58P01"), text("No such object")),
        Kind::NoBucket => Error::new(SqlState::new("58P01"), text("No such bucket")),
        Kind::Denied => Error::new(SqlState::INSUFFICIENT_PRIVILEGE, text(&fault.reason)),
        Kind::Away | Kind::Other => Error::new(SqlState::IO_ERROR, text(&fault.reason)),
    }
}

/// The error of an upload.
fn cannot_write(name: &str, e: &Error) -> Error {
    Error::new(e.code(), format!("could not write to file \"{name}\": {}", e.message()))
}
