//! Compares the histories of clients and readers with the log at the end of a run.
//!
//! The checker is pure, and the same for all faults. Its own tests are histories and systems with a planted bug, see
//! `planted.rs` and `naive.rs`.

use crate::history::{Command, History, LogEvent, Operation, Outcome, ReaderHistory};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use testkit::decisions::{self, Answer, Attempt, Entry};
use uuid::Uuid;

/// A violated guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Positions are not 1, 2, 3, …
    Positions { after: u64, next: u64 },
    /// Versions of a stream are not 1, 2, 3, … in the order of positions.
    Versions { stream: Uuid, position: u64, before: u64, version: u64 },
    /// An acknowledged command is not in the log.
    Lost { command: Uuid, events: u64 },
    /// A command is in the log more than once.
    Duplicated { command: Uuid, events: u64 },
    /// Some events of a command are in the log, and others are not.
    PartlyWritten { command: Uuid, present: usize, requested: usize },
    /// The events of a command are not at consecutive positions in their order and on their streams, or not at the
    /// positions of the acknowledgement.
    WrongPositions { command: Uuid, acknowledged: Option<(u64, u64)>, found: Vec<u64> },
    /// Two attempts of one command were acknowledged with different positions, or both as new.
    RetryDiffers { command: Uuid, acknowledged: Vec<(u64, u64, bool)> },
    /// A command is in the log although the client was told that it will never be.
    RefusedButWritten { command: Uuid },
    /// Several commands that expected the same version of a stream were acknowledged.
    SeveralWinners { stream: Uuid, expected: u64, commands: Vec<Uuid> },
    /// A command was acknowledged although the stream had another version, or refused for a version that the stream never
    /// had, that was the expected one, or that it no longer had when the command was sent.
    WrongVersion { command: Uuid, stream: Uuid, expected: u64, found: u64 },
    /// An event in the log belongs to no command of a client.
    UnknownCommand { command: Uuid, position: u64 },
    /// A command that was sent after another was acknowledged is before it in the log.
    OutOfOrder { earlier: Uuid, later: Uuid },
    /// The database aborted a transaction to resolve a deadlock.
    Deadlock { command: Uuid },
    /// A reader read beyond events without receiving them.
    Skipped { reader: String, events: u64, first: u64 },
    /// An event appeared at or below a position that the reader had already read.
    Late { reader: String, position: u64, reached: u64 },
    /// The positions of a page do not increase, or begin at or before the requested position.
    PageOrder { reader: String, after: u64, position: u64 },
    /// The event that a reader received at a position is not the one in the log.
    Vanished { reader: String, position: u64 },
    /// A page lacks an event that was acknowledged before the request.
    Stale { reader: String, after: u64, acknowledged: u64 },
    /// A decision over several streams is wrong.
    Decision(decisions::Violation),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The result of a check. Numbers count events, except `unresolved`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) skipped: u64,
    pub(crate) duplicated: u64,
    /// The number of commands whose outcome no client learned. Not a violation, but these commands are not checked.
    pub(crate) unresolved: u64,
    /// On how many streams the decisions of the log rest.
    pub(crate) decided_streams: BTreeSet<usize>,
    pub(crate) violations: Vec<Violation>,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.skipped += other.skipped;
        self.duplicated += other.duplicated;
        self.unresolved += other.unresolved;
        self.decided_streams.extend(other.decided_streams);
        self.violations.extend(other.violations);
    }
}

/// Compares histories with the log. `log` is the whole log in the order of positions. Not all clients and readers of a run
/// have to be included, but every command in the log must be in one of the histories.
pub(crate) fn check(histories: &[History], log: &[LogEvent], readers: &[ReaderHistory]) -> Report {
    let records = records(histories);
    let mut report = Report::default();
    check_log(log, &mut report);
    check_commands(&records, log, &mut report);
    check_races(&records, log, &mut report);
    check_order(&records, &mut report);
    let acknowledged = acknowledgements(&records);
    for reader in readers {
        check_reader(reader, log, &acknowledged, &mut report);
    }
    report
}

