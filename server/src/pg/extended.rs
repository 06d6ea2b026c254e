//! The extended protocol: Parse, Bind, Describe, Execute, Close, Sync.
//!
//! Until Sync all statements are one transaction, as in PostgreSQL, unless they control it themselves. A statement that is
//! alone before its Sync is run as one of its own, so that it is durable before its CommandComplete is written.

use pgwire::messages::data::{NoData, ParameterDescription};
use sightline_sql::answer::{Answer, RowsTag};
use sightline_sql::codec::Style;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::connection::{Connection, Parsed, Step, Stop, attend};
use super::message::{Bind, Frontend, Target};
use super::portal::bound;
use super::rows::{Cursor, description};

impl Connection {
    /// A message of the extended protocol other than Sync and Flush. After an error all is discarded until Sync.
    pub(super) async fn extended_query(&mut self, message: Frontend) -> Step<()> {
        let done = match message {
            Frontend::Parse { name, sql, types } => self.parse(&name, &sql, &types).await,
            Frontend::Bind(bind) => self.bind(&bind),
            Frontend::Describe(Target::Statement, name) => self.describe_statement(&name),
            Frontend::Describe(Target::Portal, name) => self.describe_portal(&name),
            Frontend::Execute { portal, max_rows } => self.execute(&portal, max_rows).await,
            Frontend::Close(target, name) => self.close(target, &name),
            _ => Ok(()),
        };
        match done {
            Err(Stop::Sql(e)) => {
                self.skip_to_sync = true;
                self.report(&e)?;
                // At once, as PostgreSQL does: a client that waits after Flush learns of it, and only then sends Sync.
                self.writer.flush().await?;
            }
            other => other?,
        }
        Ok(self.writer.relieve().await?)
    }

