//! The relay: publishes the log to Kafka.
//!
//! One topic a category, keyed by stream, so that the events of a stream keep their order. Each event is a CloudEvent
//! in binary mode (CloudEvents 1.0.2, Kafka protocol binding): the payload is the message, all else are headers.
//!
//! At least once: after a crash some events are sent again. A consumer drops what it has by the header `ce_position`.
//! The checkpoint is the last position before which everything is acknowledged by all in-sync replicas. Only the relay
//! that holds the [`Seat`] sends, and it moves the checkpoint on the seat's own connection: whoever lost the seat moves
//! nothing. Nothing is in Kafka that PostgreSQL does not have: only committed events are read.
//!
//! However often a relay fails, the first occurrences of events in a partition stand in the order of the log: every
//! relay sends from a checkpoint on, and its producer leaves out nothing in the middle of a partition, since messages
//! are given up together or not at all.

mod message;
mod partition;
mod seat;
mod state;
mod topics;
mod window;

pub use message::{MessageError, decode, header_schema};
pub use partition::partition_of;
pub use state::{StateRelay, StateTable};

use crate::{Position, ReadError, RecordedEvent, Tail, link_to_causes};
use futures::{Stream, StreamExt};
use metrics::{counter, gauge};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use seat::Seat;
use sqlx::postgres::PgPool;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::time::MissedTickBehavior;
use window::Window;

/// The checkpoint's name.
const CHECKPOINT: &str = "relay:kafka";
/// Held by the active relay's connection for as long as it lives: "apexrely" as a number.
const LOCK_KEY: i64 = 0x6170_6578_7265_6c79;
/// Events read at once.
const PAGE_EVENTS: usize = 1000;
/// How often the checkpoint is moved, at most.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// How often a relay that moves no checkpoint looks at it, and shows the database that it is there.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// How long a relay may be silent to the database; it speaks several times within this.
const SILENCE: Duration = Duration::from_secs(10);
/// The pause after a failure; it doubles up to a minute's where a reachable broker acknowledges nothing new.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 6;
/// How long a relay that is told to stop waits for what is in flight.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// Settings of the relay.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Brokers as host:port, separated by commas.
    pub brokers: String,
    /// What topic names begin with.
    pub topic_prefix: String,
    /// Partitions of a topic that the relay makes.
    pub partitions: i32,
    /// Replicas of a topic that the relay makes.
    pub replication: i32,
    /// How long the broker may acknowledge nothing until the relay drops what is in flight and begins anew from its
    /// checkpoint.
    pub delivery_timeout: Duration,
}

impl RelayConfig {
    /// For brokers, as host:port, separated by commas; all else as the program's options have it by default.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic_prefix: "apex".to_owned(),
            partitions: 6,
            replication: 1,
            delivery_timeout: Duration::from_secs(30),
        }
    }

    /// The topic of a category.
    #[must_use]
    pub fn topic(&self, category: &str) -> String {
        format!("{}.{category}", self.topic_prefix)
    }

    /// The compacted topic of a read model.
    #[must_use]
    pub fn state_topic(&self, read_model: &str) -> String {
        format!("{}.state.{read_model}", self.topic_prefix)
    }
}

