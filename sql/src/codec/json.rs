//! JSON: the check that `json` makes, and the form that `jsonb` keeps, both made by `sightline_functions::json`; and
//! values of any other type as JSON (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-CREATION>).

use sightline_functions::json;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::cells::Values;
use super::{Cells, DateForm, Style};
use crate::error::from_function;

/// Checks that `text` is JSON.
///
/// # Errors
/// 22P02 `invalid input syntax for type json`.
pub fn check(text: &str) -> Result<()> {
    json::check(text).map_err(|e| from_function(&e))
}

/// The text as `jsonb` shows it.
///
/// # Errors
/// As [`check`]; 22P05 for `\u0000`.
pub fn normalize(text: &str) -> Result<String> {
    json::normalized(text).map_err(|e| from_function(&e))
}

impl Cells {
    /// Appends the cell as JSON, as `to_json` writes it: numbers, booleans, arrays and rows as such, anything else as the
    /// string that a client sees.
    pub fn write_json(&self, row: usize, style: &Style, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match &self.values {
            Values::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Values::List(offsets, items) => {
                write_items(offsets[row] as usize..offsets[row + 1] as usize, items, style, b",", out);
            }
            Values::Struct(names, fields) => write_members(names, fields, row, style, b",", out),
            _ => self.write_scalar(row, style, out),
        }
    }

    /// The same, with a line for each item or member at the top.
    pub fn write_json_lines(&self, row: usize, style: &Style, out: &mut Vec<u8>) {
        match &self.values {
            Values::List(offsets, items) if !self.is_null(row) => {
                write_items(offsets[row] as usize..offsets[row + 1] as usize, items, style, b",\n ", out);
            }
            Values::Struct(names, fields) if !self.is_null(row) => {
                write_members(names, fields, row, style, b",\n ", out);
            }
            _ => self.write_json(row, style, out),
        }
    }

    /// Whether the cells are rows or arrays, which have no place as a key.
    pub fn is_composite(&self) -> bool {
        matches!(self.values, Values::List(..) | Values::Struct(..))
    }

    /// Whether the cells are JSON themselves.
    pub fn is_json(&self) -> bool {
        matches!(self.ty, SqlType::Json | SqlType::Jsonb)
    }

    /// Whether the cells are `true` and `false`.
    pub fn is_boolean(&self) -> bool {
        matches!(self.values, Values::Bool(_))
    }

    /// The items of all lists, and where those of this row are.
    pub fn items(&self, row: usize) -> (&Cells, std::ops::Range<usize>) {
        match &self.values {
            Values::List(offsets, items) => (items, offsets[row] as usize..offsets[row + 1] as usize),
            _ => (self, row..row + 1),
        }
    }

    /// As [`Cells::items`], with those of all dimensions in one row.
    pub fn flat_items(&self, row: usize) -> (&Cells, std::ops::Range<usize>) {
        let (mut items, mut range) = self.items(row);
        while let Values::List(offsets, inner) = &items.values {
            (items, range) = (inner, offsets[range.start] as usize..offsets[range.end] as usize);
        }
        (items, range)
    }

    /// The cell's text as JSON quotes it, without the quotes: times as ISO 8601 writes them.
    pub fn write_json_text(&self, row: usize, style: &Style, out: &mut Vec<u8>) {
        let from = out.len();
        match self.ty {
            SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz if style.date_form != DateForm::Iso => {
                self.write_text(row, &Style { date_form: DateForm::Iso, ..style.clone() }, out);
            }
            _ => self.write_text(row, style, out),
        }
        if matches!(self.ty, SqlType::Timestamp | SqlType::TimestampTz) {
            let shown = iso_8601(&String::from_utf8_lossy(&out[from..]));
            out.truncate(from);
            out.extend_from_slice(shown.as_bytes());
        }
    }

    fn write_scalar(&self, row: usize, style: &Style, out: &mut Vec<u8>) {
        let from = out.len();
        self.write_json_text(row, style, out);
        let number = matches!(
            self.ty,
            SqlType::SmallInt
                | SqlType::Integer
                | SqlType::BigInt
                | SqlType::Real
                | SqlType::Double
                | SqlType::Numeric(_)
        );
        let as_is = match self.ty {
            SqlType::Json | SqlType::Jsonb => true,
            // NaN and the infinities are no numbers of JSON.
            _ => number && !out[from..].iter().any(|b| matches!(b, b'N' | b'I')),
        };
        if as_is {
            return;
        }
        let shown = String::from_utf8_lossy(&out[from..]).into_owned();
        out.truncate(from);
        let mut quoted = String::with_capacity(shown.len() + 2);
        json::write_text(&mut quoted, &shown);
        out.extend_from_slice(quoted.as_bytes());
    }
}

/// `2014-05-28 12:22:35-04` as XML Schema writes it: a T between, and the minutes of the zone.
fn iso_8601(text: &str) -> String {
    let Some((date, time)) = text.split_once(' ') else { return text.to_string() };
    let (time, era) = time.split_once(' ').map_or((time, ""), |(time, _)| (time, " BC"));
    let minutes = match time.rfind(['+', '-']) {
        Some(sign) if !time[sign..].contains(':') => ":00",
        _ => "",
    };
    format!("{date}T{time}{minutes}{era}")
}

fn write_items(range: std::ops::Range<usize>, items: &Cells, style: &Style, separator: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    for (n, i) in range.enumerate() {
        out.extend_from_slice(if n > 0 { separator } else { b"" });
        items.write_json(i, style, out);
    }
    out.push(b']');
}

fn write_members(names: &[String], fields: &[Cells], row: usize, style: &Style, separator: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    for (n, (name, field)) in names.iter().zip(fields).enumerate() {
        out.extend_from_slice(if n > 0 { separator } else { b"" });
        let mut key = String::new();
        json::write_text(&mut key, name);
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        field.write_json(row, style, out);
    }
    out.push(b'}');
}
