//! COPY's options, checked as PostgreSQL checks them, in its order.

use sightline_functions::encoding::{Encoding, Named};
use sightline_storage::error::{Error, Result, SqlState};

use super::{CopyFormat, CopyOptions, Force};
use crate::codec::copy::Header;
use crate::parser::copy::Value;

/// Makes options of what was written; `client` is the client's encoding, in which the data is unless it is said.
///
/// # Errors
/// 42601, 22023 and 0A000 in PostgreSQL's words.
pub(super) fn options(written: &[(String, Value)], from: bool, client: Encoding) -> Result<CopyOptions> {
    let mut seen: Vec<&str> = Vec::new();
    let mut format = CopyFormat::Text;
    for (name, value) in written {
        if seen.contains(&name.as_str()) {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        seen.push(name);
        if name == "format" {
            format = format_of(value)?;
        }
    }
    let mut options = CopyOptions { encoding: client, ..CopyOptions::of(format) };
    let mut texts = Texts::default();
    for (name, value) in written {
        match name.as_str() {
            "format" => {}
            "freeze" => {
                boolean(name, value)?;
            }
            "delimiter" => texts.delimiter = Some(text(name, value)?),
            "null" => texts.null = Some(text(name, value)?),
            "quote" => texts.quote = Some(text(name, value)?),
            "escape" => texts.escape = Some(text(name, value)?),
            "header" => options.header = header(value, from)?,
            "encoding" => options.encoding = encoding(value)?,
            "force_quote" => options.force_quote = force(name, value, true)?,
            "force_not_null" => options.force_not_null = force(name, value, false)?,
            "force_null" => options.force_null = force(name, value, false)?,
            "on_error" => options.skips_wrong = on_error(value, from)?,
            "reject_table" => options.reject_table = Some(text(name, value)?.to_string()),
            _ => return Err(Error::new(SqlState::SYNTAX_ERROR, format!("option \"{name}\" not recognized"))),
        }
    }
    texts.put(&mut options)?;
    check_forced(&options, from)?;
    check_rejects(&options, from)?;
    apart(&options)?;
    Ok(options)
}

/// Options that are one character or a short text.
#[derive(Default)]
struct Texts<'a> {
    delimiter: Option<&'a str>,
    null: Option<&'a str>,
    quote: Option<&'a str>,
    escape: Option<&'a str>,
}

impl Texts<'_> {
    fn put(&self, options: &mut CopyOptions) -> Result<()> {
        let csv = options.format == CopyFormat::Csv;
        if options.format == CopyFormat::Binary {
            let syntax =
                |what| Err(Error::new(SqlState::SYNTAX_ERROR, format!("cannot specify {what} in BINARY mode")));
            if self.delimiter.is_some() {
                return syntax("DELIMITER");
            }
            if self.null.is_some() {
                return syntax("NULL");
            }
        }
        if let Some(delimiter) = self.delimiter {
            options.delimiter = one_byte(delimiter, "delimiter")?;
        }
        if matches!(options.delimiter, b'\n' | b'\r') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if let Some(null) = self.null {
            options.null = null.to_string();
        }
        if options.null.contains(['\n', '\r']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        let delimiter = char::from(options.delimiter);
        if !csv && "\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter) {
            return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        if options.format == CopyFormat::Binary && options.header != Header::No {
            return Err(Error::unsupported("cannot specify HEADER in BINARY mode"));
        }
        if let Some(quote) = self.quote {
            options.quote = csv_byte(quote, "quote", csv)?;
            options.escape = options.quote;
        }
        if csv && options.delimiter == options.quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if let Some(escape) = self.escape {
            options.escape = csv_byte(escape, "escape", csv)?;
        }
        Ok(())
    }
}

fn check_forced(options: &CopyOptions, from: bool) -> Result<()> {
    let csv = options.format == CopyFormat::Csv;
    let forced = [
        (&options.force_quote, "quote", "TO", !from),
        (&options.force_not_null, "not null", "FROM", from),
        (&options.force_null, "null", "FROM", from),
    ];
    for (force, what, way, right) in forced {
        if *force == Force::None {
            continue;
        }
        if !csv {
            return Err(Error::unsupported(format!("COPY force {what} available only in CSV mode")));
        }
        if !right {
            return Err(Error::unsupported(format!("COPY force {what} only available using COPY {way}")));
        }
    }
    Ok(())
}

