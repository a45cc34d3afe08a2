//! The model: a log in memory, and the check whether the behaviour of PostgreSQL is one that it allows.
//!
//! If several appends are concurrent, several outcomes are correct. The positions show the order in which they were
//! written. The model applies them in this order, and fails if it allows the events or a response in no order.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use streams::{
    Append, AppendError, Appended, Expected, Metadata, ReadFilter, RecordedEvent, RequestHash, StreamAppend, StreamKey,
};
use testkit::decisions::Entry;
use uuid::Uuid;

/// An error describes the difference between log and model.
pub(super) type Verdict<T = ()> = Result<T, String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(super) use ensure;

/// The response to an append, as its caller knows it.
#[derive(Debug)]
pub(super) enum Answer {
    Received(Result<Appended, AppendError>),
    /// The caller or the process ended before the response.
    Lost,
}

/// An append that was sent, and its response.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) append: Append,
    pub(super) answer: Answer,
    /// Whether its process crashed meanwhile.
    pub(super) may_be_unavailable: bool,
    /// Whether its process has a small queue.
    pub(super) may_be_busy: bool,
}

/// The model of the log, its streams and its commands.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// The position before the first event of this case.
    pub(super) base: u64,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) versions: Versions,
    pub(super) commands: HashMap<Uuid, Written>,
}

/// The positions of a command's events, and the hash of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) request: Option<RequestHash>,
}

type Versions = HashMap<StreamKey, u64>;

pub(super) fn key(append: &Append, stream: &StreamAppend) -> StreamKey {
    StreamKey { tenant: append.tenant.clone(), category: stream.category.clone(), id: stream.id }
}

fn command(append: &Append) -> Uuid {
    append.metadata.command_id
}

fn is_empty(append: &Append) -> bool {
    append.streams.iter().all(|stream| stream.events.is_empty())
}

fn fits(expected: Expected, version: u64) -> bool {
    match expected {
        Expected::Any => true,
        Expected::Exact(exactly) => exactly.get() == version,
    }
}

impl Reference {
    pub(super) fn head(&self) -> u64 {
        self.base + self.events.len() as u64
    }

    pub(super) fn version(&self, key: &StreamKey) -> u64 {
        self.versions.get(key).copied().unwrap_or(0)
    }

    /// Applies the events that a step wrote. Fails if no order of its appends explains the events and all responses.
    pub(super) fn apply(&mut self, sent: &[Sent], written: Vec<RecordedEvent>) -> Verdict {
        let before = self.commands.clone();
        // The versions before the step, and after each append that it wrote.
        let mut history = vec![self.versions.clone()];
        // The index in the history of the versions after each command.
        let mut order: HashMap<Uuid, usize> = HashMap::new();
        let mut rest = written.as_slice();
        while let Some(first) = rest.first() {
            if Entry::of(first).is_some() {
                rest = self.take_of_decision(rest)?;
                continue;
            }
            let metadata: Metadata = first.metadata().map_err(|error| format!("metadata: {error}"))?;
            let id = metadata.command_id;
            let is_of = |append: &Append| {
                let mut events = append.streams.iter().flat_map(|stream| &stream.events);
                command(append) == id && events.next().is_some_and(|event| event.event_id == first.event_id)
            };
            let found = sent.iter().find(|sent| is_of(&sent.append));
            let append = &found.ok_or_else(|| format!("no append of this step wrote {first:?}"))?.append;
            ensure!(!self.commands.contains_key(&id), "command {id} was written again, at {}", first.position);
            rest = self.take(append, rest)?;
            history.push(self.versions.clone());
            order.insert(id, history.len() - 1);
        }
        for one in sent {
            let id = command(&one.append);
            let index = order.get(&id).copied();
            let points = &history[..index.unwrap_or(history.len())];
            self.check_response(one, before.contains_key(&id), index.is_some(), points)?;
        }
        self.check_one_is_new(sent, &order)
    }

