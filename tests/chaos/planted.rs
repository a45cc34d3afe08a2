//! Controls of the checker: histories with a planted bug, each of which it must find.

use crate::checker::{Report, Violation, check};
use crate::history::{Command, History, LogEvent, Operation, Outcome, Page, PageRecorder, ReaderHistory, Recorder};
use std::time::Instant;
use uuid::Uuid;

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    the_checker_accepts_a_correct_log,
    the_checker_finds_every_planted_bug,
    histories_are_read_as_they_were_written,
];

/// A correct run: three commands, of which the second was acknowledged only when retried, one refused command, and a
/// reader of two pages.
struct Run {
    history: History,
    log: Vec<LogEvent>,
    reader: ReaderHistory,
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

const STREAM: u128 = 1;
const OTHER: u128 = 2;

fn command(number: u128, changes: &[(u128, Option<u64>, &[u128])]) -> Command {
    let changes = changes.iter().map(|(stream, expected, events)| crate::history::StreamChange {
        stream: id(*stream),
        expected: *expected,
        events: events.iter().map(|event| id(*event)).collect(),
    });
    Command { id: id(number), changes: changes.collect() }
}

fn attempt(command: &Command, invoked_us: u64, completed: Option<(u64, Outcome)>) -> Operation {
    Operation { client: 1, command: command.clone(), invoked_us, completed }
}

fn ok(first: u64, last: u64, duplicate: bool) -> Outcome {
    Outcome::Ok { first, last, duplicate }
}

fn event(position: u64, stream: u128, version: u64, event: u128, command: u128) -> LogEvent {
    LogEvent { position, stream: id(stream), version, event_id: id(event), command_id: id(command) }
}

fn page(asked_us: u64, after: u64, events: &[(u64, u128)]) -> Page {
    let events = events.iter().map(|(position, event)| (*position, id(*event))).collect();
    Page { asked_us, after, limit: 10, fresh: true, events }
}

impl Run {
    fn new() -> Self {
        let first = command(100, &[(STREAM, Some(0), &[11, 12])]);
        let second = command(200, &[(STREAM, None, &[21]), (OTHER, Some(0), &[22])]);
        let refused = command(300, &[(STREAM, Some(2), &[31])]);
        let third = command(400, &[(OTHER, Some(1), &[41]), (STREAM, Some(3), &[])]);
        let conflict = Outcome::Conflict { stream: id(STREAM), current: 3 };
        let operations = vec![
            attempt(&first, 10, Some((20, ok(1, 2, false)))),
            attempt(&second, 30, Some((40, Outcome::Unknown { cause: "killed".to_owned() }))),
            attempt(&refused, 50, Some((60, conflict))),
            attempt(&second, 70, Some((80, ok(3, 4, true)))),
            attempt(&third, 90, Some((99, ok(5, 5, false)))),
        ];
        let log = vec![
            event(1, STREAM, 1, 11, 100),
            event(2, STREAM, 2, 12, 100),
            event(3, STREAM, 3, 21, 200),
            event(4, OTHER, 1, 22, 200),
            event(5, OTHER, 2, 41, 400),
        ];
        let pages = vec![page(25, 0, &[(1, 11), (2, 12)]), page(100, 2, &[(3, 21), (4, 22), (5, 41)])];
        let reader = ReaderHistory { name: "reader".to_owned(), pages };
        Self { history: History { operations }, log, reader }
    }

    fn check(&self) -> Report {
        check(std::slice::from_ref(&self.history), &self.log, std::slice::from_ref(&self.reader))
    }

