//! Values to and from PostgreSQL's text and binary forms, and COPY's text and csv. Pure: no session, no clock, no I/O,
//! so that it can be fuzzed.
//!
//! Out: [`Cells`] resolves the type of a column once, then writes its cells as [`text`] or [`binary`] into
//! the caller's buffer. In: [`ColumnBuilder`](build::ColumnBuilder) appends one cell of text or binary to an Arrow
//! column; [`input`] makes a single value of it for parameters and literals, [`copy`] whole batches. One file a family of
//! types knows both directions: [`datetime`], [`interval`], [`numeric`], [`float`], [`scalar`], [`json`], [`mod@array`].

pub mod array;
pub mod binary;
pub mod build;
pub mod cells;
pub mod copy;
pub mod datetime;
pub mod datetime_input;
pub mod faithful;
pub mod float;
pub mod input;
pub mod interval;
pub mod interval_input;
pub mod json;
pub mod numeric;
pub mod precise;
pub mod record;
pub mod scalar;
pub mod text;

pub use cells::Cells;

use std::borrow::Cow;

use sightline_functions::encoding::{Encoding, Named};
use sightline_functions::zone::Zone;
use sightline_storage::error::{Error, Result};
use sightline_storage::types::SqlType;

use crate::error::from_function;

/// Output settings of a session, as SET takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pub time_zone: String,
    pub date_style: String,
    pub interval_style: String,
    pub extra_float_digits: i32,
    pub bytea_output: String,
    pub client_encoding: String,
}

impl Default for Format {
    fn default() -> Format {
        Format {
            time_zone: "UTC".into(),
            date_style: "ISO, MDY".into(),
            interval_style: "postgres".into(),
            extra_float_digits: 1,
            bytea_output: "hex".into(),
            client_encoding: "UTF8".into(),
        }
    }
}

/// How `1/2/2024` is read: the second word of DateStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    Mdy,
    Dmy,
    Ymd,
}

/// How dates are printed: the first word of DateStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateForm {
    Iso,
    Sql,
    Postgres,
    German,
}

/// IntervalStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

/// A [`Format`] resolved: what the functions of this folder take, made once a statement.
#[derive(Clone, Debug)]
pub struct Style {
    pub zone: Zone,
    pub date_form: DateForm,
    pub date_order: DateOrder,
    pub interval: IntervalStyle,
    pub extra_float_digits: i32,
    pub bytea_hex: bool,
    /// What `now` and `today` in a date literal mean, microseconds since 1970; without it they are refused.
    pub now_us: Option<i64>,
    /// The client's; all but the edge of the wire has UTF-8.
    pub encoding: Encoding,
}

impl Style {
    /// Resolves names; what is unknown falls back to the default, since SET has already checked it.
    pub fn new(format: &Format) -> Style {
        let order = format.date_style.to_ascii_uppercase();
        Style {
            zone: Zone::of_setting(&format.time_zone).unwrap_or(Zone::UTC),
            date_form: match order.split(',').next() {
                Some("SQL") => DateForm::Sql,
                Some("POSTGRES") => DateForm::Postgres,
                Some("GERMAN") => DateForm::German,
                _ => DateForm::Iso,
            },
            date_order: match order {
                o if o.contains("DMY") => DateOrder::Dmy,
                o if o.contains("YMD") => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            interval: match format.interval_style.to_ascii_lowercase().as_str() {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            extra_float_digits: format.extra_float_digits,
            bytea_hex: !format.bytea_output.eq_ignore_ascii_case("escape"),
            now_us: None,
            encoding: match Encoding::named(&format.client_encoding) {
                Named::There(encoding) => encoding,
                Named::Missing | Named::Unknown => Encoding::UTF8,
            },
        }
    }
}

/// Puts text that was written as UTF-8 from `at` on into a client's encoding.
///
/// # Errors
/// 22P05 for a character that it has not.
pub fn in_encoding(encoding: Encoding, at: usize, out: &mut Vec<u8>) -> Result<()> {
    if encoding.is_utf8() || out[at..].is_ascii() {
        return Ok(());
    }
    let bytes = encoding.encode(scalar::text_of(&out[at..])?).map_err(|e| from_function(&e))?.into_owned();
    out.truncate(at);
    out.extend_from_slice(&bytes);
    Ok(())
}

/// The text that bytes of a client are.
///
/// # Errors
/// 22021 for bytes that are none, 22P05 for characters that UTF-8 has not.
pub fn from_encoding(encoding: Encoding, bytes: &[u8]) -> Result<Cow<'_, str>> {
    match encoding.is_utf8() {
        true => Ok(scalar::text_of(bytes)?.into()),
        false => encoding.decode(bytes).map_err(|e| from_function(&e)),
    }
}

/// Whether a binary form is a text as a whole, which the client has in its encoding.
pub fn is_text(ty: &SqlType) -> bool {
    use SqlType as T;
    matches!(ty.base(), T::Text | T::Varchar(_) | T::Char(_) | T::Name | T::Json | T::Jsonb | T::Enum(_) | T::Unknown)
}

/// Which of these columns have a binary form that is a text in the client's encoding.
///
/// # Errors
/// 0A000 for arrays and rows with texts in them: only in UTF-8.
pub fn binary_texts<'a>(types: impl Iterator<Item = &'a SqlType>, encoding: Encoding) -> Result<Vec<bool>> {
    let inside = |ty: &SqlType| match ty.base() {
        SqlType::Array(item) => is_text(item) || matches!(item.base(), SqlType::Composite(_)),
        SqlType::Composite(_) => true,
        _ => false,
    };
    types
        .map(|ty| {
            if !encoding.is_utf8() && inside(ty) {
                let text = format!("the binary form of type {ty} is not supported in encoding \"{}\"", encoding.name);
                return Err(Error::unsupported(text).hint("Use SET client_encoding TO UTF8."));
            }
            Ok(!encoding.is_utf8() && is_text(ty))
        })
        .collect()
}

impl Default for Style {
    fn default() -> Style {
        Style::new(&Format::default())
    }
}
