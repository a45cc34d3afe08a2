//! Errors of the relay.

use crate::error::ReadError;
use crate::event::Position;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;
use thiserror::Error;

/// Why the relay stopped publishing. It starts again from its checkpoint.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The Kafka client cannot be created or used.
    #[error("the Kafka client cannot be set up")]
    Client(#[source] KafkaError),
    /// The broker refused to create a topic or to describe its settings.
    #[error("topic {topic} cannot be prepared: {code}")]
    Topic {
        /// The topic.
        topic: String,
        /// The broker's answer.
        code: RDKafkaErrorCode,
    },
    /// An existing topic has a setting that is not suitable.
    #[error("topic {topic} has {setting}={found}, but {needed} is required: change the topic, and the relay continues")]
    Misconfigured {
        /// The topic.
        topic: String,
        /// The name of the setting.
        setting: &'static str,
        /// The value that the topic has.
        found: String,
        /// The value that is required.
        needed: String,
    },
    /// No broker answered.
    #[error(
        "the Kafka brokers cannot be reached: check that they run, that APEX_KAFKA_BROKERS names them, and that they accept \
         the settings of TLS and the credential"
    )]
    Broker(#[source] KafkaError),
    /// An event was not delivered.
    #[error("the event at position {position} was not acknowledged")]
    NotAcknowledged {
        /// The event's position.
        position: Position,
        /// The client's error.
        #[source]
        source: KafkaError,
    },
    /// The broker acknowledged nothing within the delivery timeout.
    #[error("the broker acknowledged nothing for {waited:?}; the first event in flight is at position {position}")]
    AckTimeout {
        /// The position of the first event in flight.
        position: Position,
        /// The delivery timeout.
        waited: Duration,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint cannot be read or advanced, or the leader lock was lost.
    #[error("the relay's checkpoint cannot be read or advanced")]
    Database(#[from] sqlx::Error),
    /// The checkpoint was set to another position meanwhile, as [`republish_from`](crate::relay::republish_from) does.
    #[error("the relay's checkpoint was set to another position")]
    CheckpointMoved,
}
