//! Helpers of several test binaries and benchmarks, compiled once for all of them: databases, running servers, private
//! PostgreSQL clusters, fixtures, decisions over several aggregates with their checker, and the measuring of benchmarks.
//!
//! Helpers panic on every error, which fails the test. This crate is a dev-dependency of the root package, on which it
//! depends itself, and of no other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be set up fails its test")]

mod appends;
pub mod bench;
mod certificates;
mod clock;
pub mod cluster;
mod database;
pub mod decisions;
mod fixtures;
mod http;
mod kafka;
mod principals;
mod process;
mod program;
pub mod protobuf;
mod provider;
mod server_process;
mod trials;
mod wait;

pub use appends::append_all;
pub use certificates::{Authority, Certificate};
pub use clock::avoid_the_end_of_an_hour;
pub use database::{AppendBlock, TestDatabase};
pub use fixtures::{append, at, call_append, call_payload, event, metadata, name, sample, stream, tenant};
pub use http::{HttpRequest, HttpResponse, read_request, send_until_checked};
pub use kafka::KafkaServer;
pub use principals::{access, context, operator, principal, with_roles};
pub use process::{ReservedPort, memory_kb, send_signal, wait_until_stopped};
pub use program::{ProgramOutput, Server, apex_binary, http_client, http_get};
pub use provider::{ProviderRequest, ProviderStub, ProviderUsage};
pub use server_process::ServerProcess;
pub use trials::{Trials, run_trials};
pub use wait::{POLL_INTERVAL, TIMEOUT, wait_until};

use std::path::Path;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// An environment variable that names a service of the tests, such as `APEX_TEST_DATABASE_URL`.
///
/// # Panics
/// If it is not set: without its services no test may pass.
pub fn required_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}
