//! `sightline parquet-to-csv FILE`: a Parquet file as CSV without a header, for `COPY … FROM STDIN (FORMAT csv)` in the
//! demo and the benches. It streams: one batch of rows is in memory. NULL is an empty field, an empty string is quoted.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sightline_storage::error::{Error, Result, SqlState};

/// How PostgreSQL's COPY reads times.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Writes the rows of `path` to `out`. A reader that goes away (`| head`) ends it quietly.
///
/// # Errors
/// 58P01 if the file cannot be opened, XX001 if it is no Parquet.
pub fn convert(path: &Path, out: impl Write) -> Result<()> {
    let file = File::open(path)
        .map_err(|e| Error::new(SqlState::new("58P01"), format!("cannot read \"{}\": {e}", path.display())))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut out = BufWriter::new(out);
    let mut line = String::new();
    for batch in reader {
        if let Err(e) = write_batch(&batch?, &mut line, &mut out)? {
            return quiet_end(e);
        }
    }
    out.flush().or_else(quiet_end)
}

/// Nobody reads on: no error.
fn quiet_end(e: std::io::Error) -> Result<()> {
    if e.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(e.into()) }
}

/// The outer error is of the data, the inner one of `out`.
fn write_batch(batch: &RecordBatch, line: &mut String, out: &mut impl Write) -> Result<std::io::Result<()>> {
    let options = FormatOptions::new().with_timestamp_format(Some(TIMESTAMP)).with_timestamp_tz_format(Some("%+"));
    let columns = batch
        .columns()
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
        .collect::<Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        line.clear();
        for (i, (column, text)) in columns.iter().enumerate() {
            if i > 0 {
                line.push(',');
            }
            if !column.is_null(row) {
                push_field(line, |line| text.value(row).write(line))?;
            }
        }
        line.push('\n');
        if let Err(e) = out.write_all(line.as_bytes()) {
            return Ok(Err(e));
        }
    }
    Ok(Ok(()))
}

/// Appends a field as `write` gives it, in quotes where CSV wants them.
fn push_field<E: Into<Error>>(line: &mut String, write: impl FnOnce(&mut String) -> Result<(), E>) -> Result<()> {
    let start = line.len();
    write(line).map_err(Into::into)?;
    let field = &line[start..];
    if field.is_empty() || field.contains([',', '"', '\n', '\r']) || field == "\\." {
        let quoted = format!("\"{}\"", field.replace('"', "\"\""));
        line.replace_range(start.., &quoted);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> String {
        let mut line = String::from("x,");
        push_field::<Error>(&mut line, |line| {
            line.push_str(text);
            Ok(())
        })
        .unwrap();
        line
    }

    #[test]
    fn fields_are_quoted_where_needed() {
        assert_eq!(field("plain"), "x,plain");
        assert_eq!(field(""), "x,\"\"");
        assert_eq!(field("a,\"b\""), "x,\"a,\"\"b\"\"\"");
    }
}
