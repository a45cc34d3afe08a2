//! Snapshots of long streams: written in the background after commands, read when a stream is loaded.
//!
//! Snapshots are optional. One that cannot be read is treated as missing, and one that cannot be written is written
//! later. Neither fails a command.

use crate::kind::{AggregateKey, AnyLoaded};
use crate::loaded::AsOf;
use domain::SNAPSHOT_FORMAT;
use metrics::counter;
use std::future::Future;
use std::sync::Arc;
use streams::{Log, NewSnapshot, Version};
use tokio::sync::{mpsc, watch};

/// The capacity of the queue of snapshots to write. Snapshots offered to a full queue are left out.
const MAX_PENDING: usize = 16;

/// A snapshot in the queue.
struct PendingSnapshot {
    key: AggregateKey,
    loaded: AnyLoaded,
}

#[derive(Clone)]
pub(crate) struct Snapshots {
    queue: mpsc::Sender<PendingSnapshot>,
    every_events: u64,
    /// Asks the writer task to end.
    closing: Arc<watch::Sender<bool>>,
    /// Closed when the writer task has ended.
    ended: watch::Receiver<()>,
}

impl Snapshots {
    /// Spawns the writer task; it ends with the last handle.
    pub(crate) fn start(log: Log, every_events: u64) -> Self {
        let (queue, pending) = mpsc::channel(MAX_PENDING);
        let (closing, mut is_closing) = watch::channel(false);
        let (running, ended) = watch::channel(());
        tokio::spawn(async move {
            let shutdown = async move {
                // The sender is dropped with the last handle; that closes the queue, which ends the task.
                if is_closing.wait_for(|closing| *closing).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            write_pending(log, pending, shutdown).await;
            drop(running);
        });
        Self { queue, every_events, closing: Arc::new(closing), ended }
    }

    /// Waits until the pending snapshots are written and the writer task has ended.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        // No value is ever sent: this completes when the task drops the sender.
        drop(self.ended.clone().changed().await);
    }

    /// Queues a snapshot if the stream has grown past a multiple of `every_events` since `before`, unless the last event is
    /// enough to restore the state. Never waits.
    pub(crate) fn offer(&self, key: &AggregateKey, before: Version, loaded: &AnyLoaded) {
        let multiple = |version: Version| version.get().checked_div(self.every_events);
        if multiple(before) == multiple(loaded.version) || key.kind.restores_from_last_event() {
            return;
        }
        if self.queue.try_send(PendingSnapshot { key: key.clone(), loaded: loaded.clone() }).is_err() {
            count("left_out");
        }
    }

    /// The aggregate from its snapshot, if there is one that is newer than `version` and not later than `as_of`.
    pub(crate) async fn load_newer(
        &self,
        log: &Log,
        key: &AggregateKey,
        version: Version,
        as_of: Option<AsOf>,
    ) -> Option<AnyLoaded> {
        if self.every_events == 0 {
            return None;
        }
        let snapshot = match log.read_snapshot(&key.stream, SNAPSHOT_FORMAT).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                count("failed");
                tracing::warn!(stream = %key.stream, error = &error as &dyn std::error::Error, "a snapshot cannot be read; its stream is read instead");
                return None;
            }
        };
        let is_after = as_of.is_some_and(|as_of| !as_of.includes(snapshot.position, snapshot.recorded_at));
        if is_after || snapshot.version <= version {
            return None;
        }
        let state = key.kind.decode(&snapshot.state);
        count(if state.is_some() { "used" } else { "unreadable" });
        if state.is_none() {
            tracing::warn!(stream = %key.stream, version = %snapshot.version, "a snapshot is damaged; its stream is read instead");
        }
        Some(AnyLoaded { state: state?, version: snapshot.version, position: snapshot.position })
    }
}

