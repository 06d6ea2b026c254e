//! COPY … FROM and TO: the client's STDIN and STDOUT, and files of the server.
//!
//! FROM hands a [`CopyIn`] to the wire layer, which feeds it. The bytes become batches, the batches go to a
//! [`TableWriter`], which sorts and writes parts in the background while the next bytes are read. Nothing is visible
//! before `finish`: then all rows are one command, or join those of the block it runs in.

mod file;
mod options;
mod rejects;

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::TableId;

use self::rejects::Rejects;
use super::{insert, names};
use crate::answer::{Answer, Column, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::catalog::is_system_view;
use crate::codec::copy::CopyDecoder;
use crate::codec::{Style, binary_texts};
use crate::exec::write::{TableWriter, Written, abandon};
use crate::parser;
use crate::parser::copy::{Copy, CopySource, Endpoint};
use crate::plan::{Planned, QueryContext, Relation, plan_query, resolve_relation, run as run_plan};
use crate::session::transaction::{Committed, Transaction, serialization_failure};
use crate::session::{Inbox, Progress, Session, ShownProgress};

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
            let mut incoming = incoming(session, &ctx, name, columns, copy)?;
            if incoming.options.skips_wrong {
                incoming.rejects = Some(Rejects::new(session, incoming.options.reject_table.as_deref())?);
            }
            match &copy.endpoint {
                Endpoint::File(path) => Box::pin(file::read(session, &ctx, incoming, path)).await,
                Endpoint::Client | Endpoint::Program(_) => Ok(Answer::CopyIn(Box::new(incoming.shown("PIPE", 0)))),
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
            let targets = copied(&table, columns)?;
            if targets.len() < table.columns.len() && columns.is_empty() {
                let list = targets.iter().map(|at| quote_ident(&table.columns[*at].name)).collect::<Vec<_>>();
                return parser::query(&format!("SELECT {} FROM {name}", list.join(", ")));
            }
        }
        Relation::Sequence(def) => {
            let text = format!("cannot copy from sequence \"{}\"", def.name);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
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

/// The positions of the columns that COPY of a table reads or writes: generated ones are no part of it.
///
/// # Errors
/// 42703, 42701, 42P10.
fn copied(table: &TableDef, columns: &[ast::Ident]) -> Result<Vec<usize>> {
    let mut targets = insert::columns(table, insert::folded(columns))?;
    if columns.is_empty() {
        targets.retain(|at| table.columns[*at].generated.is_none());
    }
    match targets.iter().map(|at| &table.columns[*at]).find(|c| c.generated.is_some()) {
        Some(column) => {
            let text = format!("column \"{}\" is a generated column", column.name);
            let error = Error::new(SqlState::INVALID_COLUMN_REFERENCE, text);
            Err(error.detail("Generated columns cannot be used in COPY."))
        }
        None => Ok(targets),
    }
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
    let relation = resolve_relation(ctx, name)?;
    if let Relation::Sequence(def) = &relation {
        let text = format!("cannot copy to sequence \"{}\"", def.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
    }
    if let Relation::View(view) = relation {
        let text = format!("cannot copy to view \"{}\"", view.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text)
            .hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger."));
    }
    let table = names::table(ctx, name)?;
    let allowed = authorize(&ctx.identity, Action::Insert(&table))?;
    // Refuses a read-only transaction before the client sends anything.
    session.writable()?;
    let targets = copied(&table, columns)?;
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
    let decoder = CopyDecoder::new(columns.clone(), &options, &table.name);
    let decoder = decoder.with_style(style).with_line_max(ctx.memory.line_max());
    let decoder = if options.skips_wrong { decoder.rejecting() } else { decoder };
    let end = if session.in_block() { End::Block(session.inbox()) } else { End::Own };
    Ok(CopyIn {
        writer,
        columns,
        options,
        decoder,
        ctx: ctx.clone(),
        end,
        allowed,
        rejects: None,
        taken: 0,
        progress: None,
        relid: table.id.0,
    })
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
    /// With ON_ERROR ignore.
    rejects: Option<Rejects>,
    /// Rows that came, those that WHERE leaves out included.
    taken: u64,
    progress: Option<ShownProgress>,
    relid: u32,
}

/// What a COPY … FROM has done.
#[derive(Debug)]
pub struct Copied {
    pub rows: u64,
    /// Of rows that were left out.
    pub notice: Option<Notice>,
}

/// What a COPY … FROM makes visible: rows, and those it refused.
struct Outcome {
    written: Written,
    rejected: Option<Written>,
    allowed: Allowed,
    notice: Option<Notice>,
}

/// Rows that are tried together once one of many was wrong.
const APART_ROWS: usize = 256;

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

    /// Shows its progress.
    fn shown(mut self, kind: &'static str, bytes_total: u64) -> CopyIn {
        let progress = Progress::new(self.relid, "COPY FROM", kind, bytes_total);
        self.progress = Some(self.ctx.limits.show_progress(progress));
        self
    }

    /// Takes the next bytes, cut anywhere.
    ///
    /// # Errors
    /// 22P04 and those of the columns' types for bad data, with the line as context; 23502, 23514; 57014; those of a
    /// load. The COPY is over then.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        self.decoder.push(&data)?;
        while let Some(batch) = self.decoder.take_batch(BATCH_ROWS)? {
            self.put(batch).await?;
        }
        if let Some(progress) = &self.progress {
            progress.add_bytes(data.len());
        }
        self.ctx.limits.check()
    }

    /// Writes rows, and keeps those that are refused.
    async fn put(&mut self, batch: RecordBatch) -> Result<()> {
        self.taken += batch.num_rows() as u64;
        let written = self.ctx.limits.race(self.writer.write(batch.clone())).await?;
        match written {
            Ok(()) => {}
            Err(e) if self.rejects.is_some() && is_of_rows(&e) => self.put_apart(batch).await?,
            Err(e) => return Err(located(e, &mut self.writer, &self.decoder, &batch)),
        }
        if let Some(progress) = &self.progress {
            progress.set_rows(self.writer.rows(), self.taken.saturating_sub(self.writer.rows()));
        }
        match &mut self.rejects {
            Some(rejects) => self.ctx.limits.race(rejects.add(self.decoder.take_rejects())).await?,
            None => Ok(()),
        }
    }

    /// Writes rows of which some are wrong.
    async fn put_apart(&mut self, batch: RecordBatch) -> Result<()> {
        let mut from = 0;
        while from < batch.num_rows() {
            let slice = batch.slice(from, APART_ROWS.min(batch.num_rows() - from));
            match self.ctx.limits.race(self.writer.write(slice.clone())).await? {
                Ok(()) => from += slice.num_rows(),
                Err(e) if is_of_rows(&e) => {
                    let Some((row, wrong)) = self.writer.first_wrong(&slice) else { return Err(e) };
                    self.ctx.limits.race(self.writer.write(slice.slice(0, row))).await??;
                    self.decoder.reject(from + row, &wrong);
                    self.taken -= 1;
                    from += row + 1;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// CopyDone: commits and answers what was done.
    ///
    /// # Errors
    /// As [`write`](CopyIn::write), and those of a commit.
    pub async fn finish(mut self) -> Result<Copied> {
        let (end, ctx) = (std::mem::replace(&mut self.end, End::Own), self.ctx.clone());
        // Data cannot be sent again: so the keys of a COPY by itself are looked at in its turn, and as late as can be.
        let _turn = match (&end, self.writer.has_keys()) {
            (End::Own, true) => {
                let turn = ctx.database.turns.take(ctx.identity.tenant, TableId(self.relid), true).await;
                self.writer.look_again()?;
                turn
            }
            _ => None,
        };
        let Outcome { written, rejected, allowed, notice } = Box::pin(self.outcome()).await?;
        let rows = written.rows;
        match end {
            End::Block(inbox) => [Some(written), rejected].into_iter().flatten().for_each(|w| inbox.put(w.arrived)),
            End::Own => commit(&ctx, allowed, written, rejected).await?,
        }
        Ok(Copied { rows, notice })
    }

    /// The end of the data: what is to be made visible. From here on it ends as it ends: a commit is not given up half way.
    ///
    /// # Errors
    /// As [`write`](CopyIn::write).
    async fn outcome(mut self) -> Result<Outcome> {
        if let Some(last) = self.decoder.finish()? {
            self.put(last).await?;
        }
        let CopyIn { writer, mut rejects, mut decoder, ctx, allowed, .. } = self;
        let rest = async {
            let mut rejected = None;
            let mut notice = None;
            if let Some(mut rejects) = rejects.take() {
                rejects.add(decoder.take_rejects()).await?;
                notice = rejects::notice(rejects.count);
                rejected = rejects.finish().await?;
            }
            let written = match writer.finish().await {
                Ok(written) => written,
                Err(e) => {
                    if let Some(rejected) = &rejected {
                        abandon(&ctx.database.engine, rejected).await;
                    }
                    return Err(e);
                }
            };
            ctx.database.engine.room().await.map(|()| Outcome { written, rejected, allowed, notice })
        };
        ctx.limits.race(rest).await?
    }
}

/// Whether an error is about rows, and others may be right.
fn is_of_rows(e: &Error) -> bool {
    matches!(&e.code().as_str()[..2], "22" | "23")
}

/// An error about rows as that of the first wrong one, with its line.
fn located(e: Error, writer: &mut TableWriter, decoder: &CopyDecoder, batch: &RecordBatch) -> Error {
    if !is_of_rows(&e) {
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
async fn commit(ctx: &QueryContext, _allowed: Allowed, written: Written, rejected: Option<Written>) -> Result<()> {
    let engine = &ctx.database.engine;
    let mut transaction = Transaction::new(ctx.now_us, false, &ctx.settings);
    let all = std::iter::once(written).chain(rejected).map(|w| w.arrived).collect::<Vec<_>>();
    let ops = all.iter().flat_map(|(ops, ..)| ops.iter().cloned()).collect::<Vec<_>>();
    for (ops_of_one, bytes, reservation) in all {
        if let Err(e) = transaction.push(ops_of_one, bytes, reservation) {
            abandon(engine, &Written { rows: 0, arrived: (ops, 0, None) }).await;
            return Err(e);
        }
    }
    drop(ops);
    match transaction.commit(engine, ctx.identity.tenant).await? {
        Committed::Yes => Ok(()),
        Committed::Lost => Err(serialization_failure()),
    }
}
