//! Compares the answers that clients got with the log: its decisions must be what the decision function gives one after the
//! other, in the order of positions, and every answer must be true.
//!
//! The checker is pure. Its own tests are histories and executors with a planted bug, in `tests/chaos` and `tests/system`.

use super::accounts::{Account, Moved, Refused, Set, Switch};
use super::decision::{Change, Decision, ReadStates};
use commands::{Error, OutcomeKind};
use domain::Aggregate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use streams::{AppendError, Position, RecordedEvent};
use uuid::Uuid;

/// The answer to one attempt of a command, as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// This attempt was written.
    Done {
        /// The position of its last event.
        position: u64,
    },
    /// An attempt of the command was written before.
    Duplicate {
        /// The position of its last event.
        position: u64,
    },
    /// There was nothing to change.
    AlreadyDone,
    /// The states do not allow it.
    Refused {
        /// Why.
        reason: Refused,
    },
    /// This attempt was not written.
    Failed {
        /// Why.
        cause: String,
    },
    /// This attempt may have been written, or may still be.
    Unknown {
        /// Why there is no answer.
        cause: String,
    },
}

impl Answer {
    /// What the executor's result says.
    pub fn of(result: Result<(OutcomeKind, Position), Error<Refused>>) -> Self {
        match result {
            Ok((OutcomeKind::Done, position)) => Self::Done { position: position.get() },
            Ok((OutcomeKind::Duplicate, position)) => Self::Duplicate { position: position.get() },
            Ok((OutcomeKind::AlreadyDone, _)) => Self::AlreadyDone,
            Err(Error::Rejected(reason)) => Self::Refused { reason },
            Err(Error::Append(error @ AppendError::Indeterminate(_))) => Self::Unknown { cause: format!("{error:?}") },
            Err(error) => Self::Failed { cause: format!("{error:?}") },
        }
    }

    /// The position that it acknowledges.
    #[must_use]
    pub fn acknowledged(&self) -> Option<u64> {
        match self {
            Self::Done { position } | Self::Duplicate { position } => Some(*position),
            Self::AlreadyDone | Self::Refused { .. } | Self::Failed { .. } | Self::Unknown { .. } => None,
        }
    }
}

/// One attempt of a command. Every attempt has the same target, and may ask for another decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The id of the command.
    pub command: Uuid,
    /// What it asked for.
    pub decision: Decision,
    /// When it was sent, in microseconds since the start of the run.
    pub invoked_us: u64,
    /// When it was answered; [`u64::MAX`] if it was not.
    pub completed_us: u64,
    /// The answer.
    pub answer: Answer,
}

/// An event of the log that a decision wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The position in the log.
    pub position: u64,
    /// The id of the stream.
    pub stream: Uuid,
    /// The version of the stream.
    pub version: u64,
    /// The id of the command.
    pub command: Uuid,
    /// What the event says.
    pub change: Change,
}

impl Entry {
    /// The entry of an event; none if it is of another aggregate.
    pub fn of(event: &RecordedEvent) -> Option<Self> {
        let stream = event.stream.id;
        let change = match &*event.stream.category {
            Switch::CATEGORY => {
                let Set { is_off } = serde_json::from_str(&event.payload).unwrap();
                Change::Set { is_off }
            }
            Account::CATEGORY => {
                let Moved { amount, balance } = serde_json::from_str(&event.payload).unwrap();
                Change::Moved { account: stream, amount, balance }
            }
            _ => return None,
        };
        let (position, version) = (event.position.get(), event.version.get());
        Some(Self { position, stream, version, command: event.metadata().unwrap().command_id, change })
    }
}

/// A difference between the log and the answers, or the decision function.
#[expect(missing_docs, reason = "the fields are what the text of each violation names")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The versions of a stream are not 1, 2, 3, … in the order of positions.
    Versions { stream: Uuid, position: u64, before: u64, version: u64 },
    /// No client sent the command of an event.
    UnknownCommand { command: Uuid, position: u64 },
    /// A command has events at several places of the log.
    WrittenTwice { command: Uuid, position: u64 },
    /// On the states just before, no attempt that may have written the events decides these changes.
    NotJustified { command: Uuid, position: u64, found: Vec<Change>, decided: Vec<Result<Vec<Change>, Refused>> },
    /// A command is in the log although every attempt was answered that it was not written.
    RefusedButWritten { command: Uuid, position: u64 },
    /// An acknowledged command is not in the log.
    Lost { command: Uuid, acknowledged: u64 },
    /// A command was acknowledged with another position than that of its last event.
    WrongPosition { command: Uuid, acknowledged: u64, last: u64 },
    /// Several attempts of a command were answered that they were written.
    SeveralWritten { command: Uuid },
    /// At no moment of the attempt do the states give this answer.
    NoReason { command: Uuid, answer: Answer },
    /// An attempt of a command that had been acknowledged before was decided again.
    RetryDecidedAgain { command: Uuid, answer: Answer },
    /// A command that was sent after another was acknowledged is before it in the log.
    OutOfOrder { command: Uuid, position: u64, acknowledged: u64 },
}

