//! Which of the queued appends go into the next batch.
//!
//! Deliberately absent: access to the database. `apex.append` checks the versions again.

use crate::append::Expected;
use crate::error::AppendError;
use crate::event::StreamKey;
use crate::limits::AppenderLimits;
use crate::queued_append::{QueuedAppend, Reply};
use domain::TenantId;
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Appends that are written in one transaction; empty when no queued append may be written now.
pub(crate) struct Batch {
    pub(crate) appends: Vec<QueuedAppend>,
    /// The streams that the appends change.
    pub(crate) changed: HashSet<StreamKey>,
    /// Replies to appends that were removed from the queue because their chain was aborted.
    pub(crate) aborted: Vec<Reply>,
}

/// Takes the next batch from the queue, in the order of the queue. `busy` holds the streams that batches in flight change.
///
/// An append stays in the queue when:
/// - one of its streams is busy;
/// - an earlier append to one of its streams stays in the queue;
/// - its command id is in this batch already;
/// - it follows an append to the same stream in this batch, and does not expect the version that this one results in:
///   then the database must decide about the first one first;
/// - the batch is full.
pub(crate) fn next_batch(
    queue: &mut VecDeque<QueuedAppend>,
    busy: &HashSet<StreamKey>,
    limits: &AppenderLimits,
) -> Batch {
    let mut plan = Plan::default();
    let (mut appends, mut aborted) = (Vec::new(), Vec::new());
    let mut skipped = VecDeque::new();
    let (mut events, mut bytes) = (0, 0);
    while let Some(mut next) = queue.pop_front() {
        if next.chains.is_aborted() {
            aborted.push(next.finish(Err(AppendError::ChainAborted)));
            continue;
        }
        let fits = appends.is_empty()
            || (events + next.append.event_count() <= limits.max_batch_events
                && bytes + next.bytes <= limits.max_batch_bytes);
        if !fits {
            skipped.push_back(next);
            break;
        }
        if plan.admits(&next, busy) {
            plan.add(&next);
            next.permit = None;
            events += next.append.event_count();
            bytes += next.bytes;
            appends.push(next);
        } else {
            plan.skip(&next);
            skipped.push_back(next);
        }
    }
    skipped.append(queue);
    *queue = skipped;
    Batch { appends, changed: plan.changed, aborted }
}

#[derive(Default)]
struct Plan {
    /// The version of each stream after the batch so far; none when it started with an append to any version.
    versions: HashMap<StreamKey, Option<u64>>,
    /// The streams that the batch so far changes. Those that it only reads may be read and changed by other batches at the
    /// same time.
    changed: HashSet<StreamKey>,
    commands: HashSet<(TenantId, Uuid)>,
    /// Streams of appends that stay in the queue.
    skipped_streams: HashSet<StreamKey>,
}

impl Plan {
    fn admits(&self, next: &QueuedAppend, busy: &HashSet<StreamKey>) -> bool {
        !self.commands.contains(&next.command())
            && next.keys.iter().zip(&next.append.streams).all(|(key, stream)| {
                !busy.contains(key)
                    && !self.skipped_streams.contains(key)
                    && match (self.versions.get(key), stream.expected) {
                        (None, _) | (Some(_), Expected::Any) => true,
                        (Some(version), Expected::Exact(expected)) => *version == Some(expected.get()),
                    }
            })
    }

    fn add(&mut self, next: &QueuedAppend) {
        self.commands.insert(next.command());
        for (key, stream) in next.keys.iter().zip(&next.append.streams) {
            let added = stream.events.len() as u64;
            let version = self.versions.entry(key.clone()).or_insert(match stream.expected {
                Expected::Any => None,
                Expected::Exact(version) => Some(version.get()),
            });
            *version = version.map(|version| version + added);
            if added > 0 {
                self.changed.insert(key.clone());
            }
        }
    }

    /// Keeps an append ahead of later appends to the same streams, and of retries of the same command.
    fn skip(&mut self, next: &QueuedAppend) {
        self.skipped_streams.extend(next.keys.iter().cloned());
        self.commands.insert(next.command());
    }
}
