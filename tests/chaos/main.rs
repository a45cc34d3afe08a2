//! The log under faults. Clients that no fault affects record their requests, the responses and the events that they
//! read; one checker compares these histories with the log.
//!
//! As a test, each fault is injected for a short time. With `APEX_TEST_CHAOS_S` (`make chaos`), all faults are injected in
//! turn for that many seconds, and a table is printed. `APEX_TEST_CHAOS_SEED` repeats the random choices of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]
#![allow(clippy::print_stdout, reason = "a long run prints its table")]

mod checker;
mod clients;
mod deciders;
mod faults;
mod history;
mod matrix;
mod naive;
mod planted;
mod planted_decisions;
mod proxy;
mod readers;
mod restore;
mod rng;
mod run;
mod storage;
mod turns;
mod worker;

use faults::Fault;
use run::{RunConfig, RunSummary};
use std::sync::LazyLock;
use std::time::Duration;
use testkit::cluster;
use tokio::runtime::Runtime;

/// How long a test injects its fault.
const SHORT_RUN: Duration = Duration::from_millis(2000);

static SEED: LazyLock<u64> = LazyLock::new(|| setting("APEX_TEST_CHAOS_SEED").unwrap_or_else(rand::random));

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Injects a fault for a short time, and asserts that no guarantee is violated.
pub(crate) fn run_briefly(fault: Fault) -> RunSummary {
    let seed = *SEED;
    let summary = runtime().block_on(run::run(&RunConfig::of(fault, SHORT_RUN), seed));
    let report = &summary.report;
    assert!(report.violations.is_empty(), "seed {seed}: {}", matrix::first(&report.violations));
    assert_eq!(summary.time_reversals, 0, "seed {seed}: recorded_at decreased while positions increased");
    assert!(report.acknowledged > 0, "nothing was acknowledged, so nothing was tested");
    summary
}

fn main() {
    if let Ok(argument) = std::env::var(worker::WORKER) {
        return runtime().block_on(worker::serve(argument));
    }
    if let Ok(argument) = std::env::var(turns::WORKER) {
        return runtime().block_on(turns::work(argument));
    }
    if let Some(seconds) = setting("APEX_TEST_CHAOS_S") {
        let holds = matrix::run(Duration::from_secs(seconds), *SEED);
        cluster::remove_template();
        std::process::exit(i32::from(!holds));
    }
    eprintln!("chaos: seed {}", *SEED);
    let lists = [
        planted::TRIALS,
        planted_decisions::TRIALS,
        proxy::TRIALS,
        naive::TRIALS,
        faults::TRIALS,
        turns::TRIALS,
        storage::TRIALS,
        restore::TRIALS,
    ];
    let conclusion = testkit::run_trials(lists);
    cluster::remove_template();
    conclusion.exit();
}
