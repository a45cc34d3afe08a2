//! Controls of the checker of decisions: histories with a planted bug, each of which it must find.

use testkit::decisions::{
    Answer, Attempt, Change, Decision, Entry, FEES, Refused, SWITCH, Violation, account, check, streams_of,
};
use uuid::Uuid;

pub(crate) const TRIALS: testkit::Trials =
    testkit::trials![the_checker_accepts_a_correct_log_of_decisions, the_checker_finds_every_planted_bug_in_decisions,];

/// A correct run: a deposit, a transfer with a fee whose first answer was lost and whose retry asked for another set, the
/// switch turned off, two refusals, the switch turned off once more, turned on again, and another transfer.
struct Run {
    log: Vec<Entry>,
    attempts: Vec<Attempt>,
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn entry(position: u64, stream: Uuid, version: u64, command: u128, amount: i64, balance: i64) -> Entry {
    let change = Change::Moved { account: stream, amount, balance };
    Entry { position, stream, version, command: id(command), change }
}

fn turned(position: u64, version: u64, command: u128, is_off: bool) -> Entry {
    Entry { position, stream: SWITCH, version, command: id(command), change: Change::Set { is_off } }
}

fn attempt(command: u128, decision: Decision, from_us: u64, to_us: u64, answer: Answer) -> Attempt {
    Attempt { command: id(command), decision, invoked_us: from_us, completed_us: to_us, answer }
}

fn transfer(to: &[u128], amount: i64) -> Decision {
    Decision::Transfer { from: account(0), to: to.iter().map(|to| account(*to)).collect(), amount }
}

fn done(position: u64) -> Answer {
    Answer::Done { position }
}

const LOST: usize = 1;
const RETRY: usize = 2;
const OFF: usize = 3;
const REFUSED: usize = 4;
const ALREADY_OFF: usize = 5;
const ON: usize = 6;
const TOO_LOW: usize = 7;
const LAST: usize = 8;

impl Run {
    fn new() -> Self {
        let (off, on) = (Decision::Turn { is_off: true }, Decision::Turn { is_off: false });
        let unknown = Answer::Unknown { cause: "killed".to_owned() };
        let attempts = vec![
            attempt(100, Decision::Deposit { to: account(0), amount: 31 }, 10, 20, done(1)),
            attempt(200, transfer(&[1, 2], 5), 30, 40, unknown),
            attempt(200, transfer(&[3], 9), 50, 60, Answer::Duplicate { position: 5 }),
            attempt(300, off.clone(), 70, 80, done(6)),
            attempt(400, transfer(&[1], 1), 90, 100, Answer::Refused { reason: Refused::Off }),
            attempt(500, off, 110, 120, Answer::AlreadyDone),
            attempt(600, on, 130, 140, done(7)),
            attempt(700, transfer(&[1], 50), 150, 160, Answer::Refused { reason: Refused::TooLow }),
            attempt(800, transfer(&[1], 2), 170, 180, done(9)),
        ];
        let log = vec![
            entry(1, account(0), 1, 100, 31, 31),
            entry(2, account(0), 2, 200, -11, 20),
            entry(3, account(1), 1, 200, 5, 5),
            entry(4, account(2), 1, 200, 5, 5),
            entry(5, FEES, 1, 200, 1, 1),
            turned(6, 1, 300, true),
            turned(7, 2, 600, false),
            entry(8, account(0), 3, 800, -2, 18),
            entry(9, account(1), 2, 800, 2, 7),
        ];
        Self { log, attempts }
    }

