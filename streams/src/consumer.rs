//! The events of the topics that the relay publishes to, distributed among the members of a consumer group.
//!
//! Committed offsets are hints about where to start. What was applied is recorded elsewhere, and the complete set of
//! events is the log: nothing here promises to be complete.

use crate::event::RecordedEvent;
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

/// How long a member may send no heartbeat before its partitions are assigned to others.
const SESSION_TIMEOUT_MS: &str = "6000";
/// How long the broker may take to report the number of partitions of a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Why events cannot be consumed from Kafka.
#[derive(Debug, Error)]
pub enum ConsumerError {
    /// The Kafka client failed. Most failures are temporary.
    #[error("Kafka cannot be read")]
    Kafka(#[from] KafkaError),
    /// The topic does not exist yet; the relay creates it.
    #[error("the topic {0} does not exist: start a relay, which creates it")]
    NoTopic(String),
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub number: i32,
}

/// Events of one partition, in order.
#[derive(Debug, Clone)]
pub struct PartitionBatch {
    /// The partition.
    pub partition: TopicPartition,
    /// The events.
    pub events: Vec<Arc<RecordedEvent>>,
    /// The offset after the last event.
    next_offset: i64,
}

/// A member of a consumer group.
pub struct Consumer {
    consumer: StreamConsumer<Context>,
    topics: Vec<Arc<str>>,
}

struct Context;

impl ClientContext for Context {
    /// Logged for debugging only: [`Consumer::next`] returns the same error.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "the Kafka client reported an error");
    }
}

impl ConsumerContext for Context {}

impl Consumer {
    /// Joins a consumer group that reads the topics of some categories.
    ///
    /// # Errors
    /// [`ConsumerError::Kafka`] when the client cannot be created, because a setting is not valid.
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

    /// The number of partitions of each topic. Blocks for up to 10 s per topic.
    ///
    /// # Errors
    /// [`ConsumerError::NoTopic`] when a topic does not exist, [`ConsumerError::Kafka`] when no broker answers in time.
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

    /// Waits for events, and returns up to `limit` of those that have arrived, grouped by partition. An event is returned
    /// once, unless its partition is reassigned. Cancel-safe.
    ///
    /// # Errors
    /// [`ConsumerError::Kafka`] when the client reports an error; call again to continue.
    pub async fn next(&self, limit: usize) -> Result<Vec<PartitionBatch>, ConsumerError> {
        let mut batches = Vec::new();
        Self::add(&self.consumer.recv().await?, &mut batches);
        for _ in 1..limit {
            // An error here must not discard the events received so far; it occurs again if it persists.
            let Some(Ok(received)) = self.consumer.recv().now_or_never() else { break };
            Self::add(&received, &mut batches);
        }
        Ok(batches)
    }

    fn add(message: &BorrowedMessage<'_>, batches: &mut Vec<PartitionBatch>) {
        let (topic, number, offset) = (message.topic(), message.partition(), message.offset());
        let event = match decode(message) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(topic, number, offset, error, "skipped a message that was not published by the relay");
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

    /// Stores the offset after a batch that was applied, from which the next member to read the partition starts. An
    /// optimization only: correctness does not depend on it.
    pub fn mark_applied(&self, batch: &PartitionBatch) {
        let PartitionBatch { partition, next_offset, .. } = batch;
        // Fails when the partition was reassigned meanwhile; its new owner then stores its offsets.
        drop(self.consumer.store_offset(&partition.topic, partition.number, next_offset - 1));
    }
}
