//! What clients did and saw, written down as it happened: one JSON value a line.
//!
//! A client writes an invocation before it asks and an end once it was told, so that whatever becomes of it the file
//! says what is not known. All times are microseconds since one start that all clients of a run share.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Instant;
use uuid::Uuid;

/// What one command asks of the log: all of it or nothing. Every attempt of a command is the same to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: Uuid,
    pub(crate) parts: Vec<Part>,
}

impl Command {
    /// The ids of its events, in the order in which they must stand in the log.
    pub(crate) fn events(&self) -> impl Iterator<Item = (Uuid, Uuid)> {
        self.parts.iter().flat_map(|part| part.events.iter().map(|event| (part.stream, *event)))
    }
}

/// What a command does to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) stream: Uuid,
    /// The version that the stream must have; none for any.
    pub(crate) expected: Option<u64>,
    /// Ids of new events; none to only guard.
    pub(crate) events: Vec<Uuid>,
}

/// What a client was told of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is in the log, at these positions.
    Ok { first: u64, last: u64, duplicate: bool },
    /// Nothing was written: a stream is at another version.
    Conflict { stream: Uuid, current: u64 },
    /// Nothing was written, for another reason. The cause has the SQLSTATE where there is one.
    Fail { cause: String },
    /// It may be in the log or not.
    Unknown { cause: String },
}

/// One attempt of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) client: u32,
    pub(crate) command: Command,
    pub(crate) invoked_us: u64,
    /// When it ended and how; none if the client never got to know.
    pub(crate) ended: Option<(u64, Outcome)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Invoke { client: u32, number: u64, at_us: u64, command: Command },
    End { client: u32, number: u64, at_us: u64, end: Outcome },
}

/// Writes what a client does.
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

    /// Before asking; the number is for [`Recorder::end`].
    pub(crate) fn invoke(&mut self, command: &Command) -> u64 {
        self.number += 1;
        let (client, number, at_us) = (self.client, self.number, micros(self.start));
        write_line(&mut self.file, &Line::Invoke { client, number, at_us, command: command.clone() });
        number
    }

    /// Once it was told.
    pub(crate) fn end(&mut self, number: u64, end: &Outcome) {
        let (client, at_us) = (self.client, micros(self.start));
        write_line(&mut self.file, &Line::End { client, number, at_us, end: end.clone() });
    }
}

/// Everything that one or more clients did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
}

impl History {
    pub(crate) fn read(path: &Path) -> Self {
        let mut operations: Vec<Operation> = Vec::new();
        let mut open = HashMap::new();
        for line in read_lines::<Line>(path) {
            match line {
                Line::Invoke { client, number, at_us, command } => {
                    open.insert((client, number), operations.len());
                    operations.push(Operation { client, command, invoked_us: at_us, ended: None });
                }
                Line::End { client, number, at_us, end } => {
                    let index = open.remove(&(client, number)).expect("an end has an invocation");
                    operations[index].ended = Some((at_us, end));
                }
            }
        }
        Self { operations }
    }
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEvent {
    pub(crate) position: u64,
    pub(crate) stream: Uuid,
    pub(crate) version: u64,
    pub(crate) event_id: Uuid,
    pub(crate) command_id: Uuid,
}

/// One answer that a reader got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) asked_us: u64,
    /// The reader wanted what comes after this position.
    pub(crate) after: u64,
    pub(crate) limit: usize,
    /// Whether it came from the database itself, so that it must have all that was acknowledged before it was asked.
    pub(crate) fresh: bool,
    /// Positions and ids of events, as they came.
    pub(crate) events: Vec<(u64, Uuid)>,
}

/// Writes the pages of a reader.
pub(crate) struct PageRecorder {
    file: File,
    start: Instant,
}

impl PageRecorder {
    pub(crate) fn create(path: &Path, start: Instant) -> Self {
        Self { file: File::create(path).unwrap(), start }
    }

    /// The time, to be taken before asking.
    pub(crate) fn now_us(&self) -> u64 {
        micros(self.start)
    }

    pub(crate) fn page(&mut self, page: &Page) {
        write_line(&mut self.file, page);
    }
}

/// All that one reader saw, in order.
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

/// Writes the log as the checker saw it.
pub(crate) fn write_log(path: &Path, log: &[LogEvent]) {
    let mut file = File::create(path).unwrap();
    log.iter().for_each(|event| write_line(&mut file, event));
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// In one write, so that a line is there or not.
fn write_line(file: &mut File, line: &impl Serialize) {
    let mut text = serde_json::to_string(line).unwrap();
    text.push('\n');
    file.write_all(text.as_bytes()).unwrap();
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}
