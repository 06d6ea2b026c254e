//! The binary format: a signature, flags, and rows of values with their lengths in front
//! (<https://www.postgresql.org/docs/15/sql-copy.html>).

use sightline_functions::encoding::Encoding;
use sightline_storage::error::{Error, Result, SqlState};

use super::CopyDecoder;
use crate::codec::from_encoding;

/// How a file begins.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Flags in the upper half say what a reader must understand; this one is of a PostgreSQL before 12.
const WITH_OIDS: u32 = 1 << 16;

fn broken(message: impl Into<String>) -> Error {
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The length of the header, if all of it has come.
///
/// # Errors
/// 22P04 for what is no header.
pub(super) fn header(data: &[u8]) -> Result<Option<usize>> {
    let seen = data.len().min(SIGNATURE.len());
    if data[..seen] != SIGNATURE[..seen] {
        return Err(broken("COPY file signature not recognized"));
    }
    let Some(flags) = word(data, 11) else { return Ok(None) };
    if flags & WITH_OIDS != 0 {
        return Err(broken("invalid COPY file header (WITH OIDS)"));
    }
    if flags >> 17 != 0 {
        return Err(broken("unrecognized critical flags in COPY file header"));
    }
    let Some(extension) = word(data, 15) else { return Ok(None) };
    if extension > i32::MAX as u32 {
        return Err(broken("invalid COPY file header (missing length)"));
    }
    let length = 19 + extension as usize;
    Ok((data.len() >= length).then_some(length))
}

/// What is missing of a header that never came.
pub(super) fn cut_header(data: &[u8]) -> Error {
    broken(match data.len() {
        0..11 => "COPY file signature not recognized",
        11..15 => "invalid COPY file header (missing flags)",
        15..19 => "invalid COPY file header (missing length)",
        _ => "invalid COPY file header (wrong length)",
    })
}

/// The end of data that stops within a row.
pub(super) fn cut_row() -> Error {
    broken("unexpected EOF in COPY data")
}

impl CopyDecoder {
    /// Takes the row at the front: its length, or none if it is not complete; 0 for the end mark.
    pub(super) fn binary_row(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let Some(count) = data.get(..2) else { return Ok(None) };
        let count = i16::from_be_bytes([count[0], count[1]]);
        if count == -1 {
            self.ended = true;
            return Ok(Some(2));
        }
        let line = self.line_number + 1;
        let place = format!("{}, line {line}", self.place);
        if usize::try_from(count).ok() != Some(self.names.len()) {
            let text = format!("row field count is {count}, expected {}", self.names.len());
            return Err(broken(text).context(place));
        }
        let mut end = 2;
        for name in &self.names {
            let Some(length) = word(data, end) else { return Ok(None) };
            end += 4;
            match length as i32 {
                -1 => {}
                length => match usize::try_from(length) {
                    Ok(length) => end += length,
                    Err(_) => return Err(broken("invalid field size").context(format!("{place}, column {name}"))),
                },
            }
        }
        if data.len() < end {
            return Ok(None);
        }
        self.line_number = line;
        let mut at = 2;
        for ((name, builder), text) in self.names.iter().zip(&mut self.builders).zip(&self.texts) {
            let length = word(data, at).unwrap_or_default() as i32;
            at += 4;
            let Ok(length) = usize::try_from(length) else {
                builder.append_null();
                continue;
            };
            let value = &data[at..at + length];
            let encoding = if *text { self.options.encoding } else { Encoding::UTF8 };
            let appended = match encoding.is_utf8() {
                true => builder.append_binary(value),
                false => from_encoding(encoding, value).and_then(|text| builder.append_binary(text.as_bytes())),
            };
            appended.map_err(|e| e.context(format!("{place}, column {name}")))?;
            at += length;
        }
        self.shown.add(line, &[], false);
        self.rows += 1;
        Ok(Some(end))
    }
}
