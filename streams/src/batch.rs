//! Which of the appends that wait go into the next batch.
//!
//! Deliberately absent: any look at the database. What is planned here is checked there.

use crate::append::Expected;
use crate::appender::{AppenderLimits, Waiting};
use crate::{AppendError, StreamKey};
use domain::TenantId;
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// The next batch; empty when nothing may go now.
pub(crate) struct Taken {
    pub(crate) batch: Vec<Waiting>,
    /// All streams that it touches.
    pub(crate) streams: Vec<StreamKey>,
}

/// Cuts the next batch from those that wait, in their order.
///
/// An append waits for the next batch when one of its streams is busy in another, when an earlier append to the same
/// stream waits, when its command is in this batch already, and when it follows an append to the same stream but does not
/// expect the version that this one leaves behind: then the database must settle the first one first.
pub(crate) fn take(waiting: &mut VecDeque<Waiting>, busy: &HashSet<StreamKey>, limits: &AppenderLimits) -> Taken {
    let mut plan = Plan::default();
    let mut batch = Vec::new();
    let mut later = VecDeque::new();
    let (mut events, mut bytes) = (0, 0);
    while let Some(mut next) = waiting.pop_front() {
        if next.chain.as_ref().is_some_and(crate::append::Chain::is_aborted) {
            next.respond(Err(AppendError::ChainAborted));
            continue;
        }
        let fits = batch.is_empty()
            || (events + next.append.event_count() <= limits.max_batch_events
                && bytes + next.bytes <= limits.max_batch_bytes);
        if !fits {
            later.push_back(next);
            break;
        }
        if plan.admits(&next, busy) {
            plan.add(&next);
            next.place = None;
            events += next.append.event_count();
            bytes += next.bytes;
            batch.push(next);
        } else {
            // It keeps its place before later appends to the same streams, and before its own retries.
            plan.held_back.extend(next.keys.iter().cloned());
            plan.commands.insert(command(&next));
            later.push_back(next);
        }
    }
    later.append(waiting);
    *waiting = later;
    Taken { batch, streams: plan.versions.into_keys().collect() }
}

#[derive(Default)]
struct Plan {
    /// The version of each stream after the batch so far; none where it began with an append to any version.
    versions: HashMap<StreamKey, Option<u64>>,
    commands: HashSet<(TenantId, Uuid)>,
    held_back: HashSet<StreamKey>,
}

impl Plan {
    fn admits(&self, next: &Waiting, busy: &HashSet<StreamKey>) -> bool {
        !self.commands.contains(&command(next))
            && next.keys.iter().zip(&next.append.streams).all(|(key, stream)| {
                !busy.contains(key)
                    && !self.held_back.contains(key)
                    && match (self.versions.get(key), stream.expected) {
                        (None, _) | (Some(_), Expected::Any) => true,
                        (Some(version), Expected::Exact(expected)) => *version == Some(expected.get()),
                    }
            })
    }

    fn add(&mut self, next: &Waiting) {
        self.commands.insert(command(next));
        for (key, stream) in next.keys.iter().zip(&next.append.streams) {
            let added = stream.events.len() as u64;
            let version = self.versions.entry(key.clone()).or_insert(match stream.expected {
                Expected::Any => None,
                Expected::Exact(version) => Some(version.get()),
            });
            *version = version.map(|version| version + added);
        }
    }
}

fn command(waiting: &Waiting) -> (TenantId, Uuid) {
    (waiting.append.tenant.clone(), waiting.append.metadata.command_id)
}
