//! `PUT /api/v1/tables/{tenant}/{table}`: a file becomes rows of a table, all of them or none.
//!
//! Who sends it is asked as on the wire: on trust from this machine while nobody has a password, otherwise by basic
//! authentication against the role's verifier, with the same waiting after wrong ones. The body goes to a file in the data
//! directory as it comes, up to a limit, and only when it is whole the table is touched.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{ConnectInfo, Path as Segments, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt;
use sightline_sql::database::Database;
use sightline_sql::session::Startup;
use sightline_sql::statement::load::Load;
use sightline_storage::error::{Error, Result, SqlState};
use tokio::io::AsyncWriteExt;

use super::router::Shared;
use crate::authenticate::{Demand, Door, wrong_password};

/// The user on trust, if the request names none.
const SUPERUSER: &str = "sightline";

/// What uploads need.
#[derive(Debug)]
pub struct Uploads {
    door: Door,
    /// Where files lie until they are rows.
    folder: PathBuf,
    bytes_max: u64,
    count: AtomicU64,
}

impl Uploads {
    /// Files of at most `bytes_max`, in a folder of the data directory that is emptied now.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn new(door: Door, data_dir: &Path, bytes_max: u64) -> Result<Uploads> {
        let folder = data_dir.join("uploads");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Uploads { door, folder, bytes_max, count: AtomicU64::new(0) })
    }
}

/// What a body is called: errors name it.
const BODY: &str = "upload";

/// A folder for one body, which is removed with this.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "an uploaded file could not be removed");
        }
    }
}

/// Why a request is refused.
enum Refusal {
    TooLarge(u64),
    /// The body has no format that is known.
    Format(String),
    /// Nobody listens, or the body broke off.
    Broken(String),
    Sql(Error),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Refusal {
        Refusal::Sql(e)
    }
}

/// The endpoint.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Segments((tenant, table)): Segments<(String, String)>,
    Query(options): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (Some(database), Some(uploads)) = (shared.database.get(), shared.uploads.get()) else {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "57P03", "the database system is starting up", None);
    };
    let request = Request { database, uploads, peer, tenant, table, options, headers };
    match request.run(body).await {
        Ok(rows) => {
            let body = format!("{{\"rows\":{rows}}}\n");
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

struct Request<'a> {
    database: &'a Arc<Database>,
    uploads: &'a Uploads,
    peer: SocketAddr,
    tenant: String,
    table: String,
    options: HashMap<String, String>,
    headers: HeaderMap,
}

impl Request<'_> {
    async fn run(mut self, body: Body) -> std::result::Result<u64, Refusal> {
        let user = self.authenticate().await?;
        let (format, charset) = self.format()?;
        let length = self.header(header::CONTENT_LENGTH.as_str()).and_then(|n| n.parse::<u64>().ok());
        if length.is_some_and(|n| n > self.uploads.bytes_max) {
            return Err(Refusal::TooLarge(self.uploads.bytes_max));
        }
        let startup = Startup { user, database: self.tenant.clone(), peer: Some(self.peer), ..Startup::default() };
        let mut session = self.database.connect(startup).await?;
        let spooled = self.spool(body).await?;
        let mut options = std::mem::take(&mut self.options).into_iter().collect::<Vec<_>>();
        if let Some(charset) = charset.filter(|_| !options.iter().any(|(key, _)| key == "encoding")) {
            options.push(("encoding".to_string(), charset));
        }
        options.sort();
        let load = Load {
            table: self.table.split('.').map(str::to_string).collect(),
            folder: spooled.0.clone(),
            file: BODY.to_string(),
            format,
            options,
        };
        let rows = session.load(load).await;
        drop(spooled);
        Ok(rows?)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Who speaks, if that is proved.
    async fn authenticate(&self) -> Result<String> {
        let given = self.header(header::AUTHORIZATION.as_str()).map(basic);
        let names_nobody = given.is_none();
        let (user, password) = match given {
            Some(Some(pair)) => pair,
            Some(None) => return Err(Error::new(SqlState::INVALID_AUTHORIZATION, "basic authentication is needed")),
            None => (SUPERUSER.to_string(), String::new()),
        };
        let startup = Startup { user: user.clone(), database: self.tenant.clone(), ..Startup::default() };
        let credential = self.database.credential(&startup)?;
        let door = &self.uploads.door;
        let Demand::Password { verifier, hopeless } = door.demand(self.peer, &user, &self.tenant, credential)? else {
            return Ok(user);
        };
        if names_nobody {
            return Err(Error::new(SqlState::INVALID_AUTHORIZATION, "a user and a password are needed"));
        }
        // It takes thousands of hashes.
        let knows = tokio::task::spawn_blocking(move || verifier.knows(&password));
        let knows = knows.await.map_err(|e| Error::internal(format!("a check of a password ended early: {e}")))?;
        if !knows || hopeless {
            door.failed(self.peer).await;
            return Err(wrong_password(&user));
        }
        door.succeeded(self.peer);
        Ok(user)
    }

    /// The format of the body, and the encoding that it is said to have.
    fn format(&mut self) -> std::result::Result<(String, Option<String>), Refusal> {
        let content = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        let mut parts = content.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let charset = parts.find_map(|p| p.strip_prefix("charset=")).map(|c| c.trim_matches('"').to_string());
        let named = self.options.remove("format");
        let format = match named.as_deref().unwrap_or(kind) {
            "csv" | "tsv" | "text/csv" | "text/tab-separated-values" | "application/csv" => "csv",
            "json"
            | "ndjson"
            | "jsonl"
            | "application/json"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => "json",
            "parquet" | "application/vnd.apache.parquet" | "application/x-parquet" => "parquet",
            "xlsx" | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
            other => return Err(Refusal::Format(other.to_string())),
        };
        Ok((format.to_string(), charset))
    }

    /// Writes the body to a file as it comes.
    async fn spool(&self, body: Body) -> std::result::Result<Spooled, Refusal> {
        let name = format!("{}", self.uploads.count.fetch_add(1, Ordering::Relaxed));
        let folder = self.uploads.folder.join(&name);
        tokio::fs::create_dir(&folder).await.map_err(Error::from)?;
        let spooled = Spooled(folder);
        let mut file = tokio::fs::File::create_new(spooled.0.join(BODY)).await.map_err(Error::from)?;
        let mut chunks = body.into_data_stream();
        let mut written = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| Refusal::Broken(e.to_string()))?;
            written += chunk.len() as u64;
            if written > self.uploads.bytes_max {
                return Err(Refusal::TooLarge(self.uploads.bytes_max));
            }
            file.write_all(&chunk).await.map_err(Error::from)?;
        }
        file.flush().await.map_err(Error::from)?;
        Ok(spooled)
    }
}