/// As [`check`], for a log that has decisions only: `entries` is what its events say.
pub(crate) fn check_decisions(
    attempts: &[Attempt],
    entries: &[Entry],
    log: &[LogEvent],
    readers: &[ReaderHistory],
) -> Report {
    let mut report = Report { decided_streams: decisions::streams_of(entries), ..Report::default() };
    check_log(log, &mut report);
    report.violations.extend(decisions::check(entries, attempts).into_iter().map(Violation::Decision));
    let has_answer = |attempt: &&Attempt| !matches!(attempt.answer, Answer::Failed { .. } | Answer::Unknown { .. });
    let answered: HashSet<_> = attempts.iter().filter(has_answer).map(|attempt| attempt.command).collect();
    let sent: HashSet<_> = attempts.iter().map(|attempt| attempt.command).collect();
    report.unresolved = sent.difference(&answered).count() as u64;
    let acknowledgement =
        |attempt: &Attempt| Some((attempt.completed_us, attempt.answer.acknowledged()?, attempt.command));
    let acknowledged: Vec<_> = attempts.iter().filter_map(acknowledgement).collect();
    let commands: HashSet<_> = acknowledged.iter().map(|(_, _, command)| *command).collect();
    report.acknowledged = log.iter().filter(|event| commands.contains(&event.command_id)).count() as u64;
    let acknowledged = rising(acknowledged);
    for reader in readers {
        check_reader(reader, log, &acknowledged, &mut report);
    }
    for attempt in attempts {
        if let Answer::Failed { cause } | Answer::Unknown { cause } = &attempt.answer
            && cause.contains(DEADLOCK)
        {
            report.violations.push(Violation::Deadlock { command: attempt.command });
        }
    }
    report
}

/// The SQLSTATE of a transaction that was aborted to resolve a deadlock.
const DEADLOCK: &str = "40P01";

/// A command with all its attempts.
struct CommandRecord<'a> {
    command: &'a Command,
    attempts: Vec<&'a Operation>,
}

impl<'a> CommandRecord<'a> {
    /// First and last position, and whether it was a duplicate, of each acknowledged attempt.
    fn acknowledged(&self) -> Vec<(u64, u64, bool)> {
        let ends = self.attempts.iter().filter_map(|attempt| attempt.completed.as_ref());
        ends.filter_map(|(_, outcome)| match outcome {
            Outcome::Ok { first, last, duplicate } => Some((*first, *last, *duplicate)),
            Outcome::Conflict { .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => None,
        })
        .collect()
    }

    /// Stream, expected version, current version and time of the request, of each attempt that was refused.
    fn conflicts(&self) -> impl Iterator<Item = (Uuid, u64, u64, u64)> {
        let ends = self.attempts.iter().filter_map(|attempt| Some((attempt.invoked_us, attempt.completed.as_ref()?)));
        ends.filter_map(|(invoked_us, (_, outcome))| match outcome {
            Outcome::Conflict { stream, current } => {
                let change = self.command.changes.iter().find(|change| change.stream == *stream);
                // A refusal for a stream without an expected version is wrong: it counts as if the current version had
                // been expected.
                Some((*stream, change.and_then(|change| change.expected).unwrap_or(*current), *current, invoked_us))
            }
            Outcome::Ok { .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => None,
        })
    }

    fn is_unknown(attempt: &Operation) -> bool {
        matches!(attempt.completed, None | Some((_, Outcome::Unknown { .. })))
    }

    /// Whether no attempt can have written anything: all failed, or one was refused because its stream is beyond the
    /// expected version, in which case no other can succeed.
    fn is_refused(&self) -> bool {
        self.conflicts().any(|(_, expected, current, _)| current > expected)
            || !self.attempts.iter().any(|attempt| Self::is_unknown(attempt) || is_ok(attempt))
    }

    fn invoked_us(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.invoked_us).min().unwrap_or(0)
    }

    fn acknowledged_us(&self) -> Option<u64> {
        let acknowledged = self.attempts.iter().filter(|attempt| is_ok(attempt));
        acknowledged.filter_map(|attempt| attempt.completed.as_ref()).map(|(at_us, _)| *at_us).min()
    }
}

fn is_ok(attempt: &Operation) -> bool {
    matches!(attempt.completed, Some((_, Outcome::Ok { .. })))
}

fn records(histories: &[History]) -> BTreeMap<Uuid, CommandRecord<'_>> {
    let mut records: BTreeMap<Uuid, CommandRecord> = BTreeMap::new();
    for operation in histories.iter().flat_map(|history| &history.operations) {
        let record = records
            .entry(operation.command.id)
            .or_insert_with(|| CommandRecord { command: &operation.command, attempts: Vec::new() });
        assert_eq!(*record.command, operation.command, "attempts of a command differ");
        record.attempts.push(operation);
    }
    records
}

/// Checks that positions and versions have no gaps and increase.
fn check_log(log: &[LogEvent], report: &mut Report) {
    let mut versions: HashMap<Uuid, u64> = HashMap::new();
    let mut last = 0;
    for event in log {
        if event.position != last + 1 {
            report.violations.push(Violation::Positions { after: last, next: event.position });
        }
        last = event.position;
        let before = versions.insert(event.stream, event.version).unwrap_or(0);
        if event.version != before + 1 {
            let LogEvent { stream, position, version, .. } = *event;
            report.violations.push(Violation::Versions { stream, position, before, version });
        }
    }
}

