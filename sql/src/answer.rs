//! What a statement answers, in Arrow; bytes are made of it in `server/pg`.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::Stream;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use crate::statement::copy::{CopyIn, CopyOptions};

/// One column of a result, as RowDescription tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub ty: SqlType,
    /// `pg_class.oid` and `attnum` if it is a table's column as it stands, else 0.
    pub table: u32,
    pub number: i16,
}

/// Rows as they are made. Polling it fails with 57014 once the statement is cancelled or its time is up; dropping it
/// stops the query.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// What a statement answers.
pub enum Answer {
    /// Rows; arrays have the Arrow type of their column's [`SqlType::arrow`], but numerics may have any scale and
    /// `reg*` columns are strings.
    Rows { columns: Arc<[Column]>, rows: RowStream, tag: RowsTag },
    /// Rows of a cursor; the simple protocol sends those of a binary one in their binary form.
    Fetched { columns: Arc<[Column]>, rows: RowStream, binary: bool },
    /// No rows; the command tag, e.g. `INSERT 0 3`.
    Done { tag: String },
    /// COPY … FROM STDIN: feed it.
    CopyIn(Box<CopyIn>),
    /// COPY … TO STDOUT.
    CopyOut { columns: Arc<[Column]>, options: CopyOptions, rows: RowStream },
    /// The statement was only blanks and comments.
    Empty,
}

/// How the command tag of a statement with rows is made.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsTag {
    /// `SELECT n`, `FETCH n`: the word and the number of rows sent.
    Counted(&'static str),
    /// The tag as it is, e.g. `SHOW`, `EXPLAIN`.
    Fixed(String),
}

/// A message beside the answer.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`.
    pub severity: &'static str,
    pub code: sightline_storage::error::SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Notice {
    /// A NOTICE, such as that something exists already.
    pub fn new(code: sightline_storage::error::SqlState, message: impl Into<String>) -> Notice {
        Notice { severity: "NOTICE", code, message: message.into(), detail: None, hint: None }
    }

    /// A WARNING.
    pub fn warning(code: sightline_storage::error::SqlState, message: impl Into<String>) -> Notice {
        Notice { severity: "WARNING", ..Notice::new(code, message) }
    }

    /// Adds the DETAIL lines.
    pub fn detail(mut self, detail: impl Into<String>) -> Notice {
        self.detail = Some(detail.into());
        self
    }
}
