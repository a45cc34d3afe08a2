//! Holds what clients were told and what readers saw against the log as it is in the end.
//!
//! Pure, and one for all faults: it knows nothing of how a history came about. It is itself tried on histories of
//! systems with a known bug, see `planted.rs`.

use crate::history::{Command, History, LogEvent, Operation, Outcome, ReaderHistory};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use uuid::Uuid;

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Positions are not 1, 2, 3, …
    Positions { after: u64, next: u64 },
    /// Versions of a stream are not 1, 2, 3, … as positions rise.
    Versions { stream: Uuid, position: u64, before: u64, version: u64 },
    /// Acknowledged, and not in the log.
    Lost { command: Uuid, events: u64 },
    /// In the log more often than it was asked for.
    Duplicated { command: Uuid, events: u64 },
    /// A part of a command is in the log, and a part is not.
    Torn { command: Uuid, present: usize, asked: usize },
    /// The events of a command do not stand together, in order, on their streams, where the client was told.
    Misplaced { command: Uuid, told: Option<(u64, u64)>, found: Vec<u64> },
    /// Two attempts of one command were told different positions, or both that they wrote it.
    RetryDiffers { command: Uuid, told: Vec<(u64, u64, bool)> },
    /// The client was told for good that nothing was written, and it was.
    RefusedButWritten { command: Uuid },
    /// Several commands that expected one version of a stream were all acknowledged.
    SeveralWinners { stream: Uuid, expected: u64, commands: Vec<Uuid> },
    /// Acknowledged on a version that the stream did not have, or refused for one that it never had, just had, or had
    /// left behind before it was asked.
    WrongVersion { command: Uuid, stream: Uuid, expected: u64, found: u64 },
    /// In the log, and no client asked for it.
    Stranger { command: Uuid, position: u64 },
    /// A command asked for after another was acknowledged stands before it.
    OutOfOrder { earlier: Uuid, later: Uuid },
    /// The database had to break a deadlock.
    Deadlock { command: Uuid },
    /// A reader went past events without being given them.
    Skipped { reader: String, events: u64, first: u64 },
    /// Something appeared at or below a position that the reader had been given already.
    Late { reader: String, position: u64, reached: u64 },
    /// A page that does not rise, or begins at or before where the reader asked for.
    PageOrder { reader: String, after: u64, position: u64 },
    /// What a reader was given at a position is not what is there in the end.
    Vanished { reader: String, position: u64 },
    /// A page without what was acknowledged before it was asked for.
    Stale { reader: String, after: u64, acknowledged: u64 },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What the checker found. All numbers count events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) skipped: u64,
    pub(crate) duplicated: u64,
    /// Commands of which nobody was ever told anything certain. Allowed, but then nothing is proved of them.
    pub(crate) unresolved: u64,
    pub(crate) violations: Vec<Violation>,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.skipped += other.skipped;
        self.duplicated += other.duplicated;
        self.unresolved += other.unresolved;
        self.violations.extend(other.violations);
    }
}

/// Holds histories against the log. `log` is all of it, by position; clients and readers may be any part of those that
/// ran, but every command in the log must be in some history.
pub(crate) fn check(histories: &[History], log: &[LogEvent], readers: &[ReaderHistory]) -> Report {
    let stories = stories(histories);
    let mut report = Report::default();
    check_log(log, &mut report);
    check_commands(&stories, log, &mut report);
    check_races(&stories, log, &mut report);
    check_order(&stories, &mut report);
    let acknowledged = acknowledgements(&stories);
    for reader in readers {
        check_reader(reader, log, &acknowledged, &mut report);
    }
    report
}

/// Every attempt of one command.
struct Story<'a> {
    command: &'a Command,
    attempts: Vec<&'a Operation>,
}