/// Checks that an acknowledged command is in the log once, a refused one is not, and retries get the same positions.
fn check_commands(records: &BTreeMap<Uuid, CommandRecord>, log: &[LogEvent], report: &mut Report) {
    let mut written: HashMap<Uuid, Vec<&LogEvent>> = HashMap::new();
    for event in log {
        written.entry(event.command_id).or_default().push(event);
        if !records.contains_key(&event.command_id) {
            report.violations.push(Violation::UnknownCommand { command: event.command_id, position: event.position });
        }
    }
    for (command, record) in records {
        let found = written.get(command).map(Vec::as_slice).unwrap_or_default();
        check_command(*command, record, found, report);
    }
}

fn check_command(command: Uuid, record: &CommandRecord, found: &[&LogEvent], report: &mut Report) {
    let requested: Vec<_> = record.command.events().collect();
    let mut missing: HashSet<Uuid> = requested.iter().map(|(_, event)| *event).collect();
    let first_copies: Vec<_> = found.iter().filter(|event| missing.remove(&event.event_id)).collect();
    let mut acknowledged = record.acknowledged();
    let mut violations = Vec::new();
    if !acknowledged.is_empty() {
        report.acknowledged += requested.len() as u64;
        report.lost += missing.len() as u64;
        if !missing.is_empty() {
            violations.push(Violation::Lost { command, events: missing.len() as u64 });
        }
    } else if record.attempts.iter().any(|attempt| CommandRecord::is_unknown(attempt))
        && record.conflicts().next().is_none()
    {
        report.unresolved += 1;
    }
    let extra = (found.len() - first_copies.len()) as u64;
    report.duplicated += extra;
    if extra > 0 {
        violations.push(Violation::Duplicated { command, events: extra });
    }
    if !first_copies.is_empty() && !missing.is_empty() {
        violations.push(Violation::PartlyWritten { command, present: first_copies.len(), requested: requested.len() });
    }
    if record.is_refused() && (!found.is_empty() || !acknowledged.is_empty()) {
        violations.push(Violation::RefusedButWritten { command });
    }
    let start = acknowledged.first().map(|(first, _, _)| *first).or(first_copies.first().map(|event| event.position));
    let in_place =
        first_copies.iter().zip(&requested).zip(start.unwrap_or(0)..).all(|((event, requested), position)| {
            (event.stream, event.event_id) == *requested && event.position == position
        });
    let first_acknowledged = acknowledged.first().map(|(first, last, _)| (*first, *last));
    let is_right_size = first_acknowledged.is_none_or(|(first, last)| last + 1 == first + requested.len() as u64);
    if !(in_place && is_right_size) {
        let found = found.iter().map(|event| event.position).collect();
        violations.push(Violation::WrongPositions { command, acknowledged: first_acknowledged, found });
    }
    let ranges: HashSet<_> = acknowledged.iter().map(|(first, last, _)| (*first, *last)).collect();
    if ranges.len() > 1 || acknowledged.iter().filter(|(_, _, duplicate)| !duplicate).count() > 1 {
        acknowledged.sort_unstable();
        violations.push(Violation::RetryDiffers { command, acknowledged });
    }
    let deadlocked = record.attempts.iter().any(|attempt| match &attempt.completed {
        Some((_, Outcome::Fail { cause } | Outcome::Unknown { cause })) => cause.contains(DEADLOCK),
        _ => false,
    });
    if deadlocked {
        violations.push(Violation::Deadlock { command });
    }
    report.violations.extend(violations);
}

