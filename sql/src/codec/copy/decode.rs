//! COPY … FROM: bytes cut anywhere become batches.
//!
//! A line is found first (in csv it may span newlines within quotes), checked to be UTF-8, and cut into fields, which go
//! straight into the columns' builders.

mod binary;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use memchr::{memchr, memchr2};
use sightline_functions::encoding::{Decoding, Encoding};
use sightline_storage::error::{Error, Result, SqlState};

use super::lines::Lines;
use super::{CopyFormat, CopyOptions, Header};
use crate::answer::Column;
use crate::codec::build::ColumnBuilder;
use crate::codec::faithful::Faithful;
use crate::codec::{Style, is_text, scalar};
use crate::error::from_function;

/// A line longer than this is refused, unless who reads says else.
const LINE_BYTES_MAX: usize = 256 << 20;
/// Input after which a batch is ready however few its rows.
const BATCH_BYTES: usize = 32 << 20;
/// How much of a bad line or value an error shows.
const SHOWN_BYTES_MAX: usize = 100;

/// Decodes the data of one COPY.
pub struct CopyDecoder {
    options: CopyOptions,
    /// What errors call the data: `COPY t`, or a file.
    place: String,
    /// Lines without anything are passed over.
    skips_blank: bool,
    /// What values must be like, of columns whose types were found out from the beginning of a file.
    rules: Vec<Option<Faithful>>,
    /// Bytes of a line.
    line_max: usize,
    schema: SchemaRef,
    names: Vec<String>,
    builders: Vec<ColumnBuilder>,
    style: Style,
    lines: Lines,
    /// The line, or the row of the binary format, that is not complete yet.
    pending: Vec<u8>,
    decoding: Decoding,
    /// Columns whose binary form is in an encoding of the client's.
    texts: Vec<bool>,
    scratch: Vec<u8>,
    line_number: u64,
    /// The header is still to come; in the binary format there is one always.
    header: bool,
    /// The fields of the header line, while it is read to be compared.
    matched: Option<Vec<Option<String>>>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
    /// `\\.` was read: the rest is ignored.
    ended: bool,
    rows: usize,
    bytes: usize,
    shown: Shown,
    /// Of the batch that was taken last.
    shown_last: Shown,
    /// Rows that are wrong are kept aside instead of ending it.
    rejecting: bool,
    rejects: Vec<Reject>,
    /// Which of the rows in the builders are right; empty if all are.
    right: Vec<bool>,
    /// Cells of the row at hand that are in the builders.
    appended: usize,
    /// The column of the last wrong cell.
    wrong: Option<usize>,
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    pub line_number: u64,
    pub line: String,
    /// The column that was wrong, where it was one.
    pub column: Option<String>,
    pub reason: String,
}

/// Where the rows of a batch came from, for errors that are found later: line numbers, and how the lines begin.
#[derive(Default)]
struct Shown {
    numbers: Vec<u64>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Shown {
    fn add(&mut self, number: u64, line: &[u8], whole: bool) {
        self.numbers.push(number);
        let shown = if whole { line.len() } else { line.len().min(SHOWN_BYTES_MAX + 4) };
        self.text.extend_from_slice(&line[..shown]);
        self.ends.push(self.text.len());
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.text.clear();
        self.ends.clear();
    }

    fn line(&self, row: usize) -> Option<(u64, &[u8])> {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some((*self.numbers.get(row)?, self.text.get(start..*self.ends.get(row)?)?))
    }
}

impl CopyDecoder {
    /// A decoder of data for `columns` of `table`, which only errors name. Dates are read in ISO and times in UTC unless
    /// [`with_style`](CopyDecoder::with_style) says else.
    pub fn new(columns: Arc<[Column]>, options: &CopyOptions, table: &str) -> CopyDecoder {
        let fields: Vec<_> = columns.iter().map(|c| c.ty.field(&c.name, true)).collect();
        CopyDecoder {
            place: format!("COPY {table}"),
            skips_blank: false,
            rules: Vec::new(),
            line_max: LINE_BYTES_MAX,
            schema: Arc::new(Schema::new(fields)),
            names: columns.iter().map(|c| c.name.clone()).collect(),
            builders: columns.iter().map(|c| ColumnBuilder::new(&c.ty)).collect(),
            style: Style::default(),
            lines: Lines::new(options.format == CopyFormat::Csv, options.quote, options.escape),
            pending: Vec::new(),
            decoding: match options.format {
                // Of it only some values are texts.
                CopyFormat::Binary => Encoding::UTF8.decoding(),
                CopyFormat::Text | CopyFormat::Csv => options.encoding.decoding(),
            },
            texts: columns.iter().map(|c| !options.encoding.is_utf8() && is_text(&c.ty)).collect(),
            scratch: Vec::new(),
            line_number: 0,
            header: options.header != Header::No || options.format == CopyFormat::Binary,
            matched: None,
            force_not_null: options.force_not_null.flags(columns.iter().map(|c| c.name.as_str())),
            force_null: options.force_null.flags(columns.iter().map(|c| c.name.as_str())),
            ended: false,
            rows: 0,
            bytes: 0,
            shown: Shown::default(),
            shown_last: Shown::default(),
            rejecting: false,
            rejects: Vec::new(),
            right: Vec::new(),
            appended: 0,
            wrong: None,
            options: options.clone(),
        }
    }

