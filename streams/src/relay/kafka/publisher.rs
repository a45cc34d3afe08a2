//! Publishes every event of the log to the topic of its category.

use super::constants::{HEARTBEAT_INTERVAL, LOCK_KEY, PAGE_EVENTS, RETRY_DELAY};
use super::error::RelayError;
use super::leader_lock::LeaderLock;
use super::sender::Sender;
use super::topics;
use crate::backoff::Backoff;
use crate::error::ReadError;
use crate::event::{Position, RecordedEvent};
use crate::relay::checkpoint::{CHECKPOINT, relay_checkpoint};
use crate::relay::config::RelayConfig;
use crate::tail::Tail;
use crate::trace::link_to_causes;
use futures::{Stream, StreamExt};
use metrics::{counter, gauge};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// The shortest interval between two checkpoints.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// How long the relay's session may be idle before the server releases its leader lock. The relay sends several statements
/// within this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The retry delays while a reachable broker does not acknowledge the same event.
const BACKOFF: Backoff = Backoff { first: RETRY_DELAY, max: Duration::from_secs(64) };
/// How long a relay that shuts down waits for the events in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes the log to Kafka.
pub struct Relay {
    /// The database, for the leader lock and the checkpoint.
    pub pool: PgPool,
    /// The end of the log.
    pub tail: Tail,
    /// The relay's settings.
    pub config: RelayConfig,
}

impl Relay {
    /// Publishes until `shutdown` completes. After a failure, publishing starts again from the checkpoint; the events that
    /// are not published yet show in the metric `apex_relay_lag_events`.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ReadError> {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut backoff = EventBackoff::default();
        loop {
            let ended = self.publish(shutdown.as_mut()).await;
            gauge!("apex_relay_active").set(0.0);
            match ended {
                Ok(()) => return Ok(()),
                Err(RelayError::Read(ReadError::Closed)) => return Err(ReadError::Closed),
                Err(RelayError::CheckpointMoved) => tracing::info!("the relay continues from another checkpoint"),
                Err(error) => {
                    counter!("apex_relay_errors_total").increment(1);
                    tracing::warn!(
                        brokers = self.config.brokers,
                        error = &error as &dyn std::error::Error,
                        "events are not published to Kafka at the moment; none is lost, the relay retries"
                    );
                    if let Ok(position) = relay_checkpoint(&self.pool).await {
                        self.report_lag(position);
                    }
                    tokio::select! {
                        () = &mut shutdown => return Ok(()),
                        () = tokio::time::sleep(backoff.delay(&error)) => {}
                    }
                }
            }
        }
    }

    /// Waits for the leader lock, and publishes while it is held. Returns `Ok` only on shutdown.
    async fn publish(&self, mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>) -> Result<(), RelayError> {
        let acquired = async {
            // Before the lock is acquired, so that only a relay that reaches the broker becomes the leader.
            let created = topics::prepare(&self.config).await?;
            let lock = LeaderLock::acquire(&self.pool, LOCK_KEY, CHECKPOINT, IDLE_TIMEOUT).await?;
            // Again afterwards: topics may have changed while a standby waited for weeks.
            let created = [created, topics::prepare(&self.config).await?].concat();
            Ok::<_, RelayError>((created, lock))
        };
        let (created, mut lock) = tokio::select! {
            () = &mut shutdown => return Ok(()),
            acquired = acquired => acquired?,
        };
        gauge!("apex_relay_active").set(1.0);
        warn_of_new_topics(&created, lock.position());
        let mut sender = Sender::open(&self.config, lock.position())?;
        let ended = tokio::select! {
            () = &mut shutdown => Ok(()),
            ended = self.send_all(&mut sender, &mut lock) => ended,
        };
        if ended.is_ok() {
            // What is not acknowledged by then, the next relay sends again.
            sender.drain(DRAIN_TIMEOUT).await;
        }
        let acknowledged = sender.window().acknowledged();
        sender.close().await;
        ended?;
        lock.advance(acknowledged).await
    }

    async fn send_all(&self, sender: &mut Sender, lock: &mut LeaderLock) -> Result<(), RelayError> {
        let mut pages = std::pin::pin!(pages(&self.tail, lock.position()));
        let mut ticks = tokio::time::interval(SAVE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saved_at = Instant::now();
        loop {
            let window = sender.window();
            let (is_empty, has_room) = (window.is_empty(), window.has_room());
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    sender.check()?;
                    let acknowledged = sender.window().acknowledged();
                    if acknowledged > lock.position() || saved_at.elapsed() > HEARTBEAT_INTERVAL {
                        self.save(acknowledged, lock).await?;
                        saved_at = Instant::now();
                    }
                }
                acknowledged = sender.next_acknowledged(), if !is_empty => acknowledged?,
                Some(events) = pages.next(), if has_room => {
                    let events = events?;
                    let span = tracing::info_span!("relay", events = events.len());
                    link_to_causes(&span, &events);
                    span.in_scope(|| sender.send(&events))?;
                    fail::fail_point!("relay_sent");
                }
            }
        }
    }

    async fn save(&self, to: Position, lock: &mut LeaderLock) -> Result<(), RelayError> {
        let from = lock.position();
        if to > from {
            fail::fail_point!("relay_acknowledged");
        }
        lock.advance(to).await?;
        if to > from {
            fail::fail_point!("relay_saved");
        }
        counter!("apex_relay_events_total").increment(to.get() - from.get());
        self.report_lag(to);
        Ok(())
    }

    fn report_lag(&self, position: Position) {
        gauge!("apex_relay_lag_events").set(self.tail.head().get().saturating_sub(position.get()) as f64);
    }
}

