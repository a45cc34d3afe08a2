//! Model-based test of the log and the executor: random interleavings of appends and of decisions over one to five streams,
//! of reads, retries, also with other streams, and crashes, in several processes, applied to a model in memory and to
//! PostgreSQL.
//!
//! `PROPTEST_CASES` sets the number of cases. A failing case is shrunk and printed, and its seed is written to
//! `tests/proptest-regressions`, whose cases every later run repeats first.

mod decisions;
mod machine;
mod plan;
mod process;
mod reference;

use crate::decisions::Fault;
use machine::{Bench, DISAGREES};
use plan::{Step, steps};
use process::Bug;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use testkit::TestDatabase;

/// The default number of cases.
const CASES: u32 = 16;
/// The number of cases within which every planted bug must be found. Some need two processes that meet at the right moment.
const CASES_FOR_A_BUG: u32 = 1000;

fn run(runner: &mut TestRunner, bug: Bug) -> Result<(), TestError<Vec<Step>>> {
    let bench = RefCell::new(Bench::new(bug));
    let verdict = runner.run(&steps(), |steps| bench.borrow_mut().case(&steps).map_err(TestCaseError::fail));
    let (runtime, database) = bench.into_inner().stop();
    if verdict.is_ok() {
        runtime.block_on(verify_log(&database));
    }
    verdict
}

/// The program finds nothing wrong in the log, except that it does not know the aggregates of the decisions.
async fn verify_log(database: &TestDatabase) {
    let query = "select count(*) from apex.events where category in ('account', 'switch')";
    let unknown: i64 = sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap();
    let verified = database.run(&["log", "verify"]).await;
    let expected = format!(" events checked, {unknown} problems found.");
    assert!(verified.stderr.contains(&expected), "not {expected:?}: {}", verified.stderr);
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

/// The control of the test above: each of these bugs makes a case fail, with one of the words that show that it is
/// the reason, if there are any. The cases are the same in every run.
#[test]
fn the_machine_finds_every_planted_bug() {
    let bugs: [(Bug, &[&str]); 15] = [
        (Bug::ForgetsVersions, &[]),
        (Bug::ForgetsGuards, &[]),
        (Bug::ForgetsCommands, &[]),
        (Bug::ForgetsRequests, &[]),
        (Bug::AnswersRetriesWithTheHead, &[]),
        (Bug::AnswersRetriesAsNew, &[]),
        (Bug::TearsAppends, &[]),
        (Bug::AnswersWithoutWriting, &[]),
        (Bug::ReportsOldVersions, &[]),
        (Bug::SkipsEvents, &[]),
        (Bug::DecidesWrongly(Fault::NoVersion), &["NotJustified"]),
        (Bug::DecidesWrongly(Fault::NoVersionOfTheSwitch), &["NotJustified"]),
        (Bug::DecidesWrongly(Fault::AcknowledgesUndone), &["Lost {"]),
        (Bug::DecidesRetriesAgain, &["UnknownCommand", "RetryDecidedAgain"]),
        (Bug::RefusesWithoutReason, &["NoReason"]),
    ];
    for (bug, reasons) in bugs {
        let config =
            Config { cases: CASES_FOR_A_BUG, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        match run(&mut TestRunner::new_with_rng(config, rng), bug) {
            Err(TestError::Fail(found, _))
                if found.message().starts_with(DISAGREES)
                    && (reasons.is_empty() || reasons.iter().any(|reason| found.message().contains(reason))) =>
            {
                println!("{bug:?}: {}", found.message());
            }
            other => panic!("{bug:?} was not found: {other:?}"),
        }
    }
}
