//! The relay: publishes the log to Kafka.
//!
//! One topic a category, keyed by stream, so that the events of a stream keep their order. Each event is a CloudEvent
//! in binary mode (CloudEvents 1.0.2, Kafka protocol binding): the payload is the message, all else are headers.
//!
//! At least once: after a crash some events are sent again. A consumer drops what it has by the header `ce_position`.
//! The checkpoint is the last position before which everything is acknowledged by all in-sync replicas; it moves by
//! compare-and-set, and only the process that holds the relay's lock sends. Nothing is in Kafka that PostgreSQL does
//! not have: only committed events are read.

use crate::{Position, ReadError, RecordedEvent, Tail, advance_checkpoint, link_to_causes};
use futures::future::join_all;
use metrics::{counter, gauge};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use sqlx::postgres::{PgConnection, PgPool};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tracing::Instrument;

/// The checkpoint's name.
const CHECKPOINT: &str = "relay:kafka";
/// Held by the active relay's connection for as long as it lives: "apexrely" as a number.
const LOCK_KEY: i64 = 0x6170_6578_7265_6c79;
/// Events in flight at once.
const PAGE_EVENTS: usize = 1000;
/// How often a relay that is not active tries to become it.
const TAKEOVER_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle relay looks at its checkpoint.
const IDLE_INTERVAL: Duration = Duration::from_secs(2);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a message may take until it counts as failed.
const DELIVERY_TIMEOUT_MS: &str = "30000";
/// How long the broker may take to make topics.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

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
}

impl RelayConfig {
    /// The topic of a category.
    #[must_use]
    pub fn topic(&self, category: &str) -> String {
        format!("{}.{category}", self.topic_prefix)
    }
}

