//! The cache against a store in memory that counts.

use futures::future::join_all;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;

const SIZE: usize = 3 * BLOCK_BYTES as usize + 1000;

/// A store with one part, that counts its requests and can be away.
#[derive(Debug, Default)]
struct Remote {
    inner: InMemory,
    requests: AtomicU64,
    away: std::sync::atomic::AtomicBool,
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if self.away.load(Ordering::Relaxed) {
            return Err(object_store::Error::Generic { store: "S3", source: "gone".into() });
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.inner.delete_stream(locations)
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

fn content(part: usize) -> Vec<u8> {
    (0..SIZE).map(|i| ((i * 31 + i / 977 + part * 7) % 251) as u8).collect()
}

fn part(n: usize) -> ObjectPath {
    ObjectPath::from(format!("cold/1/2/all/part-{n}.parquet"))
}

async fn remote(parts: usize) -> Arc<Remote> {
    let remote = Arc::new(Remote::default());
    for n in 0..parts {
        remote.inner.put(&part(n), content(n).into()).await.unwrap();
    }
    remote
}

fn cached(folder: &Path, inner: &Arc<Remote>, limit: u64) -> Cached {
    let cache = Cache::open(folder.to_path_buf(), limit).unwrap();
    Cached { inner: inner.clone(), cache: Arc::new(cache) }
}

fn on_disk(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum()
}

fn requests(remote: &Remote) -> u64 {
    remote.requests.load(Ordering::Relaxed)
}

#[tokio::test]
async fn ranges_are_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let remote = remote(1).await;
    let store = cached(folder.path(), &remote, 16 << 20);
    let block = BLOCK_BYTES;
    for range in [0..10, block - 5..block + 5, 0..SIZE as u64, SIZE as u64 - 8..SIZE as u64, 5..6] {
        let wanted = &content(0)[range.start as usize..range.end as usize];
        assert_eq!(store.get_range(&part(0), range.clone()).await.unwrap(), wanted, "{range:?}");
    }
    // Block 0, block 1, blocks 2 and 3 together.
    assert_eq!(requests(&remote), 3);
    let ranges = [3..9, block * 2..block * 2 + 3, 7..7];
    let got = store.get_ranges(&part(0), &ranges).await.unwrap();
    assert_eq!(got.iter().map(Bytes::len).collect::<Vec<_>>(), [6, 3, 0]);
    assert_eq!(requests(&remote), 3);
    // Another run finds what this one kept, but for what is damaged.
    let damaged = folder.path().join("part-0.00000001");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[1000] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fs::write(folder.path().join("rubbish"), "x").unwrap();
    fs::write(folder.path().join("part-0.00000003"), "short").unwrap();
    let store = cached(folder.path(), &remote, 16 << 20);
    let all = store.get_range(&part(0), 0..SIZE as u64).await.unwrap();
    assert!(all == content(0));
    assert_eq!(requests(&remote), 5);
    assert_eq!(on_disk(folder.path()), store.cache.counts().bytes);
    store.delete(&part(0)).await.unwrap();
    assert_eq!((on_disk(folder.path()), store.cache.counts().bytes), (0, 0));
}

#[tokio::test]
async fn many_readers_ask_once_and_fail_together() {
    let folder = tempfile::tempdir().unwrap();
    let remote = remote(1).await;
    let store = cached(folder.path(), &remote, 16 << 20);
    let path = part(0);
    let readers = (0..20).map(|_| store.get_range(&path, 0..SIZE as u64));
    assert!(join_all(readers).await.into_iter().all(|r| r.unwrap() == content(0)));
    assert_eq!(requests(&remote), 1);
    store.delete(&part(0)).await.unwrap();
    remote.away.store(true, Ordering::Relaxed);
    let readers = (0..20).map(|_| store.get_range(&path, 0..10));
    let errors = join_all(readers).await.into_iter().map(|r| r.unwrap_err().to_string()).collect::<Vec<_>>();
    assert!(errors.iter().all(|e| e.contains("gone")), "{errors:?}");
    assert_eq!(requests(&remote), 2);
    // The next one asks again.
    assert!(store.get_range(&path, 0..10).await.is_err());
    assert_eq!(requests(&remote), 3);
}

#[tokio::test]
async fn the_limit_holds() {
    let folder = tempfile::tempdir().unwrap();
    let remote = remote(4).await;
    let limit = 2 * BLOCK_BYTES + 5000;
    let store = cached(folder.path(), &remote, limit);
    for round in 0..3 {
        let paths = (0..4).map(part).collect::<Vec<_>>();
        let readers = paths.iter().map(|path| store.get_range(path, 0..SIZE as u64));
        for (n, read) in join_all(readers).await.into_iter().enumerate() {
            assert!(read.unwrap() == content(n), "round {round}");
        }
        assert!(on_disk(folder.path()) <= limit, "{} bytes", on_disk(folder.path()));
        assert_eq!(on_disk(folder.path()), store.cache.counts().bytes);
    }
    // What was read last stays.
    store.get_range(&part(0), 0..10).await.unwrap();
    let before = requests(&remote);
    store.get_range(&part(0), 0..10).await.unwrap();
    assert_eq!(requests(&remote), before);
    // A smaller limit holds from the start, and none at all keeps nothing.
    let store = cached(folder.path(), &remote, BLOCK_BYTES + 100);
    assert!(on_disk(folder.path()) <= BLOCK_BYTES + 100);
    drop(store);
    let store = cached(folder.path(), &remote, 0);
    store.get_range(&part(1), 0..10).await.unwrap();
    assert_eq!(on_disk(folder.path()), 0);
}
