//! A node's storage: opens the directory, hands out snapshots, runs flushes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::budget::{Budget, Holder, Sizes};
use crate::catalog::tenant::DEFAULT_TENANT;
use crate::catalog::{MetaCatalog, RoleDef, TableDef, TenantDef};
use crate::clock::Clock;
use crate::command::{Applied, Command, Op, Outcome};
use crate::directory::{Directory, no_room_to_spill, spare_bytes, sweep};
use crate::error::{Error, Result};
use crate::flush::Flusher;
use crate::hash::state_hash;
use crate::ids::{GroupId, Index, META_GROUP, RoleId, SUPERUSER, TableId, TenantId};
use crate::local::LocalLog;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::objects::cache::CacheCounts;
use crate::objects::traffic::TrafficCounts;
use crate::objects::{self, S3Options, S3Url, place};
use crate::parts::{delete_all, deleter};
use crate::published::{Published, no_tenant};
use crate::store::Store;
use crate::table::read::find_again;
use crate::table::{Deletes, PartMeta, PartStore};
use crate::writer::Writer;

pub use crate::snapshot::TenantSnapshot;
pub use crate::table::BulkWriter;

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct Options {
    pub data_dir: PathBuf,
    /// Hot bytes of one table from which it is flushed (64 MiB).
    pub flush_bytes: u64,
    /// Hot bytes of all tables from which the largest are flushed, and twice which writes wait (512 MiB, and at most an
    /// eighth of the memory).
    pub hot_bytes_max: u64,
    /// Bytes for everything that is counted.
    pub memory_limit: u64,
    /// The bucket that parts lie in; none for the data directory.
    pub parts: Option<(S3Url, S3Options)>,
    /// Bytes of parts in a bucket that are kept in the data directory once they were read (4 GiB); 0 for none.
    pub part_cache_bytes: u64,
    /// Tests only: skips the sync of the log, to prove that the test of the sync can fail.
    pub unsafe_no_sync: bool,
}

impl Options {
    /// The usual numbers for this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Options {
        Options {
            data_dir: data_dir.into(),
            flush_bytes: 64 << 20,
            hot_bytes_max: 512 << 20,
            memory_limit: 8 << 30,
            parts: None,
            part_cache_bytes: 4 << 30,
            unsafe_no_sync: false,
        }
    }
}

/// A node's storage.
pub struct Engine {
    clock: Arc<dyn Clock>,
    memory: Arc<Budget>,
    temporary: PathBuf,
    published: Arc<Published>,
    log: LocalLog,
    parts: PartStore,
    flusher: Flusher,
    background: Mutex<Background>,
}

/// What has to end before the directory is free again.
#[derive(Default)]
struct Background {
    writer: Option<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("published", &self.published).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens or makes the data directory, replays the log, sweeps orphans and starts the background flush.
    ///
    /// # Errors
    /// 55006 if another process has the directory, XX001 if it is damaged, 58030 and 53100 from the disk.
    pub async fn open(options: Options, clock: Arc<dyn Clock>) -> Result<Arc<Engine>> {
        Engine::start(options, clock, None).await
    }

