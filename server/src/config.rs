//! Settings of a node. The annotated `server/config.toml`, built into the binary, IS the default; a file, then the
//! environment, then flags of the command line are laid over it. A key is known because that file has it, and every
//! layer brings text, so a value is checked in one place whatever it came from.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::objects::{S3Options, S3Url};
use sightline_storage::secret::Secret;

use crate::tls::TlsVersion;

/// The default settings with their explanation, as `sightline config` prints them.
pub const DEFAULT: &str = include_str!("../config.toml");

/// What an environment variable of ours begins with.
pub const PREFIX: &str = "SIGHTLINE_";

/// Variables of `./dev` and of the tests, by how they go on.
const NOT_SETTINGS: [&str; 6] = ["BENCH_", "BIN", "CACHE", "DEV_", "IT_", "TEST_"];

/// Memory that `memory_limit = "auto"` takes of the machine's, in percent: the rest is for what nobody counts, such as
/// results on their way out, and for the page cache.
const AUTO_MEMORY_PERCENT: u64 = 60;

/// With less a node could not even start to work.
const MEMORY_MIN: u64 = 64 << 20;

/// Memory assumed where the machine does not tell (8 GiB).
const UNKNOWN_MEMORY: u64 = 8 << 30;

/// A node's settings, checked. `server/config.toml` explains each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub pg_listen: SocketAddr,
    pub http_listen: SocketAddr,
    pub trust_remote: bool,
    pub tls: bool,
    /// None: one is made in the data directory.
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub tls_min_version: TlsVersion,
    pub max_connections: usize,
    /// Bytes.
    pub memory_limit: u64,
    /// 0 is the number of cores.
    pub threads: usize,
    pub flush_bytes: u64,
    pub hot_bytes_max: u64,
    /// None: the data directory.
    pub parts_url: Option<S3Url>,
    /// Bytes.
    pub part_cache_size: u64,
    pub s3: S3Options,
    /// What statements may name files in.
    pub s3_files: Vec<S3Url>,
    /// Bytes.
    pub http_upload_max: u64,
    /// None: no files of the server.
    pub file_root: Option<PathBuf>,
    /// None: no limit.
    pub statement_timeout: Option<Duration>,
    pub authentication_timeout: Duration,
    pub log_level: String,
    pub log_format: LogFormat,
    pub unsafe_no_sync: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

impl Config {
    /// The defaults alone, e.g. for a test, which then sets fields.
    pub fn defaults() -> Config {
        Layers::defaults().build().expect("the embedded config.toml is valid: a test reads it")
    }

    /// The settings of a node: `flags` over `environment` over `file` over the defaults.
    ///
    /// # Errors
    /// F0000 naming key, value and where it was said; 58P01 if the file cannot be read.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Config> {
        let mut layers = Layers::defaults();
        if let Some(path) = file {
            layers.add_file(path)?;
        }
        layers.add_environment(environment);
        for (key, value) in flags {
            layers.set(key, value.clone(), Origin::Flag);
        }
        layers.build()
    }
}

/// Variables of ours that are no settings: what a start should warn of. Kubernetes makes `SIGHTLINE_PORT` and the like
/// for a service named so, hence a warning and no error.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = Layers::defaults().0;
    let ours = names.into_iter().filter(|name| {
        let unknown = |key: &str| !known.contains_key(&key.to_lowercase());
        name.strip_prefix(PREFIX).is_some_and(|key| unknown(key) && !NOT_SETTINGS.iter().any(|n| key.starts_with(n)))
    });
    ours.collect()
}

/// Where a value was said, for the error.
#[derive(Clone, Debug)]
enum Origin {
    Default,
    File(PathBuf),
    Environment,
    Flag,
}

/// The value of every key, as text, and who said it.
struct Layers(BTreeMap<String, (String, Origin)>);

impl Layers {
    fn defaults() -> Layers {
        let table: toml::Table = DEFAULT.parse().expect("the embedded config.toml is TOML: a test reads it");
        let text = |value| value_text(&value).expect("the embedded config.toml holds plain values: a test reads it");
        Layers(table.into_iter().map(|(key, value)| (key, (text(value), Origin::Default))).collect())
    }

