//! Counts the HTTP requests to a bucket, and knows since when none of them succeeds.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use parking_lot::Mutex;

/// Requests remembered as failed, to know their repeats.
const FAILED_MAX: usize = 4096;

/// What hyper says of a request that it had no connection for: the kept one was closed meanwhile. `object_store` does not
/// know that nothing was sent, and would not repeat it.
const NOT_READY: &str = "connection was not ready";

/// What went to a bucket and came from it since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    errors: AtomicU64,
    repeats: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    failing: Mutex<Failing>,
}

#[derive(Debug, Default)]
struct Failing {
    since: Option<Instant>,
    /// Signatures of requests that failed: a repeat has the same one.
    signatures: HashSet<u64>,
}

/// [`Traffic`] as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrafficCounts {
    /// HTTP requests, repeats included.
    pub requests: u64,
    /// Those that got no answer, or that the server could not serve (5xx, 408, 429).
    pub errors: u64,
    /// Requests that were sent again after an error.
    pub repeats: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// How long no request succeeded, if the last one failed.
    pub away: Option<Duration>,
}

impl Traffic {
    /// The counts.
    pub fn counts(&self) -> TrafficCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficCounts {
            requests: get(&self.requests),
            errors: get(&self.errors),
            repeats: get(&self.repeats),
            bytes_sent: get(&self.sent),
            bytes_received: get(&self.received),
            away: self.failing.lock().since.map(|since| since.elapsed()),
        }
    }

    fn begin(&self, request: &HttpRequest) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(request.body().content_length() as u64, Ordering::Relaxed);
        let mut hasher = DefaultHasher::new();
        request.headers().get("authorization").map(|v| v.as_bytes()).hash(&mut hasher);
        request.uri().hash(&mut hasher);
        let signature = hasher.finish();
        if self.failing.lock().signatures.remove(&signature) {
            self.repeats.fetch_add(1, Ordering::Relaxed);
        }
        signature
    }

    fn end(&self, signature: u64, answer: &Result<HttpResponse, HttpError>) {
        let failed = match answer {
            Ok(response) => {
                let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
                self.received.fetch_add(length.unwrap_or(0), Ordering::Relaxed);
                response.status().is_server_error() || matches!(response.status().as_u16(), 408 | 429)
            }
            Err(_) => true,
        };
        let mut failing = self.failing.lock();
        if !failed {
            failing.since = None;
            return;
        }
        self.errors.fetch_add(1, Ordering::Relaxed);
        failing.since.get_or_insert_with(Instant::now);
        if failing.signatures.len() >= FAILED_MAX {
            failing.signatures.clear();
        }
        failing.signatures.insert(signature);
    }
}

/// Makes HTTP clients that count.
#[derive(Debug)]
pub(super) struct Counting(pub(super) Arc<Traffic>);

impl HttpConnector for Counting {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Counted { client, traffic: self.0.clone() }))
    }
}

#[derive(Debug)]
struct Counted {
    client: HttpClient,
    traffic: Arc<Traffic>,
}

#[async_trait]
impl HttpService for Counted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let signature = self.traffic.begin(&request);
        let answer = self.client.execute(request).await;
        self.traffic.end(signature, &answer);
        answer.map_err(|e| {
            let cause = Cause::of(&e);
            let unsent = e.kind() == HttpErrorKind::Unknown && cause.0 == NOT_READY;
            HttpError::new(if unsent { HttpErrorKind::Connect } else { e.kind() }, cause)
        })
    }
}

/// The deepest cause of an error, as `Connection refused`: what is above it says only that a request was not sent, and some
/// who pass errors on keep nothing but the text on top.
#[derive(Debug)]
struct Cause(String);

impl Cause {
    fn of(e: &HttpError) -> Cause {
        let mut deepest = e as &dyn std::error::Error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        Cause(deepest.to_string())
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
