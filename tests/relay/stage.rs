//! A log, its topics, and who appends meanwhile.

use crate::checker::{self, Message};
use crate::worker::Job;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use streams::relay::{decode, relay_checkpoint};
use streams::{Expected, Log, LogConfig, Position, ReadFilter, RecordedEvent, StreamAppend};
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, append, append_all, event, required_variable, wait_until};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// As many streams as are written to in turn.
const STREAMS: usize = 40;

pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) log: Log,
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    streams: Vec<Uuid>,
}

impl Stage {
    /// With the broker that all tests share.
    pub(crate) async fn shared() -> Self {
        Self::new(required_variable("APEX_TEST_KAFKA_BROKERS")).await
    }

    pub(crate) async fn new(brokers: String) -> Self {
        Self::on(TestDatabase::new().await, brokers).await
    }

    pub(crate) async fn on(database: TestDatabase, brokers: String) -> Self {
        let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
        let streams = (0..STREAMS).map(|_| Uuid::new_v4()).collect();
        Self { database, log, brokers, prefix: format!("relay-{}", Uuid::new_v4().simple()), streams }
    }

    /// A relay without faults.
    pub(crate) fn job(&self) -> Job {
        Job {
            url: self.database.url.clone(),
            brokers: self.brokers.clone(),
            prefix: self.prefix.clone(),
            death: None,
            has_bug: false,
            is_of_state: false,
            halt: None,
        }
    }

    /// Appends so many times to each stream, in several categories.
    pub(crate) async fn append(&self, times: usize) {
        for _ in 0..times {
            for answer in append_all(&self.log, appends(&self.streams)).await {
                answer.unwrap();
            }
        }
    }

    /// Appends until told to stop.
    pub(crate) fn keep_appending(&self) -> Appending {
        let (log, streams, stop) = (self.log.clone(), self.streams.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                for answer in append_all(&log, appends(&streams)).await {
                    answer.unwrap();
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
        Appending { stop, task }
    }

    pub(crate) async fn relayed(&self) -> Position {
        relay_checkpoint(&self.database.pool).await.unwrap()
    }

    /// Waits until the relay's checkpoint is beyond a position.
    pub(crate) async fn wait_beyond(&self, position: Position) {
        wait_until("the relay goes on", async || self.relayed().await > position).await;
    }

    /// Waits until the relay's checkpoint is the end of the log.
    pub(crate) async fn wait_for_relay(&self) {
        wait_until("the relay catches up", async || self.relayed().await >= self.log.head().await.unwrap()).await;
    }

    /// Everything in the log.
    pub(crate) async fn events(&self) -> Vec<RecordedEvent> {
        let mut pages = self.log.pages(Position::ZERO, ReadFilter::default(), 1000);
        let mut events = Vec::new();
        while let Some(page) = pages.next_page().await.unwrap().filter(|page| !page.is_empty()) {
            events.extend(page);
        }
        events
    }

    /// What is wrong with the topics, and how many messages they have.
    pub(crate) async fn check(&self) -> (Vec<String>, usize) {
        let (brokers, prefix) = (self.brokers.clone(), self.prefix.clone());
        let messages = tokio::task::spawn_blocking(move || consume(&brokers, &prefix)).await.unwrap();
        (checker::violations(&messages, &self.events().await, &self.prefix), messages.len())
    }

    /// Waits for the relay and holds the topics against the log; the number of messages.
    pub(crate) async fn verify(&self) -> usize {
        self.wait_for_relay().await;
        let (violations, messages) = self.check().await;
        assert!(violations.is_empty(), "{violations:#?}");
        assert!(messages > 0, "nothing was published: it proves nothing");
        messages
    }
}

fn appends(streams: &[Uuid]) -> Vec<streams::Append> {
    let categories = ["task", "call", "agent", "memory"];
    let named = streams.iter().zip(categories.into_iter().cycle());
    named
        .map(|(id, category)| {
            let events = vec![event(&"x".repeat(200)), event("y")];
            append(vec![StreamAppend { category: category.into(), id: *id, expected: Expected::Any, events }])
        })
        .collect()
}

pub(crate) struct Appending {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Appending {
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

pub(crate) fn consumer(brokers: &str) -> BaseConsumer {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", "nobody").set("enable.partition.eof", "true");
    client.create().unwrap()
}

/// Everything in the topics of the log, partition by partition.
pub(crate) fn consume(brokers: &str, prefix: &str) -> Vec<Message> {
    let topics: Vec<_> = domain::Event::CATEGORIES.iter().map(|category| format!("{prefix}.{category}")).collect();
    let messages = read(brokers, &topics);
    messages
        .iter()
        .map(|message| Message {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
            event: decode(message).unwrap(),
        })
        .collect()
}

/// Partition, key and payload of everything in some topics.
pub(crate) fn consume_topics(brokers: &str, topics: &[String]) -> Vec<(i32, String, Vec<u8>)> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let messages = read(brokers, topics);
    messages
        .iter()
        .map(|message| (message.partition(), text(message.key()), message.payload().unwrap_or_default().to_owned()))
        .collect()
}

/// A topic that was made a moment ago may have no leader yet.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.fetch_watermarks(topic, partition, TIMEOUT) {
            Ok(watermarks) => return watermarks,
            Err(error) => assert!(Instant::now() < deadline, "{topic}/{partition}: {error}"),
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn read(brokers: &str, topics: &[String]) -> Vec<OwnedMessage> {
    let consumer = consumer(brokers);
    let mut left = Vec::new();
    let mut from = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = watermarks(&consumer, topic, partition.id());
            if high > low {
                from.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
                left.push((topic.clone(), partition.id(), high));
            }
        }
    }
    consumer.assign(&from).unwrap();
    let (mut messages, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    while !left.is_empty() {
        assert!(Instant::now() < deadline, "no more messages, though there are some in {left:?}");
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = match message {
            Ok(message) => message,
            // Where transactions end, there are offsets without a message.
            Err(KafkaError::PartitionEOF(number)) => {
                left.retain(|(_, id, _)| topics.len() > 1 || *id != number);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        left.retain(|(name, id, high)| name != topic || *id != partition || offset + 1 < *high);
        messages.push(message.detach());
    }
    messages
}