impl<'a> Story<'a> {
    /// First and last position and whether it was a duplicate, of each attempt that was acknowledged.
    fn told(&self) -> Vec<(u64, u64, bool)> {
        let ends = self.attempts.iter().filter_map(|attempt| attempt.ended.as_ref());
        ends.filter_map(|(_, outcome)| match outcome {
            Outcome::Ok { first, last, duplicate } => Some((*first, *last, *duplicate)),
            Outcome::Conflict { .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => None,
        })
        .collect()
    }

    /// Stream, the version that was expected and the one that was met, and when that was asked.
    fn conflicts(&self) -> impl Iterator<Item = (Uuid, u64, u64, u64)> {
        let ends = self.attempts.iter().filter_map(|attempt| Some((attempt.invoked_us, attempt.ended.as_ref()?)));
        ends.filter_map(|(invoked_us, (_, outcome))| match outcome {
            Outcome::Conflict { stream, current } => {
                let part = self.command.parts.iter().find(|part| part.stream == *stream);
                // One that was not asked about, or of which nothing was expected, is no reason to refuse: it counts as
                // refused for the version that it has.
                Some((*stream, part.and_then(|part| part.expected).unwrap_or(*current), *current, invoked_us))
            }
            Outcome::Ok { .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => None,
        })
    }

    fn is_open(attempt: &Operation) -> bool {
        matches!(attempt.ended, None | Some((_, Outcome::Unknown { .. })))
    }

    /// Whether nothing can have been written: every attempt was told so, or one met a version that its stream had
    /// left behind, which no attempt comes back from.
    fn is_refused(&self) -> bool {
        self.conflicts().any(|(_, expected, current, _)| current > expected)
            || !self.attempts.iter().any(|attempt| Self::is_open(attempt) || is_ok(attempt))
    }

    fn invoked_us(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.invoked_us).min().unwrap_or(0)
    }

    fn acknowledged_us(&self) -> Option<u64> {
        let acknowledged = self.attempts.iter().filter(|attempt| is_ok(attempt));
        acknowledged.filter_map(|attempt| attempt.ended.as_ref()).map(|(at_us, _)| *at_us).min()
    }
}

fn is_ok(attempt: &Operation) -> bool {
    matches!(attempt.ended, Some((_, Outcome::Ok { .. })))
}

fn stories(histories: &[History]) -> BTreeMap<Uuid, Story<'_>> {
    let mut stories: BTreeMap<Uuid, Story> = BTreeMap::new();
    for operation in histories.iter().flat_map(|history| &history.operations) {
        let story = stories
            .entry(operation.command.id)
            .or_insert_with(|| Story { command: &operation.command, attempts: Vec::new() });
        assert_eq!(*story.command, operation.command, "every attempt of a command is the same");
        story.attempts.push(operation);
    }
    stories
}

/// Positions are dense and versions rise with them.
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

/// Acknowledged once is there once; refused is not there; a retry is told what the first attempt was.
fn check_commands(stories: &BTreeMap<Uuid, Story>, log: &[LogEvent], report: &mut Report) {
    let mut written: HashMap<Uuid, Vec<&LogEvent>> = HashMap::new();
    for event in log {
        written.entry(event.command_id).or_default().push(event);
        if !stories.contains_key(&event.command_id) {
            report.violations.push(Violation::Stranger { command: event.command_id, position: event.position });
        }
    }
    for (command, story) in stories {
        let found = written.get(command).map(Vec::as_slice).unwrap_or_default();
        check_command(*command, story, found, report);
    }
}

fn check_command(command: Uuid, story: &Story, found: &[&LogEvent], report: &mut Report) {
    let asked: Vec<_> = story.command.events().collect();
    let mut missing: HashSet<Uuid> = asked.iter().map(|(_, event)| *event).collect();
    let first_copies: Vec<_> = found.iter().filter(|event| missing.remove(&event.event_id)).collect();
    let mut told = story.told();
    let mut violations = Vec::new();
    if !told.is_empty() {
        report.acknowledged += asked.len() as u64;
        report.lost += missing.len() as u64;
        if !missing.is_empty() {
            violations.push(Violation::Lost { command, events: missing.len() as u64 });
        }
    } else if story.attempts.iter().any(|attempt| Story::is_open(attempt)) && story.conflicts().next().is_none() {
        report.unresolved += 1;
    }
    let extra = (found.len() - first_copies.len()) as u64;
    report.duplicated += extra;
    if extra > 0 {
        violations.push(Violation::Duplicated { command, events: extra });
    }
    if !first_copies.is_empty() && !missing.is_empty() {
        violations.push(Violation::Torn { command, present: first_copies.len(), asked: asked.len() });
    }
    if story.is_refused() && (!found.is_empty() || !told.is_empty()) {
        violations.push(Violation::RefusedButWritten { command });
    }
    let start = told.first().map(|(first, _, _)| *first).or(first_copies.first().map(|event| event.position));
    let in_place = first_copies
        .iter()
        .zip(&asked)
        .zip(start.unwrap_or(0)..)
        .all(|((event, asked), position)| (event.stream, event.event_id) == *asked && event.position == position);
    let told_first = told.first().map(|(first, last, _)| (*first, *last));
    let told_size = told_first.is_none_or(|(first, last)| last + 1 == first + asked.len() as u64);
    if !(in_place && told_size) {
        let found = found.iter().map(|event| event.position).collect();
        violations.push(Violation::Misplaced { command, told: told_first, found });
    }
    let places: HashSet<_> = told.iter().map(|(first, last, _)| (*first, *last)).collect();
    if places.len() > 1 || told.iter().filter(|(_, _, duplicate)| !duplicate).count() > 1 {
        told.sort_unstable();
        violations.push(Violation::RetryDiffers { command, told });
    }
    let deadlocked = story.attempts.iter().any(|attempt| match &attempt.ended {
        Some((_, Outcome::Fail { cause } | Outcome::Unknown { cause })) => cause.contains("40P01"),
        _ => false,
    });
    if deadlocked {
        violations.push(Violation::Deadlock { command });
    }
    report.violations.extend(violations);
}

