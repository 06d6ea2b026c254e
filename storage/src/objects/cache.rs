//! Keeps what was read of parts in a bucket on the local disk, up to a limit.
//!
//! A part never changes, so a copy of a piece of it is right for ever. Pieces are blocks of one size, a file each, with a
//! checksum: what a crash left half written is found out when it is read. Readers of one block wait for the first of them
//! to fetch it. When the limit is reached the blocks go that were not read for longest.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::directory::spare_bytes;

/// Bytes of a block: a request costs as much time as so many bytes do.
const BLOCK_BYTES: u64 = 256 << 10;
/// Neighbouring blocks fetched by one request.
const RUN_BLOCKS: u32 = 32;
/// Requests at a time for one read.
const REQUESTS_MAX: usize = 4;
/// Before the bytes of a block lie its checksum and the size of the whole object.
const HEAD_BYTES: usize = 12;

/// A piece of an object: the object's name without its folder, which is unique, and the number of the block.
type Key = (Arc<str>, u32);

/// Why the last fetch of a block failed, if it did.
type Failed = Option<Arc<object_store::Error>>;

/// What the copies were good for since the start, and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CacheCounts {
    /// Blocks read from the local disk.
    pub hits: u64,
    /// Blocks that had to be fetched.
    pub misses: u64,
    /// Bytes on the local disk.
    pub bytes: u64,
    pub bytes_max: u64,
}

/// The copies on the local disk.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    held: Mutex<Held>,
    /// Who fetches a block; what went wrong is for those who wait for it as well.
    turns: Mutex<HashMap<Key, Weak<Turn<Failed>>>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    blocks: HashMap<Key, Block>,
    /// Written blocks by when they were read last.
    oldest: BTreeMap<u64, Key>,
    bytes: u64,
    clock: u64,
}

#[derive(Debug)]
struct Block {
    bytes: u64,
    /// None while it is being written.
    read_at: Option<u64>,
}

/// Bytes of a block and the size of its object.
type Found = (Bytes, u64);