    async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> Step<()> {
        let mut statements = self.session.parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).into());
        }
        let declared = types.iter().map(|oid| declared_type(&mut self.session, *oid)).collect::<Result<Vec<_>>>()?;
        let parsed = match statements.pop() {
            None => Parsed::Empty,
            Some(statement) => {
                let preparing = self.session.prepare(statement, &declared);
                Parsed::Ready(attend(&mut self.reader, &self.link, preparing).await?)
            }
        };
        self.keep(name, parsed)?;
        self.writer.bare(b'1');
        Ok(())
    }

    fn keep(&mut self, name: &str, parsed: Parsed) -> Result<()> {
        match parsed {
            parsed if name.is_empty() => self.unnamed = Some(parsed),
            Parsed::Empty => {
                self.empty_statements.insert(name.to_string());
            }
            Parsed::Ready(prepared) => self.session.keep_prepared(name, prepared, None)?,
        }
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<Parsed> {
        if name.is_empty() {
            let none = || Error::new(SqlState::INVALID_STATEMENT_NAME, "unnamed prepared statement does not exist");
            return self.unnamed.clone().ok_or_else(none);
        }
        if self.empty_statements.contains(name) {
            return Ok(Parsed::Empty);
        }
        Ok(Parsed::Ready(self.session.find_prepared(name)?))
    }

    fn bind(&mut self, bind: &Bind) -> Step<()> {
        let statement = self.statement(&bind.statement)?;
        let style = Style::new(&self.session.format());
        let (parameters, formats) = bound(&statement, bind, &style)?;
        let prepared = match statement {
            Parsed::Empty => None,
            Parsed::Ready(prepared) => Some(prepared),
        };
        self.session.bind_portal(&bind.portal, prepared, parameters, formats)?;
        self.session.count_run(&bind.statement);
        self.writer.bare(b'2');
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Step<()> {
        let (types, columns) = match self.statement(name)? {
            Parsed::Empty => (Vec::new(), None),
            Parsed::Ready(p) => (p.parameters.iter().map(parameter_oid).collect(), p.columns),
        };
        self.writer.message(&ParameterDescription::new(types))?;
        match columns {
            None => self.writer.message(&NoData::new())?,
            Some(columns) => self.writer.message(&description(&columns, &vec![false; columns.len()]))?,
        }
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Step<()> {
        let portal = self.session.portal(name)?;
        match portal.columns() {
            Some(columns) => self.writer.message(&description(columns, portal.formats()))?,
            None => self.writer.message(&NoData::new())?,
        }
        Ok(())
    }

    fn close(&mut self, target: Target, name: &str) -> Step<()> {
        match target {
            Target::Portal => drop(self.session.close_portal(name)),
            Target::Statement if name.is_empty() => self.unnamed = None,
            Target::Statement => {
                self.empty_statements.remove(name);
                self.session.forget_prepared(name);
            }
        }
        self.writer.bare(b'3');
        Ok(())
    }

    async fn execute(&mut self, name: &str, max_rows: u32) -> Step<()> {
        let begins = self.session.portal(name)?.is_new();
        if begins && !self.pipeline && self.session.transaction_status() == b'I' && !self.reader.next_is(b'S') {
            self.session.begin_implicit(false);
            self.pipeline = true;
        }
        let executing = self.session.execute_portal(name, u64::from(max_rows));
        let answer = attend(&mut self.reader, &self.link, executing).await?;
        self.tell_notices()?;
        let sent = match answer {
            Answer::Rows { columns, rows, tag } => {
                let formats = self.session.portal(name)?.formats().to_vec();
                self.send_rows(Cursor::new(columns, rows, tag), &formats, max_rows).await
            }
            Answer::Fetched { columns, rows, .. } => {
                let formats = vec![false; columns.len()];
                self.send_rows(Cursor::new(columns, rows, RowsTag::Counted("FETCH")), &formats, 0).await
            }
            Answer::Done { tag } => self.complete(tag),
            Answer::CopyIn(copy) => self.copy_in(copy).await,
            Answer::CopyOut { columns, options, rows } => self.copy_out(columns, &options, rows).await,
            Answer::Empty => {
                self.writer.bare(b'I');
                Ok(())
            }
        };
        if self.session.transaction_status() == b'I' && !self.pipeline {
            self.session.close_portals(false);
        }
        sent
    }

    /// Sends the rows of one Execute: the portal is suspended after as many as were asked for.
    async fn send_rows(&mut self, mut cursor: Cursor, formats: &[bool], max_rows: u32) -> Step<()> {
        let style = Style::new(&self.session.format());
        let sending = cursor.send(&mut self.writer, formats, &style);
        let sent = attend(&mut self.reader, &self.link, sending).await?;
        if max_rows == 0 || sent < u64::from(max_rows) {
            return self.complete(cursor.tag(sent));
        }
        self.writer.bare(b's');
        Ok(())
    }

    /// Sync: the pipeline's transaction ends, and outside a block all portals with it.
    pub(super) async fn sync(&mut self) -> Step<()> {
        let failed = std::mem::take(&mut self.skip_to_sync);
        self.end_pipeline(failed).await?;
        if self.session.transaction_status() == b'I' {
            self.session.close_portals(false);
        }
        Ok(self.ready().await?)
    }

    /// Commits what the statements since the last Sync did, or with `failed` undoes it.
    pub(super) async fn end_pipeline(&mut self, failed: bool) -> Step<()> {
        if !std::mem::take(&mut self.pipeline) {
            return Ok(());
        }
        if let Err(e) = attend(&mut self.reader, &self.link, self.session.end_implicit(failed)).await {
            self.report(&e)?;
        }
        Ok(())
    }
}

/// The type a client declares for a parameter; none: it is to be found out.
fn declared_type(session: &mut sightline_sql::session::Session, oid: u32) -> Result<Option<SqlType>> {
    match SqlType::from_oid(oid) {
        _ if oid == 0 => Ok(None),
        Some(SqlType::Unknown) => Ok(None),
        // `bpchar` without a length is text to us: character(1) would cut it.
        Some(SqlType::Char(_)) => Ok(Some(SqlType::Text)),
        Some(SqlType::Array(item)) if matches!(*item, SqlType::Char(_)) => {
            Ok(Some(SqlType::Array(Box::new(SqlType::Text))))
        }
        Some(ty) => Ok(Some(ty)),
        None if let Some(ty) = session.user_type(oid)? => Ok(Some(ty)),
        None => {
            let message = format!("type with OID {oid} does not exist");
            Err(Error::new(SqlState::UNDEFINED_OBJECT, message))
        }
    }
}

fn parameter_oid(ty: &SqlType) -> u32 {
    if *ty == SqlType::Unknown { SqlType::Text.oid() } else { ty.oid() }
}