/// User and password of `Basic …`.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_string(), password.to_string()))
}

fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::TooLarge(most) => {
            let text = format!("the body is larger than http_upload_max, {most} bytes");
            answer(StatusCode::PAYLOAD_TOO_LARGE, "54000", &text, None)
        }
        Refusal::Format(kind) => {
            let text = format!("content type \"{kind}\" is no format of a table");
            let hint = "Formats are csv, ndjson, json, parquet and xlsx, by content type or ?format=.";
            answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "22023", &text, Some(hint))
        }
        Refusal::Broken(why) => answer(StatusCode::BAD_REQUEST, "08006", &format!("the body broke off: {why}"), None),
        Refusal::Sql(e) => {
            let more = [e.get_detail(), e.get_context(), e.get_hint()].into_iter().flatten().collect::<Vec<_>>();
            let more = (!more.is_empty()).then(|| more.join(" "));
            let mut response = answer(status(e.code()), e.code().as_str(), e.message(), more.as_deref());
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenge = header::HeaderValue::from_static("Basic realm=\"sightline\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

/// What HTTP calls an error.
fn status(code: SqlState) -> StatusCode {
    match code.as_str() {
        "28000" | "28P01" => StatusCode::UNAUTHORIZED,
        "42501" => StatusCode::FORBIDDEN,
        "3D000" | "3F000" | "42P01" => StatusCode::NOT_FOUND,
        "40001" => StatusCode::CONFLICT,
        "57014" => StatusCode::REQUEST_TIMEOUT,
        "53100" => StatusCode::INSUFFICIENT_STORAGE,
        other => match &other[..2] {
            "0A" | "22" | "23" | "25" | "42" | "54" => StatusCode::BAD_REQUEST,
            "53" | "57" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// An error as JSON.
fn answer(status: StatusCode, code: &str, message: &str, detail: Option<&str>) -> Response {
    let detail = detail.map_or(String::new(), |detail| format!(",\"detail\":{}", quoted(detail)));
    let (number, message) = (status.as_u16(), quoted(message));
    let body = format!("{{\"error\":{{\"status\":{number},\"code\":\"{code}\",\"message\":{message}{detail}}}}}\n");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
