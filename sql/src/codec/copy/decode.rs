//! COPY … FROM: bytes cut anywhere become batches.
//!
//! A line is found first (in csv it may span newlines within quotes), checked to be UTF-8, and cut into fields, which go
//! straight into the columns' builders. The state kept between two pushes is the unfinished line and how far it was
//! looked at, so a line is scanned once however it is cut.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use memchr::{memchr, memchr2, memchr3};
use sightline_storage::error::{Error, Result, SqlState};

use super::{CopyFormat, CopyOptions};
use crate::answer::Column;
use crate::codec::build::ColumnBuilder;
use crate::codec::{Style, scalar};

/// A line longer than this is refused: the client forgot a quote, or the newlines.
const LINE_BYTES_MAX: usize = 256 << 20;
/// Input after which a batch is ready however few its rows.
const BATCH_BYTES: usize = 32 << 20;
/// How much of a bad line or value an error shows.
const SHOWN_BYTES_MAX: usize = 100;

/// How lines end; the first one decides.
#[derive(Clone, Copy, PartialEq)]
enum LineEnd {
    Unknown,
    Lf,
    CrLf,
}

/// Decodes the data of one COPY.
pub struct CopyDecoder {
    options: CopyOptions,
    table: String,
    schema: SchemaRef,
    names: Vec<String>,
    builders: Vec<ColumnBuilder>,
    style: Style,
    lines: Lines,
    /// The line that is not complete yet.
    pending: Vec<u8>,
    scratch: Vec<u8>,
    line_number: u64,
    line_end: LineEnd,
    header: bool,
    /// `\.` was read: the rest is ignored.
    ended: bool,
    rows: usize,
    bytes: usize,
}

/// Finds the ends of lines; keeps where it is within an unfinished one.
struct Lines {
    csv: bool,
    quote: u8,
    escape: u8,
    /// Bytes of the pending line already looked at.
    scanned: usize,
    in_quotes: bool,
    /// Newlines within quotes of this line. As in PostgreSQL those of the first line do not count.
    embedded: u64,
    first: bool,
}

impl Lines {
    /// The end of the line that starts at `start`, without its newline.
    fn end(&mut self, buffer: &[u8], start: usize) -> Option<usize> {
        let end = if self.csv { self.csv_end(buffer, start) } else { self.text_end(buffer, start) };
        if end.is_some() {
            self.scanned = 0;
            self.first = false;
        }
        end
    }

    /// A backslash takes the special meaning from what follows, also from a newline.
    fn text_end(&mut self, buffer: &[u8], start: usize) -> Option<usize> {
        let mut at = start + self.scanned;
        while let Some(i) = buffer.get(at..).and_then(|rest| memchr2(b'\n', b'\\', rest)) {
            at += i;
            if buffer[at] == b'\n' {
                return Some(at);
            }
            if at + 1 >= buffer.len() {
                self.scanned = at - start;
                return None;
            }
            at += 2;
        }
        self.scanned = buffer.len() - start;
        None
    }

    fn csv_end(&mut self, buffer: &[u8], start: usize) -> Option<usize> {
        let mut at = start + self.scanned;
        while let Some(i) = buffer.get(at..).and_then(|rest| memchr3(b'\n', self.quote, self.escape, rest)) {
            at += i;
            match buffer[at] {
                b'\n' if !self.in_quotes => return Some(at),
                b'\n' => self.embedded += u64::from(!self.first),
                c if c == self.escape && self.escape != self.quote => {
                    if self.in_quotes && at + 1 >= buffer.len() {
                        self.scanned = at - start;
                        return None;
                    }
                    let escapes = self.in_quotes && (buffer[at + 1] == self.quote || buffer[at + 1] == self.escape);
                    at += usize::from(escapes);
                }
                _ => self.in_quotes = !self.in_quotes,
            }
            at += 1;
        }
        self.scanned = buffer.len() - start;
        None
    }
}

impl CopyDecoder {
    /// A decoder of data for `columns` of `table`, which only errors name. Dates are read in ISO and times in UTC unless
    /// [`with_style`](CopyDecoder::with_style) says else.
    pub fn new(columns: Arc<[Column]>, options: &CopyOptions, table: &str) -> CopyDecoder {
        let fields: Vec<_> = columns.iter().map(|c| c.ty.field(&c.name, true)).collect();
        CopyDecoder {
            table: table.to_string(),
            schema: Arc::new(Schema::new(fields)),
            names: columns.iter().map(|c| c.name.clone()).collect(),
            builders: columns.iter().map(|c| ColumnBuilder::new(&c.ty)).collect(),
            style: Style::default(),
            lines: Lines {
                csv: options.format == CopyFormat::Csv,
                quote: options.quote,
                escape: options.escape,
                scanned: 0,
                in_quotes: false,
                embedded: 0,
                first: true,
            },
            pending: Vec::new(),
            scratch: Vec::new(),
            line_number: 0,
            line_end: LineEnd::Unknown,
            header: options.header,
            ended: false,
            rows: 0,
            bytes: 0,
            options: options.clone(),
        }
    }