/// Why the relay stopped sending for the moment.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The client cannot be set up.
    #[error("the Kafka client cannot be set up")]
    Client(#[source] KafkaError),
    /// The broker did not make a topic, or does not tell its settings.
    #[error("topic {topic} cannot be made ready: {code}")]
    Topic {
        /// Which topic.
        topic: String,
        /// What the broker said.
        code: RDKafkaErrorCode,
    },
    /// A topic that somebody made is not fit for what is to be in it.
    #[error("topic {topic} has {setting}={found}, needed is {needed}: change the topic, the relay goes on then")]
    Misconfigured {
        /// Which topic.
        topic: String,
        /// Which of its settings.
        setting: &'static str,
        /// What it has.
        found: String,
        /// What it must have.
        needed: String,
    },
    /// The broker did not answer.
    #[error("the Kafka brokers cannot be reached: check that they run, and that APEX_KAFKA_BROKERS names them")]
    Broker(#[source] KafkaError),
    /// An event was not acknowledged.
    #[error("the event at position {position} was not acknowledged")]
    NotAcknowledged {
        /// Which event.
        position: Position,
        /// What happened.
        #[source]
        source: KafkaError,
    },
    /// The broker acknowledges nothing.
    #[error("the broker has acknowledged nothing for {waited:?}; the event at position {position} waits")]
    Unanswered {
        /// The first event that waits.
        position: Position,
        /// For how long.
        waited: Duration,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint cannot be kept, or the seat is lost.
    #[error("the relay's checkpoint cannot be kept")]
    Database(#[from] sqlx::Error),
    /// Somebody set the checkpoint elsewhere.
    #[error("the relay's checkpoint was moved")]
    Moved,
}

/// Publishes the log to Kafka.
pub struct Relay {
    /// The database, for the seat and the checkpoint.
    pub pool: PgPool,
    /// The end of the log.
    pub tail: Tail,
    /// Settings.
    pub config: RelayConfig,
}

impl Relay {
    /// Publishes until told to stop. Failures are tried again from the checkpoint and show in the lag.
    ///
    /// # Errors
    /// When the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ReadError> {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut stuck = Stuck::default();
        loop {
            let ended = self.publish(shutdown.as_mut()).await;
            gauge!("apex_relay_active").set(0.0);
            match ended {
                Ok(()) => return Ok(()),
                Err(RelayError::Read(ReadError::Closed)) => return Err(ReadError::Closed),
                Err(RelayError::Moved) => tracing::info!("the relay begins at another checkpoint"),
                Err(error) => {
                    counter!("apex_relay_errors_total").increment(1);
                    tracing::warn!(
                        brokers = self.config.brokers,
                        error = &error as &dyn std::error::Error,
                        "events are not published to Kafka at the moment; none is lost, the relay tries again"
                    );
                    if let Ok(position) = relay_checkpoint(&self.pool).await {
                        self.show_lag(position);
                    }
                    tokio::select! {
                        () = &mut shutdown => return Ok(()),
                        () = tokio::time::sleep(stuck.pause(&error)) => {}
                    }
                }
            }
        }
    }

    /// Waits for the seat and publishes for as long as it is kept; ends well only when told to stop.
    async fn publish(&self, mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>) -> Result<(), RelayError> {
        let seated = async {
            // First, so that only a relay that has reached the broker takes the seat.
            let made = topics::prepare(&self.config).await?;
            let seat = Seat::take(&self.pool, LOCK_KEY, CHECKPOINT, SILENCE).await?;
            // Who waited for weeks has looked at other topics than there are now.
            let made = [made, topics::prepare(&self.config).await?].concat();
            Ok::<_, RelayError>((made, seat))
        };
        let (made, mut seat) = tokio::select! {
            () = &mut shutdown => return Ok(()),
            seated = seated => seated?,
        };
        gauge!("apex_relay_active").set(1.0);
        warn_of_new_topics(&made, seat.position());
        let mut window = Window::open(&self.config, seat.position())?;
        let ended = tokio::select! {
            () = &mut shutdown => Ok(()),
            ended = self.fill(&mut window, &mut seat) => ended,
        };
        if ended.is_ok() {
            // What is not acknowledged by then is sent again by the next relay.
            window.drain(DRAIN_PATIENCE).await;
        }
        let acknowledged = window.acknowledged();
        window.close().await;
        ended?;
        seat.advance(acknowledged).await
    }

    async fn fill(&self, window: &mut Window, seat: &mut Seat) -> Result<(), RelayError> {
        let mut pages = std::pin::pin!(pages(&self.tail, seat.position()));
        let mut ticks = tokio::time::interval(SAVE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    window.check_answers()?;
                    if window.acknowledged() > seat.position() || seen_at.elapsed() > HEARTBEAT_INTERVAL {
                        self.save(window, seat).await?;
                        seen_at = Instant::now();
                    }
                }
                acknowledged = window.next_acknowledged(), if !window.is_empty() => acknowledged?,
                Some(events) = pages.next(), if window.has_room() => {
                    let events = events?;
                    let span = tracing::info_span!("relay", events = events.len());
                    link_to_causes(&span, &events);
                    span.in_scope(|| window.send(&events))?;
                    fail::fail_point!("relay_sent");
                }
            }
        }
    }

    async fn save(&self, window: &Window, seat: &mut Seat) -> Result<(), RelayError> {
        let (from, to) = (seat.position(), window.acknowledged());
        if to > from {
            fail::fail_point!("relay_acknowledged");
        }
        seat.advance(to).await?;
        if to > from {
            fail::fail_point!("relay_saved");
        }
        counter!("apex_relay_events_total").increment(to.get() - from.get());
        self.show_lag(to);
        Ok(())
    }

    fn show_lag(&self, position: Position) {
        gauge!("apex_relay_lag_events").set(self.tail.head().get().saturating_sub(position.get()) as f64);
    }
}

/// An event that the broker does not acknowledge, though it can be reached: what comes after it is sent again each time.
#[derive(Default)]
struct Stuck {
    at: Position,
    times: u32,
}

impl Stuck {
    fn pause(&mut self, error: &RelayError) -> Duration {
        match error {
            RelayError::NotAcknowledged { position, .. } | RelayError::Unanswered { position, .. } => {
                self.times = if *position == self.at { self.times.saturating_add(1) } else { 0 };
                self.at = *position;
                RETRY_PAUSE * (1 << self.times.min(MAX_DOUBLINGS))
            }
            _ => RETRY_PAUSE,
        }
    }
}

/// The log after a position, page by page, for as long as it is open. Waiting for a page may be given up at any time.
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

fn warn_of_new_topics(made: &[String], position: Position) {
    if position > Position::ZERO && !made.is_empty() {
        let (topics, from) = (made.join(", "), position.get() + 1);
        tracing::warn!(
            topics,
            from,
            "topics were missing and are made anew: they have nothing before the checkpoint until the relay is told to \
             publish again with --from 1"
        );
    }
}

/// Where the relay stands; zero before it ever ran.
///
/// # Errors
/// The database's.
pub async fn relay_checkpoint(pool: &PgPool) -> Result<Position, sqlx::Error> {
    let position: Option<i64> = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(CHECKPOINT)
        .fetch_optional(pool)
        .await?;
    Ok(Position::from_i64(position.unwrap_or(0)))
}

/// Has everything from a position on published again, by whichever relay is active, and the rows on state topics that have
/// changed since: for a broker that lost its data.
/// Returns whether that is so; a relay that has not come that far stays where it is, since nothing may be skipped.
///
/// # Errors
/// The database's.
pub async fn republish_from(pool: &PgPool, from: Position) -> Result<bool, sqlx::Error> {
    let before = i64::max(from.as_i64() - 1, 0);
    if relay_checkpoint(pool).await?.as_i64() < before {
        return Ok(false);
    }
    let moved = sqlx::query(
        "update apex.checkpoints set position = least(position, $2), generation = generation + 1, updated_at = now()
         where (name = $1 and position >= $2) or name like 'state:%'",
    )
    .bind(CHECKPOINT)
    .bind(before)
    .execute(pool)
    .await?;
    Ok(moved.rows_affected() > 0 || before == 0)
}
