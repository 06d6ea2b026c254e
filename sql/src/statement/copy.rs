//! COPY … FROM STDIN and TO STDOUT.
//!
//! FROM hands a [`CopyIn`] to the wire layer, which feeds it. The bytes become batches, the batches go to a
//! [`TableWriter`], which sorts and writes parts in the background while the next bytes are read. Nothing is visible
//! before `finish`: then all rows are one command, or join those of the block it runs in.

mod options;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Error, Result, SqlState};

use super::{insert, names};
use crate::answer::{Answer, Column};
use crate::authorize::{Action, Allowed, authorize};
use crate::codec::Style;
use crate::codec::copy::CopyDecoder;
use crate::exec::write::{TableWriter, Written, abandon};
use crate::parser;
use crate::parser::copy::{Copy, CopySource, Endpoint};
use crate::plan::{QueryContext, Relation, plan_query, resolve_relation, run as run_plan};
use crate::session::transaction::{Committed, Transaction, serialization_failure};
use crate::session::{Inbox, Session};

pub use crate::codec::copy::{CopyFormat, CopyOptions};

/// Rows that go to the writer together.
const BATCH_ROWS: usize = 8192;

/// Starts a COPY.
pub(super) async fn run(session: &mut Session, copy: &Copy) -> Result<Answer> {
    let ctx = session.context()?;
    if copy.endpoint != Endpoint::Client {
        return Err(server_side(&ctx, copy));
    }
    let options = options::options(&copy.options, copy.from)?;
    match (&copy.source, copy.from) {
        (CopySource::Table(name, columns), true) => {
            if copy.filter {
                return Err(Error::unsupported("COPY … WHERE is not supported")
                    .hint("Load into another table, then INSERT … SELECT … WHERE."));
            }
            from_client(session, &ctx, name, columns, options)
        }
        (CopySource::Table(name, columns), false) => {
            let query = table_query(&ctx, name, columns)?;
            to_client(&ctx, &query, options).await
        }
        (CopySource::Query(query), false) => to_client(&ctx, query, options).await,
        (CopySource::Write, false) => Err(Error::unsupported("COPY of a statement that writes is not supported")),
        (_, true) => Err(Error::new(SqlState::SYNTAX_ERROR, "COPY FROM needs a table")),
    }
}

/// Files and programs of the server are nobody's business but the server's.
fn server_side(ctx: &QueryContext, copy: &Copy) -> Error {
    let (verb, what) = match (&copy.endpoint, copy.from) {
        (Endpoint::Program(_), true) => ("COPY from", "an external program"),
        (Endpoint::Program(_), false) => ("COPY to", "an external program"),
        (_, true) => ("COPY from", "a file"),
        (_, false) => ("COPY to", "a file"),
    };
    let hint = "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.";
    if ctx.identity.superuser {
        return Error::unsupported(format!("{verb} {what} of the server is not supported")).hint(hint);
    }
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {verb} {what}")).hint(hint)
}

/// The query that COPY of a table stands for.
fn table_query(ctx: &QueryContext, name: &ast::ObjectName, columns: &[ast::Ident]) -> Result<ast::Query> {
    match resolve_relation(ctx, name)? {
        Relation::View(view) => {
            let text = format!("cannot copy from view \"{}\"", view.name);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Try the COPY (SELECT ...) TO variant."));
        }
        Relation::Table(table) => {
            insert::columns(&table, insert::folded(columns))?;
        }
        Relation::System(..) => {}
    }
    let list = columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    parser::query(&format!("SELECT {} FROM {name}", if list.is_empty() { "*" } else { &list }))
}

async fn to_client(ctx: &Arc<QueryContext>, source: &ast::Query, options: CopyOptions) -> Result<Answer> {
    let planned = plan_query(ctx, source, &[])?;
    let columns = planned.columns.clone();
    let rows = run_plan(ctx, planned, Vec::new()).await?;
    Ok(Answer::CopyOut { columns, options, rows })
}

