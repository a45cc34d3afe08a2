//! The log under faults. Clients outside of what is struck write down what they asked, what they were told and what
//! they read; one checker holds that against the log.
//!
//! As a test it strikes briefly with each fault. With `APEX_TEST_CHAOS_S` (`make chaos`) it goes through all of them
//! for so many seconds and prints a table. `APEX_TEST_CHAOS_SEED` repeats the dice of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the table is what a long run is for")]

mod checker;
mod clients;
mod dice;
mod faults;
mod history;
mod matrix;
mod naive;
mod planted;
mod proxy;
mod readers;
mod restore;
mod stage;
mod storage;
mod turns;
mod worker;

use faults::Fault;
use stage::Tally;
use std::sync::LazyLock;
use std::time::Duration;
use testkit::cluster;
use tokio::runtime::Runtime;

/// How long a test strikes with one fault.
const BRIEF: Duration = Duration::from_millis(2000);

static SEED: LazyLock<u64> = LazyLock::new(|| setting("APEX_TEST_CHAOS_SEED").unwrap_or_else(rand::random));

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// One fault for a short time, which must leave every promise as it was.
pub(crate) fn brief(fault: Fault) -> Tally {
    let seed = *SEED;
    let tally = runtime().block_on(stage::run(fault, BRIEF, seed));
    let report = &tally.report;
    assert!(report.violations.is_empty(), "seed {seed}: {}", matrix::first(&report.violations));
    assert_eq!(tally.falls, 0, "seed {seed}: time fell while positions rose");
    assert!(report.acknowledged > 0, "nothing was acknowledged: it proves nothing");
    tally
}

fn main() {
    if let Ok(argument) = std::env::var(worker::WORKER) {
        let (connections, url) = argument.split_once(' ').unwrap();
        return runtime().block_on(worker::serve(connections.parse().unwrap(), url.to_owned()));
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
