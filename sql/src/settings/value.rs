//! Values of settings: from what SET says to what SHOW prints.

use sightline_storage::error::{Error, Result, SqlState};

use super::{Kind, Setting, Unit};
use crate::codec::{IntervalStyle, Style, interval, interval_input};
use sightline_functions::encoding::{Encoding, Named};
use sightline_functions::zone::Zone;
use sightline_storage::types::IntervalFields;

/// PostgreSQL's limit on names.
const NAME_BYTES_MAX: usize = 63;

/// The value in the form that SHOW prints. `name` is the setting's as the user wrote it, `present` is the value until now, `initial` what DEFAULT goes back to: a
/// DateStyle may change in part.
///
/// # Errors
/// 22023 for a value that the setting does not take, 0A000 for one that only PostgreSQL takes.
pub(super) fn checked(
    setting: &Setting,
    name: &str,
    values: &[String],
    present: &str,
    initial: &str,
) -> Result<String> {
    let text = match setting.kind {
        Kind::Names => return Ok(values.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(", ")),
        Kind::DateStyle => return date_style(setting, &values.join(", "), present, initial),
        _ if values.len() > 1 => {
            return Err(invalid_parameter(format!("SET {} takes only one argument", setting.name)));
        }
        _ => values.first().map(String::as_str).unwrap_or_default(),
    };
    match setting.kind {
        Kind::Bool => boolean(text)
            .map(|on| if on { "on" } else { "off" }.to_string())
            .ok_or_else(|| invalid_parameter(format!("parameter \"{name}\" requires a Boolean value"))),
        Kind::Integer(min, max, unit) => {
            let number = number(text, unit).map_err(|hint| invalid(name, text).hinted(hint))?.round_ties_even();
            if number > f64::from(i32::MAX) || number < f64::from(i32::MIN) {
                return Err(invalid(name, text).hint("Value exceeds integer range."));
            }
            let number = number as i64;
            if number < min || number > max {
                return Err(outside(name, &format!("{number}{}", unit.suffix()), min, max));
            }
            Ok(shown(number, unit))
        }
        Kind::Real(min, max, unit) => {
            let number = number(text, unit).map_err(|hint| invalid(name, text).hinted(hint))?;
            if !(min..=max).contains(&number) {
                let shown = format!("{}{}", significant(number), unit.suffix());
                return Err(outside(name, &shown, significant(min), significant(max)));
            }
            // The largest unit that makes it a whole number, else the smallest.
            let whole = |(_, size): &&(&str, f64)| (number / size - (number / size).round()).abs() < 1e-8;
            let scales = unit.scales();
            Ok(match scales.iter().find(whole).or(scales.last()) {
                Some((name, size)) if number > 0.0 => {
                    format!("{}{name}", significant((number / size * 1e8).round() / 1e8))
                }
                _ => significant(number),
            })
        }
        Kind::Enum(options) => match options.iter().find(|o| o.eq_ignore_ascii_case(text)) {
            Some(option) => Ok((*option).to_string()),
            // Words that PostgreSQL takes and does not show.
            None if setting.name == "client_min_messages" && text.eq_ignore_ascii_case("info") => {
                Ok("info".to_string())
            }
            None if setting.name == "client_min_messages" && text.eq_ignore_ascii_case("debug") => {
                Ok("debug2".to_string())
            }
            None => Err(invalid(name, text).hint(format!("Available values: {}.", options.join(", ")))),
        },
        Kind::TimeZone => time_zone(setting, text),
        Kind::Encoding => encoding(setting, text),
        Kind::ApplicationName => {
            let ascii = text.bytes().map(|b| if (b' '..=b'~').contains(&b) { char::from(b) } else { '?' });
            Ok(ascii.take(NAME_BYTES_MAX).collect())
        }
        Kind::Text | Kind::Names | Kind::DateStyle => Ok(text.to_string()),
    }
}

fn invalid_parameter(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn invalid(name: &str, text: &str) -> Error {
    invalid_parameter(format!("invalid value for parameter \"{name}\": \"{text}\""))
}

fn outside(name: &str, text: &str, min: impl std::fmt::Display, max: impl std::fmt::Display) -> Error {
    invalid_parameter(format!("{text} is outside the valid range for parameter \"{name}\" ({min} .. {max})"))
}

fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let is = |word: &str| !text.is_empty() && word.starts_with(&text);
    match text.as_str() {
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        _ if is("true") || is("yes") => Some(true),
        _ if is("false") || is("no") => Some(false),
        _ => None,
    }
}

