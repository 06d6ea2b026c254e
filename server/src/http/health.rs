//! `/health` and `/ready`: is the process alive, and would a query sent now be served.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// How far a node is in its life, as its listeners tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Starting = 0,
    Serving = 1,
    Stopping = 2,
}

/// The phase of a node, written by the node and read by `/ready`.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    /// Says that the node is in `phase` from now on.
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::SeqCst);
    }

    /// The node's phase now.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Stopping,
        }
    }
}

/// Alive: 200 as long as the process can answer at all.
pub(super) fn health() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}

/// Ready: 200 while clients are served; 503 before and after, and once nothing can be written any more, so that a load
/// balancer sends them elsewhere.
///
/// While a bucket of parts does not answer the node is ready all the same: recent rows are served, and writes are taken.
pub(super) fn ready(phase: Phase, writable: bool, away: Option<Duration>) -> (StatusCode, String) {
    let (status, text) = match phase {
        Phase::Serving if !writable => {
            (StatusCode::SERVICE_UNAVAILABLE, "read only: the log failed, see the server's log\n")
        }
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving => match away {
            None => (StatusCode::OK, "ready\n"),
            Some(away) => {
                let seconds = away.as_secs();
                return (StatusCode::OK, format!("ready, but object storage has not answered for {seconds} s\n"));
            }
        },
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    };
    (status, text.to_string())
}