/// The states that the events up to a position give.
#[derive(Debug, Clone, Default)]
struct Ledger {
    is_off: bool,
    balances: BTreeMap<Uuid, i64>,
}

impl ReadStates for &Ledger {
    type Error = Infallible;

    fn is_off(&mut self) -> Result<bool, Infallible> {
        Ok(self.is_off)
    }

    fn balance(&mut self, account: Uuid) -> Result<i64, Infallible> {
        Ok(self.balances.get(&account).copied().unwrap_or(0))
    }
}

impl Ledger {
    fn decide(&self, decision: &Decision) -> Result<Vec<Change>, Refused> {
        let Ok(decided) = decision.decide(&mut &*self);
        decided.map(sorted)
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Set { is_off } => self.is_off = *is_off,
            Change::Moved { account, balance, .. } => drop(self.balances.insert(*account, *balance)),
        }
    }
}

fn sorted(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort();
    changes
}

/// Each part of the log that one command wrote in one piece.
fn runs(log: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    log.chunk_by(|one, next| one.command == next.command && one.position + 1 == next.position)
}

/// On how many streams each decision of the log rests.
pub fn streams_of(log: &[Entry]) -> BTreeSet<usize> {
    let is_payment = |run: &[Entry]| matches!(run[0].change, Change::Moved { .. });
    runs(log).map(|run| run.len() + usize::from(is_payment(run))).collect()
}

/// Compares the events of decisions, in the order of positions, with all attempts of all commands.
pub fn check(log: &[Entry], attempts: &[Attempt]) -> Vec<Violation> {
    let mut commands: BTreeMap<Uuid, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        commands.entry(attempt.command).or_default().push(attempt);
    }
    let mut violations = Vec::new();
    check_versions(log, &mut violations);
    let replay = Replay::of(log, &commands, &mut violations);
    let times = Times::of(&commands, &replay);
    for (command, attempts) in &commands {
        let written = replay.written.get(command);
        for attempt in attempts {
            violations.extend(check_answer(attempt, written, &replay, &times));
        }
        let is_done = |attempt: &&&Attempt| matches!(attempt.answer, Answer::Done { .. });
        if attempts.iter().filter(is_done).count() > 1 {
            violations.push(Violation::SeveralWritten { command: *command });
        }
        let sent = attempts.iter().map(|attempt| attempt.invoked_us).min();
        let acknowledged = sent.map_or(0, |sent| times.acknowledged_before(sent));
        if let Some((first, _)) = written.filter(|(first, _)| *first <= acknowledged) {
            violations.push(Violation::OutOfOrder { command: *command, position: *first, acknowledged });
        }
    }
    violations
}

fn check_versions(log: &[Entry], violations: &mut Vec<Violation>) {
    let mut versions: BTreeMap<Uuid, u64> = BTreeMap::new();
    for Entry { position, stream, version, .. } in log {
        let before = versions.insert(*stream, *version).unwrap_or(0);
        if *version != before + 1 {
            let (stream, position, version) = (*stream, *position, *version);
            violations.push(Violation::Versions { stream, position, before, version });
        }
    }
}

/// What is found by deciding every command of the log again at its position.
struct Replay {
    /// The states after each command, and the position of its last event; first those before the log.
    moments: Vec<(u64, Ledger)>,
    /// The positions of the first and the last event of each command.
    written: BTreeMap<Uuid, (u64, u64)>,
}

impl Replay {
    fn of(log: &[Entry], commands: &BTreeMap<Uuid, Vec<&Attempt>>, violations: &mut Vec<Violation>) -> Self {
        let mut ledger = Ledger::default();
        let mut replay = Self { moments: vec![(0, ledger.clone())], written: BTreeMap::new() };
        for run in runs(log) {
            let [Entry { position, command, .. }, ..] = run else { continue };
            let (position, command, last) = (*position, *command, run[run.len() - 1].position);
            match commands.get(&command) {
                None => violations.push(Violation::UnknownCommand { command, position }),
                Some(_) if replay.written.contains_key(&command) => {
                    violations.push(Violation::WrittenTwice { command, position });
                }
                Some(attempts) => violations.extend(justify(run, attempts, &ledger)),
            }
            run.iter().for_each(|entry| ledger.apply(&entry.change));
            replay.moments.push((last, ledger.clone()));
            replay.written.entry(command).or_insert((position, last));
        }
        replay
    }

