//! JSON: the check that `json` makes, and the form that `jsonb` keeps. Both are made by `sightline_functions::json`.

use sightline_functions::json;
use sightline_storage::error::Result;

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
