//! What an object store says is wrong, in words for people.
//!
//! A store that cannot be reached is 58030 (`io_error`), as a disk that cannot be read is. Class 08 would be wrong: drivers
//! and pools take it for the end of their own connection, which is as good as before.

use std::error::Error as StdError;

use crate::error::{Error, SqlState};

/// What `object_store` begins the errors of its HTTP requests with.
const REQUEST: &str = "Error performing ";

/// What a request failed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such object.
    Missing,
    /// No such bucket.
    NoBucket,
    /// The key is wrong, or may not do this.
    Denied,
    /// No answer, or that it cannot be served now.
    Away,
    Other,
}

/// A fault of a remote store. None for those of a local directory.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    /// A phrase such as `Connection refused` or `SlowDown: Please reduce your request rate`.
    pub reason: String,
}

impl Fault {
    /// Reads the error of a store.
    pub fn of(e: &object_store::Error) -> Option<Fault> {
        let mut chain = vec![e as &(dyn StdError + 'static)];
        while let Some(source) = chain[chain.len() - 1].source() {
            chain.push(source);
        }
        let remote = chain.iter().any(|e| e.to_string().starts_with(REQUEST));
        let remote = remote || matches!(e, object_store::Error::Generic { store: "S3", .. });
        if !remote {
            return None;
        }
        let deepest = chain[chain.len() - 1].to_string();
        let code = element(&deepest, "Code");
        let reason = match (code, element(&deepest, "Message")) {
            (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
            (Some(code), None) => code.to_string(),
            (None, _) => plain(&deepest),
        };
        let status = deepest.split_once("status code: ").map_or("", |(_, rest)| rest.get(..3).unwrap_or_default());
        let kind = match e {
            _ if code == Some("NoSuchBucket") => Kind::NoBucket,
            object_store::Error::NotFound { .. } => Kind::Missing,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => Kind::Denied,
            _ if matches!(status, "401" | "403") => Kind::Denied,
            _ if status.starts_with('4') && !matches!(status, "408" | "429") => Kind::Other,
            object_store::Error::Generic { .. } => Kind::Away,
            _ => Kind::Other,
        };
        Some(Fault { kind, reason })
    }

    /// Reads what is left of such an error where somebody has made text of it.
    pub fn of_text(text: &str) -> Option<Fault> {
        let told = text.split_once(REQUEST)?.1;
        let told = told.split_once(" - ").map_or(told, |(_, reason)| reason);
        let told = told.strip_prefix("HTTP error: ").unwrap_or(told);
        let error = object_store::Error::Generic { store: "S3", source: told.into() };
        let mut fault = Fault::of(&error)?;
        if fault.kind == Kind::Other && told.contains("status code: 404") {
            fault.kind = Kind::Missing;
        }
        Some(fault)
    }

    /// The error of a statement that needs the parts.
    pub fn error(&self) -> Error {
        let (code, message) = match self.kind {
            Kind::Missing => (SqlState::new("58P01"), "object storage lacks an object"),
            Kind::NoBucket => (SqlState::IO_ERROR, "object storage lacks the bucket"),
            Kind::Denied => (SqlState::IO_ERROR, "object storage refuses access"),
            Kind::Away => (SqlState::IO_ERROR, "object storage cannot be reached"),
            Kind::Other => (SqlState::IO_ERROR, "object storage refuses a request"),
        };
        let error = Error::new(code, format!("{message}: {}", self.reason));
        match self.kind {
            Kind::Away => error.hint("Try again later. Rows that are not in parts yet can be read meanwhile."),
            _ => error,
        }
    }
}

/// The text of an element of the server's XML.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let after = text.split_once(&format!("<{name}>"))?.1;
    after.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

/// One line without the number that the system gives an error.
fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let line = line.split(" (os error").next().unwrap_or(line);
    let line = line.strip_prefix("Server returned non-2xx status code: ").unwrap_or(line);
    line.trim_end_matches([':', ' ', '.']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Kind, String) {
        let fault = Fault::of_text(text).unwrap();
        (fault.kind, fault.reason)
    }

    #[test]
    fn faults_of_texts() {
        let gone = "Parquet error: Failed to fetch metadata: Generic S3 error: Error performing GET http://h:1/a-b/c in 3s, \
                    after 12 retries, max_retries: 30, retry_timeout: 3s  - HTTP error: Connection refused (os error 111)";
        assert_eq!(read(gone), (Kind::Away, "Connection refused".to_string()));
        let of = |status: &str, body: &str| {
            read(&format!(
                "Error performing GET http://h/a in 3s - Server returned non-2xx status code: {status}: {body}"
            ))
        };
        let busy = "<?xml?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        let bucket = "<Error><Code>NoSuchBucket</Code></Error>";
        assert_eq!(of("503 Service Unavailable", busy).0, Kind::Away);
        assert_eq!(of("503 Service Unavailable", busy).1, "SlowDown: Please reduce your request rate");
        assert_eq!(of("403 Forbidden", denied), (Kind::Denied, "AccessDenied: Access Denied".to_string()));
        assert_eq!(of("404 Not Found", bucket), (Kind::NoBucket, "NoSuchBucket".to_string()));
        assert_eq!(of("404 Not Found", ""), (Kind::Missing, "404 Not Found".to_string()));
        assert_eq!(of("400 Bad Request", ""), (Kind::Other, "400 Bad Request".to_string()));
        assert!(Fault::of_text("Parquet error: EOF").is_none());
    }
}
