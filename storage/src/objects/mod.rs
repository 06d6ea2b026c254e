//! Objects in a bucket: an S3 store, or a server that speaks its protocol.
//!
//! 1. [`S3Options`] say which bucket and how to reach it; [`connect`] makes the store.
//! 2. Every HTTP request passes [`traffic`], which counts it and knows since when none succeeded.
//! 3. A request that fails for a reason that may pass is repeated with back-off for [`S3Options::timeout`]; then [`fault`]
//!    says what is wrong.
//! 4. [`place`] makes sure that the parts of a data directory lie where they lay, and that nobody else's lie there.
//! 5. [`upload`] writes large objects in pieces; [`stale`] gives up what a crash left of them.
//! 6. [`cache`] keeps what was read on the local disk.

pub mod cache;
pub mod fault;
pub(crate) mod place;
mod stale;
pub mod traffic;
pub mod upload;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use self::traffic::{Counting, Traffic};
use crate::error::{Error, Result, SqlState};
use crate::secret::Secret;

/// How long a connection may take to be made; a host that is down does not answer at all.
const CONNECT: Duration = Duration::from_secs(5);
/// The first wait before a request is repeated; each further one is twice as long, by chance a bit less.
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a request is repeated.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Repeats of one request, whatever time is left.
const REPEATS_MAX: usize = 30;

/// How long to wait after a failure before what nobody waits for is tried again: twice as long each time, up to a minute.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.min(6)).min(Duration::from_secs(60))
}

/// `s3://bucket/prefix`: a bucket, and what the names of objects in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    pub bucket: String,
    /// Without slashes around it; empty for the whole bucket.
    pub prefix: String,
}

impl S3Url {
    /// Reads an URL; none if it is not one of S3, names no bucket, or has parts such as `..`.
    pub fn parse(text: &str) -> Option<S3Url> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        let named = (3..=63).contains(&bucket.len()) && bucket.chars().all(letter);
        let prefix = prefix.trim_end_matches('/');
        let plain = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (named && plain).then(|| S3Url { bucket: bucket.to_string(), prefix: prefix.to_string() })
    }
}

impl std::fmt::Display for S3Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

/// How S3 is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Options {
    /// None: Amazon's own of the region.
    pub endpoint: Option<String>,
    pub region: String,
    /// None: the role of the machine, as Amazon's machines have one.
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// Whether the bucket is named in the path and not in the host's name.
    pub path_style: bool,
    /// Whether requests may go out unencrypted.
    pub allow_http: bool,
    /// How long one request may take, and how long one that failed is repeated.
    pub timeout: Duration,
}

/// A bucket, or what lies below a prefix of it.
#[derive(Clone)]
pub struct Bucket {
    pub url: S3Url,
    /// Paths in it begin below the prefix.
    pub objects: Arc<dyn ObjectStore>,
    pub traffic: Arc<Traffic>,
    s3: Arc<AmazonS3>,
    options: S3Options,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket({})", self.url)
    }
}

/// The store of the bucket. Nothing is asked of it yet.
///
/// # Errors
/// 22023 for settings that do not fit together.
pub fn connect(url: &S3Url, options: &S3Options) -> Result<Bucket> {
    let wrong = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    if let Some(endpoint) = &options.endpoint {
        let encrypted = endpoint.starts_with("https://");
        if !encrypted && !endpoint.starts_with("http://") {
            let message = format!("s3_endpoint \"{endpoint}\" begins with neither https:// nor http://");
            return Err(wrong(message));
        }
        if !encrypted && !options.allow_http {
            return Err(wrong(format!("s3_endpoint \"{endpoint}\" is not encrypted"))
                .hint("Use https, or set s3_allow_http where the network can be trusted."));
        }
    }
    if options.access_key.is_some() != options.secret_key.is_some() {
        return Err(wrong("s3_access_key and s3_secret_key go together: only one of them is set".to_string()));
    }
    let traffic = Arc::new(Traffic::default());
    let client = ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_connect_timeout(CONNECT.min(options.timeout))
        .with_timeout(options.timeout);
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: BACKOFF, max_backoff: BACKOFF_MAX, base: 2.0 },
        max_retries: REPEATS_MAX,
        retry_timeout: options.timeout,
    };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client)
        .with_retry(retry)
        .with_bucket_name(&url.bucket)
        .with_region(&options.region)
        .with_virtual_hosted_style_request(!options.path_style)
        .with_http_connector(Counting(traffic.clone()));
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let (Some(access), Some(secret)) = (&options.access_key, &options.secret_key) {
        builder = builder.with_access_key_id(access.reveal()).with_secret_access_key(secret.reveal());
    }
    let s3 = Arc::new(builder.build().map_err(|e| wrong(format!("cannot use {url}: {e}")))?);
    let objects: Arc<dyn ObjectStore> = if url.prefix.is_empty() {
        s3.clone()
    } else {
        Arc::new(PrefixStore::new(s3.clone() as Arc<dyn ObjectStore>, ObjectPath::from(url.prefix.as_str())))
    };
    Ok(Bucket { url: url.clone(), objects, traffic, s3, options: options.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let of = |text: &str| S3Url::parse(text).map(|u| (u.bucket, u.prefix));
        let is = |bucket: &str, prefix: &str| Some((bucket.to_string(), prefix.to_string()));
        assert_eq!(of("s3://data"), is("data", ""));
        assert_eq!(of("s3://data/"), is("data", ""));
        assert_eq!(of("s3://my.data-1/a/b/"), is("my.data-1", "a/b"));
        for wrong in
            ["", "data", "s3:/data", "s3://", "s3://x", "s3://Data", "s3://da ta", "s3://data/../x", "s3://data//x"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(S3Url::parse("s3://data/a/").unwrap().to_string(), "s3://data/a");
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = S3Options {
            endpoint: Some("https://127.0.0.1:1".to_string()),
            region: "eu".to_string(),
            access_key: Some(Secret::new("AKIDAKID")),
            secret_key: Some(Secret::new("hunter2")),
            path_style: true,
            allow_http: false,
            timeout: Duration::from_secs(1),
        };
        let bucket = connect(&S3Url::parse("s3://data/a").unwrap(), &options).unwrap();
        let shown = format!("{options:?} {bucket:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("AKIDAKID"), "{shown}");
    }
}