/// ON_ERROR is of PostgreSQL 17, whose words these are; true for `ignore`.
fn on_error(value: &Value, from: bool) -> Result<bool> {
    if !from {
        return Err(invalid("COPY ON_ERROR cannot be used with COPY TO"));
    }
    match text("on_error", value)?.to_ascii_lowercase().as_str() {
        "stop" => Ok(false),
        "ignore" => Ok(true),
        other => Err(invalid(format!("COPY ON_ERROR \"{other}\" not recognized"))),
    }
}

fn check_rejects(options: &CopyOptions, from: bool) -> Result<()> {
    if options.reject_table.is_some() && !from {
        return Err(invalid("COPY REJECT_TABLE cannot be used with COPY TO"));
    }
    if options.reject_table.is_some() && !options.skips_wrong {
        return Err(invalid("COPY REJECT_TABLE requires ON_ERROR to be set to IGNORE"));
    }
    if options.skips_wrong && options.format == CopyFormat::Binary {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "only ON_ERROR STOP is allowed in BINARY mode"));
    }
    Ok(())
}

/// The signs must not stand for each other.
fn apart(options: &CopyOptions) -> Result<()> {
    if options.format != CopyFormat::Binary && options.null.contains(char::from(options.delimiter)) {
        return Err(Error::unsupported("COPY delimiter must not appear in the NULL specification"));
    }
    if options.format == CopyFormat::Csv && options.null.contains(char::from(options.quote)) {
        return Err(Error::unsupported("CSV quote character must not appear in the NULL specification"));
    }
    Ok(())
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str> {
    match value {
        Value::Text(text) => Ok(text),
        Value::None => Err(Error::new(SqlState::SYNTAX_ERROR, format!("{name} requires a parameter"))),
        Value::All => Ok("*"),
        Value::Names(_) => Err(invalid(format!("argument to option \"{name}\" must be a single value"))),
    }
}

fn format_of(value: &Value) -> Result<CopyFormat> {
    match text("format", value)? {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        other => Err(invalid(format!("COPY format \"{other}\" not recognized"))),
    }
}

fn one_byte(text: &str, what: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Error::unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}

fn csv_byte(text: &str, what: &str, csv: bool) -> Result<u8> {
    if !csv {
        return Err(Error::unsupported(format!("COPY {what} available only in CSV mode")));
    }
    one_byte(text, what)
}

fn boolean(name: &str, value: &Value) -> Result<bool> {
    match value {
        Value::None => Ok(true),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(Error::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value"))),
        },
        Value::All | Value::Names(_) => {
            Err(Error::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value")))
        }
    }
}

fn header(value: &Value, from: bool) -> Result<Header> {
    if let Value::Text(text) = value
        && text.eq_ignore_ascii_case("match")
    {
        if !from {
            return Err(Error::unsupported(format!("cannot use \"{text}\" with HEADER in COPY TO")));
        }
        return Ok(Header::Match);
    }
    match boolean("header", value) {
        Ok(true) => Ok(Header::Yes),
        Ok(false) => Ok(Header::No),
        Err(_) => Err(Error::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\"")),
    }
}

/// The columns of a FORCE option; `*` only where PostgreSQL 15 takes it.
fn force(name: &str, value: &Value, star: bool) -> Result<Force> {
    match value {
        Value::All if star => Ok(Force::All),
        Value::Names(names) => Ok(Force::Columns(names.clone())),
        _ => Err(invalid(format!("argument to option \"{name}\" must be a list of column names"))),
    }
}

fn encoding(value: &Value) -> Result<Encoding> {
    let name = text("encoding", value)?;
    match Encoding::named(name) {
        Named::There(encoding) => Ok(encoding),
        Named::Missing => Err(Error::unsupported(format!("COPY encoding \"{name}\" is not supported"))),
        Named::Unknown => Err(invalid("argument to option \"encoding\" must be a valid encoding name")),
    }
}
