//! The log as it should be, in memory, and the judgement whether what PostgreSQL did is one of the right things.
//!
//! Where several appends are on their way at once, more than one outcome is right. The positions tell which of the
//! orders came about; the model follows it and objects where no order allows what was written or answered.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use streams::{
    Append, AppendError, Appended, Expected, Metadata, ReadFilter, RecordedEvent, RequestHash, StreamAppend, StreamKey,
};
use uuid::Uuid;

/// What is wrong, or nothing.
pub(super) type Verdict<T = ()> = Result<T, String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(super) use ensure;

/// What the caller of an append got to know.
#[derive(Debug)]
pub(super) enum Answer {
    Told(Result<Appended, AppendError>),
    /// The caller or the process was gone before the answer came.
    Lost,
}

/// An append that was sent, and its answer.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) append: Append,
    pub(super) answer: Answer,
    /// Whether its process was made to crash meanwhile, or refuses when many wait.
    pub(super) may_be_unavailable: bool,
    pub(super) may_be_busy: bool,
}

/// The log, its streams and its commands.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// The position before the first event of this case.
    pub(super) base: u64,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) versions: Versions,
    pub(super) commands: HashMap<Uuid, Written>,
}

/// What a command wrote, and the request that it was given with.
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

    /// Takes over what a step wrote, if there is an order of its appends that explains it and all answers.
    pub(super) fn settle(&mut self, sent: &[Sent], written: Vec<RecordedEvent>) -> Verdict {
        let before = self.commands.clone();
        // The versions before the step, and after each append that it wrote.
        let mut history = vec![self.versions.clone()];
        // How many of them were written up to and with a command.
        let mut order: HashMap<Uuid, usize> = HashMap::new();
        let mut rest = written.as_slice();
        while let Some(first) = rest.first() {
            let metadata: Metadata = first.metadata().map_err(|error| format!("metadata: {error}"))?;
            let id = metadata.command_id;
            let is_of = |append: &Append| {
                let mut events = append.streams.iter().flat_map(|stream| &stream.events);
                command(append) == id && events.next().is_some_and(|event| event.event_id == first.event_id)
            };
            let found = sent.iter().find(|sent| is_of(&sent.append));
            let append = &found.ok_or_else(|| format!("nobody sent {first:?} in this step"))?.append;
            ensure!(!self.commands.contains_key(&id), "command {id} was written again, at {}", first.position);
            rest = self.take(append, rest)?;
            history.push(self.versions.clone());
            order.insert(id, history.len() - 1);
        }
        for one in sent {
            let id = command(&one.append);
            let place = order.get(&id).copied();
            let points = &history[..place.unwrap_or(history.len())];
            self.judge(one, before.contains_key(&id), place.is_some(), points)?;
        }
        self.each_is_new_once(sent, &order)
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
                    return Err(format!("an append of several events was not written whole: {append:?}"));
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
                ensure!(earlier <= Some(got.recorded_at), "time fell to {} at {}", got.recorded_at, got.position);
                self.versions.insert(key.clone(), version);
                self.events.push(got.clone());
                rest = more;
            }
        }
        let written = Written { first, last: self.head(), request: append.request };
        self.commands.insert(command(append), written);
        Ok(rest)
    }

    /// Whether an answer is right. `points` are the versions at each moment at which the append may have been looked at
    /// without being written.
    fn judge(&self, sent: &Sent, was_written: bool, is_written: bool, points: &[Versions]) -> Verdict {
        let Sent { append, answer, may_be_unavailable, may_be_busy } = sent;
        let written = self.commands.get(&command(append)).copied();
        let known = written.filter(|written| written.request == append.request);
        let known = known.map(|written| (written.first, written.last));
        let told = match answer {
            Answer::Lost => return Ok(()),
            Answer::Told(told) => told,
        };
        if is_empty(append) {
            ensure!(matches!(told, Err(AppendError::Invalid(_))), "{append:?} has no events, but: {told:?}");
            return Ok(());
        }
        match told {
            Ok(Appended::New { first, last }) => {
                ensure!(is_written, "{append:?} was answered {told:?}, but not written in this step");
                ensure!(known == Some((first.get(), last.get())), "{append:?} is at {known:?}, not at {told:?}");
            }
            Ok(Appended::Duplicate { first, last }) => {
                ensure!(known == Some((first.get(), last.get())), "{append:?} is at {known:?}, not at {told:?}");
            }
            Err(AppendError::CommandReused) => {
                let is_other = written.is_some_and(|written| written.request != append.request);
                ensure!(is_other, "{append:?} was taken for another request than {written:?}");
            }
            Err(AppendError::Conflict { stream, current }) => {
                ensure!(!was_written, "{append:?} was written before, but: {told:?}");
                let is_reason = |entry: &StreamAppend| {
                    let key = key(append, entry);
                    let is_possible = |versions: &Versions| versions.get(&key).copied().unwrap_or(0) == current.get();
                    key == *stream && !fits(entry.expected, current.get()) && points.iter().any(is_possible)
                };
                ensure!(append.streams.iter().any(is_reason), "no conflict with {append:?} at {points:?}: {told:?}");
            }
            Err(AppendError::Indeterminate(_) | AppendError::Unavailable(_) | AppendError::Closed)
                if *may_be_unavailable => {}
            Err(AppendError::Busy { .. }) if *may_be_busy => {}
            Err(error) => return Err(format!("{append:?}: {error:?}")),
        }
        Ok(())
    }

    /// Of the answers about a command that was written, one says that it was written now. None may say so where an
    /// answer got lost.
    fn each_is_new_once(&self, sent: &[Sent], order: &HashMap<Uuid, usize>) -> Verdict {
        for id in order.keys() {
            let answers: Vec<_> = sent.iter().filter(|sent| command(&sent.append) == *id).map(|s| &s.answer).collect();
            let is_new = |answer: &&&Answer| matches!(answer, Answer::Told(Ok(Appended::New { .. })));
            let is_unknown =
                |answer: &&&Answer| matches!(answer, Answer::Lost | Answer::Told(Err(AppendError::Indeterminate(_))));
            let new = answers.iter().filter(is_new).count();
            let unknown = answers.iter().filter(is_unknown).count();
            ensure!(new == 1 || (new == 0 && unknown > 0), "command {id} was written, and the answers are {answers:?}");
        }
        Ok(())
    }

    /// What a page of a filter after a position holds.
    pub(super) fn after(&self, position: u64, filter: &ReadFilter, limit: usize) -> Vec<RecordedEvent> {
        let beyond = self.events.iter().filter(|event| event.position.get() > position);
        beyond.filter(|event| wants(filter, event)).take(limit).cloned().collect()
    }

    /// What a page of a filter before a position holds, the latest first.
    pub(super) fn before(&self, position: u64, filter: &ReadFilter, limit: usize) -> Vec<RecordedEvent> {
        let beyond = self.events.iter().rev().filter(|event| event.position.get() < position);
        beyond.filter(|event| wants(filter, event)).take(limit).cloned().collect()
    }

    pub(super) fn stream(&self, key: &StreamKey, after: u64, limit: usize) -> Vec<RecordedEvent> {
        let of_stream = self.events.iter().filter(|event| event.stream == *key && event.version.get() > after);
        of_stream.take(limit).cloned().collect()
    }

    /// The first position at or after a time.
    pub(super) fn position_at(&self, moment: DateTime<Utc>) -> u64 {
        let first = self.events.iter().find(|event| event.recorded_at >= moment);
        first.map_or(self.head() + 1, |event| event.position.get())
    }
}

/// What a filter means, told apart from how the log says it.
fn wants(filter: &ReadFilter, event: &RecordedEvent) -> bool {
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