    /// Whether the states of a moment whose last position is in a range give an answer.
    fn gives(&self, from: u64, to: u64, attempt: &Attempt) -> bool {
        let first = self.moments.partition_point(|(position, _)| *position < from);
        self.moments[first..].iter().take_while(|(position, _)| *position <= to).any(|(_, ledger)| {
            match (ledger.decide(&attempt.decision), &attempt.answer) {
                (Ok(changes), Answer::AlreadyDone) => changes.is_empty(),
                (Err(refused), Answer::Refused { reason }) => refused == *reason,
                _ => false,
            }
        })
    }
}

/// Checks that one of the attempts that may have written these events decides them on the states before.
fn justify(run: &[Entry], attempts: &[&Attempt], before: &Ledger) -> Option<Violation> {
    let (command, position) = (run[0].command, run[0].position);
    let is_written = |attempt: &&&Attempt| matches!(attempt.answer, Answer::Done { .. });
    // One that got another answer after an earlier one was lost may have written, too.
    let may_be_written =
        |attempt: &&&Attempt| matches!(attempt.answer, Answer::Duplicate { .. } | Answer::Unknown { .. });
    let mut writers: Vec<_> = attempts.iter().filter(is_written).collect();
    if writers.is_empty() {
        writers = attempts.iter().filter(may_be_written).collect();
    }
    if writers.is_empty() {
        return Some(Violation::RefusedButWritten { command, position });
    }
    let found = sorted(run.iter().map(|entry| entry.change.clone()).collect());
    let decided: Vec<_> = writers.iter().map(|attempt| before.decide(&attempt.decision)).collect();
    let is_justified = decided.iter().any(|decided| decided.as_ref() == Ok(&found));
    (!is_justified).then_some(Violation::NotJustified { command, position, found, decided })
}

/// Which positions existed when an attempt was sent and when it was answered.
struct Times {
    /// The time of each acknowledgement, in order, with the highest position acknowledged until then.
    acknowledged: Vec<(u64, u64)>,
    /// The time when each written command was first sent, in order, with the lowest position of those sent from then on.
    sent: Vec<(u64, u64)>,
}

impl Times {
    fn of(commands: &BTreeMap<Uuid, Vec<&Attempt>>, replay: &Replay) -> Self {
        let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
        for (command, attempts) in commands {
            let Some((first, last)) = replay.written.get(command) else { continue };
            let answered = attempts.iter().filter(|attempt| attempt.answer.acknowledged().is_some());
            acknowledged.extend(answered.map(|attempt| (attempt.completed_us, *last)));
            sent.extend(attempts.iter().map(|attempt| (attempt.invoked_us, *first)).min());
        }
        acknowledged.sort_unstable();
        sent.sort_unstable();
        let mut highest = 0;
        for (_, position) in &mut acknowledged {
            highest = highest.max(*position);
            *position = highest;
        }
        let mut lowest = u64::MAX;
        for (_, position) in sent.iter_mut().rev() {
            lowest = lowest.min(*position);
            *position = lowest;
        }
        Self { acknowledged, sent }
    }

    /// The highest position that was acknowledged before a time. The log had it then.
    fn acknowledged_before(&self, time_us: u64) -> u64 {
        let count = self.acknowledged.partition_point(|(at_us, _)| *at_us < time_us);
        self.acknowledged[..count].last().map_or(0, |(_, position)| *position)
    }

    /// The highest position that the log may have had at a time.
    fn possible_until(&self, time_us: u64) -> u64 {
        let later = self.sent.partition_point(|(at_us, _)| *at_us <= time_us);
        self.sent.get(later).map_or(u64::MAX, |(_, position)| position - 1)
    }
}

fn check_answer(attempt: &Attempt, written: Option<&(u64, u64)>, replay: &Replay, times: &Times) -> Option<Violation> {
    let (command, answer) = (attempt.command, attempt.answer.clone());
    let existed = times.acknowledged_before(attempt.invoked_us);
    match (&attempt.answer, written) {
        (Answer::Done { position: acknowledged } | Answer::Duplicate { position: acknowledged }, written) => {
            let acknowledged = *acknowledged;
            match written {
                None => Some(Violation::Lost { command, acknowledged }),
                Some((_, last)) if *last != acknowledged => {
                    Some(Violation::WrongPosition { command, acknowledged, last: *last })
                }
                Some(_) => None,
            }
        }
        (Answer::AlreadyDone | Answer::Refused { .. }, Some((_, last))) if *last <= existed => {
            Some(Violation::RetryDecidedAgain { command, answer })
        }
        (Answer::AlreadyDone | Answer::Refused { .. }, _) => {
            let is_right = replay.gives(existed, times.possible_until(attempt.completed_us), attempt);
            (!is_right).then_some(Violation::NoReason { command, answer })
        }
        (Answer::Failed { .. } | Answer::Unknown { .. }, _) => None,
    }
}
