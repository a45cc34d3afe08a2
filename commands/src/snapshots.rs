//! Snapshots of long streams: taken beside the commands that made them long, used where a stream is folded.
//!
//! They are optional throughout. One that cannot be read is as if it were not there, and one that cannot be taken now is
//! taken later; neither is an error of a command.

use crate::{AsOf, Loaded};
use domain::{Aggregate, SNAPSHOT_FORMAT};
use metrics::counter;
use std::future::Future;
use std::sync::Arc;
use streams::{Log, NewSnapshot, Position, StreamKey, Version};
use tokio::sync::{mpsc, watch};

/// Snapshots that wait to be written; what is more is left out.
const MAX_WAITING: usize = 16;

type Encode = Box<dyn FnOnce() -> Result<String, serde_json::Error> + Send>;

/// A state that is to be written, once there is time to.
struct Waiting {
    stream: StreamKey,
    version: Version,
    position: Position,
    encode: Encode,
}

#[derive(Clone)]
pub(crate) struct Snapshots {
    queue: mpsc::Sender<Waiting>,
    every_events: u64,
    /// Tells the task that writes them to end.
    closing: Arc<watch::Sender<bool>>,
    /// Closed when that task has ended.
    ended: watch::Receiver<()>,
}

impl Snapshots {
    /// Starts the task that writes them; it ends with the last handle.
    pub(crate) fn start(log: Log, every_events: u64) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let (closing, mut is_closing) = watch::channel(false);
        let (running, ended) = watch::channel(());
        tokio::spawn(async move {
            let asked = async move {
                // Without any handle left, the queue ends by itself.
                if is_closing.wait_for(|closing| *closing).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            write(log, waiting, asked).await;
            drop(running);
        });
        Self { queue, every_events, closing: Arc::new(closing), ended }
    }

    /// Has those that wait written, and waits for the end of the task.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        // Nothing is ever sent: it completes when the task lets go of the other end.
        drop(self.ended.clone().changed().await);
    }

    /// Has a snapshot taken if the stream has grown past the next multiple of N events. Never waits. No note has to be
    /// kept of the last one: from a snapshot on, fewer than N events follow, or the next one is due.
    pub(crate) fn offer<A: Aggregate>(&self, key: &StreamKey, before: Version, loaded: &Arc<Loaded<A>>) {
        let passed = |version: Version| version.get().checked_div(self.every_events);
        if passed(before) == passed(loaded.version) {
            return;
        }
        let loaded = loaded.clone();
        let (version, position) = (loaded.version, loaded.position);
        let encode = Box::new(move || serde_json::to_string(&*loaded.state));
        if self.queue.try_send(Waiting { stream: key.clone(), version, position, encode }).is_err() {
            count("left_out");
        }
    }

    /// The aggregate as a snapshot has it, if there is one of a later version, and not of one that is too late.
    pub(crate) async fn later_than<A: Aggregate>(
        &self,
        log: &Log,
        key: &StreamKey,
        version: Version,
        as_of: Option<AsOf>,
    ) -> Option<Loaded<A>> {
        if self.every_events == 0 {
            return None;
        }
        let snapshot = match log.read_snapshot(key, SNAPSHOT_FORMAT).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                count("failed");
                tracing::warn!(stream = %key, error = &error as &dyn std::error::Error, "a snapshot cannot be read");
                return None;
            }
        };
        let is_too_late = as_of.is_some_and(|as_of| !as_of.includes(snapshot.position, snapshot.recorded_at));
        if is_too_late || snapshot.version <= version {
            return None;
        }
        let state = decode(&snapshot.state);
        count(if state.is_some() { "used" } else { "unreadable" });
        if state.is_none() {
            tracing::warn!(stream = %key, version = %snapshot.version, "a snapshot is damaged, and is not used");
        }
        Some(Loaded { state: Arc::new(state?), version: snapshot.version, position: snapshot.position })
    }
}

/// A state that reads back as what was written; reading alone would pass over fields that are missing or too many.
fn decode<A: Aggregate>(text: &str) -> Option<A> {
    let state: A = serde_json::from_str(text).ok()?;
    (serde_json::to_string(&state).ok()? == text).then_some(state)
}

/// Writes snapshots one at a time, until nobody is left to offer any, or no more are wanted and those that wait are
/// written.
async fn write(log: Log, mut waiting: mpsc::Receiver<Waiting>, closing: impl Future<Output = ()>) {
    let mut closing = std::pin::pin!(closing);
    let mut is_closed = false;
    loop {
        let next = tokio::select! {
            () = &mut closing, if !is_closed => {
                is_closed = true;
                waiting.close();
                continue;
            }
            next = waiting.recv() => next,
        };
        let Some(Waiting { stream, version, position, encode }) = next else { return };
        let state = match encode() {
            Ok(state) => state,
            Err(error) => {
                count("failed");
                tracing::error!(%stream, error = &error as &dyn std::error::Error, "a state cannot be written as JSON");
                continue;
            }
        };
        let snapshot = NewSnapshot { stream, version, position, format: SNAPSHOT_FORMAT.to_owned(), state };
        match log.write_snapshot(&snapshot).await {
            Ok(true) => count("taken"),
            Ok(false) => count("superseded"),
            Err(error) => {
                count("failed");
                let stream = &snapshot.stream;
                tracing::warn!(%stream, error = &error as &dyn std::error::Error, "a snapshot cannot be kept");
            }
        }
    }
}

fn count(outcome: &'static str) {
    counter!("apex_snapshots_total", "outcome" => outcome).increment(1);
}