    fn set(&mut self, key: &str, value: String, origin: Origin) {
        self.0.insert(key.to_owned(), (value, origin));
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::new(SqlState::new("58P01"), format!("cannot read settings from \"{}\": {e}", path.display()))
        })?;
        // The error's own text shows the line, which may hold a secret.
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            invalid(format!("\"{}\" is not valid TOML: line {line}: {}", path.display(), e.message()))
        })?;
        for (key, value) in table {
            if !self.0.contains_key(&key) {
                let valid = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(invalid(format!("unknown key \"{key}\" in \"{}\"", path.display()))
                    .hint(format!("Valid keys are {valid}.")));
            }
            let text = value_text(&value)
                .ok_or_else(|| invalid(format!("\"{key}\" in \"{}\" must be a plain value", path.display())))?;
            self.set(&key, text, Origin::File(path.to_owned()));
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in environment {
            let key = name.strip_prefix(PREFIX).map(str::to_lowercase);
            if let Some(key) = key.filter(|key| self.0.contains_key(key)) {
                self.set(&key, value, Origin::Environment);
            }
        }
    }

    fn build(&self) -> Result<Config> {
        Ok(Config {
            data_dir: self.get("data_dir", |s| non_empty(s).map(PathBuf::from))?,
            pg_listen: self.get("pg_listen", address)?,
            http_listen: self.get("http_listen", address)?,
            trust_remote: self.get("trust_remote", boolean)?,
            tls: self.get("tls", boolean)?,
            tls_cert_file: self.get("tls_cert_file", |s| Some(non_empty(s).map(PathBuf::from)))?,
            tls_key_file: self.get("tls_key_file", |s| Some(non_empty(s).map(PathBuf::from)))?,
            tls_min_version: self.get("tls_min_version", tls_version)?,
            max_connections: self.get("max_connections", |s| number(s).filter(|n| *n > 0))?,
            memory_limit: self.get("memory_limit", |s| {
                if s == "auto" { Some(auto_memory()) } else { size(s).filter(|n| *n >= MEMORY_MIN) }
            })?,
            threads: self.get("threads", number)?,
            flush_bytes: self.get("flush_bytes", size)?,
            hot_bytes_max: self.get("hot_bytes_max", size)?,
            parts_url: self.get("parts_url", |s| if s.is_empty() { Some(None) } else { S3Url::parse(s).map(Some) })?,
            part_cache_size: self.get("part_cache_size", |s| if s == "0" { Some(0) } else { size(s) })?,
            s3: self.s3()?,
            s3_files: self.get("s3_files", |s| {
                s.split(',').map(str::trim).filter(|s| !s.is_empty()).map(S3Url::parse).collect()
            })?,
            http_upload_max: self.get("http_upload_max", size)?,
            file_root: self.get("file_root", |s| Some(non_empty(s).map(PathBuf::from)))?,
            statement_timeout: Some(self.get("statement_timeout", duration)?).filter(|d| !d.is_zero()),
            authentication_timeout: self
                .get("authentication_timeout", |text| duration(text).filter(|d| !d.is_zero()))?,
            log_level: self.get("log_level", log_level)?,
            log_format: self.get("log_format", log_format)?,
            unsafe_no_sync: self.get("unsafe_no_sync", boolean)?,
        })
    }

    fn s3(&self) -> Result<S3Options> {
        let secret = |s: &str| Some(non_empty(s).map(Secret::new));
        Ok(S3Options {
            endpoint: self.get("s3_endpoint", |s| Some(non_empty(s).map(str::to_owned)))?,
            region: self.get("s3_region", |s| non_empty(s).map(str::to_owned))?,
            access_key: self.get("s3_access_key", secret)?,
            secret_key: self.get("s3_secret_key", secret)?,
            path_style: self.get("s3_path_style", boolean)?,
            allow_http: self.get("s3_allow_http", boolean)?,
            timeout: self.get("s3_timeout", |text| duration(text).filter(|d| !d.is_zero()))?,
        })
    }

    fn get<T>(&self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let (value, origin) = self.0.get(key).expect("build asks for keys of config.toml only: a test reads it");
        parse(value.trim()).ok_or_else(|| {
            let error = invalid(format!("invalid value for \"{key}\": \"{value}\" ({})", origin.describe(key)));
            match expected(key) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }
}

impl Origin {
    fn describe(&self, key: &str) -> String {
        match self {
            Origin::Default => "the default".to_owned(),
            Origin::File(path) => format!("in \"{}\"", path.display()),
            Origin::Environment => format!("environment variable {PREFIX}{}", key.to_uppercase()),
            Origin::Flag => format!("flag --{}", key.replace('_', "-")),
        }
    }
}

/// What a key wants to hear, for the hint of an error.
fn expected(key: &str) -> Option<&'static str> {
    Some(match key {
        "pg_listen" | "http_listen" => "It takes an address and a port, such as 127.0.0.1:5433.",
        "tls_min_version" => "It takes 1.3 or 1.2.",
        "parts_url" => "It takes an URL such as s3://bucket/prefix, or nothing.",
        "s3_files" => "It takes URLs such as s3://bucket/prefix, with commas between them.",
        "part_cache_size" => "It takes a size such as 4GiB; 0 is none.",
        "s3_region" => "It takes a name such as us-east-1.",
        "s3_timeout" => "It takes a time such as 30s.",
        "tls" | "trust_remote" | "unsafe_no_sync" | "s3_path_style" | "s3_allow_http" => "It takes true or false.",
        "max_connections" => "It takes a number from 1.",
        "threads" => "It takes a number; 0 is one for each core.",
        "memory_limit" => "It takes auto, or a size such as 4GiB, at least 64MiB.",
        "flush_bytes" | "hot_bytes_max" | "http_upload_max" => "It takes a size such as 64MiB.",
        "authentication_timeout" => "It takes a time such as 60s.",
        "statement_timeout" => "It takes a time such as 30s; 0 is off.",
        "log_level" => {
            "It takes error, warn, info, debug or trace, or levels by module, as in info,sightline_storage=debug."
        }
        "log_format" => "It takes human or json.",
        _ => return None,
    })
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::new("F0000"), message)
}