fn from_client(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    name: &ast::ObjectName,
    columns: &[ast::Ident],
    options: CopyOptions,
) -> Result<Answer> {
    if let Relation::View(view) = resolve_relation(ctx, name)? {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot copy to view \"{}\"", view.name)));
    }
    let table = names::table(ctx, name)?;
    let allowed = authorize(&ctx.identity, Action::Insert(&table))?;
    // Refuses a read-only transaction before the client sends anything.
    session.writable()?;
    let targets = insert::columns(&table, insert::folded(columns))?;
    let columns = described(&table, &targets);
    let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
    let decoder = CopyDecoder::new(columns.clone(), &options, &table.name).with_style(style);
    let end = if session.in_block() { End::Block(session.inbox()) } else { End::Own };
    Ok(Answer::CopyIn(Box::new(CopyIn {
        writer: TableWriter::new(ctx, &table, targets)?,
        columns,
        options,
        decoder,
        ctx: ctx.clone(),
        end,
        allowed,
    })))
}

fn described(table: &TableDef, targets: &[usize]) -> Arc<[Column]> {
    let column = |position: &usize| {
        let column = &table.columns[*position];
        Column {
            name: column.name.clone(),
            ty: column.ty.clone(),
            table: table.id.0,
            number: i16::try_from(column.id.0).unwrap_or(i16::MAX),
        }
    };
    targets.iter().map(column).collect()
}

/// A running COPY … FROM STDIN. Nothing is visible before `finish`; dropping it undoes it.
pub struct CopyIn {
    columns: Arc<[Column]>,
    options: CopyOptions,
    decoder: CopyDecoder,
    writer: TableWriter,
    ctx: Arc<QueryContext>,
    end: End,
    allowed: Allowed,
}

enum End {
    /// It is a transaction of its own.
    Own,
    /// It belongs to a block.
    Block(Arc<Inbox>),
}

impl CopyIn {
    /// The columns that the data has, in order.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The options, with defaults put in.
    pub fn options(&self) -> &CopyOptions {
        &self.options
    }

    /// Takes the next bytes, cut anywhere.
    ///
    /// # Errors
    /// 22P04 and those of the columns' types for bad data, with the line as context; 23502, 23514; 57014; those of a
    /// load. The COPY is over then.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        self.decoder.push(&data)?;
        while let Some(batch) = self.decoder.take_batch(BATCH_ROWS)? {
            self.ctx.limits.race(self.writer.write(batch)).await??;
        }
        self.ctx.limits.check()
    }

    /// CopyDone: commits and answers the number of rows.
    ///
    /// # Errors
    /// As [`write`](CopyIn::write), and those of a commit.
    pub async fn finish(mut self) -> Result<u64> {
        let (last, mut writer) = (self.decoder.finish()?, self.writer);
        let rest = async {
            if let Some(batch) = last {
                writer.write(batch).await?;
            }
            let written = writer.finish().await?;
            self.ctx.database.engine.room().await.map(|()| written)
        };
        // From here on it ends as it ends: a commit is not given up half way.
        let written = self.ctx.limits.race(rest).await??;
        let rows = written.rows;
        match self.end {
            End::Block(inbox) => inbox.put(written.arrived),
            End::Own => commit(&self.ctx, self.allowed, written).await?,
        }
        Ok(rows)
    }
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Commits a COPY that is a transaction of its own.
async fn commit(ctx: &QueryContext, _allowed: Allowed, written: Written) -> Result<()> {
    let engine = &ctx.database.engine;
    let mut transaction = Transaction::new(ctx.now_us, false, &ctx.settings);
    let (ops, bytes, reservation) = written.arrived;
    if let Err(e) = transaction.push(ops.clone(), bytes, reservation) {
        abandon(engine, &Written { rows: 0, arrived: (ops, 0, None) }).await;
        return Err(e);
    }
    drop(ops);
    match transaction.commit(engine, ctx.identity.tenant).await? {
        Committed::Yes => Ok(()),
        Committed::Lost => Err(serialization_failure()),
    }
}