    /// Reads dates and times as the session's DateStyle and TimeZone say.
    pub fn with_style(mut self, style: Style) -> CopyDecoder {
        self.style = style;
        self
    }

    /// Refuses lines that are longer than this.
    pub fn with_line_max(mut self, bytes: usize) -> CopyDecoder {
        self.line_max = bytes;
        self
    }

    /// Keeps rows that are wrong aside, for [`take_rejects`](CopyDecoder::take_rejects), and goes on.
    pub fn rejecting(mut self) -> CopyDecoder {
        self.rejecting = true;
        self
    }

    /// The rows that were refused since the last call.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    /// Keeps a row of the batch taken last aside, which was found wrong later.
    pub fn reject(&mut self, row: usize, e: &Error) {
        let (line_number, line) = self.shown_last.line(row).unwrap_or((0, &[][..]));
        let column = e.get_object().and_then(|o| o.column.clone());
        let line = String::from_utf8_lossy(line).into_owned();
        self.rejects.push(Reject { line_number, line, column, reason: e.message().to_string() });
    }

    /// Reads a file that nobody made for COPY: its lines may end by newline, carriage return, or both each, or all by a
    /// carriage return (`only_cr`), and blank lines between rows of several columns say nothing. `place` is what errors call
    /// it. Values that do not keep to the rules of their columns are refused.
    pub fn of_file(mut self, place: String, only_cr: bool, rules: Vec<Option<Faithful>>) -> CopyDecoder {
        self.place = place;
        self.rules = rules;
        self.skips_blank = self.builders.len() > 1;
        self.lines = self.lines.loose(only_cr);
        self
    }

