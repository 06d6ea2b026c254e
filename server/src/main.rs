//! The `sightline` binary: arguments only; what runs is in `node`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use sightline_server::config::{self, Config};
use sightline_server::{node, parquet_to_csv};
use sightline_storage::error::{Error, Result};

const HELP: &str = "\
sightline: a SQL analytics database that speaks PostgreSQL's protocol

  sightline serve     runs a server until SIGTERM or Ctrl-C
      --data-dir DIR       where everything durable lies (./sightline-data)
      --pg-listen ADDR     where PostgreSQL clients connect (127.0.0.1:5433)
      --http-listen ADDR   /health, /ready, /metrics (127.0.0.1:8080)
      --config FILE        settings, as `sightline config` prints them
  sightline config    prints the default settings, each explained
  sightline --version
  sightline help

Every setting is also an environment variable, SIGHTLINE_ and its name in capitals.
";

/// Arguments that cannot be understood.
const EXIT_USAGE: u8 = 2;

/// Stack of a worker thread. DataFusion plans nested expressions by recursion, and a debug build has large frames.
/// Only what is touched takes memory.
const STACK_BYTES: usize = 64 << 20;

/// Flags of `serve` that are settings: the flag without its dashes is the key with `_` for `-`.
const SETTING_FLAGS: [&str; 3] = ["data_dir", "pg_listen", "http_listen"];

/// What the arguments ask for.
enum Command {
    Serve {
        config: Option<PathBuf>,
        flags: Vec<(&'static str, String)>,
    },
    Print(String),
    /// Hidden: the demo and benches feed `COPY … FROM STDIN` with it.
    ParquetToCsv(PathBuf),
}

fn main() -> ExitCode {
    let command = match parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(message) => return fail(&format!("{message}\nSee `sightline help`."), EXIT_USAGE),
    };
    match command {
        Command::Serve { config, flags } => serve(config, &flags),
        Command::Print(text) => exit_code(print(&text)),
        Command::ParquetToCsv(path) => exit_code(parquet_to_csv::convert(&path, std::io::stdout().lock())),
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.map(|a| a.into_string().map_err(|a| format!("argument {a:?} is not UTF-8")));
    let word = arguments.next().transpose()?;
    let command = match word.as_deref() {
        Some("serve") => return parse_serve(arguments),
        Some("parquet-to-csv") => {
            Command::ParquetToCsv(arguments.next().transpose()?.ok_or("parquet-to-csv takes a file")?.into())
        }
        Some("config") => Command::Print(config::DEFAULT.to_owned()),
        Some("--version" | "-V" | "version") => Command::Print(format!("sightline {}\n", node::VERSION)),
        None | Some("help" | "--help" | "-h") => Command::Print(HELP.to_owned()),
        Some(word) => return Err(format!("unknown command \"{word}\"")),
    };
    match arguments.next().transpose()? {
        None => Ok(command),
        Some(extra) => Err(format!("unexpected argument \"{extra}\"")),
    }
}

fn parse_serve(mut arguments: impl Iterator<Item = Result<String, String>>) -> Result<Command, String> {
    let (mut config, mut flags) = (None, Vec::new());
    while let Some(argument) = arguments.next().transpose()? {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        if matches!(flag.as_str(), "--help" | "-h") {
            return Ok(Command::Print(HELP.to_owned()));
        }
        let key = flag.strip_prefix("--").map(|name| name.replace('-', "_")).unwrap_or_default();
        let setting = SETTING_FLAGS.into_iter().find(|known| *known == key);
        if setting.is_none() && key != "config" {
            return Err(format!("unknown argument \"{flag}\" of serve"));
        }
        let value = match inline {
            Some(value) => value,
            None => arguments.next().transpose()?.ok_or(format!("{flag} takes a value"))?,
        };
        match setting {
            Some(key) => flags.push((key, value)),
            None => config = Some(PathBuf::from(value)),
        }
    }
    Ok(Command::Serve { config, flags })
}

fn serve(config: Option<PathBuf>, flags: &[(&str, String)]) -> ExitCode {
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v))) {
        match value.into_string() {
            Ok(value) => environment.push((name, value)),
            Err(_) if name.starts_with(config::PREFIX) => {
                return fail(&format!("environment variable {name} is not UTF-8"), EXIT_USAGE);
            }
            Err(_) => {}
        }
    }
    let config = match Config::load(config.as_deref(), environment, flags) {
        Ok(config) => config,
        Err(error) => return fail(&explain(&error), EXIT_USAGE),
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .thread_name("sightline")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(node::run(config));
            // Waits for nobody: the node has stopped, and a thread that still computes must not keep the process.
            runtime.shutdown_background();
            exit_code(result)
        }
        Err(e) => fail(&format!("cannot start threads: {e}"), 1),
    }
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&explain(&error), 1),
    }
}

/// Message, detail and hint, a line each.
fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    for more in [error.get_detail(), error.get_hint()].into_iter().flatten() {
        text = format!("{text}\n{more}");
    }
    text
}

#[expect(clippy::print_stderr, reason = "the one place that speaks to whoever typed the command")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("sightline: {message}");
    ExitCode::from(code)
}
