//! JSON files: a list of objects, or one object after another (NDJSON). Each object is a row.
//!
//! The values are found by their braces while the file streams, each is then checked as PostgreSQL's `json` is, and its
//! members become a row of csv, which takes the way of all rows from there. What is nested stays JSON, in a `jsonb` column.

use std::collections::HashMap;
use std::io::{self, Read};

use sightline_functions::json;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::detect::{Evidence, Found};
use crate::codec::Style;
use crate::error::from_function;

/// A value longer than this is refused: it has to be in memory whole.
const VALUE_BYTES_MAX: usize = 64 << 20;
/// Bytes read at a time.
const BLOCK_BYTES: usize = 64 << 10;
/// The column of values that are no objects.
const SCALARS: &str = "json";

/// The values of a file, one after another.
pub(super) struct Values<R> {
    inner: R,
    name: String,
    buffer: Vec<u8>,
    start: usize,
    /// The whole file is one list.
    list: Option<bool>,
    /// In a list: a value came, and a comma has to.
    behind: bool,
    ended: bool,
    pub(super) count: u64,
    /// Bytes of a value.
    most: usize,
}

impl<R: Read> Values<R> {
    pub(super) fn new(inner: R, name: &str) -> Values<R> {
        let name = name.to_string();
        let (list, most) = (None, VALUE_BYTES_MAX);
        Values { inner, name, buffer: Vec::new(), start: 0, list, behind: false, ended: false, count: 0, most }
    }

    /// Where the next value lies in the buffer; none at the end.
    fn find(&mut self) -> Result<Option<(usize, usize)>> {
        loop {
            let Some(byte) = self.peek()? else {
                return if self.list == Some(true) { Err(self.broken("the list is not closed")) } else { Ok(None) };
            };
            match (byte, self.list) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.start += 1,
                (b'[', None) => {
                    self.list = Some(true);
                    self.start += 1;
                }
                (b',', Some(true)) if self.behind => {
                    self.behind = false;
                    self.start += 1;
                }
                (b']', Some(true)) if self.behind || self.count == 0 => {
                    self.start += 1;
                    while let Some(byte) = self.peek()? {
                        if !byte.is_ascii_whitespace() {
                            return Err(self.broken("something follows the list"));
                        }
                        self.start += 1;
                    }
                    // Whoever asks again is at the end.
                    self.list = Some(false);
                    return Ok(None);
                }
                (_, Some(true)) if self.behind => return Err(self.broken("a comma is missing")),
                _ => {
                    self.list.get_or_insert(false);
                    let end = self.end()?;
                    let from = std::mem::replace(&mut self.start, end);
                    self.behind = true;
                    self.count += 1;
                    return Ok(Some((from, end)));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        if self.start == self.buffer.len() && !self.more()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.start).copied())
    }

    /// Reads on; false at the end.
    fn more(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.len() > self.most {
            let text = format!("a value of JSON is longer than {} MB", self.most >> 20);
            return Err(self.placed(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text)));
        }
        let before = self.buffer.len();
        self.buffer.resize(before + BLOCK_BYTES, 0);
        let read = self.inner.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        self.ended = read.map_err(super::chunks::cannot_read)? == 0;
        Ok(!self.ended)
    }

    /// Where the value that begins at `start` ends.
    fn end(&mut self) -> Result<usize> {
        let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
        let mut at = 0;
        loop {
            let Some(byte) = self.buffer.get(self.start + at).copied() else {
                if self.more()? {
                    continue;
                }
                // A number may end with the file; what is open is for the check of the value to tell.
                return Ok(self.start + at);
            };
            at += 1;
            if inside {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => inside = false,
                    _ => {}
                }
                if !inside && depth == 0 {
                    return Ok(self.start + at);
                }
                continue;
            }
            match byte {
                b'"' => inside = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 1 => depth -= 1,
                b'}' | b']' if depth == 1 => return Ok(self.start + at),
                b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                    // A scalar ends before it; what begins with one is wrong and is taken alone.
                    return Ok(self.start + (at - 1).max(1));
                }
                _ => {}
            }
        }
    }

    fn broken(&self, what: &str) -> Error {
        let error = Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
        self.placed(error.detail(format!("In file \"{}\" {what}.", self.name)))
    }

    /// Adds to an error about what follows the values found where it is.
    fn placed(&self, e: Error) -> Error {
        self.at(e, self.count + 1)
    }

    fn at(&self, e: Error, value: u64) -> Error {
        e.context(format!("file \"{}\", value {value}", self.name))
    }
}