    /// Takes the next bytes, cut anywhere.
    ///
    /// # Errors
    /// 22P04 for broken lines and those of the columns' types, with the line as context. The decoder is of no use then.
    pub fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.ended {
            return self.after_end(data);
        }
        self.bytes += data.len();
        let mut buffer = std::mem::take(&mut self.pending);
        let decoded = self.decoding.push(data, false, &mut buffer);
        let taken = match self.options.format {
            CopyFormat::Binary => self.take_binary(&buffer)?,
            CopyFormat::Text | CopyFormat::Csv => self.take_lines(&buffer)?,
        };
        decoded.map_err(|e| self.at_next_line(from_function(&e)))?;
        buffer.drain(..taken);
        if buffer.len() > self.line_max {
            let message = format!("a line of COPY data is longer than {} MB", self.line_max >> 20);
            let place = format!("{}, line {}", self.place, self.line_number + 1);
            let hint = "It may have a sixteenth of the memory that the statement may have, and 256 MB at most.";
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint(hint).context(place));
        }
        self.pending = buffer;
        Ok(())
    }

    /// Takes all complete lines; how many bytes they are.
    fn take_lines(&mut self, buffer: &[u8]) -> Result<usize> {
        let mut start = 0;
        while !self.ended {
            let found = self.lines.end(buffer, start, false);
            let Some((end, next)) = found.map_err(|e| self.at_next_line(e))? else { break };
            self.line(&buffer[start..end])?;
            start = next;
        }
        Ok(start)
    }

    /// Takes all complete rows; how many bytes they are.
    fn take_binary(&mut self, buffer: &[u8]) -> Result<usize> {
        let mut start = 0;
        if self.header {
            let Some(length) = binary::header(buffer)? else { return Ok(0) };
            self.header = false;
            start = length;
        }
        while !self.ended
            && let Some(length) = self.binary_row(&buffer[start..])?
        {
            start += length;
        }
        if self.ended { self.after_end(&buffer[start..]).map(|()| buffer.len()) } else { Ok(start) }
    }

    /// What comes behind the end mark: nobody's business in text, an error in the binary format.
    fn after_end(&self, data: &[u8]) -> Result<()> {
        if self.options.format != CopyFormat::Binary || data.is_empty() {
            return Ok(());
        }
        let place = format!("{}, line {}", self.place, self.line_number + 1);
        Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, "received copy data after EOF marker").context(place))
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
        let mut last = std::mem::take(&mut self.pending);
        let decoded = self.decoding.push(&[], true, &mut last);
        decoded.map_err(|e| self.at_next_line(from_function(&e)))?;
        if self.options.format == CopyFormat::Binary {
            if self.header {
                return Err(binary::cut_header(&last));
            }
            if !last.is_empty() {
                let place = format!("{}, line {}", self.place, self.line_number + 1);
                return Err(binary::cut_row().context(place));
            }
        } else if !self.ended && !last.is_empty() {
            let found = self.lines.end(&last, 0, true);
            let end = found.map_err(|e| self.at_next_line(e))?.map_or(last.len(), |(end, _)| end);
            if self.lines.in_quotes {
                self.line_number += 1 + self.lines.embedded;
                return Err(self.broken("unterminated CSV quoted field", &last));
            }
            self.lines.check(&last[..end]).map_err(|e| self.at_next_line(e))?;
            self.line(&last[..end])?;
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
        std::mem::swap(&mut self.shown, &mut self.shown_last);
        self.shown.clear();
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let right = std::mem::take(&mut self.right);
        if right.iter().all(|right| *right) {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(right))?)
    }

    /// Adds to an error about a row of the batch taken last where it came from.
    pub fn located(&self, e: Error, row: usize) -> Error {
        let Some((number, line)) = self.shown_last.line(row) else { return e };
        let place = format!("{}, line {number}", self.place);
        if self.options.format == CopyFormat::Binary {
            return e.context(place);
        }
        e.context(format!("{place}: \"{}\"", shown(line)))
    }

    /// Takes a line without its end.
    fn line(&mut self, line: &[u8]) -> Result<()> {
        self.line_number += 1 + std::mem::take(&mut self.lines.embedded);
        if self.skips_blank && line.is_empty() {
            return Ok(());
        }
        let line = self.before_mark(line)?;
        if self.ended && line.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.header) {
            return if self.options.header == Header::Match { self.match_header(line) } else { Ok(()) };
        }
        (self.appended, self.wrong) = (0, None);
        match self.row(line) {
            Err(e) if self.rejecting => self.reject_line(line, &e),
            Err(e) => return Err(e),
            Ok(()) => {
                self.shown.add(self.line_number, line, self.rejecting);
                if self.rejecting {
                    self.right.push(true);
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn row(&mut self, line: &[u8]) -> Result<()> {
        if let Err(e) = scalar::text_of(line) {
            return Err(e.context(format!("{}, line {}", self.place, self.line_number)));
        }
        if !self.builders.is_empty() {
            return self.fields(line);
        }
        if line.is_empty() { Ok(()) } else { Err(self.broken("extra data after last expected column", line)) }
    }

    /// Keeps the line aside; its row is filled up, and left out of the batch.
    fn reject_line(&mut self, line: &[u8], e: &Error) {
        let column = self.wrong.and_then(|n| self.names.get(n)).cloned();
        self.builders.iter_mut().skip(self.appended).for_each(ColumnBuilder::append_null);
        self.right.push(false);
        let line = String::from_utf8_lossy(line).into_owned();
        self.rejects.push(Reject { line_number: self.line_number, line, column, reason: e.message().to_string() });
    }

    fn fields(&mut self, line: &[u8]) -> Result<()> {
        if self.options.format == CopyFormat::Csv { self.csv_line(line) } else { self.text_line(line) }
    }

    /// What stands in front of the end mark, if it is there.
    fn before_mark<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8]> {
        if self.options.format == CopyFormat::Csv {
            self.ended = line == b"\\.";
            return Ok(if self.ended { &[] } else { line });
        }
        let mut at = 0;
        while let Some(i) = line.get(at..).and_then(|rest| memchr(b'\\', rest)) {
            at += i;
            if line.get(at + 1) == Some(&b'.') {
                if at + 2 != line.len() {
                    return Err(self.broken("end-of-copy marker corrupt", &line[..at]));
                }
                self.ended = true;
                return Ok(&line[..at]);
            }
            at += 2;
        }
        Ok(line)
    }

    /// Compares the header line with the columns' names.
    fn match_header(&mut self, line: &[u8]) -> Result<()> {
        self.matched = Some(Vec::new());
        self.fields(line)?;
        let fields = self.matched.take().unwrap_or_default();
        if fields.len() != self.names.len() {
            let text =
                format!("wrong number of fields in header line: got {}, expected {}", fields.len(), self.names.len());
            return Err(self.broken(&text, line));
        }
        for (n, (field, name)) in (1..).zip(fields.iter().zip(&self.names)) {
            let got = match field {
                Some(field) if field == name => continue,
                Some(field) => format!("got \"{field}\""),
                None => format!("got null value (\"{}\")", self.options.null),
            };
            let text = format!("column name mismatch in header line field {n}: {got}, expected \"{name}\"");
            return Err(self.broken(&text, line));
        }
        Ok(())
    }

    /// Adds to an error about the shape of the next line where it is.
    fn at_next_line(&self, e: Error) -> Error {
        e.context(format!("{}, line {}", self.place, self.line_number + 1 + self.lines.embedded))
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
                    let null = !quoted && raw == self.options.null.as_bytes() && !self.is(&self.force_not_null, column);
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
            self.append_quoted(column, &rest[1..=i], line)?;
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
            false => self.append_quoted(column, &value, line),
        };
        self.scratch = value;
        done.map(|()| at)
    }

    fn is(&self, flags: &[bool], column: usize) -> bool {
        flags.get(column).copied().unwrap_or_default()
    }

    /// Appends a quoted cell: it is a NULL only if FORCE_NULL says so.
    fn append_quoted(&mut self, column: usize, value: &[u8], line: &[u8]) -> Result<()> {
        let null = self.is(&self.force_null, column) && value == self.options.null.as_bytes();
        self.append(column, (!null).then_some(value), line)
    }

    /// Appends a cell; none is NULL.
    fn append(&mut self, column: usize, value: Option<&[u8]>, line: &[u8]) -> Result<()> {
        if let Some(matched) = &mut self.matched {
            matched.push(value.map(|v| String::from_utf8_lossy(v).into_owned()));
            return Ok(());
        }
        let Some(builder) = self.builders.get_mut(column) else {
            return Err(self.broken("extra data after last expected column", line));
        };
        let Some(value) = value else {
            builder.append_null();
            self.appended += 1;
            return Ok(());
        };
        // The line was checked; but a cut by an escape or a delimiter that is no ASCII may have
        // broken a character, or an escape made a NUL.
        let appended = match std::str::from_utf8(value) {
            Ok(text) if memchr(0, value).is_none() => {
                let appended = builder.append_text(text, &self.style);
                match self.rules.get_mut(column) {
                    Some(Some(rule)) => faithfully(appended, rule, text, &self.names[column]),
                    _ => appended,
                }
            }
            _ => scalar::text_of(value).map(drop),
        };
        if let Err(e) = appended {
            self.wrong = Some(column);
            let place = format!("{}, line {}, column {}", self.place, self.line_number, self.names[column]);
            return Err(e.context(format!("{place}: \"{}\"", shown(value))));
        }
        self.appended += 1;
        Ok(())
    }

    /// Checks that a line had all columns.
    fn complete(&mut self, columns: usize, line: &[u8]) -> Result<()> {
        if self.matched.is_some() {
            return Ok(());
        }
        match self.names.get(columns) {
            Some(missing) => {
                self.wrong = Some(columns);
                Err(self.broken(&format!("missing data for column \"{missing}\""), line))
            }
            None => Ok(()),
        }
    }

    fn broken(&self, message: &str, line: &[u8]) -> Error {
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, message).context(format!(
            "{}, line {}: \"{}\"",
            self.place,
            self.line_number,
            shown(line)
        ))
    }
}

/// What came of appending a value whose type was found out: an error too where the type would not give it back.
fn faithfully(appended: Result<()>, rule: &mut Faithful, text: &str, column: &str) -> Result<()> {
    let error = match appended {
        Ok(()) if rule.keeps(text) => return Ok(()),
        Ok(()) => {
            let text =
                format!("type {}, found from the values before, would change \"{}\"", rule.ty, shown(text.as_bytes()));
            Error::new(SqlState::INVALID_TEXT_REPRESENTATION, text)
        }
        Err(e) => e,
    };
    let name = column.replace('"', "\"\"").replace('\'', "''");
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let name = if plain { name } else { format!("\"{name}\"") };
    Err(error.hint(format!(
        "Name the column's type, as in columns => '{name} text', or let more be looked at by sample_bytes."
    )))
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
