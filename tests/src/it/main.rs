//! Tests at the boundary: SQL scripts, the wire, crashes, syncs, real clients, bad input, the documents' examples.
//!
//! A libtest-mimic binary, so that each script is a test of its own name. A test that needs a server process starts this
//! binary again as `it --serve DIR` ([`server`]): DataFusion is linked once. `SIGHTLINE_TEST_SIZE=soak` makes rounds and
//! sizes large. `it --clients [DRIVER…]` prints the table of drivers (`./dev clients`). Run some by name: `cargo test --test it -- slt::wire`, or scripts by path: `-- tests/slt/types/date.slt`.

mod bad_input;
mod budget;
mod ceiling;
mod changes;
mod clients;
mod copy;
mod crash;
mod docs;
mod driver;
mod encodings;
mod faults;
mod files;
#[path = "../format.rs"]
mod format;
mod login;
mod memory;
mod object_storage;
#[path = "../pg_client.rs"]
mod pg_client;
mod protocol;
mod proxy;
mod races;
mod read_files;
mod reading;
mod sequences;
mod server;
mod slt;
mod support;
mod sync;
mod tenants;
mod upload;
mod weed;
mod wire;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--serve") {
        return server::serve(arguments.get(at + 1).map(String::as_str));
    }
    if arguments.iter().any(|a| a == "--tokio-postgres") {
        return driver::run();
    }
    if let Some(at) = arguments.iter().position(|a| a == "--clients") {
        return clients::table(&arguments[at + 1..]);
    }
    for argument in &mut arguments {
        if let Some((_, script)) = argument.split_once("tests/slt/") {
            *argument = script.to_string();
        }
    }
    let conclusion = libtest_mimic::run(&Arguments::from_iter(arguments), trials());
    server::stop_shared();
    conclusion.exit_code()
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    slt::trials(&mut trials);
    faults::trials(&mut trials);
    wire::trials(&mut trials);
    protocol::trials(&mut trials);
    login::trials(&mut trials);
    encodings::trials(&mut trials);
    races::trials(&mut trials);
    sequences::trials(&mut trials);
    changes::trials(&mut trials);
    tenants::trials(&mut trials);
    copy::trials(&mut trials);
    files::trials(&mut trials);
    read_files::trials(&mut trials);
    upload::trials(&mut trials);
    memory::trials(&mut trials);
    budget::trials(&mut trials);
    ceiling::trials(&mut trials);
    reading::trials(&mut trials);
    bad_input::trials(&mut trials);
    crash::trials(&mut trials);
    object_storage::trials(&mut trials);
    sync::trials(&mut trials);
    clients::trials(&mut trials);
    docs::trials(&mut trials);
    trials
}
