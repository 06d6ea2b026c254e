//! Accepts connections and owns their tasks.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sightline_sql::database::Database;
use sightline_storage::error::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, warn};

use super::connection::Connection;
use super::error::after_panic;
use super::startup;
use crate::authenticate::Door;
use crate::logging;
use crate::metrics::Statements;

/// How long connections have to say good-bye after running statements have had their time.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long no connection is accepted when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the listener treats clients.
#[derive(Clone)]
pub struct PgOptions {
    /// Who may come in.
    pub door: Door,
    /// None: clients that ask for encryption are told that there is none.
    pub tls: Option<TlsAcceptor>,
    /// What `statement_timeout` is until a client sets it; None is off.
    pub statement_timeout: Option<Duration>,
    /// How long a client has to log in.
    pub authentication_timeout: Duration,
    /// Where statements are counted.
    pub statements: Arc<Statements>,
}

/// Serves clients until `stop`; then idle connections end with 57P01, running statements have five seconds more.
///
/// # Errors
/// None so far: what fails fails for one connection.
pub async fn serve(
    listener: TcpListener,
    database: Arc<Database>,
    stop: CancellationToken,
    options: PgOptions,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let client = serve_client(socket, peer, database.clone(), stop.clone(), options.clone());
                    tasks.spawn(client.instrument(logging::connection_span(peer)));
                }
                Err(e) => {
                    warn!("cannot accept a connection: {e}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
        warn!(connections = tasks.len(), "connections did not end in time and are closed");
        tasks.shutdown().await;
    }
    Ok(())
}

/// One connection from its first byte to its last.
async fn serve_client(
    socket: TcpStream,
    peer: SocketAddr,
    database: Arc<Database>,
    stop: CancellationToken,
    options: PgOptions,
) {
    if let Err(e) = socket.set_nodelay(true) {
        debug!("cannot set TCP_NODELAY: {e}");
    }
    // A client whose machine vanished would else keep its place for ever.
    if let Err(e) = socket2::SockRef::from(&socket).set_keepalive(true) {
        debug!("cannot set SO_KEEPALIVE: {e}");
    }
    let login = startup::log_in(socket, peer, database, stop.clone(), &options);
    let connection = tokio::select! {
        () = stop.cancelled() => return,
        done = tokio::time::timeout(options.authentication_timeout, login) => match done {
            Ok(Ok(Some(connection))) => connection,
            Ok(Ok(None)) => return,
            Ok(Err(e)) => return debug!("login failed: {e}"),
            Err(_) => return debug!("login took too long"),
        },
    };
    run(Box::new(connection)).await;
}

/// Runs a logged-in connection; a panic ends it alone.
async fn run(mut connection: Box<Connection>) {
    let ended = AssertUnwindSafe(connection.run()).catch_unwind().await;
    match ended {
        Ok(Ok(())) => debug!("connection closed"),
        Ok(Err(e)) => debug!("connection lost: {e}"),
        Err(_) => connection.bid_farewell(&after_panic()).await,
    }
}
