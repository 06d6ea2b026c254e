//! From the first byte to ReadyForQuery: encrypts, asks for the password, negotiates the protocol's version, cancels a statement of
//! another connection, or opens a session.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use pgwire::messages::ProtocolVersion;
use pgwire::messages::startup::{
    Authentication, BackendKeyData, GssEncRequest, NegotiateProtocolVersion, ParameterStatus, SecretKey, SslRequest,
    Startup as PgStartup,
};
use sightline_sql::codec::scalar::text_of;
use sightline_sql::database::Database;
use sightline_sql::session::{Session, Startup};
use sightline_storage::error::{Error, Result, SqlState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::connection::{Connection, Link};
use super::error::{Severity, response};
use super::listen::PgOptions;
use super::sasl;
use super::wire::{Reader, Writer};
use crate::authenticate::{Demand, wrong_password};
use crate::logging;

/// The code of CancelRequest, which stands where a version would.
const CANCEL_REQUEST: i32 = 80_877_102;
/// Requests for encryption before the client must say something else.
const ENCRYPTION_REQUESTS_MAX: usize = 3;

/// What a startup packet says.
#[derive(Debug, PartialEq, Eq)]
struct Hello {
    major: u16,
    minor: u16,
    parameters: Vec<(String, String)>,
}

/// Reads until login succeeds; none if there is nothing to serve.
///
/// # Errors
/// Those of the socket.
pub(super) async fn log_in(
    socket: TcpStream,
    peer: SocketAddr,
    database: Arc<Database>,
    stop: CancellationToken,
    options: &PgOptions,
) -> io::Result<Option<Connection>> {
    let Some((mut reader, mut writer)) = encrypted(socket, options).await? else { return Ok(None) };
    let Some(packet) = first_packet(&mut reader, &mut writer).await? else { return Ok(None) };
    if (&packet[..4]).get_i32() == CANCEL_REQUEST {
        if packet.len() > 8 {
            database.cancel((&packet[4..8]).get_i32(), &packet[8..]);
        }
        return Ok(None);
    }
    match open(&mut reader, &mut writer, packet, peer, &database, options).await {
        Ok((session, version)) => {
            let (pid, secret) = session.cancel_key();
            logging::record_connection(pid);
            info!(role = session.identity().role_name, tenant = session.identity().tenant_name, "logged in");
            greet(&mut writer, &session, version)?;
            let counters = options.statements.of(session.identity().tenant);
            let link = Link { database, pid, secret, stop };
            let mut connection = Connection::new(reader, writer, session, link, counters);
            connection.ready().await?;
            Ok(Some(connection))
        }
        Err(e) => {
            debug!(code = e.code().as_str(), "refused: {}", e.message());
            writer.message(&response(&e, Severity::Fatal))?;
            writer.flush().await?;
            Ok(None)
        }
    }
}

/// Gives the client the encryption that it asks for, if we have it; none if it left.
///
/// Exactly one packet is read before an encrypted connection begins: what somebody slipped in behind it is part of the
/// handshake then, which fails (CVE-2021-23214).
async fn encrypted(mut socket: TcpStream, options: &PgOptions) -> io::Result<Option<(Reader, Writer)>> {
    for _ in 0..ENCRYPTION_REQUESTS_MAX {
        let mut head = [0; 8];
        match socket.read_exact(&mut head).await {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        match ((&head[..4]).get_u32(), (&head[4..]).get_i32(), &options.tls) {
            (8, SslRequest::BODY_MAGIC_NUMBER, Some(tls)) => {
                socket.write_all(b"S").await?;
                let (read, write) = tokio::io::split(tls.accept(socket).await?);
                return Ok(Some((Reader::new(read, &[]), Writer::new(write))));
            }
            (8, SslRequest::BODY_MAGIC_NUMBER | GssEncRequest::BODY_MAGIC_NUMBER, _) => socket.write_all(b"N").await?,
            _ => {
                let (read, write) = socket.into_split();
                return Ok(Some((Reader::new(read, &head), Writer::new(write))));
            }
        }
    }
    Ok(None)
}

/// The first packet that does not ask for encryption, which there is already, or not at all.
async fn first_packet(reader: &mut Reader, writer: &mut Writer) -> io::Result<Option<Bytes>> {
    for _ in 0..ENCRYPTION_REQUESTS_MAX {
        let Some(packet) = reader.startup_packet().await? else { return Ok(None) };
        match (&packet[..4]).get_i32() {
            SslRequest::BODY_MAGIC_NUMBER | GssEncRequest::BODY_MAGIC_NUMBER => {
                writer.buffer.push(b'N');
                writer.flush().await?;
            }
            _ => return Ok(Some(packet)),
        }
    }
    Ok(None)
}

/// Opens the session that the packet asks for.
async fn open(
    reader: &mut Reader,
    writer: &mut Writer,
    packet: Bytes,
    peer: SocketAddr,
    database: &Arc<Database>,
    options: &PgOptions,
) -> Result<(Session, ProtocolVersion)> {
    let hello = parse(&packet)?;
    let version = negotiate(writer, &hello)?;
    let mut startup = session_startup(hello.parameters, peer)?;
    if let Some(timeout) = options.statement_timeout {
        startup.defaults.push(("statement_timeout".to_string(), timeout.as_millis().to_string()));
    }
    authenticate(reader, writer, peer, database, options, &startup).await?;
    Ok((database.connect(startup).await?, version))
}

/// Returns if the client is who it says it is.
async fn authenticate(
    reader: &mut Reader,
    writer: &mut Writer,
    peer: SocketAddr,
    database: &Database,
    options: &PgOptions,
    startup: &Startup,
) -> Result<()> {
    let (door, user) = (&options.door, &startup.user);
    let credential = database.credential(startup)?;
    let Demand::Password { verifier, hopeless } = door.demand(peer, user, &startup.database, credential)? else {
        return Ok(());
    };
    if sasl::prove(reader, writer, &verifier, hopeless).await? {
        door.succeeded(peer);
        return Ok(());
    }
    info!(user, %peer, hopeless, "password authentication failed");
    door.failed(peer).await;
    Err(wrong_password(user))
}

fn violation(message: &str) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// Takes a startup packet apart.
fn parse(packet: &[u8]) -> Result<Hello> {
    let layout = || violation("invalid startup packet layout: expected terminator as last byte");
    let (mut version, mut rest) = packet.split_at(4);
    let (major, minor) = (version.get_u16(), version.get_u16());
    if major != PgStartup::PG_PROTOCOL_LATEST {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(Error::unsupported(message));
    }
    let mut next = || -> Result<&str> {
        let end = rest.iter().position(|b| *b == 0).ok_or_else(layout)?;
        let text = text_of(&rest[..end])?;
        rest = &rest[end + 1..];
        Ok(text)
    };
    let mut parameters = Vec::new();
    loop {
        let name = next()?;
        if name.is_empty() {
            break;
        }
        parameters.push((name.to_string(), next()?.to_string()));
    }
    if rest.is_empty() { Ok(Hello { major, minor, parameters }) } else { Err(layout()) }
}

/// Chooses 3.0 or 3.2, and tells the client where that is not what it asked for.
fn negotiate(writer: &mut Writer, hello: &Hello) -> Result<ProtocolVersion> {
    let version = match hello.minor {
        0 | 1 => ProtocolVersion::PROTOCOL3_0,
        _ => ProtocolVersion::PROTOCOL3_2,
    };
    let unknown: Vec<String> =
        hello.parameters.iter().map(|(name, _)| name).filter(|n| n.starts_with("_pq_.")).cloned().collect();
    if version.version_number().1 != hello.minor || !unknown.is_empty() {
        let answer = NegotiateProtocolVersion::new(i32::from(version), unknown);
        writer.message(&answer).map_err(|e| violation("too many protocol options").source(e))?;
    }
    Ok(version)
}

/// What a session needs of the parameters.
fn session_startup(parameters: Vec<(String, String)>, peer: SocketAddr) -> Result<Startup> {
    let mut startup = Startup { peer: Some(peer), ..Startup::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "user" => startup.user = value,
            "database" => startup.database = value,
            "options" => startup.parameters.extend(options(&value)?),
            "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
            "replication" => return Err(Error::unsupported("replication connections are not supported")),
            n if n.starts_with("_pq_.") => {}
            _ => startup.parameters.push((name, value)),
        }
    }
    if startup.user.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(Error::new(SqlState::INVALID_AUTHORIZATION, message));
    }
    if startup.database.is_empty() {
        startup.database.clone_from(&startup.user);
    }
    Ok(startup)
}

