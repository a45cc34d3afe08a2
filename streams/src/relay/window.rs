//! What is sent and not yet acknowledged: bounded, and acknowledged in the order of the log.

use super::message::{headers, key};
use super::topics::client;
use super::{RelayConfig, RelayError};
use crate::{Position, RecordedEvent};
use domain::Event;
use futures::FutureExt;
use metrics::counter;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::future_producer::{Delivery, DeliveryFuture};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events in flight, at which no further page is read.
const MAX_IN_FLIGHT_EVENTS: usize = 10_000;
/// Bytes of payload in flight, at which no further page is read.
const MAX_IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;
/// The client's own queue: what fits into the window, a page more, and headers.
const QUEUE_MESSAGES: &str = "20000";
const QUEUE_KBYTES: &str = "131072";

/// The largest message that the client sends: [`crate::append::MAX_EVENT_BYTES`] and headers.
pub(super) const MAX_MESSAGE_BYTES: usize = 1_000_000;
// The headers say in other words what the metadata says, which is counted already; 16 KiB are for all else.
const _: () = assert!(crate::append::MAX_EVENT_BYTES + 16 * 1024 < MAX_MESSAGE_BYTES);

pub(super) struct Window {
    producer: FutureProducer,
    config: RelayConfig,
    /// Everything up to here is acknowledged.
    acknowledged: Position,
    /// What comes after it, in order.
    in_flight: VecDeque<InFlight>,
    bytes: usize,
    /// Since when the first one in flight has waited for its turn to be acknowledged.
    waiting_since: Instant,
}

struct InFlight {
    position: Position,
    bytes: usize,
    /// None where there is no topic to send it to.
    delivery: Option<DeliveryFuture>,
    /// It came before those ahead of it: they are of other partitions.
    is_acknowledged: bool,
}

impl Window {
    pub(super) fn open(config: &RelayConfig, after: Position) -> Result<Self, RelayError> {
        let producer = producer(config)?;
        Ok(Self {
            producer,
            config: config.clone(),
            acknowledged: after,
            in_flight: VecDeque::new(),
            bytes: 0,
            waiting_since: Instant::now(),
        })
    }

    /// The last position before which everything is acknowledged.
    pub(super) fn acknowledged(&self) -> Position {
        // A bug that the tests plant: what was handed to the client counts as published.
        fail::fail_point!("relay_trusts_what_was_sent", |_| {
            self.in_flight.back().map_or(self.acknowledged, |last| last.position)
        });
        self.acknowledged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < MAX_IN_FLIGHT_EVENTS && self.bytes < MAX_IN_FLIGHT_BYTES
    }

    /// Fails where anything in flight did, or once the broker has acknowledged nothing for as long as it may.
    pub(super) fn check_answers(&mut self) -> Result<(), RelayError> {
        for waiting in &mut self.in_flight {
            if !waiting.is_acknowledged && waiting.look()? {
                self.waiting_since = Instant::now();
            }
        }
        match self.in_flight.front() {
            Some(first) if self.waiting_since.elapsed() > self.config.delivery_timeout => {
                let waited = self.config.delivery_timeout;
                Err(RelayError::Unanswered { position: first.position, waited })
            }
            _ => Ok(()),
        }
    }

    /// Hands events to the client, unless one before them has failed: in its partition they would come first.
    pub(super) fn send(&mut self, events: &[Arc<RecordedEvent>]) -> Result<(), RelayError> {
        self.check_answers()?;
        if self.is_empty() {
            self.waiting_since = Instant::now();
        }
        for event in events {
            if !Event::CATEGORIES.contains(&&*event.stream.category) {
                self.leave_out(event);
                continue;
            }
            let (topic, key) = (self.config.topic(&event.stream.category), key(event));
            let record = FutureRecord::to(&topic)
                .key(&key)
                .payload(&event.payload)
                .headers(headers(event))
                .timestamp(event.recorded_at.timestamp_millis());
            let delivery = self
                .producer
                .send_result(record)
                .map_err(|(source, _)| RelayError::NotAcknowledged { position: event.position, source })?;
            let bytes = event.payload.len();
            self.bytes += bytes;
            let (position, delivery) = (event.position, Some(delivery));
            self.in_flight.push_back(InFlight { position, bytes, delivery, is_acknowledged: false });
        }
        Ok(())
    }