    /// As [`open`](Engine::open), with every entry applied to a second store in `mirror_dir` as well, which is reopened at
    /// random. For tests: see [`check_mirror`](Engine::check_mirror).
    ///
    /// # Errors
    /// As for [`open`](Engine::open).
    pub async fn open_mirrored(
        options: Options,
        mirror_dir: PathBuf,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Arc<Engine>> {
        Engine::start(options, clock, Some((mirror_dir, seed))).await
    }

    async fn start(options: Options, clock: Arc<dyn Clock>, mirror: Option<(PathBuf, u64)>) -> Result<Arc<Engine>> {
        let (deletes, deleted) = deleter();
        let (path, sync) = (options.data_dir.clone(), !options.unsafe_no_sync);
        let (memory, sizes) = (Budget::new(options.memory_limit), Sizes::new(options.memory_limit));
        memory.take(Holder::Store, sizes.store());
        let hot_bytes_max = options.hot_bytes_max.min(sizes.hot_rows);
        let opened = tokio::task::spawn_blocking(move || open_blocking(&path, sync, deletes, mirror, sizes)).await;
        let (directory, store, mirror) = opened.map_err(|e| Error::internal("opening failed").source(e))??;

        let parts = part_store(&options, &directory, &store).await?.with_memory(memory.clone());
        let temporary = directory.temporary()?;
        let published = Arc::new(Published::new(&store.groups, memory.clone()));
        let (sender, requests) = unbounded_channel();
        let log = LocalLog::new(sender, published.clone(), hot_bytes_max.saturating_mul(2));
        let writer = Writer {
            store,
            mirror,
            published: published.clone(),
            requests,
            flush_bytes: options.flush_bytes,
            hot_bytes_max,
            broken: false,
            directory,
        };
        let writer = std::thread::Builder::new().name("log-writer".to_string()).spawn(move || writer.run())?;
        let flusher = Flusher {
            published: published.clone(),
            log: log.clone(),
            store: parts.clone(),
            clock: clock.clone(),
            flush_bytes: options.flush_bytes,
            hot_bytes_max,
            turn: Arc::default(),
        };
        let background = Mutex::new(Background { writer: Some(writer), tasks: Vec::new() });
        let engine = Arc::new(Engine { clock, memory, temporary, published, log, parts, flusher, background });
        engine.boot().await?;
        engine.start_tasks(deleted);
        Ok(engine)
    }

    /// The clock that commands take their time from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The memory that everything of this node shares.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.memory
    }

