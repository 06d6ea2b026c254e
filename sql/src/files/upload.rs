//! A file that a client has sent, on its way into a table.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use futures::Stream;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::Root;
use super::call::Call;
use super::detect::Found;
use super::table::{FileColumn, Manner, Source, look, rows_in, sample_bytes, schema_of};
use crate::codec::Style;
use crate::plan::QueryContext;

/// The file, looked at.
#[derive(Debug)]
pub(crate) struct Upload {
    root: Root,
    source: Source,
}

impl Upload {
    /// Looks at a file of this format. It waits for the disk.
    ///
    /// # Errors
    /// 22023 for a format or an option that there is not; 22P04 for a file that cannot be read.
    pub(crate) fn new(
        folder: PathBuf,
        file: String,
        format: &str,
        options: Vec<(String, String)>,
        style: &Style,
    ) -> Result<Upload> {
        let root = Root::new(Some(&folder));
        let call = Call::of_format(format, &file, options)?;
        let source = look(&root, &file, &call, sample_bytes(&call, 1)?, style)?;
        Ok(Upload { root, source })
    }

    /// Gives the columns of the file the types of the table's columns of their names, or of their places where the file has
    /// no names; the names.
    ///
    /// # Errors
    /// 22P04 for a file without names that has more or fewer columns.
    pub(crate) fn fit(&mut self, wanted: &[(String, SqlType)]) -> Result<Vec<String>> {
        if self.source.is_empty() {
            self.source.columns = wanted.iter().map(|(name, ty)| Found::told(name, ty)).collect();
        }
        let nameless = self.source.dialect().is_some_and(|d| !d.header);
        if nameless && self.source.columns.len() != wanted.len() {
            let text = format!("the file has {} columns and the table {}", self.source.columns.len(), wanted.len());
            return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text).hint(
                "A first line with the columns' names tells which are there; header=true says that there is one.",
            ));
        }
        let typed = self.source.is_typed();
        for (n, column) in self.source.columns.iter_mut().enumerate() {
            let place = if nameless { wanted.get(n) } else { wanted.iter().find(|(name, _)| *name == column.name) };
            let Some((name, ty)) = place else { continue };
            if typed {
                column.name = name.clone();
            } else {
                *column = Found::told(name, ty);
            }
        }
        if let Some(refused) = self.source.columns.iter().find_map(|c| c.refused.as_ref()) {
            return Err(Error::unsupported(format!("{refused}, which is not supported")));
        }
        Ok(self.source.columns.iter().map(|c| c.name.clone()).collect())
    }

    /// The rows.
    pub(crate) fn rows(self, ctx: &QueryContext) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
        let columns = self.source.columns.iter().map(FileColumn::of).collect::<Vec<_>>();
        let schema = schema_of(&columns);
        rows_in(&self.root, self.source.into(), &columns.into(), &schema, &Manner::of(ctx))
    }
}