    /// Passes over an event of a category that this program has no topic for: all that come after it would wait for ever.
    fn leave_out(&mut self, event: &RecordedEvent) {
        let (position, category) = (event.position, &*event.stream.category);
        counter!("apex_relay_left_out_total").increment(1);
        tracing::error!(
            %position,
            category,
            "an event is not published: this program does not know its category; once a program that does is running, \
             have it published again with `apex relay --from`"
        );
        self.in_flight.push_back(InFlight { position, bytes: 0, delivery: None, is_acknowledged: true });
    }

    /// Waits until the first one in flight is acknowledged, and takes those behind it that are too. May be given up at
    /// any time.
    pub(super) async fn next_acknowledged(&mut self) -> Result<(), RelayError> {
        let Some(first) = self.in_flight.front_mut() else { return Ok(()) };
        if !first.is_acknowledged
            && let Some(delivery) = &mut first.delivery
        {
            let delivered = delivery.await;
            first.settle(delivered)?;
        }
        self.waiting_since = Instant::now();
        while let Some(first) = self.in_flight.front_mut() {
            if !first.is_acknowledged && !first.look()? {
                break;
            }
            self.bytes -= first.bytes;
            self.acknowledged = first.position;
            self.in_flight.pop_front();
        }
        Ok(())
    }

    /// Waits until all that is in flight is acknowledged, or one of them fails; no longer than the patience.
    pub(super) async fn drain(&mut self, patience: Duration) {
        let drained = async { while !self.is_empty() && self.next_acknowledged().await.is_ok() {} };
        drop(tokio::time::timeout(patience, drained).await);
    }

    /// Takes back what was not sent yet. The client takes a moment for that, which would hold up a thread of the
    /// runtime.
    pub(super) async fn close(self) {
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }
}

impl InFlight {
    /// Whether it is acknowledged by now.
    fn look(&mut self) -> Result<bool, RelayError> {
        let Some(delivered) = self.delivery.as_mut().and_then(FutureExt::now_or_never) else { return Ok(false) };
        self.settle(delivered)?;
        Ok(true)
    }

    /// The client's thread ends with the client, which lives as long as the window.
    fn settle<E>(
        &mut self,
        delivered: Result<Result<Delivery, (KafkaError, OwnedMessage)>, E>,
    ) -> Result<(), RelayError> {
        let source = match delivered {
            Ok(Ok(_)) => {
                self.is_acknowledged = true;
                return Ok(());
            }
            Ok(Err((error, _))) => error,
            Err(_) => KafkaError::Canceled,
        };
        Err(RelayError::NotAcknowledged { position: self.position, source })
    }
}

/// A client that the broker takes messages from until another one has begun under the same transactional id. What it
/// sends and does not commit, it has not sent.
pub(super) fn fenced_producer(config: &RelayConfig, transactional_id: &str) -> Result<FutureProducer, RelayError> {
    let mut client = client(config);
    client.set("partitioner", "murmur2_random").set("compression.type", "lz4").set("linger.ms", "5");
    // A bug that the tests plant.
    fail::fail_point!("state_relay_is_not_fenced", |_| {
        let chance = uuid::Uuid::new_v4().to_string();
        client.clone().set("transactional.id", chance).create().map_err(RelayError::Client)
    });
    client.set("transactional.id", transactional_id).create().map_err(RelayError::Client)
}

/// A client in which nothing overtakes what failed. Each partition has a contiguous piece of what was handed over, from
/// the first message on, however the client ends: that is what the order of first occurrences rests on.
pub(super) fn producer(config: &RelayConfig) -> Result<FutureProducer, RelayError> {
    client(config)
        .set("enable.idempotence", "true")
        // A message that the broker refuses for good fails those behind it.
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        // The broker takes any batch as the first one of a client that a partition does not know. Were there two on
        // their way and the first one refused, the second would be taken in its place.
        .set("max.in.flight.requests.per.connection", "1")
        // As Kafka's own clients choose the partition of a key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
        .set("queue.buffering.max.messages", QUEUE_MESSAGES)
        .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
        // Never. A message that the client gives up lets those behind it pass: who has waited long enough drops the
        // whole client instead.
        .set("message.timeout.ms", "0")
        .create()
        .map_err(RelayError::Client)
}