/// Writes snapshots one at a time, until all senders are gone, or until `shutdown` completes and the queue is empty.
async fn write_pending(log: Log, mut pending: mpsc::Receiver<PendingSnapshot>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut is_closed = false;
    loop {
        let next = tokio::select! {
            () = &mut shutdown, if !is_closed => {
                is_closed = true;
                pending.close();
                continue;
            }
            next = pending.recv() => next,
        };
        let Some(PendingSnapshot { key: AggregateKey { stream, kind }, loaded }) = next else { return };
        let AnyLoaded { state, version, position } = loaded;
        let state = match kind.encode(&state) {
            Ok(state) => state,
            Err(error) => {
                count("failed");
                tracing::error!(%stream, error = &error as &dyn std::error::Error, "a snapshot cannot be encoded as JSON");
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
                tracing::warn!(%stream, error = &error as &dyn std::error::Error, "a snapshot cannot be written; it is taken again later");
            }
        }
    }
}

fn count(outcome: &'static str) {
    counter!("apex_snapshots_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Aggregate as _;
    use domain::agent::{Agent, AgentCommand};

    const EVERY: u64 = 100;

    fn snapshots(every_events: u64) -> (Snapshots, mpsc::Receiver<PendingSnapshot>) {
        let (queue, pending) = mpsc::channel(MAX_PENDING);
        let (closing, _) = watch::channel(false);
        let (_, ended) = watch::channel(());
        (Snapshots { queue, every_events, closing: Arc::new(closing), ended }, pending)
    }

    fn key() -> AggregateKey {
        AggregateKey::of::<Agent>(&"default".parse().unwrap(), uuid::Uuid::nil())
    }

    fn loaded(version: u64) -> AnyLoaded {
        AnyLoaded { version: Version::from(version), ..key().initial() }
    }

    fn offered(every_events: u64, before: u64, after: u64) -> bool {
        let (snapshots, mut pending) = snapshots(every_events);
        snapshots.offer(&key(), Version::from(before), &loaded(after));
        pending.try_recv().is_ok_and(|snapshot| snapshot.loaded.version == Version::from(after))
    }

    #[test]
    fn a_snapshot_is_offered_when_the_stream_grows_past_a_multiple() {
        assert!(offered(EVERY, 99, 100));
        assert!(offered(EVERY, 0, 250));
        assert!(offered(EVERY, 199, 201));
        assert!(!offered(EVERY, 100, 199), "a snapshot at or after version 100 exists");
        assert!(!offered(EVERY, 100, 100));
    }

    #[test]
    fn without_an_interval_no_snapshot_is_offered() {
        assert!(!offered(0, 0, 1_000_000));
    }

    #[test]
    fn a_full_queue_leaves_snapshots_out_and_never_blocks() {
        let (snapshots, mut pending) = snapshots(1);
        let loaded = loaded(1);
        for _ in 0..MAX_PENDING + 5 {
            snapshots.offer(&key(), Version::ZERO, &loaded);
        }
        assert_eq!(std::iter::from_fn(|| pending.try_recv().ok()).count(), MAX_PENDING);
    }

    #[test]
    fn a_snapshot_that_does_not_encode_to_the_same_text_is_not_used() {
        let register = AgentCommand::Register {
            profile: serde_json::from_str(r#"{"name":"ada"}"#).unwrap(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        let events = Agent::default().decide(register).unwrap();
        let agent = events.iter().fold(Agent::default(), |agent, event| agent.evolve(event));
        let text = serde_json::to_string(&agent).unwrap();
        let decode = |text: &str| key().kind.decode(text).and_then(|state| state.downcast::<Agent>().ok());
        assert_eq!(decode(&text).as_deref(), Some(&agent));
        for damaged in [
            text.replace("ada", "ad\u{0}"),
            text.replacen('{', "{ ", 1),
            text.replacen('{', r#"{"unknown":1,"#, 1),
            text.replace(r#","reason":null"#, ""),
            "{}".to_owned(),
            String::new(),
        ] {
            assert_ne!(damaged, text);
            assert_eq!(decode(&damaged), None, "{damaged}");
        }
    }
}