/// A plain TOML value as the environment would say it.
fn value_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

fn non_empty(s: &str) -> Option<&str> {
    Some(s).filter(|s| !s.is_empty())
}

/// `host:port`; a name is looked up.
fn address(s: &str) -> Option<SocketAddr> {
    s.to_socket_addrs().ok()?.next()
}

fn boolean(s: &str) -> Option<bool> {
    match s.to_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn number(s: &str) -> Option<usize> {
    s.parse().ok()
}

/// Splits `64MiB` into 64 and `MiB`.
fn with_unit(s: &str) -> Option<(u64, &str)> {
    let digits = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    Some((s[..digits].parse().ok()?, s[digits..].trim()))
}

/// A size in bytes; kB, MB and GB are powers of 1024, as PostgreSQL reads them.
fn size(s: &str) -> Option<u64> {
    let (n, unit) = with_unit(s)?;
    let shift = match unit.to_lowercase().as_str() {
        "" | "b" => 0,
        "kb" | "kib" => 10,
        "mb" | "mib" => 20,
        "gb" | "gib" => 30,
        "tb" | "tib" => 40,
        _ => return None,
    };
    n.checked_mul(1 << shift).filter(|n| *n > 0)
}

/// A time; a bare number is milliseconds, as in PostgreSQL.
fn duration(s: &str) -> Option<Duration> {
    let (n, unit) = with_unit(s)?;
    let unit_ms = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    n.checked_mul(unit_ms).map(Duration::from_millis)
}

/// `info`, or `info,module=debug`. A lone word that is no level would be taken for a module, and turn all else off.
fn log_level(s: &str) -> Option<String> {
    let is_level = |s: &str| {
        let level = s.rsplit('=').next().unwrap_or(s);
        ["error", "warn", "info", "debug", "trace", "off"].contains(&level.to_ascii_lowercase().as_str())
    };
    (!s.is_empty() && s.split(',').all(|directive| is_level(directive.trim()))).then(|| s.to_owned())
}

fn tls_version(s: &str) -> Option<TlsVersion> {
    match s {
        "1.2" => Some(TlsVersion::V12),
        "1.3" => Some(TlsVersion::V13),
        _ => None,
    }
}

fn log_format(s: &str) -> Option<LogFormat> {
    match s {
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// The share of this machine's memory that `auto` means, in bytes.
fn auto_memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| memory_total(&text));
    // Ours and those around it; "max" is no limit. A container sees its own as the root.
    let own = read("/proc/self/cgroup").and_then(|text| cgroup(&text).map(str::to_owned)).unwrap_or_default();
    let groups = Path::new(&own).ancestors().map(|p| p.to_string_lossy().trim_matches('/').to_owned());
    let groups = groups.chain([String::new()]);
    let limit = |group: String| read(&format!("/sys/fs/cgroup/{group}/memory.max")).and_then(|t| t.trim().parse().ok());
    let bytes = groups.filter_map(limit).chain(machine).min().unwrap_or(UNKNOWN_MEMORY);
    (bytes / 100 * AUTO_MEMORY_PERCENT).max(MEMORY_MIN)
}

/// The process's group in the unified hierarchy, from `/proc/self/cgroup`.
fn cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests;
