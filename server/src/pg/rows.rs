//! Rows out: a stream of batches, sent as far as the client takes them.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::{StreamExt, poll};
use pgwire::messages::data::{FieldDescription, RowDescription};
use sightline_sql::answer::{Column, RowStream, RowsTag};
use sightline_sql::codec::binary::with_length;
use sightline_sql::codec::{Cells, Style, binary_texts, in_encoding, is_text};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::connection::Step;
use super::wire::{Writer, framed};

/// A result on its way out.
pub(super) struct Cursor {
    columns: Arc<[Column]>,
    tag: RowsTag,
    stream: RowStream,
}

impl Cursor {
    /// A result that nothing was sent of.
    pub(super) fn new(columns: Arc<[Column]>, stream: RowStream, tag: RowsTag) -> Cursor {
        Cursor { columns, tag, stream }
    }

    /// Sends all rows; how many there were.
    pub(super) async fn send(&mut self, writer: &mut Writer, formats: &[bool], style: &Style) -> Step<u64> {
        let (mut sent, encoding) = (0, style.encoding);
        let binary = self.columns.iter().zip(formats).filter(|(_, binary)| **binary).map(|(c, _)| &c.ty);
        binary_texts(binary, encoding)?;
        let texts =
            self.columns.iter().zip(formats).map(|(c, binary)| !encoding.is_utf8() && (!binary || is_text(&c.ty)));
        let texts = texts.collect::<Vec<_>>();
        while let Some(batch) = next_batch(&mut self.stream, writer).await? {
            let cells = cells(&batch, &self.columns)?;
            for row in 0..batch.num_rows() {
                let at = writer.buffer.len();
                if let Err(e) = write_row(&mut writer.buffer, &cells, row, formats, &texts, style) {
                    writer.buffer.truncate(at);
                    return Err(e.into());
                }
                writer.relieve().await?;
            }
            sent += batch.num_rows() as u64;
        }
        Ok(sent)
    }

    /// The command tag for so many rows.
    pub(super) fn tag(&self, rows: u64) -> String {
        match &self.tag {
            RowsTag::Counted(word) => format!("{word} {rows}"),
            RowsTag::Fixed(tag) => tag.clone(),
        }
    }
}

/// The next batch. If it is not there yet, the rows so far are sent before it is waited for.
pub(super) async fn next_batch(stream: &mut RowStream, writer: &mut Writer) -> Step<Option<arrow::array::RecordBatch>> {
    let mut next = pin!(stream.next());
    let batch = match poll!(&mut next) {
        Poll::Ready(batch) => batch,
        Poll::Pending => {
            if !writer.is_empty() {
                writer.flush().await?;
            }
            next.await
        }
    };
    Ok(batch.transpose()?)
}

fn cells(batch: &arrow::array::RecordBatch, columns: &[Column]) -> Result<Vec<Cells>> {
    if batch.num_columns() != columns.len() {
        let message = format!("a batch has {} columns instead of {}", batch.num_columns(), columns.len());
        return Err(Error::internal(message));
    }
    batch.columns().iter().zip(columns).map(|(array, c)| Cells::new(array, &c.ty)).collect()
}

/// DataRow. `texts` says which cells have to be put into the client's encoding.
///
/// # Errors
/// 22P05 for a character that it has not.
fn write_row(
    out: &mut Vec<u8>,
    cells: &[Cells],
    row: usize,
    formats: &[bool],
    texts: &[bool],
    style: &Style,
) -> Result<()> {
    framed(out, b'D', |out| {
        out.extend_from_slice(&(cells.len() as u16).to_be_bytes());
        for ((cell, binary), text) in cells.iter().zip(formats).zip(texts) {
            if cell.is_null(row) {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            with_length(out, |out| {
                let at = out.len();
                if *binary {
                    cell.write_binary(row, out);
                } else {
                    cell.write_text(row, style, out);
                }
                if *text { in_encoding(style.encoding, at, out) } else { Ok(()) }
            })?;
        }
        Ok(())
    })
}

/// RowDescription; `formats` tells which columns are binary.
pub(super) fn description(columns: &[Column], formats: &[bool]) -> RowDescription {
    let field = |(c, binary): (&Column, &bool)| {
        let ty = if c.ty == SqlType::Unknown { &SqlType::Text } else { &c.ty };
        FieldDescription::new(
            c.name.clone(),
            c.table as i32,
            c.number,
            ty.oid(),
            ty.typlen(),
            ty.typmod(),
            i16::from(*binary),
        )
    };
    RowDescription::new(columns.iter().zip(formats).map(field).collect())
}

/// Which of `columns` result columns are binary, from Bind's codes: none, one for all, or one each.
///
/// # Errors
/// 08P01 for another number of codes, 22023 for an unknown code.
pub(super) fn result_formats(codes: &[i16], columns: usize) -> Result<Vec<bool>> {
    match codes {
        [] => Ok(vec![false; columns]),
        [one] => Ok(vec![is_binary(*one)?; columns]),
        codes if codes.len() == columns => codes.iter().map(|c| is_binary(*c)).collect(),
        codes => {
            let message = format!("bind message has {} result formats but query has {columns} columns", codes.len());
            Err(Error::new(SqlState::PROTOCOL_VIOLATION, message))
        }
    }
}

/// Whether a format code says binary.
///
/// # Errors
/// 22023 for an unknown one.
pub(super) fn is_binary(code: i16) -> Result<bool> {
    match code {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array, StringViewArray};

    use super::*;

    #[test]
    fn data_row() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "yz"]));
        let cells = [Cells::new(&ints, &SqlType::Integer).unwrap(), Cells::new(&texts, &SqlType::Text).unwrap()];
        let mut out = Vec::new();
        write_row(&mut out, &cells, 0, &[true, false], &[false; 2], &Style::default()).unwrap();
        write_row(&mut out, &cells, 1, &[false, false], &[false; 2], &Style::default()).unwrap();
        let first = b"D\0\0\0\x13\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01x";
        let second = b"D\0\0\0\x10\0\x02\xff\xff\xff\xff\0\0\0\x02yz";
        assert_eq!(out, [&first[..], &second[..]].concat());
    }

    #[test]
    fn format_codes() {
        assert_eq!(result_formats(&[], 2).unwrap(), [false, false]);
        assert_eq!(result_formats(&[1], 2).unwrap(), [true, true]);
        assert_eq!(result_formats(&[0, 1], 2).unwrap(), [false, true]);
        assert_eq!(result_formats(&[0, 1], 3).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
        assert_eq!(result_formats(&[2], 1).unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
    }
}
