//! What stops a statement: a cancel, and `statement_timeout`.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use sightline_storage::error::{Error, Result, SqlState};
use tokio::time::Instant;

use super::{CursorInfo, Kept, Progress, ShownProgress};
use crate::database::Registered;

/// The limits of whatever its session runs now. They are looked up each time: a portal that goes on later goes on under
/// the cancel and the time of the Execute that asks for it.
#[derive(Clone, Debug)]
pub struct Limits(pub(super) Arc<Registered>);

impl Limits {
    /// The session's portals, by name.
    pub(crate) fn cursors(&self) -> BTreeMap<String, CursorInfo> {
        self.0.shown.lock().cursors.clone()
    }

    /// The session's prepared statements, by name.
    pub(crate) fn prepared(&self) -> BTreeMap<String, Kept> {
        self.0.shown.lock().prepared.clone()
    }

    /// Shows how far a COPY is, until what this answers is dropped.
    pub(crate) fn show_progress(&self, progress: Progress) -> ShownProgress {
        ShownProgress::new(&self.0, progress)
    }

    /// Waits for `work`, until cancel or timeout.
    ///
    /// # Errors
    /// 57014.
    pub(crate) async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.check()?;
        let (cancel, deadline) = {
            let running = self.0.running.lock();
            (running.cancel.clone(), running.deadline)
        };
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The work last: when it gives way it has used up the task's budget, and nothing after it would be polled.
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            () = late => Err(timed_out()),
            done = work => Ok(done),
        }
    }

    /// Fails if the statement has been stopped.
    ///
    /// # Errors
    /// 57014.
    pub(crate) fn check(&self) -> Result<()> {
        let running = self.0.running.lock();
        if running.cancel.is_cancelled() {
            return Err(cancelled());
        }
        if running.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(timed_out());
        }
        Ok(())
    }
}

fn cancelled() -> Error {
    Error::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

fn timed_out() -> Error {
    Error::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
}
