//! COPY … TO: rows as text, csv or binary, one message a row as PostgreSQL sends them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use sightline_functions::encoding::Encoding;
use sightline_storage::error::Result;

use super::{CopyFormat, CopyOptions, Header};
use crate::answer::Column;
use crate::codec::binary::with_length;
use crate::codec::{Cells, Style, binary_texts, in_encoding};

/// Encodes the rows of one COPY.
pub struct CopyEncoder {
    options: CopyOptions,
    columns: Arc<[Column]>,
    style: Style,
    force_quote: Vec<bool>,
    /// Columns whose binary form has to be put into the encoding.
    texts: Vec<bool>,
    scratch: Vec<u8>,
}

impl CopyEncoder {
    /// An encoder of rows of `columns`.
    ///
    /// # Errors
    /// 0A000 for columns that have no binary form in the encoding.
    pub fn new(columns: Arc<[Column]>, options: &CopyOptions, style: Style) -> Result<CopyEncoder> {
        let force_quote = options.force_quote.flags(columns.iter().map(|c| c.name.as_str()));
        let texts = match options.format {
            CopyFormat::Binary => binary_texts(columns.iter().map(|c| &c.ty), options.encoding)?,
            CopyFormat::Text | CopyFormat::Csv => Vec::new(),
        };
        Ok(CopyEncoder { options: options.clone(), columns, style, force_quote, texts, scratch: Vec::new() })
    }

    /// Appends what comes before the rows: the names if asked for, or the signature of the binary format.
    ///
    /// # Errors
    /// 22P05 for a name that the encoding cannot write.
    pub fn write_header(&self, out: &mut Vec<u8>) -> Result<()> {
        let at = out.len();
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
            out.extend_from_slice(&[0; 8]);
        } else if self.options.header != Header::No {
            for (i, column) in self.columns.iter().enumerate() {
                self.separate(i, out);
                self.write_field(column.name.as_bytes(), false, out);
            }
            out.push(b'\n');
            in_encoding(self.options.encoding, at, out)?;
        }
        Ok(())
    }

    /// Resolves the columns of a batch.
    ///
    /// # Errors
    /// XX000 as [`Cells::new`].
    pub fn prepare(&self, batch: &RecordBatch) -> Result<Vec<Cells>> {
        batch.columns().iter().zip(self.columns.iter()).map(|(array, c)| Cells::new(array, &c.ty)).collect()
    }

    /// Appends a row of a prepared batch.
    ///
    /// # Errors
    /// 22P05 for a character that the encoding cannot write.
    pub fn write_row(&mut self, cells: &[Cells], row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.options.format == CopyFormat::Binary {
            return self.write_binary_row(cells, row, out);
        }
        let at = out.len();
        let mut text = std::mem::take(&mut self.scratch);
        for (i, cell) in cells.iter().enumerate() {
            self.separate(i, out);
            if cell.is_null(row) {
                out.extend_from_slice(self.options.null.as_bytes());
                continue;
            }
            text.clear();
            cell.write_text(row, &self.style, &mut text);
            self.write_field(&text, self.force_quote[i], out);
        }
        self.scratch = text;
        out.push(b'\n');
        in_encoding(self.options.encoding, at, out)
    }

    /// Appends what comes after the rows.
    pub fn write_trailer(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(&(-1i16).to_be_bytes());
        }
    }

    fn write_binary_row(&self, cells: &[Cells], row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&(cells.len() as i16).to_be_bytes());
        for (cell, text) in cells.iter().zip(&self.texts) {
            if cell.is_null(row) {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let encoding = if *text { self.options.encoding } else { Encoding::UTF8 };
            with_length(out, |out| {
                let at = out.len();
                cell.write_binary(row, out);
                in_encoding(encoding, at, out)
            })?;
        }
        Ok(())
    }

    fn separate(&self, column: usize, out: &mut Vec<u8>) {
        if column > 0 {
            out.push(self.options.delimiter);
        }
    }

    fn write_field(&self, text: &[u8], quoted: bool, out: &mut Vec<u8>) {
        match self.options.format {
            CopyFormat::Csv => self.write_csv(text, quoted, out),
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

    fn write_csv(&self, text: &[u8], quoted: bool, out: &mut Vec<u8>) {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        let special = |b: &u8| *b == delimiter || *b == quote || matches!(b, b'\n' | b'\r');
        let is_end_mark = text == b"\\." && self.columns.len() == 1;
        if !quoted && text != self.options.null.as_bytes() && !is_end_mark && !text.iter().any(special) {
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
