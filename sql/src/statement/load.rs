//! A file that a client has sent whole (`PUT /api/v1/tables/…`) becomes rows of a table: all of them or none.
//!
//! It lies in a folder of the server's own, so nobody's privilege on files is asked. What kind of text it is, is found out
//! as `read_csv` does; its columns go to those of the table by name, and in their types.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use futures::TryStreamExt;
use sightline_storage::error::{Error, Result, SqlState};

use super::{done, insert, names};
use crate::answer::Answer;
use crate::authorize::{Action, authorize};
use crate::exec::write::TableWriter;
use crate::files;
use crate::session::Session;

/// A file to be loaded.
#[derive(Clone, Debug)]
pub struct Load {
    /// The table, with its schema if that is not on the search path.
    pub table: Vec<String>,
    /// The folder that the file lies in.
    pub folder: PathBuf,
    pub file: String,
    /// `csv`, `json`, `parquet` or `xlsx`.
    pub format: String,
    /// The arguments of `read_csv` and its kin, e.g. `header`, `delim`, `encoding`, `sheet`.
    pub options: Vec<(String, String)>,
}

pub(super) async fn run(session: &mut Session, load: &Load) -> Result<Answer> {
    let ctx = session.context()?;
    let name = ObjectName::from(load.table.iter().map(|part| Ident::with_quote('"', part)).collect::<Vec<_>>());
    let table = names::table(&ctx, &name)?;
    let allowed = authorize(&ctx.identity, Action::Insert(&table))?;
    session.writable()?;
    let (folder, file, format, options) =
        (load.folder.clone(), load.file.clone(), load.format.clone(), load.options.clone());
    let style = ctx.settings.style().clone();
    let looked = tokio::task::spawn_blocking(move || files::Upload::new(folder, file, &format, options, &style));
    let mut upload = looked.await.map_err(|e| Error::internal(format!("looking at a file ended early: {e}")))??;
    let wanted = table.columns.iter().filter(|c| c.generated.is_none());
    let wanted = wanted.map(|c| (c.name.clone(), c.ty.clone())).collect::<Vec<_>>();
    let columns = upload.fit(&wanted)?;
    let targets = insert::columns(&table, columns.iter().cloned())?;
    let mut writer = TableWriter::new(&ctx, &table, targets)?;
    let mut rows = Box::pin(upload.rows(&ctx));
    while let Some(batch) = ctx.limits.race(rows.try_next()).await?? {
        ctx.limits.race(writer.write(batch)).await??;
    }
    let written = writer.finish().await?;
    ctx.database.engine.room().await?;
    let count = written.rows;
    insert::finish(session, allowed, written).await?;
    Ok(done(format!("COPY {count}")))
}

impl Session {
    /// Loads a file into a table, as a transaction of its own; how many rows.
    ///
    /// # Errors
    /// 42P01, 42501, 42703 for a column that the table has not; 22P04 and those of the types for what the file holds; those
    /// of a write.
    pub async fn load(&mut self, load: Load) -> Result<u64> {
        let text = format!("PUT {}", load.table.join("."));
        let statement = crate::parser::Statement {
            source: Arc::from(text.as_str()),
            text,
            offset: 0,
            before: String::new(),
            body: crate::parser::Body::Load(Box::new(load)),
        };
        let prepared = crate::session::Prepared { statement: Arc::new(statement), parameters: vec![], columns: None };
        match self.execute(&prepared, vec![]).await? {
            Answer::Done { tag } => {
                let rows = tag.rsplit(' ').next().and_then(|n| n.parse().ok());
                rows.ok_or_else(|| Error::new(SqlState::INTERNAL_ERROR, "a load answered no number"))
            }
            _ => Err(Error::internal("a load answered rows")),
        }
    }
}