/// Checks that one command at most is acknowledged for an expected version, and that refusals name a version that the
/// stream had.
fn check_races(records: &BTreeMap<Uuid, CommandRecord>, log: &[LogEvent], report: &mut Report) {
    let acknowledged = acknowledgements(records);
    let mut places: HashMap<Uuid, Vec<u64>> = HashMap::new();
    for event in log {
        places.entry(event.stream).or_default().push(event.position);
    }
    let mut winners: BTreeMap<(Uuid, u64), Vec<Uuid>> = BTreeMap::new();
    for (command, record) in records {
        let own = record.acknowledged();
        for change in &record.command.changes {
            let (Some((first, _, _)), Some(expected)) = (own.first(), change.expected) else { continue };
            if !change.events.is_empty() {
                winners.entry((change.stream, expected)).or_default().push(*command);
            }
            let before = places.get(&change.stream).map_or(0, |places| places.partition_point(|place| place < first));
            let (stream, found) = (change.stream, before as u64);
            if found != expected {
                report.violations.push(Violation::WrongVersion { command: *command, stream, expected, found });
            }
        }
        for (stream, expected, current, invoked_us) in record.conflicts() {
            let max_position = acknowledged_before(&acknowledged, invoked_us).map_or(0, |(position, _)| position);
            let places = places.get(&stream).map(Vec::as_slice).unwrap_or_default();
            // Positions are in the order of commits: all up to an acknowledged one were visible.
            let visible = places.partition_point(|place| *place <= max_position) as u64;
            if current == expected || current < visible || current > places.len() as u64 {
                let found = current;
                report.violations.push(Violation::WrongVersion { command: *command, stream, expected, found });
            }
        }
    }
    for ((stream, expected), commands) in winners {
        if commands.len() > 1 {
            report.violations.push(Violation::SeveralWinners { stream, expected, commands });
        }
    }
}

/// The time of each acknowledgement, in order, with the highest position acknowledged until then and its command.
fn acknowledgements(records: &BTreeMap<Uuid, CommandRecord>) -> Vec<(u64, u64, Uuid)> {
    let all = records.iter().filter_map(|(command, record)| {
        let (_, last, _) = *record.acknowledged().first()?;
        Some((record.acknowledged_us()?, last, *command))
    });
    rising(all.collect())
}

/// Sorts acknowledgements by their times, and replaces each by the highest one until then.
fn rising(mut all: Vec<(u64, u64, Uuid)>) -> Vec<(u64, u64, Uuid)> {
    all.sort_unstable();
    let mut max_position = (0, Uuid::nil());
    for (_, last, command) in &mut all {
        if *last > max_position.0 {
            max_position = (*last, *command);
        }
        (*last, *command) = max_position;
    }
    all
}

/// The highest position acknowledged before a time, and its command.
fn acknowledged_before(acknowledged: &[(u64, u64, Uuid)], moment_us: u64) -> Option<(u64, Uuid)> {
    let count = acknowledged.partition_point(|(at_us, _, _)| *at_us < moment_us);
    acknowledged[..count].last().map(|(_, last, command)| (*last, *command))
}

/// Checks that positions agree with real time, as the order of commits.
fn check_order(records: &BTreeMap<Uuid, CommandRecord>, report: &mut Report) {
    let acknowledged = acknowledgements(records);
    for (later, record) in records {
        let Some((first, _, _)) = record.acknowledged().first().copied() else { continue };
        if let Some((last, earlier)) = acknowledged_before(&acknowledged, record.invoked_us())
            && last >= first
        {
            report.violations.push(Violation::OutOfOrder { earlier, later: *later });
        }
    }
}

/// Checks that the union of a reader's pages is a prefix of the log, and that each page has all events acknowledged before
/// its request.
fn check_reader(history: &ReaderHistory, log: &[LogEvent], acknowledged: &[(u64, u64, Uuid)], report: &mut Report) {
    let reader = &history.name;
    let mut seen: BTreeSet<(u64, Uuid)> = BTreeSet::new();
    let mut reached = 0;
    for page in &history.pages {
        let (before, mut last) = (reached, page.after);
        for (position, event) in &page.events {
            if *position <= last {
                let (reader, after) = (reader.clone(), page.after);
                report.violations.push(Violation::PageOrder { reader, after, position: *position });
            }
            last = *position;
            let is_new = seen.insert((*position, *event));
            if is_new && *position <= before {
                let reader = reader.clone();
                report.violations.push(Violation::Late { reader, position: *position, reached: before });
            }
            reached = reached.max(*position);
        }
        if let Some((position, _)) = acknowledged_before(acknowledged, page.asked_us)
            && page.fresh
            && page.events.len() < page.limit
            && last < position
        {
            let (reader, after) = (reader.clone(), page.after);
            report.violations.push(Violation::Stale { reader, after, acknowledged: position });
        }
    }
    let skipped: Vec<_> = log
        .iter()
        .filter(|event| event.position <= reached && !seen.remove(&(event.position, event.event_id)))
        .map(|event| event.position)
        .collect();
    if let Some(first) = skipped.first() {
        report.skipped += skipped.len() as u64;
        let (reader, events) = (reader.clone(), skipped.len() as u64);
        report.violations.push(Violation::Skipped { reader, events, first: *first });
    }
    // The remaining ones were read but are not in the log.
    if let Some((position, _)) = seen.first() {
        report.violations.push(Violation::Vanished { reader: reader.clone(), position: *position });
    }
}