    /// Removes the events of a command from the log, and closes the gap of positions.
    fn remove(&mut self, command: u128) {
        self.log.retain(|event| event.command_id != id(command));
        for (event, position) in self.log.iter_mut().zip(1..) {
            event.position = position;
        }
    }
}

fn the_checker_accepts_a_correct_log() {
    let report = Run::new().check();
    assert_eq!(report, Report { acknowledged: 5, ..Report::default() });
}

type Bug = (&'static str, fn(&mut Run), fn(&Report) -> bool);

fn has(report: &Report, is: fn(&Violation) -> bool) -> bool {
    report.violations.iter().any(is)
}

/// Each bug with its name, how it changes the correct run, and whether the report has the violation.
const BUGS: &[Bug] = &[
    (
        "an acknowledged command is not in the log",
        |run| run.remove(400),
        |report| report.lost == 1 && has(report, |v| matches!(v, Violation::Lost { events: 1, .. })),
    ),
    (
        "a command is in the log twice",
        |run| run.log.push(event(6, OTHER, 3, 41, 400)),
        |report| report.duplicated == 1 && has(report, |v| matches!(v, Violation::Duplicated { .. })),
    ),
    (
        "a retry was written again, under new ids",
        |run| run.log.extend([event(6, STREAM, 4, 26, 200), event(7, OTHER, 3, 27, 200)]),
        |report| report.duplicated == 2,
    ),
    (
        "half of a command is in the log",
        |run| run.log.retain(|event| event.position != 4),
        |report| {
            report.lost == 1 && has(report, |v| matches!(v, Violation::PartlyWritten { present: 1, requested: 2, .. }))
        },
    ),
    (
        "a gap in the positions",
        |run| run.log[4].position = 6,
        |report| has(report, |v| matches!(v, Violation::Positions { after: 4, next: 6 })),
    ),
    (
        "versions decrease as positions increase",
        |run| (run.log[0].version, run.log[1].version) = (2, 1),
        |report| has(report, |v| matches!(v, Violation::Versions { before: 2, version: 1, .. })),
    ),
    (
        "a version is missing",
        |run| run.log[4].version = 3,
        |report| has(report, |v| matches!(v, Violation::Versions { before: 1, version: 3, .. })),
    ),
    (
        "events of a command in another order",
        |run| (run.log[0].event_id, run.log[1].event_id) = (id(12), id(11)),
        |report| has(report, |v| matches!(v, Violation::WrongPositions { .. })),
    ),
    (
        "an acknowledgement with wrong positions",
        |run| run.history.operations[4].completed = Some((99, ok(4, 4, false))),
        |report| has(report, |v| matches!(v, Violation::WrongPositions { acknowledged: Some((4, 4)), .. })),
    ),
    (
        "a retry that gets other positions",
        |run| run.history.operations[1].completed = Some((40, ok(2, 3, false))),
        |report| has(report, |v| matches!(v, Violation::RetryDiffers { .. })),
    ),
    (
        "two attempts that are both acknowledged as new",
        |run| {
            run.history.operations[1].completed = Some((40, ok(3, 4, false)));
            run.history.operations[3].completed = Some((80, ok(3, 4, false)));
        },
        |report| has(report, |v| matches!(v, Violation::RetryDiffers { .. })),
    ),
    (
        "a refused command is in the log",
        |run| run.log.push(event(6, STREAM, 4, 31, 300)),
        |report| has(report, |v| matches!(v, Violation::RefusedButWritten { .. })),
    ),
    (
        "a failed command is in the log",
        |run| run.history.operations[4].completed = Some((99, Outcome::Fail { cause: "busy".to_owned() })),
        |report| has(report, |v| matches!(v, Violation::RefusedButWritten { .. })),
    ),
    (
        "two winners of one version",
        |run| {
            let twin = command(500, &[(OTHER, Some(1), &[51])]);
            run.history.operations.push(attempt(&twin, 91, Some((98, ok(6, 6, false)))));
            run.log.push(event(6, OTHER, 3, 51, 500));
        },
        |report| has(report, |v| matches!(v, Violation::SeveralWinners { expected: 1, .. })),
    ),
    (
        "a guard at another version",
        |run| run.history.operations[4].command.changes[1].expected = Some(2),
        |report| has(report, |v| matches!(v, Violation::WrongVersion { expected: 2, found: 3, .. })),
    ),
    (
        "a conflict with a version that never was",
        |run| run.history.operations[2].completed = Some((60, Outcome::Conflict { stream: id(STREAM), current: 9 })),
        |report| has(report, |v| matches!(v, Violation::WrongVersion { found: 9, .. })),
    ),
    (
        "a conflict with a version from before the request",
        |run| run.history.operations[2].completed = Some((60, Outcome::Conflict { stream: id(STREAM), current: 1 })),
        |report| has(report, |v| matches!(v, Violation::WrongVersion { found: 1, .. })),
    ),
    (
        "an event that no client wrote",
        |run| run.log.push(event(6, STREAM, 4, 99, 999)),
        |report| has(report, |v| matches!(v, Violation::UnknownCommand { position: 6, .. })),
    ),
    (
        "a later command before an earlier one",
        |run| {
            run.history.operations[4].invoked_us = 1;
            run.history.operations[4].completed = Some((2, ok(5, 5, false)));
        },
        |report| has(report, |v| matches!(v, Violation::OutOfOrder { .. })),
    ),
    (
        "a deadlock",
        |run| run.history.operations[1].completed = Some((40, Outcome::Fail { cause: "40P01: deadlock".to_owned() })),
        |report| has(report, |v| matches!(v, Violation::Deadlock { .. })),
    ),
    (
        "a page that skips an event",
        |run| run.reader.pages[1] = page(100, 2, &[(4, 22), (5, 41)]),
        |report| report.skipped == 1 && has(report, |v| matches!(v, Violation::Skipped { first: 3, .. })),
    ),
    (
        "an event appears below a position that was read",
        |run| run.reader.pages = vec![page(5, 0, &[(2, 12)]), page(100, 0, &[(1, 11), (2, 12)])],
        |report| has(report, |v| matches!(v, Violation::Late { position: 1, reached: 2, .. })),
    ),
    (
        "a page whose positions decrease",
        |run| run.reader.pages[0] = page(25, 0, &[(2, 12), (1, 11)]),
        |report| has(report, |v| matches!(v, Violation::PageOrder { position: 1, .. })),
    ),
    (
        "a page with an event that is not in the log",
        |run| run.reader.pages[1].events[0].1 = id(77),
        |report| has(report, |v| matches!(v, Violation::Vanished { position: 3, .. })),
    ),
    (
        "a reader beyond the end of the log",
        |run| run.reader.pages[1].events.push((6, id(61))),
        |report| has(report, |v| matches!(v, Violation::Vanished { position: 6, .. })),
    ),
    (
        "a page without an acknowledged event",
        |run| run.reader.pages[1].events.truncate(2),
        |report| has(report, |v| matches!(v, Violation::Stale { acknowledged: 5, .. })),
    ),
];

fn check_planted(bug: fn(&mut Run)) -> Report {
    let mut run = Run::new();
    bug(&mut run);
    run.check()
}

fn the_checker_finds_every_planted_bug() {
    for (what, bug, is_found) in BUGS {
        let report = check_planted(*bug);
        assert!(is_found(&report), "not found: {what}: {report:#?}");
    }
}

/// How many of the planted bugs are found, and how many there are.
pub(crate) fn count_found() -> (usize, usize) {
    let found = BUGS.iter().filter(|(_, bug, is_found)| is_found(&check_planted(*bug)));
    (found.count(), BUGS.len())
}

/// An invocation without a completion has an unknown outcome.
fn histories_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pages) = (folder.path().join("client.ndjson"), folder.path().join("reader.ndjson"));
    let run = Run::new();
    let mut recorder = Recorder::create(&file, 7, Instant::now());
    for operation in &run.history.operations {
        let number = recorder.invoke(&operation.command);
        recorder.complete(number, &operation.completed.as_ref().unwrap().1);
    }
    recorder.invoke(&command(600, &[(STREAM, None, &[61])]));
    let history = History::read(&file);
    let ends = |history: &History| -> Vec<_> {
        let operations = history.operations.iter();
        operations.map(|o| (o.command.clone(), o.completed.clone().map(|(_, outcome)| outcome))).collect()
    };
    assert_eq!(ends(&history)[..5], ends(&run.history));
    assert_eq!((history.operations[5].completed.clone(), history.operations[5].client), (None, 7));
    assert_eq!(check(&[history], &run.log, &[]).unresolved, 1);

    let mut recorder = PageRecorder::create(&pages, Instant::now());
    run.reader.pages.iter().for_each(|page| recorder.page(page));
    assert_eq!(ReaderHistory::read(&pages), run.reader);
}