trait Hinted {
    fn hinted(self, hint: Option<&'static str>) -> Error;
}

impl Hinted for Error {
    fn hinted(self, hint: Option<&'static str>) -> Error {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// What a setting is before anybody sets it, as SHOW prints it.
pub(super) fn initial(setting: &Setting) -> String {
    match setting.kind {
        Kind::Integer(_, _, unit) | Kind::Real(_, _, unit) if unit != Unit::None => {
            number(setting.default, unit).map_or_else(|_| setting.default.to_string(), |n| shown(n as i64, unit))
        }
        _ => setting.default.to_string(),
    }
}

/// The value of a number in the setting's own unit, as `pg_settings` has it.
pub(crate) fn in_unit(setting: &Setting, shown: &str) -> String {
    match setting.kind {
        Kind::Integer(_, _, unit) | Kind::Real(_, _, unit) if unit != Unit::None => {
            number(shown, unit).map_or_else(|_| shown.to_string(), significant)
        }
        _ => shown.to_string(),
    }
}

/// Six significant digits, as C's `%g`; whole numbers in full.
pub(crate) fn significant(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number}");
    }
    let rounded = format!("{number:.5e}");
    let (digits, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        let plain = format!("{number:.places$}");
        return plain.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl Unit {
    /// As an error shows it behind a number.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Milliseconds => " ms",
            Unit::Seconds => " s",
            Unit::Bytes => " B",
            Unit::Kilobytes => " kB",
            Unit::Pages => " 8kB",
        }
    }

    /// The units that a number may be written in, largest first, each with how many of the base unit it is.
    fn scales(self) -> &'static [(&'static str, f64)] {
        const K: f64 = 1024.0;
        match self {
            Unit::None => &[],
            Unit::Milliseconds => &[("d", 86.4e6), ("h", 3.6e6), ("min", 6e4), ("s", 1e3), ("ms", 1.0), ("us", 1e-3)],
            Unit::Seconds => &[("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6)],
            Unit::Bytes => &[("TB", K * K * K * K), ("GB", K * K * K), ("MB", K * K), ("kB", K), ("B", 1.0)],
            Unit::Kilobytes => &[("TB", K * K * K), ("GB", K * K), ("MB", K), ("kB", 1.0), ("B", 1.0 / K)],
            Unit::Pages => {
                &[("TB", K * K * K / 8.0), ("GB", K * K / 8.0), ("MB", K / 8.0), ("kB", 0.125), ("B", 0.125 / K)]
            }
        }
    }

    /// PostgreSQL's hint for a unit that is none.
    fn hint(self) -> Option<&'static str> {
        match self {
            Unit::None => None,
            Unit::Milliseconds | Unit::Seconds => {
                Some("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
            }
            Unit::Bytes | Unit::Kilobytes | Unit::Pages => {
                Some("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".")
            }
        }
    }
}

/// A number with or without a unit, in the base unit; or the hint of what is wrong with it.
pub(super) fn number(text: &str, unit: Unit) -> Result<f64, Option<&'static str>> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let number = i64::from_str_radix(hex, 16).map_err(|_| None)? as f64;
        return Ok(if text.starts_with('-') { -number } else { number });
    }
    // An `e` belongs to the number if a number follows it.
    let is_number = |end: usize| text[..end].trim_end().parse::<f64>().is_ok();
    let ends = (1..=text.len()).rev().filter(|end| text.is_char_boundary(*end));
    let end = ends.into_iter().find(|end| is_number(*end) && !text[..*end].ends_with(char::is_alphabetic));
    let end = end.ok_or(None)?;
    let number: f64 = text[..end].trim_end().parse().map_err(|_| None)?;
    let name = text[end..].trim();
    if name.is_empty() {
        return Ok(number);
    }
    let scale = unit.scales().iter().find(|(n, _)| *n == name).ok_or(unit.hint())?.1;
    Ok(number * scale)
}

/// The number in the largest unit that holds it without a rest.
pub(super) fn shown(number: i64, unit: Unit) -> String {
    let whole = |(_, size): &&(&str, f64)| {
        let parts = number as f64 / size;
        number > 0 && parts.fract() == 0.0
    };
    match unit.scales().iter().find(whole) {
        Some((name, size)) => format!("{}{name}", number as f64 / size),
        None => number.to_string(),
    }
}

fn time_zone(setting: &Setting, text: &str) -> Result<String> {
    if text.eq_ignore_ascii_case("default") || text.eq_ignore_ascii_case("local") {
        return Ok(setting.default.to_string());
    }
    if let Some(written) = interval_of(text) {
        let value = interval_input::parse(written, &Style::default(), IntervalFields::All)?;
        let refused = |what: &str| {
            let mut shown = Vec::new();
            interval::write(&mut shown, value, IntervalStyle::Postgres);
            let text = format!("INTERVAL '{}'", String::from_utf8_lossy(&shown));
            invalid(setting.name, &text).detail(format!("Cannot specify {what} in time zone interval."))
        };
        if value.months != 0 {
            return Err(refused("months"));
        }
        if value.days != 0 {
            return Err(refused("days"));
        }
        return Ok(offset_name(value.nanoseconds / 1_000_000_000));
    }
    if Zone::of_setting(text).is_none() {
        return Err(invalid(setting.name, text));
    }
    // A name in the case of the zone's file, as PostgreSQL shows it.
    if let Some(zone) = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
        return Ok(zone.name().to_string());
    }
    match text.trim().parse::<f64>() {
        Ok(hours) => Ok(offset_name((hours * 3600.0) as i64)),
        Err(_) => Ok(text.to_ascii_uppercase()),
    }
}

