//! One table of settings ([`all`]) that drives SET, SHOW, RESET, `current_setting` and `pg_settings`.
//!
//! A session holds a [`Settings`] behind an `Arc`; a statement keeps the one it started with. Values are kept in the form
//! that SHOW prints; what the engine asks often is kept resolved beside them.

mod accepted;
pub mod page;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sightline_storage::error::{Error, Result, SqlState};

use crate::codec::{Format, Style};
use sightline_functions::zone::Zone;

pub(crate) use table::ISOLATION;
pub(crate) use value::{in_unit, significant};

/// One setting as the table describes it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As SHOW ALL prints it; matched in any case.
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// Sent by ParameterStatus when it changes.
    pub reported: bool,
    /// Who may change it, and when.
    pub context: Context,
    /// False if it is only taken: nothing here depends on it.
    pub effect: bool,
    /// As in `pg_settings.category`.
    pub category: &'static str,
    pub description: &'static str,
}

/// Who may change a setting, in the words of `pg_settings.context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Nobody.
    Internal,
    /// The one who starts the node.
    Postmaster,
    Superuser,
    User,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    /// Whole numbers in a range, in a unit.
    Integer(i64, i64, Unit),
    Real(f64, f64, Unit),
    Text,
    /// One of the words.
    Enum(&'static [&'static str]),
    /// A list of names, like `search_path`.
    Names,
    TimeZone,
    DateStyle,
    Encoding,
    /// Text whose characters outside of ASCII become `?`, at most 63 bytes.
    ApplicationName,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    Milliseconds,
    Seconds,
    Bytes,
    Kilobytes,
    /// Pages of 8 kB.
    Pages,
}

/// A session's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By position in [`all`].
    values: Vec<Arc<str>>,
    /// What RESET goes back to: defaults, changed by what the client said when it connected.
    initial: Vec<Arc<str>>,
    /// Settings with a dot in their name, which programs make up.
    custom: BTreeMap<String, String>,
    search_path: Vec<String>,
    zone: Zone,
    style: Style,
    statement_timeout_ms: u64,
    idle_in_transaction_ms: u64,
    idle_session_ms: u64,
    statement_memory: Option<u64>,
    temp_files: Option<u64>,
}

static POSITIONS: LazyLock<BTreeMap<String, usize>> =
    LazyLock::new(|| all().iter().enumerate().map(|(n, s)| (s.name.to_lowercase(), n)).collect());

static ALL: LazyLock<Vec<&'static Setting>> =
    LazyLock::new(|| table::SETTINGS.iter().chain(accepted::SETTINGS.iter()).collect());

/// All settings.
pub fn all() -> &'static [&'static Setting] {
    &ALL
}

fn position(name: &str) -> Option<usize> {
    POSITIONS.get(&name.to_lowercase()).copied()
}

/// The setting with this name, in any case.
pub fn find(name: &str) -> Option<&'static Setting> {
    position(name).map(|n| ALL[n])
}

impl Default for Settings {
    fn default() -> Settings {
        let values = all().iter().map(|s| Arc::from(value::initial(s))).collect::<Vec<Arc<str>>>();
        let mut settings = Settings {
            initial: values.clone(),
            values,
            custom: BTreeMap::new(),
            search_path: Vec::new(),
            zone: Zone::UTC,
            style: Style::default(),
            statement_timeout_ms: 0,
            idle_in_transaction_ms: 0,
            idle_session_ms: 0,
            statement_memory: None,
            temp_files: None,
        };
        settings.resolve();
        settings
    }
}

impl Settings {
    /// The value as SHOW prints it.
    pub fn get(&self, name: &str) -> Option<&str> {
        match position(name) {
            Some(n) => Some(&self.values[n]),
            None => self.custom.get(&name.to_lowercase()).map(String::as_str),
        }
    }