/// What members of one name have been.
#[derive(Debug)]
struct Member {
    strings: Option<Evidence>,
    numbers: Option<Evidence>,
    booleans: bool,
    nested: bool,
}

impl Member {
    fn add(&mut self, value: &str, style: &Style) -> Result<()> {
        match value.as_bytes().first() {
            Some(b'"') => {
                let text = json::bare(value).map_err(|e| from_function(&e))?.unwrap_or_default();
                self.strings.get_or_insert_with(Evidence::of_strings).add(&text, style);
            }
            Some(b'{' | b'[') => self.nested = true,
            Some(b't' | b'f') => self.booleans = true,
            Some(b'n') => {}
            _ => self.numbers.get_or_insert_with(|| Evidence::of_column("")).add(value, style),
        }
        Ok(())
    }

    fn found(self, name: String) -> Found {
        let both = self.strings.is_some() && self.numbers.is_some();
        let ty = match (self.nested, self.booleans, self.strings.is_some() || self.numbers.is_some()) {
            (true, ..) => Some(SqlType::Jsonb),
            (_, true, false) => Some(SqlType::Boolean),
            (_, true, true) => Some(SqlType::Text),
            _ => both.then_some(SqlType::Text),
        };
        let evidence = self.strings.or(self.numbers).unwrap_or_else(|| Evidence::of_column(""));
        let found = Found::of(name, evidence);
        match ty {
            Some(ty) => Found { ty, evidence: None, ..found },
            None => found,
        }
    }
}

/// The columns that the beginning of a file has; `whole` says that nothing follows.
///
/// There are none in a file without values.
///
/// # Errors
/// 22P02, and 22P04 where the first value is longer than what is looked at.
pub(crate) fn detect(start: &[u8], whole: bool, name: &str, style: &Style) -> Result<Vec<Found>> {
    let mut columns: Vec<(String, Member)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut values = Values::new(start, name);
    loop {
        // The last value may be cut.
        let value = match values.find() {
            Err(_) if !whole && values.ended => break,
            found => found?,
        };
        let Some((from, to)) = value else { break };
        if !whole && values.ended && to == values.buffer.len() {
            break;
        }
        let text = String::from_utf8_lossy(&values.buffer[from..to]);
        let at = |e| values.at(e, values.count);
        let members = json::members(&text).map_err(|e| at(from_function(&e)))?;
        let scalar = members.is_none();
        for (key, value) in members.unwrap_or_else(|| vec![(SCALARS.into(), &text)]) {
            let n = *known.entry(key.to_string()).or_insert_with(|| {
                let member = Member { strings: None, numbers: None, booleans: false, nested: false };
                columns.push((key.to_string(), member));
                columns.len() - 1
            });
            let column = &mut columns[n].1;
            column.add(value, style).map_err(at)?;
            column.nested |= scalar;
        }
    }
    if columns.is_empty() && !whole {
        let text = format!("the first value of file \"{name}\" is longer than the {} bytes looked at", start.len());
        return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text).hint(
            "Name the columns, as in columns => 'id bigint, name text', or let more be looked at by sample_bytes.",
        ));
    }
    Ok(columns.into_iter().map(|(name, member)| member.found(name)).collect())
}

