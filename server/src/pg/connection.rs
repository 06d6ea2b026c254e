//! The loop of one logged-in connection.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pgwire::messages::startup::ParameterStatus;
use sightline_sql::database::Database;
use sightline_sql::session::{Prepared, Session};
use sightline_storage::error::{Error, SqlState};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info};

use super::error::{Severity, idle_timeout, notice, response, shutdown};
use super::message::{Frontend, decode};
use super::wire::{Broken, Reader, Writer, framed};
use crate::logging;
use crate::metrics::TenantStatements;

/// How long a running statement may go on when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long a client has to read the last message it is sent.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the work on a message ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Io(io::Error),
    /// The statement failed; the connection goes on.
    Sql(Error),
    /// The connection ends, and the client is told why.
    Fatal(Error),
    /// What the client sends cannot be told from data any more: the statement failed, and the connection ends.
    OutOfStep(Error),
    /// The client has left.
    Left,
}

/// The outcome of a piece of work.
pub(super) type Step<T> = Result<T, Stop>;

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Stop {
        Stop::Io(e)
    }
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Sql(e)
    }
}

impl From<Broken> for Stop {
    fn from(e: Broken) -> Stop {
        match e {
            Broken::Io(e) => Stop::Io(e),
            Broken::Protocol(e) => Stop::Fatal(e),
        }
    }
}

/// What is needed to stop this connection's statement.
pub(super) struct Link {
    pub database: Arc<Database>,
    pub pid: i32,
    pub secret: [u8; 32],
    /// The server stops.
    pub stop: CancellationToken,
}

impl Link {
    fn cancel_statement(&self) {
        self.database.cancel(self.pid, &self.secret);
    }

    /// Returns when the server stops and running statements have had their time.
    pub(super) async fn grace_over(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    }
}

/// Drives `work` to its end. Should the client leave meanwhile, or the server stop, its statement is cancelled; it is
/// never dropped half way, for it may be committing.
pub(super) async fn attend<T>(reader: &mut Reader, link: &Link, work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    let (mut left, mut stopped) = (false, false);
    loop {
        tokio::select! {
            // The work last: when it gives way it has used up the task's budget, and nothing after it would be polled.
            biased;
            () = reader.left(), if !left => {
                left = true;
                link.cancel_statement();
            }
            () = link.grace_over(), if !stopped => {
                stopped = true;
                link.cancel_statement();
            }
            done = &mut work => return done,
        }
    }
}

/// A parsed statement without a name, or with one if it is empty: named ones are the session's.
#[derive(Clone)]
pub(super) enum Parsed {
    /// Only blanks and comments.
    Empty,
    Ready(Prepared),
}

/// What becomes of a statement's CommandComplete.
pub(super) enum HeldTag {
    /// It is sent at once.
    None,
    /// It is kept, …
    Wanted,
    /// … as here.
    Tag(String),
}

/// A logged-in connection.
pub(super) struct Connection {
    pub reader: Reader,
    pub writer: Writer,
    pub session: Session,
    pub link: Link,
    pub unnamed: Option<Parsed>,
    pub empty_statements: HashSet<String>,
    /// After an error in the extended protocol: everything is discarded until Sync.
    pub skip_to_sync: bool,
    /// The statements of this pipeline are one transaction.
    pub pipeline: bool,
    /// It waits for the client after ReadyForQuery.
    idle: bool,
    /// The tag of the last statement of a query string, until their transaction is committed.
    pub held_tag: HeldTag,
    /// The number of the statement at work, for the log: counts what simple queries and Execute messages there were.
    statement: u64,
    counters: Arc<TenantStatements>,
}

impl Connection {
    /// A connection at the beginning.
    pub(super) fn new(
        reader: Reader,
        writer: Writer,
        session: Session,
        link: Link,
        counters: Arc<TenantStatements>,
    ) -> Connection {
        Connection {
            reader,
            writer,
            session,
            link,
            unnamed: None,
            empty_statements: HashSet::new(),
            skip_to_sync: false,
            pipeline: false,
            idle: false,
            held_tag: HeldTag::None,
            statement: 0,
            counters,
        }
    }

