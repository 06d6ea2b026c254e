//! SET, SHOW and RESET.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::Schema;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::done;
use crate::answer::{Answer, Column, Notice, RowsTag};
use crate::parser::utility::{Change, Modes, Set};
use crate::session::Session;
use crate::settings::{self, ISOLATION, Settings};

/// What a parameter of the startup message sets. Unknown ones are errors, as in PostgreSQL.
pub(crate) fn at_startup(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
    let list = name.eq_ignore_ascii_case("search_path");
    let values = if list { Settings::names(value) } else { vec![value.to_string()] };
    settings.set(name, Some(&values))
}

/// What ALTER ROLE … SET and ALTER DATABASE … SET make of the settings that sessions begin with. The values are checked
/// as SET checks them.
///
/// # Errors
/// Those of SET.
pub(super) fn changed_defaults(
    settings: &Settings,
    old: &[(String, String)],
    change: &Change,
) -> Result<Vec<(String, String)>> {
    let mut new = old.to_vec();
    let (name, values) = match change {
        // What only a superuser may set stays, as in PostgreSQL.
        Change::Reset(None) => {
            let kept = old.iter().filter(|(name, _)| settings.clone().set(name, None).is_err());
            return Ok(kept.cloned().collect());
        }
        Change::Reset(Some(name)) => (name, None),
        Change::Set(set) => (&set.name, set.values.as_ref()),
    };
    settings.clone().set(name, values.map(Vec::as_slice))?;
    let name = settings::find(name).map_or_else(|| name.to_lowercase(), |s| s.name.to_string());
    new.retain(|(n, _)| *n != name);
    if let Some(values) = values {
        let list = name == "search_path";
        let value = if list { Settings::list(values) } else { values.join(", ") };
        new.push((name, value));
    }
    Ok(new)
}

pub(super) fn set(session: &mut Session, set: &Set) -> Result<Answer> {
    if set.local && !session.in_block() {
        let text = "SET LOCAL can only be used in transaction blocks";
        session.notice(Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, text));
        return Ok(done("SET"));
    }
    if matches!(set.name.as_str(), "role" | "session_authorization") {
        return set_role(session, set);
    }
    if let Some(modes) = modes(session.settings(), set)? {
        session.check_modes(&modes)?;
        // It ends with the transaction.
        session.change_settings(true, |s| s.set(&set.name, set.values.as_deref()))?;
        return Ok(done("SET"));
    }
    // One string that holds the whole list, as `SET search_path = 'a, b'` of some clients, is one name in PostgreSQL.
    session.change_settings(set.local, |s| s.set(&set.name, set.values.as_deref()))?;
    Ok(done("SET"))
}

/// What SET of one of the transaction's own settings says of its modes.
fn modes(settings: &Settings, set: &Set) -> Result<Option<Modes>> {
    if !set.name.to_lowercase().starts_with("transaction_") {
        return Ok(None);
    }
    let mut changed = settings.clone();
    changed.set(&set.name, set.values.as_deref())?;
    let mut modes = Modes::default();
    match set.name.to_lowercase().as_str() {
        "transaction_isolation" => {
            let value = changed.get("transaction_isolation").unwrap_or_default();
            modes.isolation = ISOLATION.iter().copied().find(|level| *level == value);
        }
        "transaction_read_only" => modes.read_only = Some(changed.is_on("transaction_read_only")),
        "transaction_deferrable" => modes.deferrable = Some(changed.is_on("transaction_deferrable")),
        _ => return Ok(None),
    }
    Ok(Some(modes))
}

/// SET ROLE to oneself or NONE is allowed, as connection poolers say it.
fn set_role(session: &mut Session, set: &Set) -> Result<Answer> {
    let own = &session.identity.role_name;
    match set.values.as_deref() {
        None => Ok(done("SET")),
        Some([name]) if name == own || name == "none" => Ok(done("SET")),
        Some(names) => {
            let kind = if set.name == "role" { "role" } else { "session authorization" };
            let text = format!("permission denied to set {kind} \"{}\"", names.join(", "));
            Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, text).hint("Connect as that role instead."))
        }
    }
}

pub(super) fn reset(session: &mut Session, name: Option<&str>) -> Result<Answer> {
    if matches!(name, Some("role" | "session_authorization")) {
        return Ok(done("RESET"));
    }
    session.change_settings(false, |s| s.reset(name))?;
    Ok(done("RESET"))
}

/// The columns that SHOW answers.
pub(crate) fn show_columns(settings: &Settings, name: &str) -> Result<Arc<[Column]>> {
    if name.eq_ignore_ascii_case("all") {
        return Ok(["name", "setting", "description"].map(text_column).into());
    }
    let shown = match settings::find(name) {
        Some(setting) => setting.name,
        None if name.eq_ignore_ascii_case("role") => "role",
        None => settings.show(name).map(|_| name)?,
    };
    Ok([text_column(shown)].into())
}

/// A column of text that belongs to no table.
pub(crate) fn text_column(name: &str) -> Column {
    Column { name: name.to_string(), ty: SqlType::Text, table: 0, number: 0 }
}

pub(super) fn show(session: &mut Session, name: &str) -> Result<Answer> {
    let settings = session.settings().clone();
    let columns = show_columns(&settings, name)?;
    let rows = if name.eq_ignore_ascii_case("all") {
        let all = || settings.all();
        vec![
            all().map(|(s, _)| s.name.to_string()).collect(),
            all().map(|(_, v)| v.to_string()).collect(),
            all().map(|(s, _)| s.description.to_string()).collect(),
        ]
    } else if name.eq_ignore_ascii_case("role") {
        vec![vec!["none".to_string()]]
    } else {
        vec![vec![settings.show(name)?.to_string()]]
    };
    text_rows(columns, rows, "SHOW")
}

/// An answer of text, given by column.
pub(crate) fn text_rows(columns: Arc<[Column]>, values: Vec<Vec<String>>, tag: &str) -> Result<Answer> {
    let fields = columns.iter().map(|c| c.ty.field(&c.name, true)).collect::<Vec<_>>();
    let arrays = values.into_iter().map(|v| Arc::new(StringViewArray::from_iter_values(v)) as ArrayRef).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    let rows = Box::pin(futures::stream::iter([Ok(batch)]));
    Ok(Answer::Rows { columns, rows, tag: RowsTag::Fixed(tag.to_string()) })
}
