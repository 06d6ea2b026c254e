//! Errors and notices as messages.

use std::sync::atomic::{AtomicU64, Ordering};

use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use sightline_sql::answer::Notice;
use sightline_storage::error::{Error, Object, SqlState};
use tracing::error;

/// Whether the connection goes on after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Fatal,
}

/// ErrorResponse. A fault of ours is logged under a reference, and the client is told it.
pub(super) fn response(e: &Error, severity: Severity) -> ErrorResponse {
    let word = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    let mut fields = head(word, e.code(), e.message());
    let reference = (e.code() == SqlState::INTERNAL_ERROR).then(|| log(e));
    let detail = match (e.get_detail(), reference) {
        (Some(detail), _) => Some(detail.to_string()),
        (None, reference) => reference.map(|r| format!("The server's log says more under reference {r}.")),
    };
    let rest = [
        (b'D', detail),
        (b'H', e.get_hint().map(String::from)),
        (b'P', e.get_position().map(|p| p.to_string())),
        (b'W', e.get_context().map(String::from)),
        (b'R', routine(e).map(String::from)),
    ];
    let Object { schema, table, column, constraint, data_type } = e.get_object().cloned().unwrap_or_default();
    let object = [(b's', schema), (b't', table), (b'c', column), (b'd', data_type), (b'n', constraint)];
    let rest = rest.into_iter().chain(object);
    fields.extend(rest.filter_map(|(kind, text)| text.map(|t| (kind, without_nul(&t)))));
    ErrorResponse::new(fields)
}

/// The function of PostgreSQL's that reports such an error, where drivers ask for it: after these pgjdbc, asyncpg and
/// postgres.js prepare the statement again and repeat it.
fn routine(e: &Error) -> Option<&'static str> {
    match (e.code(), e.message()) {
        (SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type") => Some("RevalidateCachedQuery"),
        (SqlState::INVALID_STATEMENT_NAME, _) => Some("FetchPreparedStatement"),
        _ => None,
    }
}

/// NoticeResponse.
pub(super) fn notice(n: &Notice) -> NoticeResponse {
    let mut fields = head(n.severity, n.code, &n.message);
    let rest = [(b'D', &n.detail), (b'H', &n.hint)];
    fields.extend(rest.into_iter().filter_map(|(kind, text)| text.as_ref().map(|t| (kind, without_nul(t)))));
    NoticeResponse::new(fields)
}

fn head(severity: &str, code: SqlState, message: &str) -> Vec<(u8, String)> {
    vec![
        (b'S', severity.to_string()),
        (b'V', severity.to_string()),
        (b'C', code.as_str().to_string()),
        (b'M', without_nul(message)),
    ]
}

/// A NUL would end the field for the client.
fn without_nul(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_string() }
}

/// Logs a fault of ours; its reference.
fn log(e: &Error) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let reference = format!("{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed) + 1);
    error!(reference, error = ?e, "internal error");
    reference
}

/// What a client is told when its connection's task panicked; the panic itself is in the log.
pub(super) fn after_panic() -> Error {
    Error::internal("internal error")
}

/// What a client is told when the server stops.
pub(super) fn shutdown() -> Error {
    Error::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// The end of a connection whose client has been idle for longer than `idle_in_transaction_session_timeout`, or
/// `idle_session_timeout` outside of a block.
pub(super) fn idle_timeout(in_block: bool) -> Error {
    let (code, what) = if in_block { ("25P03", "idle-in-transaction") } else { ("57P05", "idle-session") };
    Error::new(SqlState::new(code), format!("terminating connection due to {what} timeout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_an_error() {
        let e = Error::new(SqlState::UNDEFINED_TABLE, "relation \"x\" does not exist").hint("Look.").position(15);
        let fields = response(&e, Severity::Error).fields;
        let field = |kind: u8| fields.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_str());
        assert_eq!(field(b'S'), Some("ERROR"));
        assert_eq!(field(b'C'), Some("42P01"));
        assert_eq!(field(b'P'), Some("15"));
        assert_eq!((field(b'H'), field(b'D')), (Some("Look."), None));
        let fields = response(&Error::internal("a\0b"), Severity::Fatal).fields;
        assert!(fields.iter().any(|(k, v)| *k == b'D' && v.contains("reference")));
        assert!(fields.iter().all(|(_, v)| !v.contains('\0')));
        let e = Error::unsupported("cached plan must not change result type");
        assert!(response(&e, Severity::Error).fields.contains(&(b'R', "RevalidateCachedQuery".to_string())));
    }
}
