//! COPY's data: [`CopyDecoder`] makes batches of what the client sends, [`CopyEncoder`] makes rows of batches.

mod decode;
mod encode;
mod lines;

pub use decode::{CopyDecoder, Reject};
pub use encode::CopyEncoder;
use sightline_functions::encoding::Encoding;

/// COPY's options (<https://www.postgresql.org/docs/15/sql-copy.html>).
#[derive(Clone, Debug, PartialEq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: u8,
    pub null: String,
    pub header: Header,
    pub quote: u8,
    pub escape: u8,
    pub encoding: Encoding,
    pub force_quote: Force,
    pub force_not_null: Force,
    pub force_null: Force,
    /// ON_ERROR ignore: rows that are wrong are left out.
    pub skips_wrong: bool,
    /// The table that keeps them, as written.
    pub reject_table: Option<String>,
}

/// COPY's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

/// Whether there is a line with the columns' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    No,
    Yes,
    /// It must name the columns.
    Match,
}

/// The columns that a FORCE option is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Force {
    #[default]
    None,
    All,
    Columns(Vec<String>),
}

impl Force {
    /// Which of the columns it is about.
    pub fn flags<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<bool> {
        names
            .map(|name| match self {
                Force::None => false,
                Force::All => true,
                Force::Columns(forced) => forced.iter().any(|f| f == name),
            })
            .collect()
    }
}

impl CopyOptions {
    /// What a format takes when nothing else is said.
    pub fn of(format: CopyFormat) -> CopyOptions {
        let csv = format == CopyFormat::Csv;
        CopyOptions {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".into() },
            header: Header::No,
            quote: b'"',
            escape: b'"',
            encoding: Encoding::UTF8,
            force_quote: Force::None,
            force_not_null: Force::None,
            force_null: Force::None,
            skips_wrong: false,
            reject_table: None,
        }
    }
}
