//! Why a projection cannot be fed from Kafka.

use crate::projection::ApplyError;
use std::sync::Arc;
use streams::{DatabaseError, ReadError, TopicPartition};
use thiserror::Error;

/// Why a projection cannot be fed from Kafka, or why a batch was not applied.
#[derive(Debug, Error)]
pub enum PartitionedError {
    /// The projection needs the events of all streams in the order of the log.
    #[error(
        "projection {0} needs the events of all streams in the order of the log, and Kafka keeps the order within a \
         stream only: feed it from the log"
    )]
    NeedsLogOrder(&'static str),
    /// The live tables belong to another version of the code.
    #[error(
        "the live tables of {projection} are of version {live}, this program's code is version {code}: nothing is \
         written"
    )]
    VersionMismatch {
        /// The name of the projection.
        projection: &'static str,
        /// The version of the live tables.
        live: i32,
        /// The version of this program's code.
        code: i32,
    },
    /// The projection is fed from the log.
    #[error("projection {0} is fed from the log")]
    FedFromLog(&'static str),
    /// The topic or its number of partitions has changed, so that streams belong to other partitions.
    #[error(
        "projection {projection} was fed from topic {known_topic} with {known} partitions, and topic {topic} has \
         {found}, so that streams belong to other partitions: give it back to the log with \
         `apex worker --source log`, then feed it from Kafka again"
    )]
    PartitionsChanged {
        /// The name of the projection.
        projection: &'static str,
        /// The topic that this worker reads.
        topic: Arc<str>,
        /// Its number of partitions when this worker started.
        found: i32,
        /// The topic that the projection was fed from.
        known_topic: String,
        /// The number of partitions of that topic.
        known: i32,
    },
    /// A partition was added to the topic after this worker started.
    #[error(
        "topic {} had {partitions} partitions when this worker started and now has partition {}: give projection \
         {projection} back to the log with `apex worker --source log`, then feed it from Kafka again",
        partition.topic, partition.number
    )]
    PartitionAdded {
        /// The name of the projection.
        projection: &'static str,
        /// The partition that was added.
        partition: TopicPartition,
        /// The number of partitions when this worker started.
        partitions: i32,
    },
    /// The events could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the read model cannot be written")]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for PartitionedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
