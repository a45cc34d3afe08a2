//! The relay under faults: killed at any step, several at once, and a broker that stops, hangs or loses all it had.
//!
//! One checker holds what is in Kafka against the log. What strikes a broker strikes one of this test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod broker;
mod checker;
mod examples;
mod faults;
mod restarts;
mod stage;
mod topics;
mod worker;
mod workers;

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
    let lists = [checker::TRIALS, faults::TRIALS, topics::TRIALS, workers::TRIALS, examples::TRIALS, restarts::TRIALS];
    let conclusion = testkit::run_trials(lists);
    broker::clean_up();
    cluster::remove_template();
    conclusion.exit();
}