/// The text in `interval '+05:30'`.
fn interval_of(text: &str) -> Option<&str> {
    let rest = text.get(8..).filter(|_| text[..8].eq_ignore_ascii_case("interval"))?;
    rest.trim_start().strip_prefix('\'')?.split('\'').next()
}

/// A zone that is so many seconds east of Greenwich, in POSIX's notation, whose sign is that of the west.
fn offset_name(seconds: i64) -> String {
    let (sign, opposite) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    let s = seconds.abs();
    let offset = match (s / 60 % 60, s % 60) {
        (0, 0) => format!("{:02}", s / 3600),
        (minutes, 0) => format!("{:02}:{minutes:02}", s / 3600),
        (minutes, rest) => format!("{:02}:{minutes:02}:{rest:02}", s / 3600),
    };
    format!("<{sign}{offset}>{opposite}{offset}")
}

/// Only letters and digits of an encoding's name count, as in PostgreSQL: asyncpg says `'utf-8'`, quotes and all.
fn encoding(setting: &Setting, text: &str) -> Result<String> {
    match Encoding::named(text) {
        Named::There(encoding) => Ok(encoding.name.to_string()),
        _ if text.is_empty() || text.eq_ignore_ascii_case("default") => Ok("UTF8".to_string()),
        Named::Missing => {
            Err(Error::unsupported(format!("client_encoding \"{text}\" is not supported")).hint("Use UTF8."))
        }
        Named::Unknown => Err(invalid(setting.name, text)),
    }
}

/// `SQL, DMY`: the form dates are printed in, and the order in which they are read. What is not said stays; what is said
/// twice must agree. Only the beginnings of POSTGRES, EURO and NONEURO count.
fn date_style(setting: &Setting, text: &str, present: &str, initial: &str) -> Result<String> {
    let (mut form, mut order): (Option<String>, Option<String>) = (None, None);
    let mut agrees = true;
    let mut say = |said: &mut Option<String>, word: &str| {
        agrees &= said.as_deref().is_none_or(|s| s == word);
        *said = Some(word.to_string());
    };
    for word in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let upper = word.trim_matches('"').to_ascii_uppercase();
        match upper.as_str() {
            "ISO" | "SQL" => say(&mut form, &upper),
            "GERMAN" => say(&mut form, "German"),
            "YMD" | "DMY" | "MDY" => say(&mut order, &upper),
            "US" => say(&mut order, "MDY"),
            "DEFAULT" => {
                let (f, o) = initial.split_once(", ").unwrap_or((initial, "MDY"));
                form.get_or_insert_with(|| f.to_string());
                order.get_or_insert_with(|| o.to_string());
            }
            w if w.starts_with("POSTGRES") => say(&mut form, "Postgres"),
            w if w.starts_with("EURO") => say(&mut order, "DMY"),
            w if w.starts_with("NONEURO") => say(&mut order, "MDY"),
            "" => return Err(invalid(setting.name, text).detail("List syntax is invalid.")),
            _ => {
                let word = word.to_lowercase();
                return Err(invalid(setting.name, text).detail(format!("Unrecognized key word: \"{word}\".")));
            }
        }
    }
    if !agrees {
        return Err(invalid(setting.name, text).detail("Conflicting \"datestyle\" specifications."));
    }
    let (f, o) = present.split_once(", ").unwrap_or((present, "MDY"));
    let o = if form.as_deref() == Some("German") { "DMY" } else { o };
    Ok(format!("{}, {}", form.as_deref().unwrap_or(f), order.as_deref().unwrap_or(o)))
}

/// A name as a list of names shows it.
pub(super) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let simple = name.chars().all(plain) && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if simple { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The names of a list, folded unless quoted.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(inside) => {
                let mut name = String::new();
                let mut chars = inside.char_indices().peekable();
                let mut end = inside.len();
                while let Some((at, c)) = chars.next() {
                    if c != '"' {
                        name.push(c);
                    } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
                        name.push('"');
                        chars.next();
                    } else {
                        end = at + 1;
                        break;
                    }
                }
                (name, &inside[end..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if !name.is_empty() {
            names.push(name);
        }
        rest = after.trim_start().strip_prefix(',').unwrap_or_default().trim_start();
    }
    names
}