impl Cache {
    /// The cache in a folder, with what an earlier run left there.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn open(folder: PathBuf, limit: u64) -> std::io::Result<Cache> {
        fs::create_dir_all(&folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Some(key) = entry.file_name().to_str().and_then(key_of) else {
                fs::remove_file(entry.path())?;
                continue;
            };
            let metadata = entry.metadata()?;
            found.push((metadata.modified()?, key, metadata.len()));
        }
        found.sort_by_key(|(modified, ..)| *modified);
        let mut held = Held::default();
        for (_, key, bytes) in found {
            held.bytes += bytes;
            held.blocks.insert(key.clone(), Block { bytes, read_at: None });
            held.written(&key);
        }
        let cache = Cache {
            folder,
            limit,
            held: Mutex::new(held),
            turns: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        };
        let surplus = cache.held.lock().surplus(limit);
        surplus.iter().for_each(|key| cache.delete(key));
        Ok(cache)
    }

    /// The counts.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.held.lock().bytes,
            bytes_max: self.limit,
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.{:08x}", key.0, key.1))
    }

    /// Reads a block from the disk. One that is damaged is none.
    fn read(&self, key: &Key) -> Option<Found> {
        if !self.held.lock().touch(key) {
            return None;
        }
        let found = read_file(&self.path(key));
        if found.is_none() {
            let mut held = self.held.lock();
            held.forget(key);
            self.delete(key);
        }
        found
    }

    /// Keeps a block, if it fits.
    fn write(&self, key: &Key, (bytes, size): &Found) {
        let length = (HEAD_BYTES + bytes.len()) as u64;
        let room = spare_bytes(&self.folder).is_some_and(|spare| spare > length);
        if !room || length > self.limit {
            return;
        }
        {
            // Deleted under the lock: the folder is never larger than the limit, whoever else writes.
            let mut held = self.held.lock();
            held.surplus(self.limit - length).iter().for_each(|key| self.delete(key));
            if !held.take(key, length, self.limit) {
                return;
            }
        }
        match write_file(&self.path(key), bytes, *size) {
            Ok(()) => self.held.lock().written(key),
            Err(e) => {
                tracing::warn!(error = %e, "a block of a part could not be kept on the local disk");
                self.delete(key);
                self.held.lock().forget(key);
            }
        }
    }

    fn delete(&self, key: &Key) {
        match fs::remove_file(self.path(key)) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => tracing::warn!(error = %e, "a block of a part could not be deleted from the local disk"),
        }
    }

    /// Deletes all blocks of an object.
    fn forget_object(&self, stem: &str) {
        let mut held = self.held.lock();
        let written = held.blocks.iter().filter(|(key, block)| *key.0 == *stem && block.read_at.is_some());
        let keys = written.map(|(key, _)| key.clone()).collect::<Vec<_>>();
        keys.iter().for_each(|key| held.forget(key));
        drop(held);
        keys.iter().for_each(|key| self.delete(key));
    }

    /// Waits until nobody else fetches the block.
    async fn turn(&self, key: &Key) -> OwnedMutexGuard<Failed> {
        let turn = {
            let mut turns = self.turns.lock();
            match turns.get(key).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    turns.retain(|_, turn| turn.strong_count() > 0);
                    let turn = Arc::new(Turn::new(None));
                    turns.insert(key.clone(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

impl Held {
    /// Marks a written block as read now; false if there is none.
    fn touch(&mut self, key: &Key) -> bool {
        let Some(at) = self.blocks.get(key).and_then(|block| block.read_at) else { return false };
        self.oldest.remove(&at);
        self.written(key);
        true
    }

    fn written(&mut self, key: &Key) {
        self.clock += 1;
        if let Some(block) = self.blocks.get_mut(key) {
            block.read_at = Some(self.clock);
            self.oldest.insert(self.clock, key.clone());
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(block) = self.blocks.remove(key) {
            self.bytes -= block.bytes;
            if let Some(at) = block.read_at {
                self.oldest.remove(&at);
            }
        }
    }

    /// Takes out the blocks that were not read for longest until no more than so many bytes are left.
    fn surplus(&mut self, limit: u64) -> Vec<Key> {
        let mut out = Vec::new();
        while self.bytes > limit {
            let Some((_, key)) = self.oldest.pop_first() else { break };
            self.forget(&key);
            out.push(key);
        }
        out
    }

    /// Takes so many bytes for a block that is to be written. False if it is there, or does not fit beside those that are
    /// being written.
    fn take(&mut self, key: &Key, bytes: u64, limit: u64) -> bool {
        let fits = !self.blocks.contains_key(key) && self.bytes + bytes <= limit;
        if fits {
            self.bytes += bytes;
            self.blocks.insert(key.clone(), Block { bytes, read_at: None });
        }
        fits
    }
}

/// `<name>.<number>`, as [`Cache::path`] makes it.
fn key_of(name: &str) -> Option<Key> {
    let (stem, number) = name.rsplit_once('.')?;
    let number = u32::from_str_radix(number, 16).ok().filter(|_| number.len() == 8)?;
    Some((Arc::from(stem), number))
}

/// Checksum, size of the object, bytes.
fn write_file(path: &Path, bytes: &[u8], size: u64) -> std::io::Result<()> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&size.to_le_bytes());
    sum.update(bytes);
    let mut file = File::create(path)?;
    file.write_all(&sum.finalize().to_le_bytes())?;
    file.write_all(&size.to_le_bytes())?;
    file.write_all(bytes)
}

fn read_file(path: &Path) -> Option<Found> {
    let mut all = Vec::new();
    File::open(path).ok()?.read_to_end(&mut all).ok()?;
    let (sum, rest) = all.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (size, _) = rest.split_first_chunk::<8>()?;
    let size = u64::from_le_bytes(*size);
    Some((Bytes::from(all).slice(HEAD_BYTES..), size))
}

/// A store of parts with local copies of what was read.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) cache: Arc<Cache>,
}

impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({})", self.inner)
    }
}

