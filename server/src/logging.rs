//! Logs: `tracing` to standard error, as human lines or one JSON object a line. A line written while a connection is
//! served carries the connection's id, and the statement's while one runs: the spans below are the only place that
//! names those fields.

use std::io::IsTerminal;
use std::net::SocketAddr;

use sightline_storage::error::{Error, Result, SqlState};
use tracing::Span;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging and sends panics there too. To be called once a process.
///
/// # Errors
/// F0000 if `level` is no filter, XX000 if logging was started before.
pub fn start(level: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(level).map_err(|e| {
        Error::new(SqlState::new("F0000"), format!("invalid value for \"log_level\": \"{level}\""))
            .hint("It takes error, warn, info, debug or trace, or levels by module.")
            .source(e)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|e| Error::internal(format!("cannot start logging: {e}")))?;
    log_panics();
    Ok(())
}

/// The span of one client connection. Its id, the process id that the client knows, follows at login.
pub fn connection_span(peer: SocketAddr) -> Span {
    tracing::info_span!("connection", %peer, connection = tracing::field::Empty)
}

/// Gives the span of the connection at hand its id.
pub fn record_connection(pid: i32) {
    Span::current().record("connection", pid);
}

/// The span of one statement; `statement` counts from 1 in its connection.
pub fn statement_span(statement: u64) -> Span {
    tracing::info_span!("statement", statement)
}

/// A panic is a bug of ours that costs one connection, never the process: it must be found in the log.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%location, %thread, %backtrace, "panic: {message}");
    }));
}
