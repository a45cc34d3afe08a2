//! Histories of clients and readers, recorded as they happen: one JSON value a line.
//!
//! A client records an invocation before it sends a request, and a completion after the response. An invocation without
//! a completion has an unknown outcome. All times are microseconds since the start of the run.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Instant;
use streams::RecordedEvent;
use testkit::decisions::{Answer, Attempt, Decision};
use uuid::Uuid;

/// A command that is appended as a whole or not at all. Every attempt of a command sends the same request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: Uuid,
    pub(crate) changes: Vec<StreamChange>,
}

impl Command {
    /// Stream and id of each event, in the order in which they must be in the log.
    pub(crate) fn events(&self) -> impl Iterator<Item = (Uuid, Uuid)> {
        self.changes.iter().flat_map(|change| change.events.iter().map(|event| (change.stream, *event)))
    }
}

/// The change that a command makes to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamChange {
    pub(crate) stream: Uuid,
    /// The version that the stream must have; `None` accepts any version.
    pub(crate) expected: Option<u64>,
    /// Ids of new events. If empty, the change only checks the version.
    pub(crate) events: Vec<Uuid>,
}

/// The outcome of one attempt, as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The command is in the log, at these positions. `duplicate`: an earlier attempt wrote it.
    Ok { first: u64, last: u64, duplicate: bool },
    /// Nothing was written, since a stream is at another version.
    Conflict { stream: Uuid, current: u64 },
    /// Nothing was written, for another reason. The cause begins with the SQLSTATE if there is one.
    Fail { cause: String },
    /// The command may be in the log or not.
    Unknown { cause: String },
}

/// A decision over several streams, as a client sends it. Attempts of one command may ask for different decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionRequest {
    pub(crate) command: Uuid,
    pub(crate) decision: Decision,
}

/// One attempt of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation<C = Command, O = Outcome> {
    pub(crate) client: u32,
    pub(crate) command: C,
    pub(crate) invoked_us: u64,
    /// When it completed, and its outcome; `None` if there was no response.
    pub(crate) completed: Option<(u64, O)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line<C, O> {
    Invoke { client: u32, number: u64, at_us: u64, command: C },
    Complete { client: u32, number: u64, at_us: u64, outcome: O },
}

/// Writes the history of a client.
pub(crate) struct Recorder {
    file: File,
    client: u32,
    start: Instant,
    number: u64,
}

impl Recorder {
    pub(crate) fn create(path: &Path, client: u32, start: Instant) -> Self {
        Self { file: File::create(path).unwrap(), client, start, number: 0 }
    }

    /// Records a request before it is sent. Returns its number, for [`Recorder::complete`].
    pub(crate) fn invoke(&mut self, command: &impl Serialize) -> u64 {
        self.number += 1;
        let (client, number, at_us) = (self.client, self.number, micros(self.start));
        write_line(&mut self.file, &Line::<_, ()>::Invoke { client, number, at_us, command });
        number
    }

    /// Records the outcome of a request.
    pub(crate) fn complete(&mut self, number: u64, outcome: &impl Serialize) {
        let (client, at_us) = (self.client, micros(self.start));
        write_line(&mut self.file, &Line::<(), _>::Complete { client, number, at_us, outcome });
    }
}

/// The operations of one or more clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History<C = Command, O = Outcome> {
    pub(crate) operations: Vec<Operation<C, O>>,
}

impl<C: DeserializeOwned, O: DeserializeOwned> History<C, O> {
    pub(crate) fn read(path: &Path) -> Self {
        let mut operations = Vec::new();
        let mut open = HashMap::new();
        for line in read_lines::<Line<C, O>>(path) {
            match line {
                Line::Invoke { client, number, at_us, command } => {
                    open.insert((client, number), operations.len());
                    operations.push(Operation { client, command, invoked_us: at_us, completed: None });
                }
                Line::Complete { client, number, at_us, outcome } => {
                    let index = open.remove(&(client, number)).expect("a completion has an invocation");
                    operations[index].completed = Some((at_us, outcome));
                }
            }
        }
        Self { operations }
    }
}

impl Operation<DecisionRequest, Answer> {
    pub(crate) fn into_attempt(self) -> Attempt {
        let DecisionRequest { command, decision } = self.command;
        let unanswered = || (u64::MAX, Answer::Unknown { cause: "no answer".to_owned() });
        let (completed_us, answer) = self.completed.unwrap_or_else(unanswered);
        Attempt { command, decision, invoked_us: self.invoked_us, completed_us, answer }
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEvent {
    pub(crate) position: u64,
    pub(crate) stream: Uuid,
    pub(crate) version: u64,
    pub(crate) event_id: Uuid,
    pub(crate) command_id: Uuid,
}

impl From<&RecordedEvent> for LogEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            position: event.position.get(),
            stream: event.stream.id,
            version: event.version.get(),
            event_id: event.event_id,
            command_id: event.metadata().unwrap().command_id,
        }
    }
}

/// One page that a reader received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) asked_us: u64,
    /// The reader asked for events after this position.
    pub(crate) after: u64,
    pub(crate) limit: usize,
    /// Whether it was read from the database, so that it must have every event acknowledged before the request.
    pub(crate) fresh: bool,
    /// Positions and ids of events, in the order received.
    pub(crate) events: Vec<(u64, Uuid)>,
}

/// Writes the history of a reader.
pub(crate) struct PageRecorder {
    file: File,
    start: Instant,
}

impl PageRecorder {
    pub(crate) fn create(path: &Path, start: Instant) -> Self {
        Self { file: File::create(path).unwrap(), start }
    }

    /// The current time, to be taken before the request.
    pub(crate) fn now_us(&self) -> u64 {
        micros(self.start)
    }

    pub(crate) fn page(&mut self, page: &Page) {
        write_line(&mut self.file, page);
    }
}

/// All pages of one reader, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReaderHistory {
    pub(crate) name: String,
    pub(crate) pages: Vec<Page>,
}

impl ReaderHistory {
    pub(crate) fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, pages: read_lines(path) }
    }
}

/// Writes the events of the log that the checker compared with the histories.
pub(crate) fn write_log(path: &Path, log: &[impl Serialize]) {
    let mut file = File::create(path).unwrap();
    log.iter().for_each(|event| write_line(&mut file, event));
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Writes a line with one call, so that it is in the file as a whole or not at all.
fn write_line(file: &mut File, line: &impl Serialize) {
    let mut text = serde_json::to_string(line).unwrap();
    text.push('\n');
    file.write_all(text.as_bytes()).unwrap();
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}
