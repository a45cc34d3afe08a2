//! Events in flight: sent to Kafka, and not yet covered by the acknowledged position. Their number is bounded.

use super::error::RelayError;
use crate::event::Position;
use futures::FutureExt;
use rdkafka::error::KafkaError;
use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// The number of events in flight at which no further page is sent.
pub(super) const MAX_IN_FLIGHT_EVENTS: usize = 10_000;
/// The bytes of payload in flight at which no further page is sent.
pub(super) const MAX_IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;

/// The events in flight; `D` completes when the broker has acknowledged one of them, or the client has given it up.
pub(super) struct AckWindow<D> {
    /// Every event up to this position is acknowledged.
    acknowledged: Position,
    /// The events after it, in order.
    in_flight: VecDeque<InFlight<D>>,
    bytes: usize,
    /// Since when no further event was acknowledged.
    waiting_since: Instant,
}

struct InFlight<D> {
    position: Position,
    bytes: usize,
    delivery: Delivery<D>,
}

enum Delivery<D> {
    Pending(D),
    /// Possibly before earlier events, which are in other partitions.
    Acknowledged,
    Failed(KafkaError),
}

impl<D: Future<Output = Result<(), KafkaError>> + Unpin> AckWindow<D> {
    /// An empty window after a position.
    pub(super) fn new(after: Position) -> Self {
        Self { acknowledged: after, in_flight: VecDeque::new(), bytes: 0, waiting_since: Instant::now() }
    }

    /// The last position up to which every event is acknowledged.
    pub(super) fn acknowledged(&self) -> Position {
        // A planted bug for the tests: events count as published once they were given to the client.
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

    /// Adds an event that was sent.
    pub(super) fn push(&mut self, position: Position, bytes: usize, delivery: D) {
        self.add(InFlight { position, bytes, delivery: Delivery::Pending(delivery) });
    }

    /// Adds an event that is not sent; it counts as acknowledged.
    pub(super) fn push_unsent(&mut self, position: Position) {
        self.add(InFlight { position, bytes: 0, delivery: Delivery::Acknowledged });
    }

    fn add(&mut self, event: InFlight<D>) {
        if self.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.bytes += event.bytes;
        self.in_flight.push_back(event);
    }

    /// Fails when the delivery of any event in flight has failed, or when nothing was acknowledged for the given time.
    pub(super) fn check(&mut self, delivery_timeout: Duration) -> Result<(), RelayError> {
        for event in &mut self.in_flight {
            if !matches!(event.delivery, Delivery::Acknowledged) && event.poll_acknowledged()? {
                self.waiting_since = Instant::now();
            }
        }
        match self.in_flight.front() {
            Some(first) if self.waiting_since.elapsed() > delivery_timeout => {
                Err(RelayError::AckTimeout { position: first.position, waited: delivery_timeout })
            }
            _ => Ok(()),
        }
    }

    /// Waits until the first event in flight is acknowledged, and removes it and the acknowledged events that follow it.
    /// Cancel-safe.
    pub(super) async fn next_acknowledged(&mut self) -> Result<(), RelayError> {
        let Some(first) = self.in_flight.front_mut() else { return Ok(()) };
        if let Delivery::Pending(delivery) = &mut first.delivery {
            let delivered = delivery.await;
            first.complete(delivered);
        }
        // Fails here if the first event has failed.
        while let Some(first) = self.in_flight.front_mut() {
            if !first.poll_acknowledged()? {
                break;
            }
            self.waiting_since = Instant::now();
            self.bytes -= first.bytes;
            self.acknowledged = first.position;
            self.in_flight.pop_front();
        }
        Ok(())
    }
}

impl<D: Future<Output = Result<(), KafkaError>> + Unpin> InFlight<D> {
    /// Whether the event is acknowledged by now; an error if its delivery has failed.
    fn poll_acknowledged(&mut self) -> Result<bool, RelayError> {
        if let Delivery::Pending(delivery) = &mut self.delivery {
            match delivery.now_or_never() {
                Some(delivered) => self.complete(delivered),
                None => return Ok(false),
            }
        }
        match &self.delivery {
            Delivery::Failed(error) => {
                Err(RelayError::NotAcknowledged { position: self.position, source: error.clone() })
            }
            Delivery::Pending(_) | Delivery::Acknowledged => Ok(true),
        }
    }

    fn complete(&mut self, delivered: Result<(), KafkaError>) {
        self.delivery = match delivered {
            Ok(()) => Delivery::Acknowledged,
            Err(error) => Delivery::Failed(error),
        };
    }
}