    /// Reads dates and times as the session's DateStyle and TimeZone say.
    pub fn with_style(mut self, style: Style) -> CopyDecoder {
        self.style = style;
        self
    }

    /// Takes the next bytes, cut anywhere.
    ///
    /// # Errors
    /// 22P04 for broken lines and those of the columns' types, with the line as context. The decoder is of no use then.
    pub fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.options.format == CopyFormat::Binary {
            return Err(Error::unsupported("COPY FROM STDIN in binary format is not supported"));
        }
        if self.ended {
            return Ok(());
        }
        self.bytes += data.len();
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(data);
        let mut start = 0;
        while !self.ended
            && let Some(end) = self.lines.end(&buffer, start)
        {
            self.line(&buffer[start..end])?;
            start = end + 1;
        }
        buffer.drain(..start);
        if buffer.len() > LINE_BYTES_MAX {
            let message = format!("a line of COPY data is longer than {} MB", LINE_BYTES_MAX >> 20);
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).context(format!(
                "COPY {}, line {}",
                self.table,
                self.line_number + 1
            )));
        }
        self.pending = buffer;
        Ok(())
    }

    /// The rows so far, once there are `min_rows` or a good deal of bytes.
    ///
    /// # Errors
    /// XX000 if the columns do not make a batch.
    pub fn take_batch(&mut self, min_rows: usize) -> Result<Option<RecordBatch>> {
        match self.rows > 0 && (self.rows >= min_rows || self.bytes >= BATCH_BYTES) {
            true => self.batch().map(Some),
            false => Ok(None),
        }
    }

    /// The end of the data: the last rows.
    ///
    /// # Errors
    /// As [`push`](CopyDecoder::push), for a last line without newline; 22P04 for a quote that is not closed.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        let last = std::mem::take(&mut self.pending);
        if !self.ended && !last.is_empty() {
            if self.lines.in_quotes {
                self.line_number += 1 + self.lines.embedded;
                return Err(self.broken("unterminated CSV quoted field", &last));
            }
            self.line(&last)?;
        }
        match self.rows {
            0 => Ok(None),
            _ => self.batch().map(Some),
        }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let columns = self.builders.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// Takes a line without its newline.
    fn line(&mut self, line: &[u8]) -> Result<()> {
        self.line_number += 1 + std::mem::take(&mut self.lines.embedded);
        let line = self.without_return(line)?;
        if line == b"\\." {
            self.ended = true;
            return Ok(());
        }
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        if let Err(e) = scalar::text_of(line) {
            return Err(e.context(format!("COPY {}, line {}", self.table, self.line_number)));
        }
        if self.builders.is_empty() {
            if !line.is_empty() {
                return Err(self.broken("extra data after last expected column", line));
            }
        } else if self.lines.csv {
            self.csv_line(line)?;
        } else {
            self.text_line(line)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Drops the carriage return of a line end, where lines end so.
    fn without_return<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8]> {
        let stripped = line.strip_suffix(b"\r");
        if self.line_end == LineEnd::Unknown {
            self.line_end = if stripped.is_some() { LineEnd::CrLf } else { LineEnd::Lf };
        }
        let (how, escape) = if self.lines.csv { ("unquoted", "a quoted field") } else { ("literal", "\"\\r\"") };
        match (self.line_end, stripped) {
            (LineEnd::CrLf, Some(stripped)) => Ok(stripped),
            (LineEnd::CrLf, None) if line != b"\\." => {
                let escape = if self.lines.csv { escape } else { "\"\\n\"" };
                Err(self
                    .broken_line(&format!("{how} newline found in data"))
                    .hint(format!("Use {escape} to represent newline.")))
            }
            (LineEnd::Lf, Some(_)) => Err(self
                .broken_line(&format!("{how} carriage return found in data"))
                .hint(format!("Use {escape} to represent carriage return."))),
            _ => Ok(line),
        }
    }

    fn text_line(&mut self, line: &[u8]) -> Result<()> {
        let delimiter = self.options.delimiter;
        let (mut column, mut start, mut at, mut escaped) = (0, 0, 0, false);
        loop {
            let end = match line.get(at..).and_then(|rest| memchr2(delimiter, b'\\', rest)) {
                Some(i) if line[at + i] == b'\\' => {
                    at += i + 2;
                    escaped = true;
                    continue;
                }
                Some(i) => at + i,
                None => line.len(),
            };
            self.text_field(column, &line[start..end], escaped, line)?;
            column += 1;
            if end == line.len() {
                return self.complete(column, line);
            }
            (start, at, escaped) = (end + 1, end + 1, false);
        }
    }

    fn text_field(&mut self, column: usize, raw: &[u8], escaped: bool, line: &[u8]) -> Result<()> {
        if raw == self.options.null.as_bytes() {
            return self.append(column, None, line);
        }
        if !escaped {
            return self.append(column, Some(raw), line);
        }
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        unescape(raw, &mut value);
        let done = self.append(column, Some(&value), line);
        self.scratch = value;
        done
    }

    fn csv_line(&mut self, line: &[u8]) -> Result<()> {
        let (delimiter, quote) = (self.options.delimiter, self.options.quote);
        let (mut column, mut at) = (0, 0);
        loop {
            let rest = &line[at..];
            let (raw_end, quoted) = match memchr2(delimiter, quote, rest) {
                Some(i) if rest[i] == quote => (None, true),
                Some(i) => (Some(i), false),
                None => (Some(rest.len()), false),
            };
            let length = match raw_end {
                Some(end) => {
                    let raw = &rest[..end];
                    let null = !quoted && raw == self.options.null.as_bytes();
                    self.append(column, (!null).then_some(raw), line)?;
                    end
                }
                None => self.quoted_field(column, rest, line)?,
            };
            column += 1;
            at += length;
            if at >= line.len() {
                return self.complete(column, line);
            }
            at += 1;
        }
    }

    /// A field with quotes somewhere; how many bytes it takes.
    fn quoted_field(&mut self, column: usize, rest: &[u8], line: &[u8]) -> Result<usize> {
        let (delimiter, quote, escape) = (self.options.delimiter, self.options.quote, self.options.escape);
        if rest[0] == quote
            && let Some(i) = memchr2(quote, escape, &rest[1..])
            && rest[1 + i] == quote
            && rest.get(i + 2).is_none_or(|b| *b == delimiter)
        {
            self.append(column, Some(&rest[1..=i]), line)?;
            return Ok(i + 2);
        }
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        let (mut at, mut in_quotes) = (0, false);
        while at < rest.len() {
            let b = rest[at];
            at += 1;
            let escapes = in_quotes && b == escape && rest.get(at).is_some_and(|n| *n == quote || *n == escape);
            if escapes {
                value.push(rest[at]);
                at += 1;
            } else if b == quote {
                in_quotes = !in_quotes;
            } else if b == delimiter && !in_quotes {
                at -= 1;
                break;
            } else {
                value.push(b);
            }
        }
        let done = match in_quotes {
            true => Err(self.broken("unterminated CSV quoted field", line)),
            false => self.append(column, Some(&value), line),
        };
        self.scratch = value;
        done.map(|()| at)
    }

    /// Appends a cell; none is NULL.
    fn append(&mut self, column: usize, value: Option<&[u8]>, line: &[u8]) -> Result<()> {
        let Some(builder) = self.builders.get_mut(column) else {
            return Err(self.broken("extra data after last expected column", line));
        };
        let Some(value) = value else {
            builder.append_null();
            return Ok(());
        };
        // The line was checked; but a cut by an escape or a delimiter that is no ASCII may have
        // broken a character, or an escape made a NUL.
        let appended = match std::str::from_utf8(value) {
            Ok(text) if memchr(0, value).is_none() => builder.append_text(text, &self.style),
            _ => scalar::text_of(value).map(drop),
        };
        appended.map_err(|e| {
            let place = format!("COPY {}, line {}, column {}", self.table, self.line_number, self.names[column]);
            e.context(format!("{place}: \"{}\"", shown(value)))
        })
    }

    /// Checks that a line had all columns.
    fn complete(&self, columns: usize, line: &[u8]) -> Result<()> {
        match self.names.get(columns) {
            Some(missing) => Err(self.broken(&format!("missing data for column \"{missing}\""), line)),
            None => Ok(()),
        }
    }

    fn broken(&self, message: &str, line: &[u8]) -> Error {
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, message).context(format!(
            "COPY {}, line {}: \"{}\"",
            self.table,
            self.line_number,
            shown(line)
        ))
    }

    fn broken_line(&self, message: &str) -> Error {
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
            .context(format!("COPY {}, line {}", self.table, self.line_number))
    }
}

/// The beginning of bad data, for an error.
fn shown(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    match text.char_indices().find(|(i, c)| i + c.len_utf8() > SHOWN_BYTES_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// Undoes the backslash escapes of the text format.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(i) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..i]);
        rest = &rest[i + 1..];
        let Some((letter, after)) = rest.split_first() else {
            out.push(b'\\');
            return;
        };
        rest = after;
        match letter {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => rest = numbered(letter - b'0', rest, 8, 2, out),
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => rest = numbered(0, rest, 16, 2, out),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// Reads up to `most` further digits of a byte's number; what follows them.
fn numbered<'a>(first: u8, digits: &'a [u8], base: u32, most: usize, out: &mut Vec<u8>) -> &'a [u8] {
    let n = digits.iter().take(most).take_while(|b| (**b as char).is_digit(base)).count();
    let value = digits[..n].iter().fold(u32::from(first), |v, b| v * base + (*b as char).to_digit(base).unwrap_or(0));
    out.push(value as u8);
    &digits[n..]
}

#[cfg(test)]
mod tests;