/// The name under which blocks of an object are kept: only that of a part, which is never written again.
fn stem_of(location: &ObjectPath) -> Option<Arc<str>> {
    Some(Arc::from(location.filename()?.strip_suffix(".parquet")?))
}

impl Cached {
    /// The blocks that hold the ranges, by their numbers, and the object's size.
    async fn blocks(
        &self,
        location: &ObjectPath,
        stem: &Arc<str>,
        ranges: &[Range<u64>],
    ) -> Result<(BTreeMap<u32, Bytes>, u64)> {
        let number = |at: u64| u32::try_from(at / BLOCK_BYTES).unwrap_or(u32::MAX);
        let wanted = ranges.iter().filter(|r| !r.is_empty()).flat_map(|r| number(r.start)..=number(r.end - 1));
        let mut wanted = wanted.collect::<Vec<_>>();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut found, mut size) = (BTreeMap::new(), 0);
        let asked = wanted.len();
        self.read_into(stem, &mut wanted, &mut found, &mut size).await?;
        self.cache.hits.fetch_add((asked - wanted.len()) as u64, Ordering::Relaxed);
        if wanted.is_empty() {
            return Ok((found, size));
        }
        // In the order of their numbers, so that two readers never wait for each other.
        let mut turns = Vec::with_capacity(wanted.len());
        for block in &wanted {
            let turn = self.cache.turn(&(stem.clone(), *block)).await;
            if let Some(e) = &*turn {
                return Err(shared(e.clone()));
            }
            turns.push(turn);
        }
        let asked = wanted.len();
        self.read_into(stem, &mut wanted, &mut found, &mut size).await?;
        self.cache.hits.fetch_add((asked - wanted.len()) as u64, Ordering::Relaxed);
        self.cache.misses.fetch_add(wanted.len() as u64, Ordering::Relaxed);
        let fetched = runs(&wanted).into_iter().map(|run| self.fetch(location, stem, run));
        let mut fetched = futures::stream::iter(fetched).buffer_unordered(REQUESTS_MAX);
        while let Some(run) = fetched.next().await {
            match run {
                Ok((blocks, object)) => {
                    size = object;
                    found.extend(blocks);
                }
                Err(e) => {
                    let e = Arc::new(e);
                    turns.iter_mut().for_each(|turn| **turn = Some(e.clone()));
                    return Err(shared(e));
                }
            }
        }
        Ok((found, size))
    }

    /// Moves the blocks that are on the local disk from `wanted` to `found`.
    async fn read_into(
        &self,
        stem: &Arc<str>,
        wanted: &mut Vec<u32>,
        found: &mut BTreeMap<u32, Bytes>,
        size: &mut u64,
    ) -> Result<()> {
        let (cache, keys) = (self.cache.clone(), wanted.iter().map(|n| (stem.clone(), *n)).collect::<Vec<_>>());
        let read = move || keys.into_iter().map(|key| (cache.read(&key), key.1)).collect::<Vec<_>>();
        wanted.clear();
        for (block, number) in tokio::task::spawn_blocking(read).await? {
            match block {
                Some((bytes, object)) => {
                    *size = object;
                    found.insert(number, bytes);
                }
                None => wanted.push(number),
            }
        }
        Ok(())
    }

    /// Fetches neighbouring blocks, and keeps them.
    async fn fetch(&self, location: &ObjectPath, stem: &Arc<str>, run: Range<u32>) -> Result<(Vec<(u32, Bytes)>, u64)> {
        let range = u64::from(run.start) * BLOCK_BYTES..u64::from(run.end) * BLOCK_BYTES;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let got = self.inner.get_opts(location, options).await?;
        let size = got.meta.size;
        let all = got.bytes().await?;
        let starts = (0..all.len()).step_by(BLOCK_BYTES as usize);
        let pieces = starts.map(|at| all.slice(at..all.len().min(at + BLOCK_BYTES as usize)));
        let blocks = run.zip(pieces).collect::<Vec<_>>();
        let (cache, stem, kept) = (self.cache.clone(), stem.clone(), blocks.clone());
        let keep = move || kept.into_iter().for_each(|(n, bytes)| cache.write(&(stem.clone(), n), &(bytes, size)));
        tokio::task::spawn_blocking(keep).await?;
        Ok((blocks, size))
    }
}

