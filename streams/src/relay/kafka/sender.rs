//! Sends events to their topics, and tracks which of them are acknowledged.

use super::ack_window::AckWindow;
use super::error::RelayError;
use super::message::{headers, key};
use super::producer::ordered_producer;
use crate::event::{Position, RecordedEvent};
use crate::relay::config::RelayConfig;
use domain::Event;
use futures::FutureExt;
use futures::channel::oneshot::Canceled;
use futures::future::Map;
use metrics::counter;
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::sync::Arc;
use std::time::Duration;

type Delivery = Map<DeliveryFuture, fn(Result<OwnedDeliveryResult, Canceled>) -> Result<(), KafkaError>>;

pub(super) struct Sender {
    producer: FutureProducer,
    config: RelayConfig,
    window: AckWindow<Delivery>,
}

impl Sender {
    /// A sender of the events after a position.
    pub(super) fn open(config: &RelayConfig, after: Position) -> Result<Self, RelayError> {
        let producer = ordered_producer(config)?;
        Ok(Self { producer, config: config.clone(), window: AckWindow::new(after) })
    }

    pub(super) fn window(&self) -> &AckWindow<Delivery> {
        &self.window
    }

    /// Fails when a delivery has failed, or when the broker acknowledged nothing for the delivery timeout.
    pub(super) fn check(&mut self) -> Result<(), RelayError> {
        self.window.check(self.config.delivery_timeout)
    }

    /// Waits until the first event in flight is acknowledged. Cancel-safe.
    pub(super) async fn next_acknowledged(&mut self) -> Result<(), RelayError> {
        self.window.next_acknowledged().await
    }

    /// Gives events to the client, unless an earlier event has failed: in its partition, later ones would precede it.
    pub(super) fn send(&mut self, events: &[Arc<RecordedEvent>]) -> Result<(), RelayError> {
        self.check()?;
        for event in events {
            if !Event::CATEGORIES.contains(&&*event.stream.category) {
                self.skip(event);
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
            self.window.push(event.position, event.payload.len(), delivery.map(acknowledged));
        }
        Ok(())
    }

    /// Skips an event of a category that has no topic in this version of Apex: otherwise no later event would be published.
    fn skip(&mut self, event: &RecordedEvent) {
        let (position, category) = (event.position, &*event.stream.category);
        counter!("apex_relay_left_out_total").increment(1);
        tracing::error!(
            %position,
            category,
            "an event is not published: this version of Apex does not know its category. Upgrade Apex, then publish it \
             again with `apex relay --from`"
        );
        self.window.push_unsent(position);
    }

    /// Waits until every event in flight is acknowledged or one of them has failed, up to a timeout.
    pub(super) async fn drain(&mut self, timeout: Duration) {
        let drained = async { while !self.window.is_empty() && self.window.next_acknowledged().await.is_ok() {} };
        drop(tokio::time::timeout(timeout, drained).await);
    }

    /// Discards the messages that the client has not sent. The client blocks for a moment while it does so.
    pub(super) async fn close(self) {
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }
}

/// A canceled delivery means that the client's thread has ended, which it does only with the client.
fn acknowledged(delivered: Result<OwnedDeliveryResult, Canceled>) -> Result<(), KafkaError> {
    match delivered {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(Canceled) => Err(KafkaError::Canceled),
    }
}