/// The retry delay. It doubles while a reachable broker does not acknowledge the same event, because every attempt sends
/// the events after it again.
#[derive(Default)]
struct EventBackoff {
    position: Position,
    failures: u32,
}

impl EventBackoff {
    fn delay(&mut self, error: &RelayError) -> Duration {
        match error {
            RelayError::NotAcknowledged { position, .. } | RelayError::AckTimeout { position, .. } => {
                self.failures = if *position == self.position { self.failures.saturating_add(1) } else { 1 };
                self.position = *position;
                BACKOFF.delay(self.failures)
            }
            _ => RETRY_DELAY,
        }
    }
}

/// The log after a position, page by page, until it closes. Waiting for a page is cancel-safe.
fn pages(
    tail: &Tail,
    after: Position,
) -> impl Stream<Item = Result<Vec<Arc<RecordedEvent>>, ReadError>> + Send + use<'_> {
    futures::stream::unfold(Some(after), async |after| {
        let events = match tail.next_after(after?, PAGE_EVENTS).await {
            Ok(events) => events,
            Err(error) => return Some((Err(error), None)),
        };
        let last = events.last()?.position;
        Some((Ok(events), Some(last)))
    })
}

fn warn_of_new_topics(created: &[String], position: Position) {
    if position > Position::ZERO && !created.is_empty() {
        let (topics, from) = (created.join(", "), position.get() + 1);
        tracing::warn!(
            topics,
            from,
            "topics were missing and have been created: they lack the events before the checkpoint until the relay \
             publishes again with --from 1"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout_at(position: u64) -> RelayError {
        RelayError::AckTimeout { position: position.into(), waited: Duration::from_secs(30) }
    }

    #[test]
    fn the_retry_delay_doubles_up_to_64_s_while_the_same_event_is_not_acknowledged() {
        let mut backoff = EventBackoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.delay(&timeout_at(5)).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(backoff.delay(&timeout_at(6)).as_secs(), 1, "another event is progress");
    }

    #[test]
    fn other_failures_have_the_shortest_retry_delay() {
        let mut backoff = EventBackoff::default();
        backoff.delay(&timeout_at(5));
        assert_eq!(backoff.delay(&RelayError::CheckpointMoved), RETRY_DELAY);
        assert_eq!(backoff.delay(&timeout_at(5)).as_secs(), 2, "they do not reset the backoff");
    }
}