    /// Where statements may put what they have no memory for. Each start empties it.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Checks that the disk has room for so many bytes more of temporary files.
    ///
    /// # Errors
    /// 53100 if it has not.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        let spare = spare_bytes(&self.temporary);
        if spare.is_some_and(|spare| spare >= bytes) { Ok(()) } else { Err(no_room_to_spill()) }
    }

    /// The one door for changes.
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    /// Proposes to the meta group.
    ///
    /// # Errors
    /// As for [`Log::propose`].
    pub async fn propose_meta(&self, ops: Vec<Op>) -> Result<Outcome> {
        let base = self.log.read_barrier(META_GROUP).await?;
        self.log.propose(META_GROUP, Command::new(None, self.clock.now_us(), base, ops)).await
    }

    /// Proposes to the group of the command's tenant, or to the meta group if it has none.
    ///
    /// # Errors
    /// As for [`Log::propose`]; 3D000 if there is no such tenant.
    pub async fn propose(&self, command: Command) -> Result<Outcome> {
        let group = command.tenant.map_or(Ok(META_GROUP), |t| self.log.group(t))?;
        self.log.propose(group, command).await
    }

    /// Returns when the hot tier has room for more rows. A command that brings rows waits for it anyway; to wait here first
    /// is for those who may give up meanwhile.
    ///
    /// # Errors
    /// 53400 if that takes more than a minute.
    pub async fn room(&self) -> Result<()> {
        self.log.room().await
    }

    /// The meta group's catalog as it is now.
    pub fn meta(&self) -> Arc<MetaCatalog> {
        self.published.meta()
    }

    /// The tenant's state as it is now.
    ///
    /// # Errors
    /// 3D000 if there is no such tenant.
    pub fn snapshot(&self, tenant: TenantId) -> Result<Arc<TenantSnapshot>> {
        self.published.tenant(tenant).ok_or_else(|| no_tenant(tenant))
    }

    /// Where parts lie; a [`PartMeta::path`] is a path in it.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.parts.objects.clone()
    }

    /// A writer of parts for a load too large for the hot tier.
    pub fn bulk_writer(&self, tenant: TenantId, table: Arc<TableDef>) -> BulkWriter {
        BulkWriter::new(self.parts.clone(), tenant, table, self.clock.now_us())
    }

    /// Deletes parts of a bulk load that was finished and then not published, sooner or later.
    pub async fn discard(&self, parts: Vec<PartMeta>) {
        // Boxed: it is a large future in the midst of every statement that writes.
        Box::pin(self.parts.discard(parts)).await;
    }

    /// The bucket of parts, as the settings name it, if they lie in one.
    pub fn objects_url(&self) -> Option<String> {
        self.parts.bucket.as_ref().map(|b| b.url.to_string())
    }

    /// What went to the bucket of parts and came from it, if they lie in one.
    pub fn traffic(&self) -> Option<TrafficCounts> {
        self.parts.bucket.as_ref().map(|b| b.traffic.counts())
    }

    /// What the local copies of parts in a bucket were good for, if there are any.
    pub fn part_cache(&self) -> Option<CacheCounts> {
        self.parts.cache.as_ref().map(|c| c.counts())
    }

    /// Rows of a table that were found in one state by where they are in a later one; none if all of them are where they
    /// were.
    ///
    /// # Errors
    /// 58030 from the store; XX001 if a part is damaged.
    pub async fn find_again(
        &self,
        before: &TenantSnapshot,
        now: &TenantSnapshot,
        table: TableId,
        rows: &Deletes,
    ) -> Result<Option<Deletes>> {
        match (before.tables.get(&table), now.tables.get(&table)) {
            (Some(before), Some(now)) => find_again(&self.parts, before, now, rows).await,
            _ => Ok(None),
        }
    }

    /// Moves all hot rows of the table to parts now.
    ///
    /// # Errors
    /// 3D000 or 42P01 if it is gone; those of the store.
    pub async fn flush(&self, tenant: TenantId, table: TableId) -> Result<()> {
        self.flusher.flush(tenant, table).await
    }

    /// Makes everything applied so far durable in the hot store and forgets the log up to there, as happens by itself from
    /// time to time.
    ///
    /// # Errors
    /// 58030 or 53100 from the disk.
    pub async fn checkpoint(&self) -> Result<()> {
        self.flusher.cut_log().await
    }

    /// A hash of everything durable (catalog, rows, manifest) that two stores with the same log agree on. Waits for the
    /// writer, so it is for tests.
    ///
    /// # Errors
    /// 57P01 after [`close`](Engine::close).
    pub fn state_hash(&self) -> Result<u64> {
        self.log.call(|w| state_hash(&w.store.groups))?
    }

    /// Compares the second store of [`open_mirrored`](Engine::open_mirrored) with the first. Waits for the writer.
    ///
    /// # Errors
    /// XX000 if they differ, or what went wrong in it earlier.
    pub fn check_mirror(&self) -> Result<()> {
        let no_mirror = || Err(Error::internal("the engine has no mirror"));
        self.log.call(move |w| w.mirror.as_ref().map_or_else(no_mirror, |m| m.check(&w.store)))?
    }

    /// False once the log has failed: nothing can be written until a restart.
    pub fn is_writable(&self) -> bool {
        !self.published.read_only.load(Ordering::Relaxed)
    }

    /// Counters since the start, and what there is now.
    pub fn metrics(&self) -> Metrics {
        self.published.counters.metrics(self.published.tenant_metrics())
    }

    /// Stops background work and closes the files. Nothing acknowledged needs it, but the next start has less to replay.
    ///
    /// # Errors
    /// 58030 or 53100 from the disk; the files are closed all the same.
    pub async fn close(&self) -> Result<()> {
        let Background { writer, tasks } = std::mem::take(&mut *self.background.lock());
        let Some(writer) = writer else { return Ok(()) };
        for task in tasks {
            task.abort();
            // Aborted on purpose; it has nothing to report.
            drop(task.await);
        }
        let cut = self.flusher.cut_log().await;
        self.log.stop();
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        match joined {
            Ok(Ok(())) => cut,
            Ok(Err(_)) | Err(_) => Err(Error::internal("the writer of the log had failed")),
        }
    }

    /// Counts the start, makes what the first one makes, and ends what a crash may have left half done.
    async fn boot(&self) -> Result<()> {
        expect_applied(self.propose_meta(vec![Op::Boot]).await?)?;
        if !self.meta().roles.values().any(|r| r.id == SUPERUSER) {
            expect_applied(self.propose_meta(vec![Op::CreateRole(superuser())]).await?)?;
        }
        if self.meta().tenants.is_empty() && self.meta().boots == 1 {
            expect_applied(self.propose_meta(vec![Op::CreateTenant(self.default_tenant())]).await?)?;
        }
        for tenant in self.meta().tenants.values() {
            if self.published.tenant(tenant.id).is_none() {
                self.propose_to(tenant.group, tenant.id, Op::InitTenant { owner: tenant.owner }).await?;
            }
        }
        for tenant in self.published.tenants() {
            if self.meta().tenant(tenant.tenant).is_none() {
                self.propose_to(tenant.group, tenant.tenant, Op::PurgeTenant).await?;
            }
        }
        Ok(())
    }

    async fn propose_to(&self, group: GroupId, tenant: TenantId, op: Op) -> Result<Applied> {
        let command = Command::new(Some(tenant), self.clock.now_us(), Index(0), vec![op]);
        expect_applied(self.log.propose(group, command).await?)
    }

    fn default_tenant(&self) -> TenantDef {
        TenantDef {
            id: TenantId(0),
            name: DEFAULT_TENANT.to_string(),
            owner: SUPERUSER,
            group: GroupId(0),
            connection_limit: -1,
            settings: Vec::new(),
            created_at: self.clock.now_us(),
            comment: None,
            no_connect: Vec::new(),
            connect_revoked: false,
            connect: Vec::new(),
        }
    }

    fn start_tasks(&self, deleted: UnboundedReceiver<PartMeta>) {
        let mut background = self.background.lock();
        background.tasks.push(tokio::spawn(self.flusher.clone().run()));
        background.tasks.push(tokio::spawn(delete_all(self.parts.clone(), deleted)));
    }
}