    /// Applies an append whose events begin here; gives the events after it.
    fn take<'a>(&mut self, append: &Append, written: &'a [RecordedEvent]) -> Verdict<&'a [RecordedEvent]> {
        for stream in &append.streams {
            let version = self.version(&key(append, stream));
            ensure!(
                fits(stream.expected, version),
                "an append was written at {} that expects {:?} of stream {}, which is at {version}",
                written[0].position,
                stream.expected,
                stream.id
            );
        }
        let first = self.head() + 1;
        let mut rest = written;
        for stream in &append.streams {
            let key = key(append, stream);
            for event in &stream.events {
                let Some((got, more)) = rest.split_first() else {
                    return Err(format!("only some events of an append were written: {append:?}"));
                };
                let version = self.version(&key) + 1;
                let is_right = got.position.get() == self.head() + 1
                    && got.stream == key
                    && got.version.get() == version
                    && got.event_id == event.event_id
                    && got.name == event.name
                    && got.schema_version == event.schema_version
                    && got.payload == event.payload
                    && got.metadata().is_ok_and(|metadata| metadata == append.metadata)
                    && got.content_is_intact();
                ensure!(is_right, "{event:?} should be at {}, version {version}, not {got:?}", self.head() + 1);
                let earlier = self.events.last().map(|event| event.recorded_at);
                ensure!(
                    earlier <= Some(got.recorded_at),
                    "the time decreased to {} at {}",
                    got.recorded_at,
                    got.position
                );
                self.versions.insert(key.clone(), version);
                self.events.push(got.clone());
                rest = more;
            }
        }
        let written = Written { first, last: self.head(), request: append.request };
        self.commands.insert(command(append), written);
        Ok(rest)
    }

    /// Applies the first of these events, which a decision wrote; gives the events after it. Whether it is what was decided
    /// is checked at the end of the step.
    fn take_of_decision<'a>(&mut self, written: &'a [RecordedEvent]) -> Verdict<&'a [RecordedEvent]> {
        let (got, rest) = written.split_first().ok_or("there is no event")?;
        let version = self.version(&got.stream) + 1;
        let earlier = self.events.last().map(|event| event.recorded_at);
        let is_right = got.position.get() == self.head() + 1
            && got.version.get() == version
            && earlier <= Some(got.recorded_at)
            && got.content_is_intact();
        ensure!(is_right, "an event of a decision should be at {}, version {version}, not {got:?}", self.head() + 1);
        self.versions.insert(got.stream.clone(), version);
        self.events.push(got.clone());
        Ok(rest)
    }

    /// Checks a response. `points` are the versions of all streams at each time at which the append may have been refused.
    fn check_response(&self, sent: &Sent, was_written: bool, is_written: bool, points: &[Versions]) -> Verdict {
        let Sent { append, answer, may_be_unavailable, may_be_busy } = sent;
        let written = self.commands.get(&command(append)).copied();
        let known = written.filter(|written| written.request == append.request);
        let known = known.map(|written| (written.first, written.last));
        let response = match answer {
            Answer::Lost => return Ok(()),
            Answer::Received(response) => response,
        };
        if is_empty(append) {
            ensure!(matches!(response, Err(AppendError::Invalid(_))), "{append:?} has no events, but: {response:?}");
            return Ok(());
        }
        match response {
            Ok(Appended::New { first, last }) => {
                ensure!(is_written, "{append:?} was answered {response:?}, but not written in this step");
                ensure!(known == Some((first.get(), last.get())), "{append:?} is at {known:?}, not at {response:?}");
            }
            Ok(Appended::Duplicate { first, last }) => {
                ensure!(known == Some((first.get(), last.get())), "{append:?} is at {known:?}, not at {response:?}");
            }
            Err(AppendError::CommandReused) => {
                let is_other = written.is_some_and(|written| written.request != append.request);
                ensure!(is_other, "{append:?} was refused as another request than {written:?}");
            }
            Err(AppendError::Conflict { stream, current }) => {
                ensure!(!was_written, "{append:?} was written before, but: {response:?}");
                let is_reason = |entry: &StreamAppend| {
                    let key = key(append, entry);
                    let is_possible = |versions: &Versions| versions.get(&key).copied().unwrap_or(0) == current.get();
                    key == *stream && !fits(entry.expected, current.get()) && points.iter().any(is_possible)
                };
                ensure!(
                    append.streams.iter().any(is_reason),
                    "no conflict with {append:?} at {points:?}: {response:?}"
                );
            }
            Err(AppendError::Indeterminate(_) | AppendError::Unavailable(_) | AppendError::Closed)
                if *may_be_unavailable => {}
            Err(AppendError::Busy { .. }) if *may_be_busy => {}
            Err(error) => return Err(format!("{append:?}: {error:?}")),
        }
        Ok(())
    }

    /// Exactly one response of a written command must be that it is new, or none if a response was lost or unknown.
    fn check_one_is_new(&self, sent: &[Sent], order: &HashMap<Uuid, usize>) -> Verdict {
        for id in order.keys() {
            let answers: Vec<_> = sent.iter().filter(|sent| command(&sent.append) == *id).map(|s| &s.answer).collect();
            let is_new = |answer: &&&Answer| matches!(answer, Answer::Received(Ok(Appended::New { .. })));
            let is_unknown = |answer: &&&Answer| {
                matches!(answer, Answer::Lost | Answer::Received(Err(AppendError::Indeterminate(_))))
            };
            let new = answers.iter().filter(is_new).count();
            let unknown = answers.iter().filter(is_unknown).count();
            ensure!(
                new == 1 || (new == 0 && unknown > 0),
                "command {id} was written, but its responses are {answers:?}"
            );
        }
        Ok(())
    }

    /// A page of events after a position that match a filter.
    pub(super) fn after(&self, position: u64, filter: &ReadFilter, limit: usize) -> Vec<RecordedEvent> {
        let beyond = self.events.iter().filter(|event| event.position.get() > position);
        beyond.filter(|event| matches(filter, event)).take(limit).cloned().collect()
    }

    /// A page of events before a position that match a filter, the latest first.
    pub(super) fn before(&self, position: u64, filter: &ReadFilter, limit: usize) -> Vec<RecordedEvent> {
        let beyond = self.events.iter().rev().filter(|event| event.position.get() < position);
        beyond.filter(|event| matches(filter, event)).take(limit).cloned().collect()
    }

    /// A page of a stream after a version.
    pub(super) fn stream(&self, key: &StreamKey, after: u64, limit: usize) -> Vec<RecordedEvent> {
        let of_stream = self.events.iter().filter(|event| event.stream == *key && event.version.get() > after);
        of_stream.take(limit).cloned().collect()
    }

    /// The first position at or after a time, or the position of the next event.
    pub(super) fn position_at(&self, moment: DateTime<Utc>) -> u64 {
        let first = self.events.iter().find(|event| event.recorded_at >= moment);
        first.map_or(self.head() + 1, |event| event.position.get())
    }
}

/// Whether an event matches a filter, implemented independently of the log.
fn matches(filter: &ReadFilter, event: &RecordedEvent) -> bool {
    if filter.tenant.as_ref().is_some_and(|tenant| event.stream.tenant != *tenant) {
        return false;
    }
    if filter.category.as_ref().is_some_and(|category| *event.stream.category != **category) {
        return false;
    }
    if filter.stream_id.is_some_and(|id| event.stream.id != id) {
        return false;
    }
    filter.types.is_empty() || filter.types.contains(&event.name)
}