/// Who expected a version got it, alone; who was refused met another one that was there.
fn check_races(stories: &BTreeMap<Uuid, Story>, log: &[LogEvent], report: &mut Report) {
    let acknowledged = acknowledgements(stories);
    let mut places: HashMap<Uuid, Vec<u64>> = HashMap::new();
    for event in log {
        places.entry(event.stream).or_default().push(event.position);
    }
    let mut winners: BTreeMap<(Uuid, u64), Vec<Uuid>> = BTreeMap::new();
    for (command, story) in stories {
        let told = story.told();
        for part in &story.command.parts {
            let (Some((first, _, _)), Some(expected)) = (told.first(), part.expected) else { continue };
            if !part.events.is_empty() {
                winners.entry((part.stream, expected)).or_default().push(*command);
            }
            let before = places.get(&part.stream).map_or(0, |places| places.partition_point(|place| place < first));
            let (stream, found) = (part.stream, before as u64);
            if found != expected {
                report.violations.push(Violation::WrongVersion { command: *command, stream, expected, found });
            }
        }
        for (stream, expected, current, invoked_us) in story.conflicts() {
            let furthest = acknowledged_before(&acknowledged, invoked_us).map_or(0, |(position, _)| position);
            let places = places.get(&stream).map(Vec::as_slice).unwrap_or_default();
            // Positions are the order of commits: all up to one that was acknowledged were there.
            let left_behind = places.partition_point(|place| *place <= furthest) as u64;
            if current == expected || current < left_behind || current > places.len() as u64 {
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

/// When each command was acknowledged, in that order, with the furthest position that was acknowledged by then and the
/// command that has it.
fn acknowledgements(stories: &BTreeMap<Uuid, Story>) -> Vec<(u64, u64, Uuid)> {
    let mut all: Vec<_> = stories
        .iter()
        .filter_map(|(command, story)| {
            let (_, last, _) = *story.told().first()?;
            Some((story.acknowledged_us()?, last, *command))
        })
        .collect();
    all.sort_unstable();
    let mut furthest = (0, Uuid::nil());
    for (_, last, command) in &mut all {
        if *last > furthest.0 {
            furthest = (*last, *command);
        }
        (*last, *command) = furthest;
    }
    all
}

/// What was acknowledged before a moment: the furthest position and its command.
fn acknowledged_before(acknowledged: &[(u64, u64, Uuid)], moment_us: u64) -> Option<(u64, Uuid)> {
    let count = acknowledged.partition_point(|(at_us, _, _)| *at_us < moment_us);
    acknowledged[..count].last().map(|(_, last, command)| (*last, *command))
}

/// Positions agree with real time: they are the order of commits.
fn check_order(stories: &BTreeMap<Uuid, Story>, report: &mut Report) {
    let acknowledged = acknowledgements(stories);
    for (later, story) in stories {
        let Some((first, _, _)) = story.told().first().copied() else { continue };
        if let Some((last, earlier)) = acknowledged_before(&acknowledged, story.invoked_us())
            && last >= first
        {
            report.violations.push(Violation::OutOfOrder { earlier, later: *later });
        }
    }
}

/// The union of a reader's pages is a prefix of the log, and each page had what was acknowledged before.
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
    // What is left was given to the reader and is not in the log.
    if let Some((position, _)) = seen.first() {
        report.violations.push(Violation::Vanished { reader: reader.clone(), position: *position });
    }
}