impl Drop for Engine {
    /// As if the process were killed, but with the directory free for another one when it returns.
    fn drop(&mut self) {
        let background = self.background.get_mut();
        background.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.log.stop();
        if let Some(writer) = background.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the log had failed");
        }
    }
}

type Opened = (Directory, Store, Option<Mirror>);

fn open_blocking(
    path: &Path,
    sync: bool,
    deletes: crate::parts::Deleter,
    mirror: Option<(PathBuf, u64)>,
    sizes: Sizes,
) -> Result<Opened> {
    let directory = Directory::open(path)?;
    let store = Store::open(&directory.path, directory.fresh, sync, Some(deletes), sizes)?;
    let mirror = mirror.map(|(dir, seed)| Mirror::open(&dir, seed)).transpose()?;
    if let Some(mirror) = &mirror {
        mirror.check(&store)?;
    }
    Ok((directory, store, mirror))
}

/// Where the parts of the directory lie, checked and swept. A first start counts from now on.
async fn part_store(options: &Options, directory: &Directory, store: &Store) -> Result<PartStore> {
    let tables = store.groups.iter().flat_map(|g| g.tenants.values()).flat_map(|t| t.tables.values());
    let listed = tables.flat_map(|t| t.parts.iter().map(|p| p.meta.path.clone())).collect::<HashSet<_>>();
    let bucket = options.parts.as_ref().map(|(url, s3)| objects::connect(url, s3)).transpose()?;
    place::settle(&directory.path, bucket.as_ref(), !listed.is_empty()).await?;
    if directory.fresh {
        directory.set_format()?;
    }
    let swept = match &bucket {
        Some(bucket) => place::sweep(bucket, &listed).await?,
        None => sweep(&directory.path, &listed)?,
    };
    if swept > 0 {
        tracing::info!(files = swept, "deleted files that nothing lists");
    }
    match bucket {
        Some(bucket) => PartStore::cached(bucket, &directory.path, options.part_cache_bytes),
        None => PartStore::local(&directory.path),
    }
}

fn superuser() -> RoleDef {
    RoleDef {
        id: RoleId(SUPERUSER.0),
        name: DEFAULT_TENANT.to_string(),
        superuser: true,
        login: true,
        create_role: true,
        create_db: true,
        connection_limit: -1,
        settings: Vec::new(),
        verifier: None,
        valid_until: None,
        comment: None,
        member_of: Vec::new(),
    }
}

fn expect_applied(outcome: Outcome) -> Result<Applied> {
    match outcome {
        Outcome::Applied(applied) => Ok(applied),
        Outcome::Conflict | Outcome::Moved | Outcome::Stale => {
            Err(Error::internal("a command of the start was refused"))
        }
    }
}

#[cfg(test)]
mod tests;
