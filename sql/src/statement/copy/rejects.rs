//! `COPY … (ON_ERROR ignore, REJECT_TABLE 'name')`: rows that are wrong are left out, and kept with the reason.
//!
//! The table is made if it is not there. What it keeps is committed with the rows that were right, or not at all.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::answer::Notice;
use crate::authorize::{Action, authorize};
use crate::codec::copy::Reject;
use crate::exec::write::{TableWriter, Written};
use crate::parser::{self, Body};
use crate::session::Session;
use crate::statement::{names, table};

const COLUMNS: [(&str, SqlType); 4] = [
    ("line_number", SqlType::BigInt),
    ("line", SqlType::Text),
    ("column_name", SqlType::Text),
    ("reason", SqlType::Text),
];

/// Rows that were refused, on their way into a table if one was named.
pub(super) struct Rejects {
    writer: Option<TableWriter>,
    schema: SchemaRef,
    pub(super) count: u64,
}

impl Rejects {
    /// Finds the table, or makes it.
    ///
    /// # Errors
    /// 42602 for what is no name; 42804 for a table with other columns; those of CREATE TABLE and of INSERT.
    pub(super) fn new(session: &mut Session, named: Option<&str>) -> Result<Rejects> {
        let fields = COLUMNS.iter().map(|(name, ty)| ty.field(name, true)).collect::<Vec<_>>();
        let writer = named.map(|name| writer(session, name)).transpose()?;
        Ok(Rejects { writer, schema: Arc::new(Schema::new(fields)), count: 0 })
    }

    /// Takes refused rows.
    ///
    /// # Errors
    /// Those of a write.
    pub(super) async fn add(&mut self, rejects: Vec<Reject>) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.count += rejects.len() as u64;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let texts = |of: fn(&Reject) -> Option<&str>| -> ArrayRef {
            Arc::new(rejects.iter().map(of).collect::<StringViewArray>())
        };
        let numbers = rejects.iter().map(|r| i64::try_from(r.line_number).ok()).collect::<Int64Array>();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(numbers),
            // A text holds no zero byte, which may be why the line was refused.
            Arc::new(rejects.iter().map(|r| Some(r.line.replace('\0', "\u{fffd}"))).collect::<StringViewArray>()),
            texts(|r| r.column.as_deref()),
            texts(|r| Some(&r.reason)),
        ];
        writer.write(RecordBatch::try_new(self.schema.clone(), columns)?).await
    }

    /// What makes them visible.
    ///
    /// # Errors
    /// Those of a write.
    pub(super) async fn finish(self) -> Result<Option<Written>> {
        match self.writer {
            Some(writer) => writer.finish().await.map(Some),
            None => Ok(None),
        }
    }
}

/// What PostgreSQL 17 says of rows that were left out.
pub(super) fn notice(count: u64) -> Option<Notice> {
    let text = match count {
        0 => return None,
        1 => "1 row was skipped due to data type incompatibility".to_string(),
        count => format!("{count} rows were skipped due to data type incompatibility"),
    };
    Some(Notice::new(SqlState::new("00000"), text))
}

fn writer(session: &mut Session, text: &str) -> Result<TableWriter> {
    let name = object_name(text)?;
    let mut ctx = session.write_context()?;
    let found = match names::table(&ctx, &name) {
        Err(e) if e.code() == SqlState::UNDEFINED_TABLE => {
            let columns = COLUMNS.iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ");
            let statements = parser::parse(&format!("CREATE TABLE {name} ({columns})"))?;
            let Some(Body::CreateTable(create)) = statements.first().map(|s| &s.body) else {
                return Err(Error::internal("CREATE TABLE was read as something else"));
            };
            table::create(session, create)?;
            ctx = session.write_context()?;
            names::table(&ctx, &name)?
        }
        found => found?,
    };
    authorize(&ctx.identity, Action::Insert(&found))?;
    let place = |(name, ty): &(&str, SqlType)| found.columns.iter().position(|c| c.name == *name && c.ty == *ty);
    let Some(targets) = COLUMNS.iter().map(place).collect::<Option<Vec<_>>>() else {
        let text = format!("table \"{}\" cannot keep rejected lines", found.name);
        return Err(Error::new(SqlState::DATATYPE_MISMATCH, text)
            .hint("It needs the columns line_number bigint, line text, column_name text and reason text; a table that does not exist is made with them."));
    };
    TableWriter::new(&ctx, &found, targets)
}

/// The name of a table, written as in SQL.
fn object_name(text: &str) -> Result<ObjectName> {
    let wrong = || {
        Error::new(SqlState::new("42602"), format!("invalid name syntax: \"{text}\"")).hint(
            "It is a table's name as in SQL, with its schema if need be: capitals and blanks need double quotes, as in '\"My rejects\"'.",
        )
    };
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).map_err(|_| wrong())?;
    let name = parser.parse_object_name(false).map_err(|_| wrong())?;
    if parser.peek_token_ref().token == Token::EOF { Ok(name) } else { Err(wrong()) }
}
