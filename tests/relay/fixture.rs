//! A log, its topics, and writers that append meanwhile.

use crate::checker::{self, Message};
use crate::worker::Job;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use streams::relay::{decode, relay_checkpoint};
use streams::{Expected, Log, LogConfig, Position, ReadFilter, RecordedEvent, StreamAppend};
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, append, append_all, event, required_variable, sample, wait_until};
use tokio::process::Child;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The number of streams that are written to.
const STREAMS: usize = 40;

/// A database with a log, and a topic prefix of its own.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) log: Log,
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    streams: Vec<Uuid>,
}

impl Fixture {
    /// With the broker of the test services.
    pub(crate) async fn shared() -> Self {
        Self::new(required_variable("APEX_TEST_KAFKA_BROKERS")).await
    }

    /// With a new database and a broker.
    pub(crate) async fn new(brokers: String) -> Self {
        Self::on(TestDatabase::new().await, brokers).await
    }

    /// With a database and a broker.
    pub(crate) async fn on(database: TestDatabase, brokers: String) -> Self {
        let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
        let streams = (0..STREAMS).map(|_| Uuid::new_v4()).collect();
        Self { database, log, brokers, prefix: format!("relay-{}", Uuid::new_v4().simple()), streams }
    }

    /// The job of a relay process without faults.
    pub(crate) fn job(&self) -> Job {
        Job {
            url: self.database.url.clone(),
            brokers: self.brokers.clone(),
            prefix: self.prefix.clone(),
            kill_at: None,
            has_bug: false,
            relays_state: false,
            stop_at: None,
        }
    }

    /// Appends to each stream a number of times, in several categories.
    pub(crate) async fn append(&self, times: usize) {
        for _ in 0..times {
            for answer in append_all(&self.log, appends(&self.streams)).await {
                answer.unwrap();
            }
        }
    }

    /// Starts a task that appends until it is stopped.
    pub(crate) fn start_appending(&self) -> Appending {
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

    /// The relay's checkpoint.
    pub(crate) async fn checkpoint(&self) -> Position {
        relay_checkpoint(&self.database.pool).await.unwrap()
    }

    /// Waits until the relay's checkpoint is beyond a position.
    pub(crate) async fn wait_beyond(&self, position: Position) {
        wait_until("the relay progresses", async || self.checkpoint().await > position).await;
    }

    /// Waits until the relay's checkpoint is the head of the log.
    pub(crate) async fn wait_for_relay(&self) {
        wait_until("the relay catches up", async || self.checkpoint().await >= self.log.head().await.unwrap()).await;
    }

    /// All events of the log.
    pub(crate) async fn events(&self) -> Vec<RecordedEvent> {
        let mut pages = self.log.pages(Position::ZERO, ReadFilter::default(), 1000);
        let mut events = Vec::new();
        while let Some(page) = pages.next_page().await.unwrap().filter(|page| !page.is_empty()) {
            events.extend(page);
        }
        events
    }

    /// Compares the topics with the log. Returns the violations and the number of messages.
    pub(crate) async fn check(&self) -> (Vec<String>, usize) {
        let (brokers, prefix) = (self.brokers.clone(), self.prefix.clone());
        let messages = tokio::task::spawn_blocking(move || consume(&brokers, &prefix)).await.unwrap();
        (checker::violations(&messages, &self.events().await, &self.prefix), messages.len())
    }

    /// Waits for the relay, and asserts that the topics agree with the log. Returns the number of messages.
    pub(crate) async fn verify(&self) -> usize {
        self.wait_for_relay().await;
        let (violations, messages) = self.check().await;
        assert!(violations.is_empty(), "{violations:#?}");
        assert!(messages > 0, "nothing was published, so nothing was tested");
        messages
    }

    /// Imports a file in `samples/`.
    pub(crate) async fn import(&self, format: &str, file: &str) {
        self.database.run(&["import", format, &sample(file)]).await.assert_success();
    }

    /// Starts `apex worker` for the read models of the imported files.
    pub(crate) fn start_worker(&self) -> Child {
        let named = PROJECTIONS.iter().flat_map(|name| ["--projection", name]);
        let arguments: Vec<_> = std::iter::once("worker").chain(named).collect();
        self.database.apex(&arguments).stderr(Stdio::inherit()).spawn().unwrap()
    }

    /// Waits until every projection has applied everything that is in the log now.
    pub(crate) async fn wait_for_projections(&self) {
        let head = self.log.head().await.unwrap();
        projections::wait_for(&self.database.pool, &PROJECTIONS, head, TIMEOUT).await.unwrap();
    }
}

/// The read models of the imported files, and their tables.
const PROJECTIONS: [&str; 4] = ["agents", "tasks", "calls", "memories"];
const TABLES: [&str; 7] =
    ["agents", "tasks", "calls", "usage_quarter_hourly", "usage_daily", "usage_hourly_by_tag", "memories"];

/// The number of rows of each table, and a hash of them.
async fn fingerprints(database: &TestDatabase) -> BTreeMap<&'static str, (i64, Option<String>)> {
    let mut found: BTreeMap<_, (i64, Option<String>)> = BTreeMap::new();
    for table in TABLES {
        let hash = format!("select count(*), md5(string_agg(t::text, '|' order by t::text)) from apex.{table} t");
        found.insert(table, sqlx::query_as(AssertSqlSafe(hash)).fetch_one(&database.pool).await.unwrap());
    }
    assert!(found["calls"].0 > 0 && found["agents"].0 > 0, "no events were applied, so nothing was tested");
    found
}

/// Asserts that rebuilding the read models does not change them.
pub(crate) async fn assert_equals_rebuild(database: &TestDatabase) {
    let before = fingerprints(database).await;
    for name in PROJECTIONS {
        database.run(&["projections", "rebuild", name, "--switch"]).await.assert_success();
    }
    assert_eq!(before, fingerprints(database).await);
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

/// A task that appends.
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

/// A consumer without a group.
pub(crate) fn consumer(brokers: &str) -> BaseConsumer {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", "unused").set("enable.partition.eof", "true");
    client.create().unwrap()
}

/// All messages in the topics of the log, in the order of each partition.
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

/// Partition, key and payload of all messages in some topics.
pub(crate) fn consume_topics(brokers: &str, topics: &[String]) -> Vec<(i32, String, Vec<u8>)> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let messages = read(brokers, topics);
    messages
        .iter()
        .map(|message| (message.partition(), text(message.key()), message.payload().unwrap_or_default().to_owned()))
        .collect()
}

/// The watermarks of a partition. Retries, since a new topic may have no leader yet.
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

/// Reads all messages of some topics.
fn read(brokers: &str, topics: &[String]) -> Vec<OwnedMessage> {
    let consumer = consumer(brokers);
    let mut remaining = Vec::new();
    let mut from = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = watermarks(&consumer, topic, partition.id());
            if high > low {
                from.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
                remaining.push((topic.clone(), partition.id(), high));
            }
        }
    }
    consumer.assign(&from).unwrap();
    let (mut messages, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    while !remaining.is_empty() {
        assert!(Instant::now() < deadline, "timed out, waiting for messages of {remaining:?}");
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = match message {
            Ok(message) => message,
            // The last offset may be a transaction marker, which is no message.
            Err(KafkaError::PartitionEOF(number)) => {
                remaining.retain(|(_, id, _)| topics.len() > 1 || *id != number);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        remaining.retain(|(name, id, high)| name != topic || *id != partition || offset + 1 < *high);
        messages.push(message.detach());
    }
    messages
}