    fn check(&self) -> Vec<Violation> {
        check(&self.log, &self.attempts)
    }
}

fn the_checker_accepts_a_correct_log_of_decisions() {
    let run = Run::new();
    assert_eq!(run.check(), []);
    assert_eq!(streams_of(&run.log).into_iter().collect::<Vec<_>>(), [1, 2, 3, 5]);
}

type Bug = (&'static str, fn(&mut Run), fn(&Violation) -> bool);

/// Each bug with its name, how it changes the correct run, and the violation that must be found.
const BUGS: &[Bug] = &[
    (
        "the version of a read stream was not compared: a transfer while the switch is off",
        |run| {
            run.log.remove(6);
            run.attempts.remove(ON);
        },
        |v| matches!(v, Violation::NotJustified { position: 8, .. }),
    ),
    (
        "the version of a changed stream was not compared: a balance was overwritten",
        |run| run.log[8].change = Change::Moved { account: account(1), amount: 2, balance: 2 },
        |v| matches!(v, Violation::NotJustified { position: 8, .. }),
    ),
    (
        "an undone decision was acknowledged",
        |run| run.log.truncate(7),
        |v| matches!(v, Violation::Lost { acknowledged: 9, .. }),
    ),
    (
        "half of a decision is in the log",
        |run| run.log.truncate(8),
        |v| matches!(v, Violation::NotJustified { position: 8, .. }),
    ),
    (
        "a decision is in two pieces",
        |run| {
            run.log[5].position = 5;
            run.log[4].position = 6;
            run.log.swap(4, 5);
        },
        |v| matches!(v, Violation::WrittenTwice { position: 6, .. }),
    ),
    (
        "a retry was written again",
        |run| run.log.extend([entry(10, account(0), 4, 200, -9, 9), entry(11, account(3), 1, 200, 9, 9)]),
        |v| matches!(v, Violation::WrittenTwice { position: 10, .. }),
    ),
    (
        "what was written is not what the acknowledged attempt asked for",
        |run| {
            run.attempts[LOST].answer = Answer::Failed { cause: "busy".to_owned() };
            run.attempts[RETRY].answer = done(5);
        },
        |v| matches!(v, Violation::NotJustified { position: 2, .. }),
    ),
    (
        "a refused decision is in the log",
        |run| run.attempts[LAST].answer = Answer::Refused { reason: Refused::TooLow },
        |v| matches!(v, Violation::RefusedButWritten { position: 8, .. }),
    ),
    (
        "a failed decision is in the log",
        |run| run.attempts[LAST].answer = Answer::Failed { cause: "busy".to_owned() },
        |v| matches!(v, Violation::RefusedButWritten { position: 8, .. }),
    ),
    (
        "a version is missing",
        |run| run.log[8].version = 3,
        |v| matches!(v, Violation::Versions { before: 1, version: 3, .. }),
    ),
    (
        "an acknowledgement with a wrong position",
        |run| run.attempts[LAST].answer = done(8),
        |v| matches!(v, Violation::WrongPosition { acknowledged: 8, last: 9, .. }),
    ),
    (
        "a retry that gets another position",
        |run| run.attempts[RETRY].answer = Answer::Duplicate { position: 9 },
        |v| matches!(v, Violation::WrongPosition { acknowledged: 9, last: 5, .. }),
    ),
    (
        "two attempts that are both acknowledged as written",
        |run| {
            run.attempts[LOST].answer = done(5);
            run.attempts[RETRY].answer = done(5);
        },
        |v| matches!(v, Violation::SeveralWritten { .. }),
    ),
    (
        "a retry of an acknowledged decision is decided again",
        |run| {
            let late = attempt(100, transfer(&[1], 99), 190, 200, Answer::Refused { reason: Refused::TooLow });
            run.attempts.push(late);
        },
        |v| matches!(v, Violation::RetryDecidedAgain { .. }),
    ),
    (
        "a refusal that rests on a state from before the attempt",
        |run| {
            run.attempts[REFUSED].invoked_us = 145;
            run.attempts[REFUSED].completed_us = 149;
        },
        |v| matches!(v, Violation::NoReason { answer: Answer::Refused { .. }, .. }),
    ),
    (
        "a refusal that rests on a state from after the attempt",
        |run| {
            run.attempts[OFF].invoked_us = 64;
            run.attempts[REFUSED].invoked_us = 61;
            run.attempts[REFUSED].completed_us = 63;
        },
        |v| matches!(v, Violation::NoReason { answer: Answer::Refused { .. }, .. }),
    ),
    (
        "a refusal for another reason",
        |run| run.attempts[TOO_LOW].answer = Answer::Refused { reason: Refused::Off },
        |v| matches!(v, Violation::NoReason { answer: Answer::Refused { .. }, .. }),
    ),
    (
        "nothing to do, although there was",
        |run| {
            run.attempts[ALREADY_OFF].invoked_us = 145;
            run.attempts[ALREADY_OFF].completed_us = 149;
        },
        |v| matches!(v, Violation::NoReason { answer: Answer::AlreadyDone, .. }),
    ),
    (
        "an event that no client wrote",
        |run| run.log[8].command = id(999),
        |v| matches!(v, Violation::UnknownCommand { position: 9, .. }),
    ),
    (
        "a later decision before an earlier one",
        |run| {
            run.attempts[LAST].invoked_us = 1;
            run.attempts[LAST].completed_us = 2;
        },
        |v| matches!(v, Violation::OutOfOrder { position: 1, acknowledged: 9, .. }),
    ),
];

/// How many of the planted bugs are found, and how many there are.
pub(crate) fn count_found() -> (usize, usize) {
    let found = BUGS.iter().filter(|(_, bug, is_bug)| found_in(*bug).iter().any(is_bug));
    (found.count(), BUGS.len())
}

fn found_in(bug: fn(&mut Run)) -> Vec<Violation> {
    let mut run = Run::new();
    bug(&mut run);
    run.check()
}

fn the_checker_finds_every_planted_bug_in_decisions() {
    for (what, bug, is_bug) in BUGS {
        let found = found_in(*bug);
        assert!(found.iter().any(is_bug), "not found: {what}: {found:#?}");
    }
}
