//! The one door through which durable state changes.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::command::{Command, Outcome};
use crate::error::Result;
use crate::ids::{GroupId, Index, TenantId};

/// Orders commands, makes them durable and applies them. On one node [`LocalLog`](crate::engine) answers; raft later.
#[async_trait]
pub trait Log: Send + Sync {
    /// Where the tenant's catalog and rows live.
    fn group(&self, tenant: TenantId) -> Result<GroupId>;

    /// Proposes the command and waits until it is durable and applied here. A user's mistake that only apply can see
    /// (a name that is taken) is an error; losing a race is an [`Outcome`].
    async fn propose(&self, group: GroupId, command: Command) -> Result<Outcome>;

    /// Returns when everything committed before the call is visible here.
    async fn read_barrier(&self, group: GroupId) -> Result<Index>;

    /// The applied index, as it moves.
    fn applied(&self, group: GroupId) -> watch::Receiver<Index>;
}