/// `-c name=value --name=value`: settings as PostgreSQL's command line takes them.
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text);
    let mut settings = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => setting,
            (None, Some("")) => words.next().map_or("", String::as_str),
            (None, Some(setting)) => setting,
            (None, None) => "",
        };
        let (name, value) = setting.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            Error::new(SqlState::SYNTAX_ERROR, format!("invalid command-line argument for server process: {word}"))
        })?;
        settings.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(settings)
}

/// Splits at blanks; a backslash keeps the next character.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() {
            words.extend(word.take());
        } else {
            let kept = if c == '\\' { chars.next() } else { Some(c) };
            word.get_or_insert_default().extend(kept);
        }
    }
    words.extend(word);
    words
}

/// What a client is told after login, but for ReadyForQuery.
fn greet(writer: &mut Writer, session: &Session, version: ProtocolVersion) -> io::Result<()> {
    writer.message(&Authentication::Ok)?;
    for (name, value) in session.parameters() {
        writer.message(&ParameterStatus::new(name.to_string(), value))?;
    }
    let (pid, secret) = session.cancel_key();
    let secret = match version {
        ProtocolVersion::PROTOCOL3_0 => Bytes::copy_from_slice(&secret[..4]),
        _ => Bytes::copy_from_slice(&secret),
    };
    writer.message(&BackendKeyData::new(pid, SecretKey::Bytes(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        let hello = parse(b"\0\x03\0\0user\0ann\0database\0demo\0\0").unwrap();
        assert_eq!((hello.major, hello.minor), (3, 0));
        assert_eq!(hello.parameters, [("user".into(), "ann".into()), ("database".into(), "demo".into())]);
        for broken in [&b"\0\x03\0\0user\0"[..], b"\0\x03\0\0user\0a\0", b"\0\x03\0\0\0x", b"\0\x03\0\0"] {
            assert_eq!(parse(broken).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
        }
        assert_eq!(parse(b"\0\x02\0\0\0").unwrap_err().code(), SqlState::FEATURE_NOT_SUPPORTED);
    }

    #[test]
    fn settings_of_options() {
        let set = |n: &str, v: &str| (n.to_string(), v.to_string());
        assert_eq!(
            options("-c statement_timeout=5s --search-path=a\\ b  -cjit=off").unwrap(),
            [set("statement_timeout", "5s"), set("search_path", "a b"), set("jit", "off")]
        );
        assert_eq!(options("").unwrap(), []);
        assert!(options("-x").is_err() && options("-c").is_err());
    }

    #[test]
    fn defaults() {
        let peer = "127.0.0.1:1".parse().unwrap();
        let startup =
            session_startup(vec![("user".into(), "ann".into()), ("TimeZone".into(), "UTC".into())], peer).unwrap();
        assert_eq!(startup.database, "ann");
        assert_eq!(startup.parameters.len(), 1);
        assert_eq!(session_startup(vec![], peer).unwrap_err().code(), SqlState::INVALID_AUTHORIZATION);
    }
}
