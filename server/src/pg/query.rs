//! The simple protocol: a query string, its statements one after another, each answer sent as it comes.

use std::sync::Arc;

use pgwire::messages::response::CommandComplete;
use sightline_sql::answer::{Answer, RowsTag};
use sightline_sql::codec::Style;
use sightline_sql::parser::Statement;
use sightline_storage::error::Result;

use super::connection::{Connection, HeldTag, Step, Stop, attend};
use super::rows::{Cursor, description};

impl Connection {
    /// Query: up to the first error, then ReadyForQuery. Several statements are one transaction.
    pub(super) async fn simple_query(&mut self, sql: &str) -> Step<()> {
        self.unnamed = None;
        self.session.close_portal("");
        self.end_pipeline(false).await?;
        match self.run_string(sql).await {
            Err(Stop::Sql(e)) => self.report(&e)?,
            other => other?,
        }
        if self.session.transaction_status() == b'I' {
            self.session.close_portals(false);
        }
        Ok(self.ready().await?)
    }

    async fn run_string(&mut self, sql: &str) -> Step<()> {
        let statements = self.session.parse(sql)?;
        if statements.is_empty() {
            self.writer.bare(b'I');
            return Ok(());
        }
        let several = statements.len() > 1;
        if several {
            self.session.begin_implicit(true);
        }
        let mut outcome = Ok(());
        let last = statements.len() - 1;
        for (n, statement) in statements.into_iter().enumerate() {
            if several && n == last {
                self.held_tag = HeldTag::Wanted;
            }
            outcome = self.run_statement(statement).await;
            if outcome.is_err() {
                break;
            }
        }
        let held = std::mem::replace(&mut self.held_tag, HeldTag::None);
        if several {
            let ended = attend(&mut self.reader, &self.link, self.session.end_implicit(outcome.is_err())).await;
            outcome = outcome.and(ended.map_err(Stop::from));
        }
        // Only now is what it says true.
        if let (Ok(()), HeldTag::Tag(tag)) = (&outcome, held) {
            self.complete(tag)?;
        }
        outcome
    }

    async fn run_statement(&mut self, statement: Arc<Statement>) -> Step<()> {
        self.session.begin_statement(&statement);
        let session = &mut self.session;
        let work = async move {
            let prepared = session.prepare(statement, &[]).await?;
            session.execute(&prepared, Vec::new()).await
        };
        let answer: Result<Answer> = attend(&mut self.reader, &self.link, work).await;
        let answer = answer?;
        self.tell_notices()?;
        match answer {
            Answer::Rows { columns, rows, tag } => {
                let formats = vec![false; columns.len()];
                self.writer.message(&description(&columns, &formats))?;
                self.send_all(&mut Cursor::new(columns, rows, tag), &formats).await
            }
            Answer::Fetched { columns, rows, binary } => {
                let formats = vec![binary; columns.len()];
                self.writer.message(&description(&columns, &formats))?;
                self.send_all(&mut Cursor::new(columns, rows, RowsTag::Counted("FETCH")), &formats).await
            }
            Answer::Done { tag } => self.complete(tag),
            Answer::CopyIn(copy) => self.copy_in(copy).await,
            Answer::CopyOut { columns, options, rows } => self.copy_out(columns, &options, rows).await,
            Answer::Empty => {
                self.writer.bare(b'I');
                Ok(())
            }
        }
    }

    /// Sends a result to its end, and CommandComplete.
    async fn send_all(&mut self, cursor: &mut Cursor, formats: &[bool]) -> Step<()> {
        let style = Style::new(&self.session.format());
        let sending = cursor.send(&mut self.writer, formats, &style);
        let sent = attend(&mut self.reader, &self.link, sending).await?;
        self.complete(cursor.tag(sent))
    }

    /// CommandComplete.
    pub(super) fn complete(&mut self, tag: String) -> Step<()> {
        self.tell_notices()?;
        if let HeldTag::Wanted = self.held_tag {
            self.held_tag = HeldTag::Tag(tag);
            return Ok(());
        }
        Ok(self.writer.message(&CommandComplete::new(tag))?)
    }
}
