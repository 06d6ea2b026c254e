//! One table of settings ([`SETTINGS`]) that drives SET, SHOW, RESET, `current_setting` and `pg_settings`.
//!
//! A session holds a [`Settings`] behind an `Arc`; a statement keeps the one it started with. Values are kept in the form
//! that SHOW prints; what the engine asks often is kept resolved beside them.

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

pub use table::SETTINGS;

/// One setting as the table describes it.
#[derive(Debug)]
pub struct Setting {
    /// As SHOW ALL prints it; matched in any case.
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// Sent by ParameterStatus when it changes.
    pub reported: bool,
    /// False for what SET refuses (55P02).
    pub changeable: bool,
    /// As in `pg_settings.category`.
    pub category: &'static str,
    pub description: &'static str,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    /// Whole numbers in a range, in a unit.
    Integer(i64, i64, Unit),
    Real(f64, f64),
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
    Kilobytes,
    /// Pages of 8 kB.
    Pages,
}

/// A session's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By position in [`SETTINGS`].
    values: Vec<Arc<str>>,
    /// What RESET goes back to: defaults, changed by what the client said when it connected.
    initial: Vec<Arc<str>>,
    /// Settings with a dot in their name, which programs make up.
    custom: BTreeMap<String, String>,
    search_path: Vec<String>,
    zone: Zone,
    style: Style,
    statement_timeout_ms: u64,
}

static POSITIONS: LazyLock<BTreeMap<String, usize>> =
    LazyLock::new(|| SETTINGS.iter().enumerate().map(|(n, s)| (s.name.to_lowercase(), n)).collect());

fn position(name: &str) -> Option<usize> {
    POSITIONS.get(&name.to_lowercase()).copied()
}

/// The setting with this name, in any case.
pub fn find(name: &str) -> Option<&'static Setting> {
    position(name).map(|n| &SETTINGS[n])
}

impl Default for Settings {
    fn default() -> Settings {
        let values = SETTINGS.iter().map(|s| Arc::from(s.default)).collect::<Vec<Arc<str>>>();
        let mut settings = Settings {
            initial: values.clone(),
            values,
            custom: BTreeMap::new(),
            search_path: Vec::new(),
            zone: Zone::UTC,
            style: Style::default(),
            statement_timeout_ms: 0,
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
        let setting = &SETTINGS[n];
        if !setting.changeable {
            let text = format!("parameter \"{}\" cannot be changed", setting.name);
            return Err(Error::new(SqlState::new("55P02"), text));
        }
        self.values[n] = match values {
            Some(values) => value::checked(setting, name, values, &self.values[n], &self.initial[n])?.into(),
            None => self.initial[n].clone(),
        };
        self.resolve();
        Ok(())
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
            None => self.custom.remove(&name.to_lowercase()),
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
                for (n, setting) in SETTINGS.iter().enumerate() {
                    if setting.changeable {
                        self.values[n] = self.initial[n].clone();
                    }
                }
                self.custom.clear();
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
        POSITIONS.values().map(|n| (&SETTINGS[*n], &*self.values[*n]))
    }

    /// The value that RESET would go back to.
    pub fn reset_value(&self, name: &str) -> Option<&str> {
        position(name).map(|n| &*self.initial[n])
    }

    /// Parameters that clients are told of, in the order of the table.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = SETTINGS.iter().enumerate().filter(|(_, s)| s.reported);
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
        self.statement_timeout_ms = self
            .get("statement_timeout")
            .and_then(|v| value::integer(v, Unit::Milliseconds))
            .unwrap_or(0)
            .unsigned_abs();
    }
}

fn unrecognized(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}