/// Why the relay stopped sending for the moment.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The client cannot be set up.
    #[error("the Kafka client cannot be set up")]
    Client(#[source] KafkaError),
    /// The broker did not make a topic.
    #[error("topic {topic} cannot be made: {code}")]
    Topic {
        /// Which topic.
        topic: String,
        /// What the broker said.
        code: RDKafkaErrorCode,
    },
    /// The broker did not answer.
    #[error("the Kafka broker cannot be reached")]
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
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint cannot be kept.
    #[error("the relay's checkpoint cannot be kept")]
    Database(#[from] sqlx::Error),
    /// Another relay moved the checkpoint: this one was overtaken.
    #[error("another relay moved the checkpoint")]
    Overtaken,
}

/// Publishes the log to Kafka.
pub struct Relay {
    /// The database, for the lock and the checkpoint.
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
        loop {
            let ended = tokio::select! {
                () = &mut shutdown => return Ok(()),
                ended = self.publish() => ended,
            };
            gauge!("apex_relay_active").set(0.0);
            let pause = match ended {
                Ok(()) => TAKEOVER_INTERVAL,
                Err(RelayError::Read(ReadError::Closed)) => return Err(ReadError::Closed),
                Err(error) => {
                    counter!("apex_relay_errors_total").increment(1);
                    tracing::warn!(error = &error as &dyn std::error::Error, "the relay tries again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Publishes for as long as this process is the active one; returns at once where another is.
    async fn publish(&self) -> Result<(), RelayError> {
        // A connection of its own, closed when this returns: that is what gives up the lock.
        let mut connection = self.pool.acquire().await?.detach();
        let active: bool =
            sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK_KEY).fetch_one(&mut connection).await?;
        if !active {
            return Ok(());
        }
        gauge!("apex_relay_active").set(1.0);
        make_topics(&self.config).await?;
        let producer = producer(&self.config)?;
        let mut checkpoint = load_checkpoint(&mut connection).await?;
        loop {
            let lag = self.tail.head().get().saturating_sub(checkpoint.get());
            gauge!("apex_relay_lag_events").set(lag as f64);
            let Ok(events) = tokio::time::timeout(IDLE_INTERVAL, self.tail.next_after(checkpoint, PAGE_EVENTS)).await
            else {
                // Somebody may have set it back to fill a broker again, or the connection and with it the lock is gone.
                checkpoint = load_checkpoint(&mut connection).await?;
                continue;
            };
            let events = events?;
            let span = tracing::info_span!("relay", events = events.len());
            link_to_causes(&span, &events);
            let (acknowledged, failure) = self.send(&producer, &events, checkpoint).instrument(span).await;
            if acknowledged > checkpoint {
                save_checkpoint(&mut connection, checkpoint, acknowledged).await?;
                counter!("apex_relay_events_total").increment(acknowledged.get() - checkpoint.get());
                checkpoint = acknowledged;
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
    }

    /// Sends a page; returns the last position before which everything was acknowledged.
    async fn send(
        &self,
        producer: &FutureProducer,
        events: &[Arc<RecordedEvent>],
        from: Position,
    ) -> (Position, Option<RelayError>) {
        let topics: Vec<_> = events.iter().map(|event| self.config.topic(&event.stream.category)).collect();
        let keys: Vec<_> = events.iter().map(|event| event.stream.id.to_string()).collect();
        let deliveries: Vec<_> = events
            .iter()
            .zip(topics.iter().zip(&keys))
            .map(|(event, (topic, key))| {
                let record = FutureRecord::to(topic)
                    .key(key)
                    .payload(&event.payload)
                    .headers(headers(event))
                    .timestamp(event.recorded_at.timestamp_millis());
                producer.send(record, Timeout::Never)
            })
            .collect();
        let mut acknowledged = from;
        for (event, delivery) in events.iter().zip(join_all(deliveries).await) {
            match delivery {
                Ok(_) => acknowledged = event.position,
                Err((source, _)) => {
                    return (acknowledged, Some(RelayError::NotAcknowledged { position: event.position, source }));
                }
            }
        }
        (acknowledged, None)
    }
}

/// The headers of CloudEvents' binary mode; the extensions are `position`, `streamversion`, `schemaversion`,
/// `tenant` and, from its own specification, `traceparent`.
fn headers(event: &RecordedEvent) -> OwnedHeaders {
    let metadata = event.metadata().ok();
    let source = format!("/apex/{}/{}", event.stream.tenant, event.stream.category);
    let mut values = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.event_id.to_string()),
        ("ce_source", source),
        ("ce_type", event.name.clone()),
        ("ce_subject", event.stream.id.to_string()),
        ("ce_time", event.recorded_at.to_rfc3339()),
        ("content-type", "application/json".to_owned()),
        ("ce_position", event.position.to_string()),
        ("ce_streamversion", event.version.to_string()),
        ("ce_schemaversion", event.schema_version.to_string()),
        ("ce_tenant", event.stream.tenant.to_string()),
    ];
    if let Some(metadata) = metadata {
        values.push(("ce_correlationid", metadata.correlation_id.to_string()));
        values.extend(metadata.causation_id.map(|id| ("ce_causationid", id.to_string())));
        values.extend(metadata.traceparent.map(|traceparent| ("ce_traceparent", traceparent)));
    }
    values.iter().fold(OwnedHeaders::new_with_capacity(values.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

fn client(config: &RelayConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers).set("client.id", "apex-relay");
    client
}

fn producer(config: &RelayConfig) -> Result<FutureProducer, RelayError> {
    client(config)
        .set("enable.idempotence", "true")
        // A message that fails for good fails those behind it: none overtakes it.
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("delivery.timeout.ms", DELIVERY_TIMEOUT_MS)
        .create()
        .map_err(RelayError::Client)
}

/// Makes the topics of all categories where they are missing.
async fn make_topics(config: &RelayConfig) -> Result<(), RelayError> {
    let admin: AdminClient<DefaultClientContext> = client(config).create().map_err(RelayError::Client)?;
    let names: Vec<_> = domain::Event::CATEGORIES.iter().map(|category| config.topic(category)).collect();
    let topics: Vec<_> = names
        .iter()
        .map(|name| {
            NewTopic::new(name, config.partitions, TopicReplication::Fixed(config.replication))
                .set("cleanup.policy", "delete")
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT)).request_timeout(Some(ADMIN_TIMEOUT));
    for made in admin.create_topics(&topics, &options).await.map_err(RelayError::Broker)? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(RelayError::Topic { topic, code }),
        }
    }
    Ok(())
}

async fn load_checkpoint(connection: &mut PgConnection) -> Result<Position, RelayError> {
    sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
        .bind(CHECKPOINT)
        .execute(&mut *connection)
        .await?;
    let position: i64 = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(CHECKPOINT)
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(position))
}

async fn save_checkpoint(connection: &mut PgConnection, from: Position, to: Position) -> Result<(), RelayError> {
    if advance_checkpoint(connection, CHECKPOINT, from, to).await? { Ok(()) } else { Err(RelayError::Overtaken) }
}

/// Where the relay stands; zero before it ever ran.
///
/// # Errors
/// The database's.
pub async fn relayed(pool: &PgPool) -> Result<Position, sqlx::Error> {
    let position: Option<i64> = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(CHECKPOINT)
        .fetch_optional(pool)
        .await?;
    Ok(Position::from_i64(position.unwrap_or(0)))
}
