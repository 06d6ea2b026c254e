//! COPY … TO: rows as text, csv or binary, one message a row as PostgreSQL sends them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::{CopyFormat, CopyOptions};
use crate::answer::Column;
use crate::codec::binary::with_length;
use crate::codec::{Cells, Style};

/// Encodes the rows of one COPY.
pub struct CopyEncoder {
    options: CopyOptions,
    columns: Arc<[Column]>,
    style: Style,
    scratch: Vec<u8>,
}

impl CopyEncoder {
    /// An encoder of rows of `columns`.
    pub fn new(columns: Arc<[Column]>, options: &CopyOptions, style: Style) -> CopyEncoder {
        CopyEncoder { options: options.clone(), columns, style, scratch: Vec::new() }
    }

    /// Appends what comes before the rows: the names if asked for, or the signature of the binary format.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
            out.extend_from_slice(&[0; 8]);
        } else if self.options.header {
            for (i, column) in self.columns.iter().enumerate() {
                self.separate(i, out);
                self.write_field(column.name.as_bytes(), out);
            }
            out.push(b'\n');
        }
    }

    /// Resolves the columns of a batch.
    ///
    /// # Errors
    /// XX000 as [`Cells::new`].
    pub fn prepare(&self, batch: &RecordBatch) -> Result<Vec<Cells>> {
        batch.columns().iter().zip(self.columns.iter()).map(|(array, c)| Cells::new(array, &c.ty)).collect()
    }

    /// Appends a row of a prepared batch.
    pub fn write_row(&mut self, cells: &[Cells], row: usize, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            return write_binary_row(cells, row, out);
        }
        let mut text = std::mem::take(&mut self.scratch);
        for (i, cell) in cells.iter().enumerate() {
            self.separate(i, out);
            if cell.is_null(row) {
                out.extend_from_slice(self.options.null.as_bytes());
                continue;
            }
            text.clear();
            cell.write_text(row, &self.style, &mut text);
            self.write_field(&text, out);
        }
        self.scratch = text;
        out.push(b'\n');
    }

    /// Appends what comes after the rows.
    pub fn write_trailer(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(&(-1i16).to_be_bytes());
        }
    }

    fn separate(&self, column: usize, out: &mut Vec<u8>) {
        if column > 0 {
            out.push(self.options.delimiter);
        }
    }

    fn write_field(&self, text: &[u8], out: &mut Vec<u8>) {
        match self.options.format {
            CopyFormat::Csv => self.write_csv(text, out),
            CopyFormat::Text | CopyFormat::Binary => self.write_escaped(text, out),
        }
    }

    fn write_escaped(&self, text: &[u8], out: &mut Vec<u8>) {
        for b in text {
            let letter = match b {
                b'\\' => b'\\',
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                b if *b == self.options.delimiter => *b,
                b => {
                    out.push(*b);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', letter]);
        }
    }

    fn write_csv(&self, text: &[u8], out: &mut Vec<u8>) {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        let special = |b: &u8| *b == delimiter || *b == quote || matches!(b, b'\n' | b'\r');
        let is_end_mark = text == b"\\." && self.columns.len() == 1;
        if text != self.options.null.as_bytes() && !is_end_mark && !text.iter().any(special) {
            return out.extend_from_slice(text);
        }
        out.push(quote);
        for b in text {
            if *b == quote || *b == escape {
                out.push(escape);
            }
            out.push(*b);
        }
        out.push(quote);
    }
}

fn write_binary_row(cells: &[Cells], row: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(cells.len() as i16).to_be_bytes());
    for cell in cells {
        if cell.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
        } else {
            with_length(out, |out| cell.write_binary(row, out));
        }
    }
}