/// Neighbours among numbers in order, no more than so many together.
fn runs(numbers: &[u32]) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some(run) if run.end == *n && run.end - run.start < RUN_BLOCKS => run.end += 1,
            _ => runs.push(*n..*n + 1),
        }
    }
    runs
}

/// The bytes of a range out of the blocks that hold it; fewer if the object ends before.
fn cut(blocks: &BTreeMap<u32, Bytes>, range: &Range<u64>) -> Bytes {
    let pieces = blocks.iter().filter_map(|(number, bytes)| {
        let begin = u64::from(*number) * BLOCK_BYTES;
        let end = begin + bytes.len() as u64;
        let (from, to) = (range.start.max(begin), range.end.min(end));
        (from < to).then(|| bytes.slice((from - begin) as usize..(to - begin) as usize))
    });
    let mut pieces = pieces.collect::<Vec<_>>();
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

/// The error of a request that several wait for.
#[derive(Debug)]
struct Shared(Arc<object_store::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

fn shared(e: Arc<object_store::Error>) -> object_store::Error {
    let source = Box::new(Shared(e.clone()));
    match &*e {
        object_store::Error::NotFound { path, .. } => object_store::Error::NotFound { path: path.clone(), source },
        object_store::Error::PermissionDenied { path, .. } => {
            object_store::Error::PermissionDenied { path: path.clone(), source }
        }
        object_store::Error::Unauthenticated { path, .. } => {
            object_store::Error::Unauthenticated { path: path.clone(), source }
        }
        _ => object_store::Error::Generic { store: "S3", source },
    }
}

/// The range, if nothing else is asked for.
fn plain_range(options: &GetOptions) -> Option<Range<u64>> {
    let conditions = options.if_match.is_some()
        || options.if_none_match.is_some()
        || options.if_modified_since.is_some()
        || options.if_unmodified_since.is_some()
        || options.version.is_some()
        || options.head;
    match &options.range {
        Some(GetRange::Bounded(range)) if !conditions && !range.is_empty() => Some(range.clone()),
        _ => None,
    }
}

#[async_trait]
impl ObjectStore for Cached {
    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        let (Some(stem), Some(range)) = (stem_of(location), plain_range(&options)) else {
            return self.inner.get_opts(location, options).await;
        };
        let (blocks, size) = self.blocks(location, &stem, std::slice::from_ref(&range)).await?;
        let bytes = cut(&blocks, &range);
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            size,
            e_tag: None,
            version: None,
        };
        Ok(GetResult {
            range: range.start..range.start + bytes.len() as u64,
            payload: GetResultPayload::Stream(futures::stream::once(async { Ok(bytes) }).boxed()),
            meta,
            attributes: object_store::Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &ObjectPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(stem) = stem_of(location) else { return self.inner.get_ranges(location, ranges).await };
        let (blocks, _) = self.blocks(location, &stem, ranges).await?;
        Ok(ranges.iter().map(|range| cut(&blocks, range)).collect())
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        let cache = self.cache.clone();
        let forget = move |location: &ObjectPath| {
            if let Some(stem) = stem_of(location) {
                cache.forget_object(&stem);
            }
        };
        self.inner.delete_stream(locations).inspect_ok(forget).boxed()
    }

    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests;
