//! COPY … FROM and TO: the client's STDIN and STDOUT, and files of the server.
//!
//! FROM hands a [`CopyIn`] to the wire layer, which feeds it. The bytes become batches, the batches go to a
//! [`TableWriter`], which sorts and writes parts in the background while the next bytes are read. Nothing is visible
//! before `finish`: then all rows are one command, or join those of the block it runs in.

mod file;
mod options;

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Error, Result, SqlState};

use super::{insert, names};
use crate::answer::{Answer, Column};
use crate::authorize::{Action, Allowed, authorize};
use crate::catalog::is_system_view;
use crate::codec::copy::CopyDecoder;
use crate::codec::{Style, binary_texts};
use crate::exec::write::{TableWriter, Written, abandon};
use crate::parser;
use crate::parser::copy::{Copy, CopySource, Endpoint};
use crate::plan::{Planned, QueryContext, Relation, plan_query, resolve_relation, run as run_plan};
use crate::session::transaction::{Committed, Transaction, serialization_failure};
use crate::session::{Inbox, Session};

pub use crate::codec::copy::{CopyFormat, CopyOptions, Force};

/// Rows that go to the writer together.
const BATCH_ROWS: usize = 8192;

/// Starts a COPY.
pub(super) async fn run(session: &mut Session, copy: &Copy) -> Result<Answer> {
    if copy.filter.is_some() && !copy.from {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "WHERE clause not allowed with COPY TO"));
    }
    let ctx = session.context()?;
    file::check(&ctx, copy)?;
    match (&copy.source, copy.from) {
        (CopySource::Table(name, columns), true) => {
            let incoming = incoming(session, &ctx, name, columns, copy)?;
            match &copy.endpoint {
                Endpoint::File(path) => file::read(session, &ctx, incoming, path).await,
                Endpoint::Client | Endpoint::Program(_) => Ok(Answer::CopyIn(Box::new(incoming))),
            }
        }
        (CopySource::Table(name, columns), false) => {
            let query = table_query(&ctx, name, columns)?;
            send(&ctx, &query, copy).await
        }
        (CopySource::Query(query), false) => {
            if let ast::SetExpr::Select(select) = query.body.as_ref()
                && select.into.is_some()
            {
                return Err(Error::unsupported("COPY (SELECT INTO) is not supported"));
            }
            send(&ctx, query, copy).await
        }
        (CopySource::Write, false) => Err(Error::unsupported("COPY of a statement that writes is not supported")),
        (_, true) => Err(Error::new(SqlState::SYNTAX_ERROR, "COPY FROM needs a table")),
    }
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
        Relation::System(schema, name) if is_system_view(schema, &name) => {
            let text = format!("cannot copy from view \"{name}\"");
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Try the COPY (SELECT ...) TO variant."));
        }
        Relation::System(..) => {}
    }
    let list = columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    parser::query(&format!("SELECT {} FROM {name}", if list.is_empty() { "*" } else { &list }))
}

/// COPY … TO.
async fn send(ctx: &Arc<QueryContext>, source: &ast::Query, copy: &Copy) -> Result<Answer> {
    if let Endpoint::File(path) = &copy.endpoint {
        return file::write(ctx, source, copy, path).await;
    }
    let (planned, options) = outgoing(ctx, source, copy)?;
    let columns = planned.columns.clone();
    let rows = run_plan(ctx, planned, Vec::new()).await?;
    Ok(Answer::CopyOut { columns, options, rows })
}

/// What a COPY … TO reads, and how it is written.
fn outgoing(ctx: &Arc<QueryContext>, source: &ast::Query, copy: &Copy) -> Result<(Planned, CopyOptions)> {
    let planned = plan_query(ctx, source, &[])?;
    let columns = planned.columns.clone();
    let options = options::options(&copy.options, false, ctx.settings.style().encoding)?;
    let table = match &copy.source {
        CopySource::Table(name, _) => Some(name),
        CopySource::Query(_) | CopySource::Write => None,
    };
    check_forced(&options.force_quote, "FORCE_QUOTE", &columns, |name| match table {
        Some(table) => unknown_in(ctx, table, name),
        None => Some(Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))),
    })?;
    Ok((planned, options))
}