    /// Serves the client until one side ends it.
    ///
    /// # Errors
    /// Those of the socket.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        match self.serve().await {
            Ok(()) | Err(Stop::Left) => Ok(()),
            Err(Stop::Io(e)) => Err(e),
            Err(Stop::Fatal(e) | Stop::Sql(e)) => {
                self.bid_farewell(&e).await;
                Ok(())
            }
            Err(Stop::OutOfStep(e)) => {
                // Nothing but the socket can fail here, and then there is nobody to be told.
                if self.report(&e).is_ok() {
                    let message = "terminating connection because protocol synchronization was lost";
                    self.bid_farewell(&Error::new(SqlState::PROTOCOL_VIOLATION, message)).await;
                }
                Ok(())
            }
        }
    }

    async fn serve(&mut self) -> Step<()> {
        loop {
            let in_block = self.session.transaction_status() != b'I';
            let limit = self.session.settings().idle_timeout(in_block).filter(|_| self.idle);
            let idle_too_long = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                biased;
                () = self.link.stop.cancelled() => return Err(Stop::Fatal(shutdown())),
                next = self.reader.message() => next?,
                () = idle_too_long => return Err(Stop::Fatal(idle_timeout(in_block))),
            };
            self.idle = false;
            let Some((kind, body)) = next else { return Ok(()) };
            if !self.handle(kind, body).await? {
                return Ok(());
            }
        }
    }

    /// Handles a message; false if it was the last.
    async fn handle(&mut self, kind: u8, body: Bytes) -> Step<bool> {
        if self.skip_to_sync && !matches!(kind, b'S' | b'X') {
            return Ok(true);
        }
        let message = match decode(kind, body, self.writer.encoding) {
            Ok(message) => message,
            Err(e) => return self.refuse(kind, &e).await.map(|()| true),
        };
        if matches!(kind, b'Q' | b'E') {
            self.statement += 1;
            self.counters.count_run();
        }
        let span = logging::statement_span(self.statement);
        Box::pin(self.dispatch(message)).instrument(span).await
    }

    /// Does what a message asks for; false if it was the last.
    async fn dispatch(&mut self, message: Frontend) -> Step<bool> {
        match message {
            Frontend::Query(sql) => self.simple_query(&sql).await?,
            Frontend::Sync => self.sync().await?,
            Frontend::Flush => self.writer.flush().await?,
            Frontend::FunctionCall => {
                self.report(&Error::unsupported("function calls by the protocol's own message are not supported"))?;
                self.ready().await?;
            }
            // What a client still sends of a COPY that failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => {}
            Frontend::Terminate => return Ok(false),
            Frontend::Password => {
                let message = "invalid frontend message type 112";
                return Err(Stop::Fatal(Error::new(SqlState::PROTOCOL_VIOLATION, message)));
            }
            extended => self.extended_query(extended).await?,
        }
        Ok(true)
    }

    /// Answers a message that could not be decoded.
    async fn refuse(&mut self, kind: u8, e: &Error) -> Step<()> {
        self.report(e)?;
        match kind {
            b'P' | b'B' | b'D' | b'C' | b'E' | b'H' => {
                self.skip_to_sync = true;
                self.writer.flush().await?;
            }
            _ => self.ready().await?,
        }
        Ok(())
    }

    /// Sends what a statement's error is; a transaction block has failed with it.
    pub(super) fn report(&mut self, e: &Error) -> Step<()> {
        self.counters.count_failed();
        info!(code = e.code().as_str(), "statement failed: {}", e.message());
        self.session.fail_transaction();
        self.tell_notices()?;
        Ok(self.writer.message(&response(e, Severity::Error))?)
    }

    /// Sends the notices that have come up.
    pub(super) fn tell_notices(&mut self) -> Step<()> {
        self.writer.encoding = self.session.settings().style().encoding;
        for n in self.session.take_notices() {
            self.writer.message(&notice(&n))?;
        }
        Ok(())
    }

    /// Ends a round: settings that changed, ReadyForQuery, and all is sent.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        self.writer.encoding = self.session.settings().style().encoding;
        for n in self.session.take_notices() {
            self.writer.message(&notice(&n))?;
        }
        for (name, value) in self.session.take_changed_parameters() {
            self.writer.message(&ParameterStatus::new(name.to_string(), value))?;
        }
        self.session.rest();
        let status = self.session.transaction_status();
        framed(&mut self.writer.buffer, b'Z', |out| out.push(status));
        self.idle = true;
        self.writer.flush().await
    }

    /// Sends a last message, if the client still reads.
    pub(super) async fn bid_farewell(&mut self, e: &Error) {
        if let Err(e) = self.writer.message(&response(e, Severity::Fatal)) {
            return debug!("no farewell: {e}");
        }
        match tokio::time::timeout(FAREWELL_TIMEOUT, self.writer.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => debug!("no farewell: {e}"),
            Err(_) => debug!("no farewell: the client does not read"),
        }
    }
}
