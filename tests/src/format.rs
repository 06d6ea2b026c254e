//! How a value stands in an `.slt` file, the same for the recorder (PostgreSQL) and the runner (us).
//!
//! A row is its values in PostgreSQL's text form, separated by tabs. NULL is `NULL`, an empty string `(empty)`; line
//! breaks and tabs are `\n` and `\t`, and a blank at either end of a value is `·`, so that no editor eats it.

use sqllogictest::DefaultColumnType;

/// Separates the values of a row.
pub(crate) const SEPARATOR: &str = "\t";

/// One value as it stands in the file.
pub(crate) fn cell(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_string(),
        Some("") => "(empty)".to_string(),
        Some(text) => show_blanks(&text.replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")),
    }
}

fn show_blanks(text: &str) -> String {
    let inner = text.trim_matches(' ');
    if inner.len() == text.len() {
        return text.to_string();
    }
    let leading = text.len() - text.trim_start_matches(' ').len();
    let trailing = text.len() - leading - inner.len();
    format!("{}{inner}{}", "·".repeat(leading), "·".repeat(trailing))
}

/// The column type letter for a PostgreSQL type OID: integers `I`, floating point and numeric `R`, all else `T`.
pub(crate) fn column_type(oid: u32) -> DefaultColumnType {
    match oid {
        20 | 21 | 23 | 26 => DefaultColumnType::Integer,
        700 | 701 | 1700 => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

/// An error as records match it: `[22012] division by zero`.
pub(crate) fn error_text(code: &str, message: &str) -> String {
    format!("[{code}] {}", message.replace('\n', "\\n"))
}
