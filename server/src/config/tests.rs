//! Layers, values and the errors they give.

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sightline.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let flags: Vec<_> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    Config::load(Some(&path), environment, &flags)
}

fn message(result: Result<Config>) -> String {
    let error = result.unwrap_err();
    format!("{} {} {}", error.code(), error.message(), error.get_hint().unwrap_or_default())
}

#[test]
fn embedded_file_is_the_default() {
    let config = Config::defaults();
    assert_eq!(config.pg_listen.to_string(), "127.0.0.1:5433");
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.flush_bytes, 64 << 20);
    assert_eq!(config.statement_timeout, None);
    assert!(config.memory_limit > 0 && !config.unsafe_no_sync);
}

#[test]
fn flags_over_environment_over_file() {
    let file = "max_connections = 1\nthreads = 1\nlog_level = \"warn\"";
    let config = load(file, &[("SIGHTLINE_MAX_CONNECTIONS", "2"), ("SIGHTLINE_THREADS", "2")], &[("threads", "3")]);
    let config = config.unwrap();
    assert_eq!((config.log_level.as_str(), config.max_connections, config.threads), ("warn", 2, 3));
}

#[test]
fn unknown_key_names_the_valid_ones() {
    let text = message(load("pg_port = 1", &[], &[]));
    assert!(text.starts_with("F0000 unknown key \"pg_port\" in "), "{text}");
    assert!(text.contains("Valid keys are authentication_timeout, data_dir, file_root,"), "{text}");
}

#[test]
fn bad_value_names_its_origin() {
    let text = message(load("", &[("SIGHTLINE_FLUSH_BYTES", "64 potatoes")], &[]));
    assert!(text.contains("environment variable SIGHTLINE_FLUSH_BYTES"), "{text}");
    assert!(text.contains("such as 64MiB"), "{text}");
    assert!(message(load("", &[], &[("pg_listen", "5433")])).contains("flag --pg-listen"));
    assert!(message(load("log_format = \"xml\"", &[], &[])).contains("human or json"));
    assert!(message(load("threads = [1]", &[], &[])).contains("must be a plain value"));
    assert!(message(load("threads = ", &[], &[])).contains("is not valid TOML"));
}

#[test]
fn secrets_are_not_shown() {
    let config = load("s3_secret_key = \"hunter2\"", &[("SIGHTLINE_S3_ACCESS_KEY", "hunter3")], &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter"));
    let text = message(load("threads = 1\ns3_secret_key = \"hunter2\n", &[], &[]));
    assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
    let text = message(load("parts_url = \"file:///tmp\"", &[], &[]));
    assert!(text.contains("such as s3://bucket/prefix"), "{text}");
    let config = load("parts_url = \"s3://data/a/\"\ns3_files = \"s3://one, s3://two/b\"", &[], &[]).unwrap();
    assert_eq!(config.parts_url.unwrap().to_string(), "s3://data/a");
    assert_eq!(config.s3_files.len(), 2);
}

#[test]
fn sizes_and_times() {
    assert_eq!(size("4GiB"), Some(4 << 30));
    assert_eq!(size("512 kB"), Some(512 << 10));
    assert_eq!(size("123"), Some(123));
    assert_eq!((size("0"), size("-1"), size("1.5GiB"), size("")), (None, None, None, None));
    assert_eq!(size("99999999999TiB"), None);
    assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
    assert_eq!(duration("250"), Some(Duration::from_millis(250)));
    assert_eq!(duration("1 day"), None);
}

#[test]
fn unknown_variables_are_found() {
    let names = ["SIGHTLINE_THREADS", "SIGHTLINE_PORT", "SIGHTLINE_TEST_SIZE", "HOME"].map(str::to_owned);
    assert_eq!(unknown_variables(names), ["SIGHTLINE_PORT"]);
}

#[test]
fn memory_total_of_meminfo() {
    assert_eq!(memory_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16384 * 1024));
    assert_eq!(memory_total("nothing"), None);
}
