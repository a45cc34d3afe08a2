//! The events of topics that the relay fills, shared out among the members of a consumer group.
//!
//! Offsets are hints: they say where to begin, and what was applied is somebody else's knowledge. So each piece of a
//! partition says what it follows, by position; where the reader has not applied that, or where it is not known, the
//! reader has to look what lies between.

use crate::relay::{RelayConfig, decode};
use crate::{Position, RecordedEvent};
use futures::FutureExt;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Nothing lies between the events up to here and the first of these; of a partition that this member has just got,
    /// or with a gap in its offsets, nobody can tell.
    pub after: Option<Position>,
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

/// What this member expects next in each of its partitions; forgotten whenever they are shared out anew.
#[derive(Default)]
struct Context {
    expected: Mutex<HashMap<TopicPartition, Expected>>,
}

/// Where a partition goes on.
struct Expected {
    offset: i64,
    /// The greatest position that was handed out.
    position: Position,
}

impl Context {
    fn expected(&self) -> MutexGuard<'_, HashMap<TopicPartition, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    /// Whoever reads gets it too.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "the Kafka client reports");
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.expected().clear();
    }
}

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
        let consumer: StreamConsumer<Context> = client.create_with_context(Context::default())?;
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
        self.take(&self.consumer.recv().await?, &mut batches);
        for _ in 1..limit {
            // An error that comes now is another's than what is in hand, and comes again if it matters.
            let Some(Ok(received)) = self.consumer.recv().now_or_never() else { break };
            self.take(&received, &mut batches);
        }
        Ok(batches)
    }

    fn take(&self, message: &BorrowedMessage<'_>, batches: &mut Vec<PartitionBatch>) {
        let (topic, number, offset) = (message.topic(), message.partition(), message.offset());
        let event = match decode(message) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                // What comes after it does not follow what came before: the reader looks into the log.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(topic, number, offset, error, "a message that is not the relay's is left out");
                return;
            }
        };
        let (partition, next_offset) = (TopicPartition { topic: topic.into(), number }, offset + 1);
        let mut expected = self.consumer.context().expected();
        let before = expected.get(&partition).filter(|before| before.offset == offset);
        let after = before.map(|before| before.position);
        let position = after.map_or(event.position, |after| after.max(event.position));
        expected.insert(partition.clone(), Expected { offset: next_offset, position });
        match batches.iter_mut().rev().find(|batch: &&mut PartitionBatch| batch.partition == partition) {
            Some(batch) if after.is_some() => {
                batch.events.push(event);
                batch.next_offset = next_offset;
            }
            _ => batches.push(PartitionBatch { partition, after, events: vec![event], next_offset }),
        }
    }

    /// Says that a batch was applied: whoever reads the partition next may begin behind it. Nothing depends on it.
    pub fn applied(&self, batch: &PartitionBatch) {
        let PartitionBatch { partition, next_offset, .. } = batch;
        // Fails where the partition has moved in the meantime; then it is somebody else's to say.
        drop(self.consumer.store_offset(&partition.topic, partition.number, next_offset - 1));
    }
}