/// The values of a file as rows of csv: every value in quotes, nothing for NULL.
pub(crate) struct Rows<R> {
    values: Values<R>,
    /// The place of each member, and whether it stays JSON.
    places: HashMap<String, (usize, bool)>,
    width: usize,
    /// Members without a column are passed over.
    loose: bool,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> Rows<R> {
    /// Rows of these columns; a member that is none of them is an error unless `loose`.
    pub(crate) fn new(inner: R, name: &str, columns: &[(String, SqlType)], loose: bool) -> Rows<R> {
        let stays = |ty: &SqlType| matches!(ty, SqlType::Json | SqlType::Jsonb);
        let places = columns.iter().enumerate().map(|(n, (name, ty))| (name.clone(), (n, stays(ty)))).collect();
        let values = Values::new(inner, name);
        Rows { values, places, width: columns.len(), loose, out: Vec::new(), at: 0 }
    }

    /// Refuses values longer than this.
    pub(crate) fn value_max(mut self, bytes: usize) -> Rows<R> {
        self.values.most = self.values.most.min(bytes);
        self
    }

    fn row(&mut self) -> Result<bool> {
        let Some((from, to)) = self.values.find()? else { return Ok(false) };
        let place = || format!("file \"{}\", value {}", self.values.name, self.values.count);
        let text = std::str::from_utf8(&self.values.buffer[from..to]).map_err(|_| {
            let text = "invalid byte sequence for encoding \"UTF8\"";
            Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, text).context(place())
        })?;
        let at = |e: Box<_>| from_function(&e).context(place());
        let members = json::members(text).map_err(at)?;
        if members.is_none() {
            json::check(text).map_err(at)?;
        }
        let mut row = vec![None; self.width];
        for (key, value) in members.unwrap_or_else(|| vec![(SCALARS.into(), text)]) {
            match self.places.get(key.as_ref()) {
                Some((n, true)) => row[*n] = (value != "null").then(|| value.into()),
                Some((n, false)) => row[*n] = json::bare(value).map_err(at)?,
                None if self.loose => {}
                None => {
                    let text = format!("member \"{key}\" is not among the columns that the beginning of the file has");
                    return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text)
                        .hint("Name the columns, as in columns => 'id bigint, name text', or let more be looked at by sample_bytes.")
                        .context(place()));
                }
            }
        }
        self.out.clear();
        self.at = 0;
        for (n, value) in row.iter().enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            let Some(value) = value else { continue };
            super::quoted(value, &mut self.out);
        }
        self.out.push(b'\n');
        Ok(true)
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            if !self.row().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.out.len() - self.at);
        buffer[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<(String, String)> {
        let found = detect(text.as_bytes(), true, "f", &Style::default()).unwrap();
        found.into_iter().map(|c| (c.name, c.ty.to_string())).collect()
    }

    fn rows(text: &str, columns: &[(&str, SqlType)]) -> Result<String> {
        let columns = columns.iter().map(|(name, ty)| (name.to_string(), ty.clone())).collect::<Vec<_>>();
        let mut out = String::new();
        let read = Rows::new(text.as_bytes(), "f", &columns, false).read_to_string(&mut out);
        read.map_err(super::super::chunks::cannot_read).map(|_| out)
    }

    #[test]
    fn lists_and_lines_are_rows() {
        let list = r#"[{"a": 1, "b": "x, \"y\""}, {"b": null, "a": 2.5, "c": {"d": [1]}}]"#;
        let lines = "{\"a\": 1, \"b\": \"x, \\\"y\\\"\"}\n{\"b\": null, \"a\": 2.5, \"c\": {\"d\": [1]}}\n";
        let ty = [("a", SqlType::Double), ("b", SqlType::Text), ("c", SqlType::Jsonb)];
        for text in [list, lines] {
            let kinds = columns(text);
            assert_eq!(kinds.iter().map(|c| c.1.as_str()).collect::<Vec<_>>(), ["double precision", "text", "jsonb"]);
            assert_eq!(rows(text, &ty).unwrap(), "\"1\",\"x, \"\"y\"\"\",\n\"2.5\",,\"{\"\"d\"\": [1]}\"\n");
        }
    }

    #[test]
    fn types_of_members() {
        for (values, ty) in [
            ("1 2", "bigint"),
            ("1 null", "bigint"),
            ("true false", "boolean"),
            ("\"1\" \"2\"", "text"),
            ("\"2024-01-01\" \"2024-01-02\"", "date"),
            ("1 \"x\"", "text"),
            ("[] 1", "jsonb"),
            ("null null", "text"),
        ] {
            let text = values.split(' ').map(|v| format!("{{\"x\": {v}}}")).collect::<Vec<_>>().join("\n");
            assert_eq!(columns(&text), [("x".to_string(), ty.to_string())], "{values}");
        }
        assert_eq!(columns("[1, [2]]"), [("json".to_string(), "jsonb".to_string())]);
    }

    #[test]
    fn what_is_broken_is_told() {
        let ty = [("a", SqlType::BigInt)];
        for text in
            ["[{\"a\": 1}", "[{\"a\": 1} {\"a\": 2}]", "{\"a\": }", "{\"a\": 1", "[{\"a\": 1}] x", "}", "{\"a\": 1}]"]
        {
            assert_eq!(rows(text, &ty).unwrap_err().code(), SqlState::INVALID_TEXT_REPRESENTATION, "{text}");
        }
        assert_eq!(rows("{\"b\": 1}", &ty).unwrap_err().code(), SqlState::BAD_COPY_FILE_FORMAT);
    }
}
