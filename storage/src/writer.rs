//! The one thread that changes a data directory. It takes whatever was proposed while the last sync ran, makes one entry for
//! each group of it, writes all of them with one sync, applies them, shows the new snapshots and answers: group commit
//! without a timer. RocksDB is touched here and in blocking tasks only, never on a thread of the async runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::command::Outcome;
use crate::directory::{Directory, disk_full, spare_bytes};
use crate::entry::{Draft, Entry, EntryBuilder};
use crate::error::{Error, Result, SqlState};
use crate::ids::{GroupId, Index};
use crate::mirror::Mirror;
use crate::published::Published;
use crate::store::Store;

/// The most of one write: more would let the first of it wait for the last.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ROWS: usize = 8192;
const BATCH_COMMANDS: usize = 1024;
/// With more room than this nobody counts.
const PLENTY_BYTES: u64 = 512 << 20;

/// What is asked of the writer.
pub(crate) enum Request {
    Propose(Proposal),
    /// Runs between two writes.
    Call(Box<dyn FnOnce(&mut Writer) + Send>),
    Stop,
}

/// A command and who waits for it.
pub(crate) struct Proposal {
    pub(crate) group: GroupId,
    pub(crate) draft: Draft,
    pub(crate) reply: oneshot::Sender<Result<Outcome>>,
    /// Its place in the queue, free again when it was answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Owns the store. The fields are dropped in order: the lock of the directory goes last.
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) mirror: Option<Mirror>,
    pub(crate) published: Arc<Published>,
    pub(crate) requests: UnboundedReceiver<Request>,
    /// Hot bytes of a table from which it is flushed, and of all tables.
    pub(crate) flush_bytes: u64,
    pub(crate) hot_bytes_max: u64,
    /// Set once an entry could not be applied: nothing is written after it.
    pub(crate) broken: bool,
    pub(crate) directory: Directory,
}

/// Says that nothing can be written any more if the writer panics.
struct Guard(Arc<Published>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer of the log panicked: nothing can be written until a restart");
            self.0.read_only.store(true, Ordering::Relaxed);
        }
    }
}

type Waiter = (oneshot::Sender<Result<Outcome>>, OwnedSemaphorePermit);

impl Writer {
    /// Serves requests until it is told to stop or nobody is left to ask.
    pub(crate) fn run(mut self) {
        let _guard = Guard(self.published.clone());
        let mut next = self.requests.blocking_recv();
        while let Some(request) = next.take() {
            match request {
                Request::Stop => return,
                Request::Call(call) => call(&mut self),
                Request::Propose(first) => {
                    let batch;
                    (batch, next) = self.gather(first);
                    self.write(batch);
                }
            }
            next = next.or_else(|| self.requests.blocking_recv());
        }
    }

    /// What is queued already, up to the caps, and the first request that is not part of it.
    fn gather(&mut self, first: Proposal) -> (Vec<Proposal>, Option<Request>) {
        let (mut bytes, mut rows) = (first.draft.bytes, first.draft.row_count);
        let mut batch = vec![first];
        while bytes < BATCH_BYTES && rows < BATCH_ROWS && batch.len() < BATCH_COMMANDS {
            match self.requests.try_recv() {
                Ok(Request::Propose(p)) => {
                    bytes += p.draft.bytes;
                    rows += p.draft.row_count;
                    batch.push(p);
                }
                Ok(other) => return (batch, Some(other)),
                Err(_) => break,
            }
        }
        (batch, None)
    }

    fn write(&mut self, batch: Vec<Proposal>) {
        let mut builders: BTreeMap<GroupId, (EntryBuilder, Vec<Waiter>)> = BTreeMap::new();
        let full = self.disk_is_full();
        for Proposal { group, draft, reply, permit } in batch {
            if full && draft.grows() {
                answer((reply, permit), Err(disk_full()));
                continue;
            }
            let (builder, waiters) = builders.entry(group).or_default();
            builder.push(draft);
            waiters.push((reply, permit));
        }
        let (mut entries, mut waiters) = (Vec::new(), Vec::new());
        for (group, (builder, waiting)) in builders {
            let index = Index(self.store.group(group).applied.0 + 1);
            match builder.finish(group, index) {
                Ok(entry) => {
                    entries.push(entry);
                    waiters.push(waiting);
                }
                Err(e) => refuse(waiting, &e),
            }
        }
        if entries.is_empty() {
            return;
        }
        if let Err(e) = self.append(&entries) {
            self.published.read_only.store(self.broken || self.store.raft.has_failed(), Ordering::Relaxed);
            waiters.into_iter().for_each(|w| refuse(w, &e));
            return;
        }
        for (entry, waiting) in entries.iter().zip(waiters) {
            self.apply(entry, waiting);
        }
    }

    fn append(&mut self, entries: &[Entry]) -> Result<()> {
        if self.broken {
            return Err(Error::new(SqlState::DATA_CORRUPTED, "an entry of the log could not be applied earlier"));
        }
        let bytes = self.store.append(entries)?;
        let counters = &self.published.counters;
        counters.log_entries.fetch_add(entries.len() as u64, Ordering::Relaxed);
        counters.log_syncs.fetch_add(1, Ordering::Relaxed);
        counters.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn apply(&mut self, entry: &Entry, waiters: Vec<Waiter>) {
        let applied = match self.store.apply(entry) {
            Ok(applied) => applied,
            Err(e) => {
                tracing::error!(group = %entry.group, index = %entry.index, error = %e, "an entry could not be applied");
                self.broken = true;
                self.published.read_only.store(true, Ordering::Relaxed);
                return refuse(waiters, &e);
            }
        };
        if let Some(mirror) = &mut self.mirror {
            mirror.follow(entry);
        }
        self.published.publish(self.store.group(entry.group), &applied);
        if applied.largest >= self.flush_bytes || self.published.counters.hot_bytes() > self.hot_bytes_max {
            self.published.flush_wanted.notify_one();
        }
        for (waiter, result) in waiters.into_iter().zip(applied.results) {
            // Whatever applies this entry finds the same mistake.
            answer(waiter, result.map_err(Error::refusal));
        }
    }

    /// Returns if the log can be written and the disk has room for parts, as far as one can tell.
    ///
    /// # Errors
    /// 53100 on a full disk, 58030 after a failure of the log.
    pub(crate) fn ready(&mut self) -> Result<()> {
        self.store.raft.ready()?;
        if self.disk_is_full() { Err(disk_full()) } else { Ok(()) }
    }

    fn disk_is_full(&self) -> bool {
        match spare_bytes(&self.directory.path) {
            Some(spare) if spare > PLENTY_BYTES => false,
            Some(spare) => spare < self.store.raft.pending_bytes() + self.store.hot.pending_bytes(),
            None => true,
        }
    }
}

fn answer((reply, permit): Waiter, result: Result<Outcome>) {
    drop(permit);
    // Who no longer waits (a cancelled statement) has its command applied all the same.
    drop(reply.send(result));
}

fn refuse(waiters: Vec<Waiter>, e: &Error) {
    for waiter in waiters {
        answer(waiter, Err(e.again()));
    }
}
