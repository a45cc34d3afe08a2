//! Model-based test of the log: random interleavings of appends, reads, retries and crashes, through several handles of the
//! log, applied to a model in memory and to PostgreSQL.
//!
//! `PROPTEST_CASES` sets the number of cases. A failing case is shrunk and printed, and its seed is written to
//! `tests/proptest-regressions`, whose cases every later run repeats first.

mod machine;
mod plan;
mod process;
mod reference;

use machine::{Bench, DISAGREES};
use plan::{Step, steps};
use process::Bug;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;

/// The default number of cases.
const CASES: u32 = 16;
/// The number of cases within which every planted bug must be found.
const CASES_FOR_A_BUG: u32 = 40;

fn run(runner: &mut TestRunner, bug: Bug) -> Result<(), TestError<Vec<Step>>> {
    let bench = RefCell::new(Bench::new(bug));
    let verdict = runner.run(&steps(), |steps| bench.borrow_mut().case(&steps).map_err(TestCaseError::fail));
    let (runtime, database) = bench.into_inner().stop();
    if verdict.is_ok() {
        runtime.block_on(database.verify_log());
    }
    verdict
}

#[test]
fn the_log_behaves_as_the_model() {
    let mut config = Config { source_file: Some(file!()), max_shrink_iters: 1000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if let Err(error) = run(&mut TestRunner::new(config), Bug::None) {
        panic!("{error}");
    }
}

/// The control of the test above: each of these bugs makes a case fail. The cases are the same in every run.
#[test]
fn the_machine_finds_every_planted_bug() {
    for bug in [
        Bug::ForgetsVersions,
        Bug::ForgetsGuards,
        Bug::ForgetsCommands,
        Bug::ForgetsRequests,
        Bug::AnswersRetriesWithTheHead,
        Bug::AnswersRetriesAsNew,
        Bug::TearsAppends,
        Bug::AnswersWithoutWriting,
        Bug::ReportsOldVersions,
        Bug::SkipsEvents,
    ] {
        let config =
            Config { cases: CASES_FOR_A_BUG, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        match run(&mut TestRunner::new_with_rng(config, rng), bug) {
            Err(TestError::Fail(reason, _)) if reason.message().starts_with(DISAGREES) => {
                println!("{bug:?}: {}", reason.message());
            }
            other => panic!("{bug:?} was not found: {other:?}"),
        }
    }
}
