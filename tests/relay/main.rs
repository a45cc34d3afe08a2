//! The relay under faults: killed at any step, several relays at once, and a broker that stops, hangs or loses its data.
//!
//! One checker compares the topics with the log. Faults of a broker are injected into a private one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

mod broker;
mod checker;
mod examples;
mod faults;
mod fixture;
mod restarts;
mod topics;
mod worker;

use std::future::Future;
use std::sync::LazyLock;
use testkit::cluster;
use tokio::runtime::Runtime;

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    &RUNTIME
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn main() {
    if let Ok(argument) = std::env::var(worker::WORKER) {
        return block_on(worker::serve(&argument));
    }
    let lists = [faults::TRIALS, checker::TRIALS, topics::TRIALS, examples::TRIALS, restarts::TRIALS];
    let conclusion = testkit::run_trials(lists);
    broker::remove();
    cluster::remove_template();
    conclusion.exit();
}
