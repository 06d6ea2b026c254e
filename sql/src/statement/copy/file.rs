//! COPY FROM and TO a file of the server. The data takes the same way as a client's; where it comes from and goes to is
//! `crate::files`' business.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use sightline_storage::error::{Error, Result, SqlState};

use super::{CopyIn, Outcome};
use crate::answer::Answer;
use crate::authorize::{Action, authorize};
use crate::codec::copy::CopyEncoder;
use crate::files::{Chunks, Root, Sink};
use crate::parser::copy::{Copy, CopySource, Endpoint};
use crate::plan::QueryContext;
use crate::session::{Progress, Session};
use crate::statement::{done, insert, names};

/// Encoded rows that are handed to the disk together.
const WRITE_BYTES: usize = 256 << 10;

/// For a file that COPY cannot make anything of.
const PACKED: &str =
    "The file is packed. COPY does not unpack it, read_csv does: INSERT INTO … SELECT * FROM read_csv('…').";

/// Whether a file begins as gzip's and zstd's do.
fn is_packed(start: &[u8]) -> bool {
    start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// Refuses ends of a COPY that the session may not use, before anything else is looked at, as PostgreSQL does.
///
/// # Errors
/// 42501; 0A000 for programs.
pub(super) fn check(ctx: &QueryContext, copy: &Copy) -> Result<()> {
    match (&copy.endpoint, copy.from) {
        (Endpoint::Client, _) => Ok(()),
        (Endpoint::File(_), true) => authorize(&ctx.identity, Action::ReadFiles("COPY from a file")).map(drop),
        (Endpoint::File(_), false) => authorize(&ctx.identity, Action::WriteFiles).map(drop),
        (Endpoint::Program(_), _) => Err(no_program(ctx)),
    }
}

/// Programs of the server are nobody's business but the server's.
fn no_program(ctx: &QueryContext) -> Error {
    let hint = "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.";
    if ctx.identity.superuser {
        return Error::unsupported("COPY to or from an external program is not supported").hint(hint);
    }
    let text = "must be superuser or have privileges of the pg_execute_server_program role to COPY to or from an external \
                program";
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, text).hint(hint)
}

/// COPY … FROM 'file': the rows join the statement's transaction, as those of an INSERT.
pub(super) async fn read(session: &mut Session, ctx: &Arc<QueryContext>, copy: CopyIn, path: &str) -> Result<Answer> {
    let root = Root::of(ctx);
    let path = path.to_string();
    let opened = tokio::task::spawn_blocking(move || {
        let file = root.open(&path)?;
        let bytes = file.size()?;
        Ok::<_, Error>((file, bytes))
    });
    let (file, bytes) =
        ctx.limits.race(opened).await?.map_err(|e| Error::internal(format!("opening a file ended early: {e}")))??;
    let mut copy = copy.shown("FILE", bytes);
    let mut chunks = Chunks::start(move || Ok(file));
    let mut packed = None;
    let explained = |e: Error, packed: Option<bool>| if packed == Some(true) { e.hint(PACKED) } else { e };
    while let Some(chunk) = ctx.limits.race(chunks.next()).await?? {
        packed.get_or_insert_with(|| is_packed(&chunk));
        copy.write(chunk).await.map_err(|e| explained(e, packed))?;
    }
    let Outcome { written, rejected, allowed, notice } =
        Box::pin(copy.outcome()).await.map_err(|e| explained(e, packed))?;
    let rows = written.rows;
    insert::finish(session, allowed, written).await?;
    if let Some(rejected) = rejected {
        insert::finish(session, allowed, rejected).await?;
    }
    notice.into_iter().for_each(|notice| session.notice(notice));
    Ok(done(format!("COPY {rows}")))
}

/// COPY … TO 'file'. The file takes its name when it is whole.
pub(super) async fn write(ctx: &Arc<QueryContext>, source: &ast::Query, copy: &Copy, path: &str) -> Result<Answer> {
    let root = Root::of(ctx);
    let (planned, options) = super::outgoing(ctx, source, copy)?;
    let relid = match &copy.source {
        CopySource::Table(name, _) => names::table(ctx, name).map_or(0, |table| table.id.0),
        CopySource::Query(_) | CopySource::Write => 0,
    };
    let columns = planned.columns.clone();
    let name = path.to_string();
    let mut sink = Sink::start(move || root.create(&name)).await?;
    let mut rows = crate::plan::run(ctx, planned, Vec::new()).await?;
    let progress = ctx.limits.show_progress(Progress::new(relid, "COPY TO", "FILE", 0));
    let mut encoder = CopyEncoder::new(columns, &options, ctx.settings.style().clone())?;
    let (mut out, mut sent) = (Vec::new(), 0);
    encoder.write_header(&mut out)?;
    while let Some(batch) = rows.try_next().await? {
        let cells = encoder.prepare(&batch)?;
        for row in 0..batch.num_rows() {
            encoder.write_row(&cells, row, &mut out)?;
            if out.len() >= WRITE_BYTES {
                progress.add_bytes(out.len());
                ctx.limits.race(sink.write(std::mem::take(&mut out))).await??;
            }
        }
        sent += batch.num_rows();
        progress.set_rows(sent as u64, 0);
    }
    encoder.write_trailer(&mut out);
    ctx.limits.race(sink.write(out)).await??;
    // Not raced: the thread that names the file looks for a cancel itself, and nothing may be written after the answer.
    sink.finish().await?;
    Ok(done(format!("COPY {sent}")))
}
