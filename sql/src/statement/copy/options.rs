//! COPY's options, checked as PostgreSQL checks them.

use sightline_storage::error::{Error, Result, SqlState};

use super::{CopyFormat, CopyOptions};

/// Makes options of what was written.
///
/// # Errors
/// 42601, 22023 and 0A000 in PostgreSQL's words.
pub(super) fn options(written: &[(String, Option<String>)], from: bool) -> Result<CopyOptions> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in written {
        if seen.contains(&name.as_str()) {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        seen.push(name);
    }
    let value = |name: &str| written.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or_default());
    let format = match value("format").map(str::to_lowercase).as_deref() {
        None | Some("text") => CopyFormat::Text,
        Some("csv") => CopyFormat::Csv,
        Some("binary") => CopyFormat::Binary,
        Some(other) => return Err(invalid(format!("COPY format \"{other}\" not recognized"))),
    };
    let mut options = CopyOptions::of(format);
    for (name, text) in written {
        let text = text.as_deref().unwrap_or_default();
        match name.as_str() {
            "format" | "freeze" => {}
            "delimiter" => options.delimiter = one_byte(text, "delimiter")?,
            "null" => options.null = text.to_string(),
            "header" => options.header = header(text)?,
            "quote" => options.quote = csv_byte(text, "quote", format)?,
            "escape" => options.escape = csv_byte(text, "escape", format)?,
            "encoding" => encoding(text)?,
            "force_quote" | "force_not_null" | "force_null" => {
                let text = format!("COPY option {} is not supported", name.to_uppercase());
                return Err(Error::unsupported(text));
            }
            _ => return Err(Error::new(SqlState::SYNTAX_ERROR, format!("option \"{name}\" not recognized"))),
        }
    }
    if value("quote").is_some() && value("escape").is_none() {
        options.escape = options.quote;
    }
    if format == CopyFormat::Binary {
        for name in ["delimiter", "null", "header"] {
            if value(name).is_some() {
                let text = format!("cannot specify {} in BINARY mode", name.to_uppercase());
                return Err(Error::new(SqlState::SYNTAX_ERROR, text));
            }
        }
        if from {
            return Err(
                Error::unsupported("COPY FROM STDIN in binary format is not supported").hint("Use text or csv.")
            );
        }
    }
    consistent(&options)?;
    Ok(options)
}

fn invalid(text: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

fn one_byte(text: &str, what: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Error::unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}

fn csv_byte(text: &str, what: &str, format: CopyFormat) -> Result<u8> {
    if format != CopyFormat::Csv {
        return Err(Error::unsupported(format!("COPY {what} available only in CSV mode")));
    }
    one_byte(text, what)
}

fn header(text: &str) -> Result<bool> {
    match text.to_lowercase().as_str() {
        "" | "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        "match" => Err(Error::unsupported("COPY HEADER MATCH is not supported").hint("Use HEADER.")),
        _ => Err(Error::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\"")),
    }
}

fn encoding(text: &str) -> Result<()> {
    match text.to_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(Error::unsupported(format!("COPY encoding \"{text}\" is not supported")).hint("Use UTF8.")),
    }
}

fn consistent(options: &CopyOptions) -> Result<()> {
    let delimiter = char::from(options.delimiter);
    if matches!(delimiter, '\n' | '\r') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return".to_string()));
    }
    if options.null.contains(['\n', '\r']) {
        return Err(invalid("COPY null representation cannot use newline or carriage return".to_string()));
    }
    let letters = "\\.abcdefghijklmnopqrstuvwxyz0123456789";
    if options.format == CopyFormat::Text && letters.contains(delimiter) {
        return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
    }
    if options.format != CopyFormat::Binary && options.null.contains(delimiter) {
        return Err(invalid("COPY delimiter must not appear in the NULL specification".to_string()));
    }
    if options.format == CopyFormat::Csv {
        if options.delimiter == options.quote {
            return Err(invalid("COPY delimiter and quote must be different".to_string()));
        }
        if options.null.contains(char::from(options.quote)) {
            return Err(invalid("CSV quote character must not appear in the NULL specification".to_string()));
        }
    }
    Ok(())
}
