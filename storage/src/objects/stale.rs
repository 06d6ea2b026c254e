//! Gives up multipart uploads that a crash cut off: their pieces cost money and no listing of objects shows them.
//!
//! `object_store` has no call for <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>, so the
//! request is made here, and signed by its signer.

use futures::TryStreamExt;
use object_store::ClientOptions;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;

use super::Bucket;
use super::traffic::Counting;
use crate::error::{Error, Result, SqlState};

/// Answers read, each of up to 1000 uploads: more is left to the next start.
const ROUNDS_MAX: usize = 20;

/// Ends all uploads of objects below `folder/`, which nobody may be writing to. Returns how many there were.
///
/// # Errors
/// Those of the store, e.g. if the key may not list uploads.
pub(super) async fn abort_uploads(bucket: &Bucket, folder: &str) -> Result<usize> {
    let options = ClientOptions::new().with_allow_http(bucket.options.allow_http).with_timeout(bucket.options.timeout);
    let client = Counting(bucket.traffic.clone()).connect(&options)?;
    let prefix = match bucket.url.prefix.as_str() {
        "" => format!("{folder}/"),
        prefix => format!("{prefix}/{folder}/"),
    };
    let mut aborted = 0;
    for _ in 0..ROUNDS_MAX {
        let found = list(bucket, &client, &prefix).await?;
        // One that answers with others than those asked for must not lose them.
        let found = found.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect::<Vec<_>>();
        if found.is_empty() {
            break;
        }
        for (key, id) in found {
            match bucket.s3.abort_multipart(&ObjectPath::from(key.as_str()), &id).await {
                Ok(()) => aborted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(aborted)
}

/// The names of objects and the numbers of their uploads.
async fn list(bucket: &Bucket, client: &HttpClient, prefix: &str) -> Result<Vec<(String, String)>> {
    let unlisted = |reason: String| Error::new(SqlState::IO_ERROR, format!("could not list uploads: {reason}"));
    let options = &bucket.options;
    let (name, region) = (&bucket.url.bucket, &options.region);
    let address = match (&options.endpoint, options.path_style) {
        (Some(endpoint), true) => format!("{}/{name}", endpoint.trim_end_matches('/')),
        (Some(endpoint), false) => endpoint.trim_end_matches('/').to_string(),
        (None, true) => format!("https://s3.{region}.amazonaws.com/{name}"),
        (None, false) => format!("https://{name}.s3.{region}.amazonaws.com"),
    };
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    let uri = format!("{address}?prefix={}&uploads=", encoded(prefix));
    *request.uri_mut() = uri.parse().map_err(|_| unlisted(format!("{uri} is no URI")))?;
    let credential = bucket.s3.credentials().get_credential().await?;
    AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
    let response = client.execute(request).await.map_err(|e| unlisted(e.to_string()))?;
    let status = response.status();
    let body = response.into_body().bytes_stream().map_ok(|bytes| bytes.to_vec()).try_concat().await;
    let text = String::from_utf8(body.map_err(|e| unlisted(e.to_string()))?).map_err(|e| unlisted(e.to_string()))?;
    if !status.is_success() {
        return Err(unlisted(status.to_string()));
    }
    let uploads = text.split("<Upload>").skip(1).filter_map(|upload| {
        let value = |name: &str| {
            let after = upload.split_once(&format!("<{name}>"))?.1;
            after.split_once(&format!("</{name}>")).map(|(value, _)| unescaped(value))
        };
        Some((value("Key")?, value("UploadId")?))
    });
    Ok(uploads.collect())
}

/// As a value of a query string.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_string(), |text, (escape, letter)| text.replace(escape, letter))
}
