//! [`Log`] on one node: nobody to ask, one sync a batch. It queues for the [`writer`](crate::writer).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{RwLock, Semaphore, oneshot, watch};

use crate::command::{Command, Op, Outcome};
use crate::entry::Draft;
use crate::error::{Error, Result, SqlState};
use crate::ids::{GroupId, Index, TenantId};
use crate::log::Log;
use crate::published::Published;
use crate::writer::{Proposal, Request, Writer};

/// How many commands may be queued; the next one waits for a place.
const QUEUE_COMMANDS: usize = 8192;
/// How long rows wait for room in the hot tier.
const ROOM_WAIT: Duration = Duration::from_secs(60);

/// The log of a node that is alone.
#[derive(Clone)]
pub(crate) struct LocalLog {
    requests: UnboundedSender<Request>,
    places: Arc<Semaphore>,
    published: Arc<Published>,
    /// Hot bytes from which rows wait.
    hot_bytes_stop: u64,
    /// Open for commands that delete rows, but for a moment when a flush or a compaction cannot keep up with them.
    gate: Arc<RwLock<()>>,
}

impl LocalLog {
    pub(crate) fn new(requests: UnboundedSender<Request>, published: Arc<Published>, hot_bytes_stop: u64) -> LocalLog {
        let places = Arc::new(Semaphore::new(QUEUE_COMMANDS));
        LocalLog { requests, places, published, hot_bytes_stop, gate: Arc::default() }
    }

    /// Whoever holds it for writing keeps commands that delete rows out.
    pub(crate) fn gate(&self) -> Arc<RwLock<()>> {
        self.gate.clone()
    }

    /// Runs `f` on the writer's thread, between two writes. Not for async threads: see [`call_async`](LocalLog::call_async).
    pub(crate) fn call<T: Send + 'static>(&self, f: impl FnOnce(&mut Writer) -> T + Send + 'static) -> Result<T> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let call = move |writer: &mut Writer| drop(sender.send(f(writer)));
        self.requests.send(Request::Call(Box::new(call))).map_err(|_| closed())?;
        receiver.recv().map_err(|_| closed())
    }

    /// Runs `f` on the writer's thread, between two writes.
    pub(crate) async fn call_async<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let call = move |writer: &mut Writer| drop(sender.send(f(writer)));
        self.requests.send(Request::Call(Box::new(call))).map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())
    }

    /// Tells the writer to end after what is queued.
    pub(crate) fn stop(&self) {
        // If it has ended already there is nothing to tell.
        drop(self.requests.send(Request::Stop));
    }

    /// Returns when the hot tier has room for more rows.
    ///
    /// # Errors
    /// 53400 if that takes more than a minute.
    pub(crate) async fn room(&self) -> Result<()> {
        if self.has_room() {
            return Ok(());
        }
        self.published.counters.waits.fetch_add(1, Ordering::Relaxed);
        let wait = async {
            loop {
                let notified = self.published.room.notified();
                self.published.flush_wanted.notify_one();
                if self.has_room() {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(ROOM_WAIT, wait).await.map_err(|_| {
            Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many rows wait to be flushed")
                .hint("Write more slowly, or look in the server's log why the flush is slow.")
        })
    }

    fn has_room(&self) -> bool {
        self.published.counters.hot_bytes() <= self.hot_bytes_stop
    }
}

#[async_trait]
impl Log for LocalLog {
    fn group(&self, tenant: TenantId) -> Result<GroupId> {
        self.published.group(tenant)
    }

    async fn propose(&self, group: GroupId, command: Command) -> Result<Outcome> {
        self.published.applied(group)?;
        let deletes = command.ops.iter().any(|op| matches!(op, Op::Delete { .. }));
        let _open = if deletes { Some(self.gate.read().await) } else { None };
        let draft = Draft::new(command)?;
        if draft.appends() {
            self.room().await?;
        }
        let permit = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let proposal = Proposal { group, draft, reply, permit };
        self.requests.send(Request::Propose(proposal)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn read_barrier(&self, group: GroupId) -> Result<Index> {
        // What was acknowledged is shown already, and nobody else commits.
        Ok(*self.published.applied(group)?.borrow())
    }

    fn applied(&self, group: GroupId) -> watch::Receiver<Index> {
        self.published.applied(group).expect("a group of this node").subscribe()
    }
}

fn closed() -> Error {
    Error::new(SqlState::ADMIN_SHUTDOWN, "the storage is shut down")
}
