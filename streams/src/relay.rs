//! The relay: publishes the log to Kafka.
//!
//! One topic per category, keyed by stream id, so that the events of a stream keep their order. Each event is a CloudEvent
//! in binary mode (CloudEvents 1.0.2, Kafka protocol binding): the payload is the message value, everything else is in
//! headers.
//!
//! Delivery is at least once: after a crash some events are sent again. Consumers deduplicate by the header `ce_position`.
//! The checkpoint is the last position up to which every event is acknowledged by all in-sync replicas. Only the relay that
//! holds the leader lock sends, and it advances the checkpoint on the connection that holds the lock: a relay that lost the
//! lock advances nothing. Kafka never has an event that PostgreSQL does not have, because only committed events are read.
//!
//! However often a relay fails, the first occurrences of events in a partition are in the order of the log: every relay
//! sends from a checkpoint on, and its producer leaves no gaps within a partition, because after a failed message it
//! sends none of the later ones.

mod checkpoint;
mod config;
mod headers;
#[cfg(feature = "kafka")]
mod kafka;
mod security;
mod state_table;

pub use checkpoint::{relay_checkpoint, republish_from};
pub use config::RelayConfig;
pub use headers::header_schema;
#[cfg(feature = "kafka")]
pub use kafka::{MessageError, Relay, RelayError, StateRelay, decode};
pub use security::{KafkaSecurity, KafkaSecurityError, KafkaTls, Sasl, SaslMechanism};
pub use state_table::StateTable;