    /// The value as SHOW prints it.
    ///
    /// # Errors
    /// 42704 if there is no such setting.
    pub fn show(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| unrecognized(name))
    }

    /// SET. `values` are the comma separated ones, as plain text; none is DEFAULT.
    ///
    /// # Errors
    /// 42704 for an unknown name, 22023 for a value it does not take, 55P02 for what cannot be changed.
    pub fn set(&mut self, name: &str, values: Option<&[String]>) -> Result<()> {
        let Some(n) = position(name) else { return self.set_custom(name, values) };
        let setting = ALL[n];
        self.may_change(setting)?;
        self.values[n] = match values {
            Some(values) => value::checked(setting, name, values, &self.values[n], &self.initial[n])?.into(),
            None => self.initial[n].clone(),
        };
        self.resolve();
        Ok(())
    }

    fn may_change(&self, setting: &Setting) -> Result<()> {
        let name = setting.name;
        let (code, text) = match setting.context {
            Context::User => return Ok(()),
            Context::Superuser if self.is_on("is_superuser") => return Ok(()),
            Context::Superuser => {
                (SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to set parameter \"{name}\""))
            }
            Context::Internal => (SqlState::new("55P02"), format!("parameter \"{name}\" cannot be changed")),
            Context::Postmaster => {
                let text = format!("parameter \"{name}\" cannot be changed without restarting the server");
                (SqlState::new("55P02"), text)
            }
        };
        Err(Error::new(code, text))
    }

    fn set_custom(&mut self, name: &str, values: Option<&[String]>) -> Result<()> {
        let valid = |part: &str| {
            part.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        };
        if !name.contains('.') {
            return Err(unrecognized(name));
        }
        if !name.split('.').all(valid) {
            let text = format!("invalid configuration parameter name \"{name}\"");
            let detail = "Custom parameter names must be two or more simple identifiers separated by dots.";
            return Err(Error::new(SqlState::new("42602"), text).detail(detail));
        }
        match values {
            Some(values) => self.custom.insert(name.to_lowercase(), values.join(", ")),
            // The name stays known.
            None => self.custom.insert(name.to_lowercase(), String::new()),
        };
        Ok(())
    }

    /// RESET; with no name, all that SET can change.
    ///
    /// # Errors
    /// 42704 for an unknown name, 55P02 for what cannot be changed.
    pub fn reset(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) => self.set(name, None),
            None => {
                for (n, setting) in all().iter().enumerate() {
                    let transaction = setting.name.starts_with("transaction_");
                    if !transaction && self.may_change(setting).is_ok() {
                        self.values[n] = self.initial[n].clone();
                    }
                }
                self.custom.values_mut().for_each(String::clear);
                self.resolve();
                Ok(())
            }
        }
    }

    /// Sets what SET refuses, like `is_superuser`, and makes it what RESET goes back to.
    pub(crate) fn force(&mut self, name: &str, value: impl Into<Arc<str>>) {
        if let Some(n) = position(name) {
            self.values[n] = value.into();
            self.initial[n] = self.values[n].clone();
            self.resolve();
        }
    }

    /// Makes the present values what RESET goes back to: they came with the connection.
    pub(crate) fn keep_as_initial(&mut self) {
        self.initial = self.values.clone();
    }

    /// All settings with their values, ordered by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static Setting, &str)> {
        POSITIONS.values().map(|n| (ALL[*n], &*self.values[*n]))
    }

    /// The value that RESET would go back to.
    pub fn reset_value(&self, name: &str) -> Option<&str> {
        position(name).map(|n| &*self.initial[n])
    }

    /// Parameters that clients are told of, in the order of the table.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = all().iter().enumerate().filter(|(_, s)| s.reported);
        reported.map(|(n, s)| (s.name, self.values[n].to_string())).collect()
    }

    /// The schemas of `search_path`, folded; `$user` as it is.
    pub fn search_path(&self) -> Vec<String> {
        self.search_path.clone()
    }

    /// The names in the text of a list such as `search_path`, folded unless quoted.
    pub(crate) fn names(text: &str) -> Vec<String> {
        value::names(text)
    }

    /// The text of a list of names.
    pub(crate) fn list(names: &[String]) -> String {
        names.iter().map(|name| value::quoted(name)).collect::<Vec<_>>().join(", ")
    }

    /// The name of the time zone.
    pub fn time_zone(&self) -> &str {
        self.get("TimeZone").unwrap_or("UTC")
    }

    /// The time zone.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// A moment (microseconds since 1970 UTC) as local time, in the same unit.
    pub fn local_us(&self, utc_us: i64) -> i64 {
        utc_us.saturating_add(i64::from(self.zone.offset_at(utc_us)) * 1_000_000)
    }

    /// How long a statement may run, if limited.
    pub fn statement_timeout(&self) -> Option<Duration> {
        (self.statement_timeout_ms > 0).then(|| Duration::from_millis(self.statement_timeout_ms))
    }

    /// How long a client may be idle, in a transaction block or outside of one, if limited.
    pub fn idle_timeout(&self, in_transaction: bool) -> Option<Duration> {
        let ms = if in_transaction { self.idle_in_transaction_ms } else { self.idle_session_ms };
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// The most bytes of memory that a statement may hold, if limited.
    pub(crate) fn statement_memory(&self) -> Option<u64> {
        self.statement_memory
    }

    /// The most bytes of temporary files that a statement may write, if limited.
    pub(crate) fn temp_files(&self) -> Option<u64> {
        self.temp_files
    }

    /// True if the boolean setting is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("on")
    }

    /// The output settings.
    pub fn format(&self) -> Format {
        let text = |name: &str| self.get(name).unwrap_or_default().to_string();
        Format {
            time_zone: text("TimeZone"),
            date_style: text("DateStyle"),
            interval_style: text("IntervalStyle"),
            extra_float_digits: text("extra_float_digits").parse().unwrap_or(1),
            bytea_output: text("bytea_output"),
            client_encoding: text("client_encoding"),
        }
    }

    /// The output settings as the codec takes them.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Works out again what is kept resolved.
    fn resolve(&mut self) {
        self.search_path = value::names(self.get("search_path").unwrap_or_default());
        self.style = Style::new(&self.format());
        self.zone = self.style.zone;
        let ms = |name| {
            let value = self.get(name).and_then(|v| value::number(v, Unit::Milliseconds).ok());
            value.map_or(0, |ms| ms as u64)
        };
        let (statement, in_transaction, session) =
            (ms("statement_timeout"), ms("idle_in_transaction_session_timeout"), ms("idle_session_timeout"));
        self.statement_timeout_ms = statement;
        (self.idle_in_transaction_ms, self.idle_session_ms) = (in_transaction, session);
        self.statement_memory = self.get("statement_memory_limit").and_then(kilobytes).filter(|bytes| *bytes > 0);
        self.temp_files = self.get("temp_file_limit").and_then(kilobytes);
    }
}

/// The bytes of a value that counts kilobytes; none if it is negative, which stands for no limit.
pub(crate) fn kilobytes(shown: &str) -> Option<u64> {
    let kilobytes = value::number(shown, Unit::Kilobytes).ok().filter(|n| *n >= 0.0)?;
    Some((kilobytes * 1024.0) as u64)
}

/// Bytes as a setting that counts kilobytes shows them.
pub(crate) fn in_kilobytes(bytes: u64) -> String {
    value::shown(i64::try_from(bytes >> 10).unwrap_or(i64::MAX), Unit::Kilobytes)
}

fn unrecognized(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}
