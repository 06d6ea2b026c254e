//! `reg*`: names to OIDs and back, with PostgreSQL's errors and its rule of when a name is printed with its schema.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::error::{Error, Result, SqlState};

use super::objects;
use super::pg_catalog::{pg_proc, pg_type};
use crate::plan::{QueryContext, sql_type_in};

/// Splits `a."B".c` as written into its folded parts.
///
/// # Errors
/// 42602 for what is no name.
pub(super) fn split(text: &str) -> Result<Vec<String>> {
    let invalid = || Error::new(SqlState::new("42602"), "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_part(quoted).ok_or_else(invalid)?
        } else {
            let end = rest.find(['.', '"', ' ']).unwrap_or(rest.len());
            (rest[..end].to_lowercase(), &rest[end..])
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        match after.trim_start() {
            "" => return Ok(parts),
            after => rest = after.strip_prefix('.').ok_or_else(invalid)?.trim_start(),
        }
    }
}

/// The text up to the closing quote, doubled quotes undone, and what follows.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                part.push('"');
                rest = after;
            }
            None => return Some((part, rest)),
        }
    }
}

/// `-` or a number stands for an OID in every `reg*` input.
fn number(text: &str) -> Option<u32> {
    if text == "-" { Some(0) } else { text.parse().ok() }
}

/// `text::regclass`.
///
/// # Errors
/// 42P01 if there is no such relation, 42602 for what is no name.
pub(super) fn regclass_in(ctx: &QueryContext, text: &str) -> Result<u32> {
    if let Some(oid) = number(text) {
        return Ok(oid);
    }
    objects::find(ctx, &split(text)?).map(|(_, oid)| oid)
}

/// How a relation's OID is printed: its name, with the schema unless the search finds it, or the number.
pub(super) fn regclass_out(ctx: &QueryContext, oid: u32) -> String {
    if oid == 0 {
        return "-".to_string();
    }
    let Some(object) = objects::relation(ctx, oid) else { return oid.to_string() };
    let name = quote_ident(object.name());
    match objects::schema_name(ctx, object.schema().0) {
        Some(schema) if !objects::is_visible(ctx, object.schema().0, object.name()) => {
            format!("{}.{name}", quote_ident(schema))
        }
        _ => name.into_owned(),
    }
}

/// `text::regtype`: a type as SQL writes it, or its internal name.
///
/// # Errors
/// 42704 if there is no such type.
pub(super) fn regtype_in(ctx: &QueryContext, text: &str) -> Result<u32> {
    if let Some(oid) = number(text) {
        return Ok(oid);
    }
    if let Some(oid) = pg_type::oid_by_name(text.strip_prefix("pg_catalog.").unwrap_or(text)) {
        return Ok(oid);
    }
    let unknown = || Error::new(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"));
    let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).map_err(|e| unknown().source(e))?;
    let ty = parser.parse_data_type().map_err(|e| unknown().source(e))?;
    Ok(sql_type_in(ctx, &ty)?.oid())
}

/// How a type's OID is printed.
pub(super) fn regtype_out(ctx: &QueryContext, oid: u32) -> String {
    match oid {
        0 => "-".to_string(),
        oid => pg_type::format_in(ctx, oid, None).unwrap_or_else(|| oid.to_string()),
    }
}

/// `text::regproc`.
///
/// # Errors
/// 42883 if there is no such function, 42725 if there are several.
pub(super) fn regproc_in(text: &str) -> Result<u32> {
    if let Some(oid) = number(text) {
        return Ok(oid);
    }
    let bare = text.split('(').next().unwrap_or(text);
    let parts = split(bare)?;
    let name = parts.last().map_or("", String::as_str);
    let found = pg_proc::all().iter().filter(|f| f.name == name).map(|f| f.oid).collect::<Vec<_>>();
    match found.as_slice() {
        [oid] => Ok(*oid),
        [] => Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{}\" does not exist", parts.join(".")))),
        _ => Err(Error::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one function named \"{}\"", parts.join(".")),
        )),
    }
}

/// How a function's OID is printed.
pub(super) fn regproc_out(oid: u32) -> String {
    match pg_proc::by_oid(oid) {
        Some(function) => quote_ident(&function.name).into_owned(),
        None if oid == 0 => "-".to_string(),
        None => oid.to_string(),
    }
}

/// `text::regnamespace`.
///
/// # Errors
/// 3F000 if there is no such schema.
pub(super) fn regnamespace_in(ctx: &QueryContext, text: &str) -> Result<u32> {
    if let Some(oid) = number(text) {
        return Ok(oid);
    }
    let name = split(text)?.join(".");
    let found = objects::schemas(ctx).find(|s| s.name == name).map(|s| s.oid);
    found.ok_or_else(|| Error::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist")))
}

/// How a schema's OID is printed.
pub(super) fn regnamespace_out(ctx: &QueryContext, oid: u32) -> String {
    match objects::schema_name(ctx, oid) {
        Some(name) => quote_ident(name).into_owned(),
        None if oid == 0 => "-".to_string(),
        None => oid.to_string(),
    }
}

/// `text::regrole`.
///
/// # Errors
/// 42704 if there is no such role.
pub(super) fn regrole_in(ctx: &QueryContext, text: &str) -> Result<u32> {
    if let Some(oid) = number(text) {
        return Ok(oid);
    }
    let name = split(text)?.join(".");
    let found = objects::roles(ctx).find(|r| r.name == name).map(|r| r.id.0);
    found.ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

/// How a role's OID is printed.
pub(super) fn regrole_out(ctx: &QueryContext, oid: u32) -> String {
    match objects::role(ctx, oid) {
        Some(role) => quote_ident(&role.name).into_owned(),
        None if oid == 0 => "-".to_string(),
        None => oid.to_string(),
    }
}
