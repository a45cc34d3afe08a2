//! The events of topics that the relay fills, shared out among the members of a consumer group.
//!
//! Offsets are hints: they say where to begin. What was applied is somebody else's knowledge, and what there is to apply
//! the log's: nothing here promises to be complete.

use crate::RecordedEvent;
use crate::relay::{RelayConfig, decode};
use futures::FutureExt;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long a member may be silent until its partitions go to others.
const SESSION_TIMEOUT_MS: &str = "6000";
/// How long the broker may take to tell how many partitions a topic has.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Why events cannot be had from Kafka.
#[derive(Debug, Error)]
pub enum ConsumerError {
    /// The client failed; many failures pass.
    #[error("Kafka cannot be read")]
    Kafka(#[from] KafkaError),
    /// The topic has no partitions: the relay has not made it yet.
    #[error("there is no topic {0}: the relay makes it")]
    NoTopic(String),
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The number, from 0.
    pub number: i32,
}

/// Events of one partition, in order.
#[derive(Debug, Clone)]
pub struct PartitionBatch {
    /// Which partition.
    pub partition: TopicPartition,
    /// The events.
    pub events: Vec<Arc<RecordedEvent>>,
    /// The offset behind the last of them.
    next_offset: i64,
}

/// A member of a consumer group.
pub struct Consumer {
    consumer: StreamConsumer<Context>,
    topics: Vec<Arc<str>>,
}

struct Context;

impl ClientContext for Context {
    /// Whoever reads gets it too.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "the Kafka client reports");
    }
}

impl ConsumerContext for Context {}

impl Consumer {
    /// Joins a group that reads the topics of some categories.
    ///
    /// # Errors
    /// [`ConsumerError`] when the client cannot be set up.
    pub fn join(config: &RelayConfig, group: &str, categories: &[&str]) -> Result<Self, ConsumerError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", "apex-worker")
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_TIMEOUT_MS)
            .set("heartbeat.interval.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("reconnect.backoff.max.ms", "1000");
        let consumer: StreamConsumer<Context> = client.create_with_context(Context)?;
        let topics: Vec<Arc<str>> = categories.iter().map(|category| config.topic(category).into()).collect();
        consumer.subscribe(&topics.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
        Ok(Self { consumer, topics })
    }

    /// How many partitions each topic has.
    ///
    /// # Errors
    /// [`ConsumerError::NoTopic`] where there is none, and when Kafka does not answer.
    pub fn partitions(&self) -> Result<HashMap<Arc<str>, i32>, ConsumerError> {
        let count = |topic: &Arc<str>| {
            let metadata = self.consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
            let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            match i32::try_from(partitions) {
                Ok(count) if count > 0 => Ok((topic.clone(), count)),
                _ => Err(ConsumerError::NoTopic(topic.to_string())),
            }
        };
        self.topics.iter().map(count).collect()
    }

    /// Waits for events, and returns those that are there by partition, up to a number. What is handed out is not
    /// handed out again, unless partitions move. May be given up at any time.
    ///
    /// # Errors
    /// [`ConsumerError::Kafka`]; asking again is all that can be done.
    pub async fn next(&self, limit: usize) -> Result<Vec<PartitionBatch>, ConsumerError> {
        let mut batches = Vec::new();
        Self::take(&self.consumer.recv().await?, &mut batches);
        for _ in 1..limit {
            // An error that comes now is another's than what is in hand, and comes again if it matters.
            let Some(Ok(received)) = self.consumer.recv().now_or_never() else { break };
            Self::take(&received, &mut batches);
        }
        Ok(batches)
    }

    fn take(message: &BorrowedMessage<'_>, batches: &mut Vec<PartitionBatch>) {
        let (topic, number, offset) = (message.topic(), message.partition(), message.offset());
        let event = match decode(message) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(topic, number, offset, error, "a message that is not the relay's is left out");
                return;
            }
        };
        let is_same =
            |batch: &&mut PartitionBatch| batch.partition.number == number && *batch.partition.topic == *topic;
        if let Some(batch) = batches.iter_mut().find(is_same) {
            batch.events.push(event);
            batch.next_offset = offset + 1;
        } else {
            let partition = TopicPartition { topic: topic.into(), number };
            batches.push(PartitionBatch { partition, events: vec![event], next_offset: offset + 1 });
        }
    }

    /// Says that a batch was applied: whoever reads the partition next may begin behind it. Nothing depends on it.
    pub fn mark_applied(&self, batch: &PartitionBatch) {
        let PartitionBatch { partition, next_offset, .. } = batch;
        // Fails where the partition has moved in the meantime; then it is somebody else's to say.
        drop(self.consumer.store_offset(&partition.topic, partition.number, next_offset - 1));
    }
}