/// What takes the data of a COPY … FROM.
fn incoming(
    session: &Session,
    ctx: &Arc<QueryContext>,
    name: &ast::ObjectName,
    columns: &[ast::Ident],
    copy: &Copy,
) -> Result<CopyIn> {
    if let Relation::View(view) = resolve_relation(ctx, name)? {
        let text = format!("cannot copy to view \"{}\"", view.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text)
            .hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger."));
    }
    let table = names::table(ctx, name)?;
    let allowed = authorize(&ctx.identity, Action::Insert(&table))?;
    // Refuses a read-only transaction before the client sends anything.
    session.writable()?;
    let targets = insert::columns(&table, insert::folded(columns))?;
    let columns = described(&table, &targets);
    let mut writer = TableWriter::new(ctx, &table, targets)?;
    if let Some(condition) = &copy.filter {
        check_condition(condition)?;
        writer.filter(condition).map_err(|e| grouped(e, condition))?;
    }
    let options = options::options(&copy.options, true, ctx.settings.style().encoding)?;
    if options.format == CopyFormat::Binary {
        binary_texts(columns.iter().map(|c| &c.ty), options.encoding)?;
    }
    for (force, what) in [(&options.force_not_null, "FORCE_NOT_NULL"), (&options.force_null, "FORCE_NULL")] {
        check_forced(force, what, &columns, |column| unknown_in(ctx, name, column))?;
    }
    let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
    let decoder = CopyDecoder::new(columns.clone(), &options, &table.name).with_style(style);
    let end = if session.in_block() { End::Block(session.inbox()) } else { End::Own };
    Ok(CopyIn { writer, columns, options, decoder, ctx: ctx.clone(), end, allowed })
}

/// Checks that the columns of a FORCE option are copied.
fn check_forced(force: &Force, what: &str, columns: &[Column], unknown: impl Fn(&str) -> Option<Error>) -> Result<()> {
    let Force::Columns(names) = force else { return Ok(()) };
    for (n, name) in names.iter().enumerate() {
        if !columns.iter().any(|c| c.name == *name) {
            let text = format!("{what} column \"{name}\" not referenced by COPY");
            return Err(unknown(name).unwrap_or_else(|| Error::new(SqlState::new("42P10"), text)));
        }
        if names[..n].contains(name) {
            let text = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
        }
    }
    Ok(())
}

/// The error for a column that a table does not have.
fn unknown_in(ctx: &QueryContext, table: &ast::ObjectName, column: &str) -> Option<Error> {
    let table = names::table(ctx, table).ok()?;
    let text = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
    let known = table.columns.iter().any(|c| c.name == column);
    (!known).then(|| Error::new(SqlState::UNDEFINED_COLUMN, text))
}

/// The planner's error for an aggregate or a window function, in the words for a condition.
fn grouped(e: Error, condition: &ast::Expr) -> Error {
    if e.code() != SqlState::GROUPING_ERROR {
        return e;
    }
    let window: ControlFlow<()> = ast::visit_expressions(condition, |e| match e {
        ast::Expr::Function(f) if f.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let (code, what) =
        if window.is_break() { (SqlState::new("42P20"), "window") } else { (SqlState::GROUPING_ERROR, "aggregate") };
    Error::new(code, format!("{what} functions are not allowed in COPY FROM WHERE conditions"))
}

/// What a condition may not contain, in PostgreSQL's words for it.
fn check_condition(condition: &ast::Expr) -> Result<()> {
    let found: ControlFlow<()> = ast::visit_expressions(condition, |e| match e {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if found.is_break() {
        return Err(Error::unsupported("cannot use subquery in COPY FROM WHERE condition"));
    }
    Ok(())
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

/// A running COPY … FROM. Nothing is visible before `finish`; dropping it undoes it.
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
            let written = self.ctx.limits.race(self.writer.write(batch.clone())).await?;
            written.map_err(|e| located(e, &mut self.writer, &self.decoder, &batch))?;
        }
        self.ctx.limits.check()
    }

    /// CopyDone: commits and answers the number of rows.
    ///
    /// # Errors
    /// As [`write`](CopyIn::write), and those of a commit.
    pub async fn finish(mut self) -> Result<u64> {
        let (end, ctx) = (std::mem::replace(&mut self.end, End::Own), self.ctx.clone());
        let (written, allowed) = self.written().await?;
        let rows = written.rows;
        match end {
            End::Block(inbox) => inbox.put(written.arrived),
            End::Own => commit(&ctx, allowed, written).await?,
        }
        Ok(rows)
    }

    /// The end of the data: what is to be made visible. From here on it ends as it ends: a commit is not given up half way.
    ///
    /// # Errors
    /// As [`write`](CopyIn::write).
    async fn written(mut self) -> Result<(Written, Allowed)> {
        let (last, mut writer) = (self.decoder.finish()?, self.writer);
        let rest = async {
            if let Some(batch) = last {
                let written = writer.write(batch.clone()).await;
                written.map_err(|e| located(e, &mut writer, &self.decoder, &batch))?;
            }
            let written = writer.finish().await?;
            self.ctx.database.engine.room().await.map(|()| written)
        };
        Ok((self.ctx.limits.race(rest).await??, self.allowed))
    }
}

/// An error about rows as that of the first wrong one, with its line.
fn located(e: Error, writer: &mut TableWriter, decoder: &CopyDecoder, batch: &RecordBatch) -> Error {
    if !matches!(&e.code().as_str()[..2], "22" | "23") {
        return e;
    }
    match writer.first_wrong(batch) {
        Some((row, wrong)) => decoder.located(wrong, row),
        None => e,
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
