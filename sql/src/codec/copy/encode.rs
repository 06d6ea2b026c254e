//! COPY … TO: rows as text, csv or binary, one message a row as PostgreSQL sends them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use sightline_storage::error::{Error, Result, SqlState};

use super::{CopyFormat, CopyOptions, Encoding, Header};
use crate::answer::Column;
use crate::codec::binary::with_length;
use crate::codec::scalar::text_of;
use crate::codec::{Cells, Style};

/// Encodes the rows of one COPY.
pub struct CopyEncoder {
    options: CopyOptions,
    columns: Arc<[Column]>,
    style: Style,
    force_quote: Vec<bool>,
    scratch: Vec<u8>,
}

impl CopyEncoder {
    /// An encoder of rows of `columns`.
    pub fn new(columns: Arc<[Column]>, options: &CopyOptions, style: Style) -> CopyEncoder {
        let force_quote = options.force_quote.flags(columns.iter().map(|c| c.name.as_str()));
        CopyEncoder { options: options.clone(), columns, style, force_quote, scratch: Vec::new() }
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
            self.in_encoding(at, out)?;
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
            write_binary_row(cells, row, out);
            return Ok(());
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
        self.in_encoding(at, out)
    }

    /// Puts what was written from `at` on into the encoding of the data.
    fn in_encoding(&self, at: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.options.encoding == Encoding::Utf8 || out[at..].is_ascii() {
            return Ok(());
        }
        let text = text_of(&out[at..])?;
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| no_latin1(c)));
        let bytes = bytes.collect::<Result<Vec<u8>>>()?;
        out.truncate(at);
        out.extend_from_slice(&bytes);
        Ok(())
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

fn no_latin1(c: char) -> Error {
    let mut utf8 = [0; 4];
    let bytes = c.encode_utf8(&mut utf8).bytes().map(|b| format!("0x{b:02x}")).collect::<Vec<_>>().join(" ");
    let text =
        format!("character with byte sequence {bytes} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"");
    Error::new(SqlState::new("22P05"), text)
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
