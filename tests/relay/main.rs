//! The relay under faults: killed at any step, several at once, and a broker that stops, hangs or loses all it had.
//!
//! One checker holds what is in Kafka against the log. What strikes a broker strikes one of this test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod broker;
mod checker;
#[path = "../chaos/cluster.rs"]
#[allow(dead_code, reason = "it serves other tests too")]
mod cluster;
mod examples;
mod faults;
#[path = "../system/harness.rs"]
#[allow(dead_code, reason = "it serves other tests too")]
mod harness;
mod restarts;
mod stage;
#[path = "../chaos/strikes.rs"]
#[allow(dead_code, reason = "it serves other tests too")]
mod strikes;
mod topics;
mod worker;
mod workers;

use libtest_mimic::{Arguments, Trial};
use std::future::Future;

/// Trials by name.
pub(crate) type Trials = &'static [(&'static str, fn())];

/// Lists functions as trials under their names.
macro_rules! trials {
    ($($name:ident),+ $(,)?) => { &[$((stringify!($name), $name as fn())),+] };
}
pub(crate) use trials;

pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> = std::sync::LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
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
    let trials = lists.into_iter().flatten().map(|(name, trial)| {
        Trial::test(*name, move || {
            trial();
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    broker::clean_up();
    cluster::clean_up();
    conclusion.exit();
}
