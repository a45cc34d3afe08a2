//! The feed of a projection, and what it knows of topics and partitions.

use super::error::PartitionedError;
use crate::projection::Projection;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use streams::{Log, Position, TopicPartition};
use uuid::Uuid;

/// Events read from the log at once.
pub(super) const PAGE_EVENTS: usize = 1000;

/// Feeds one projection from Kafka.
pub struct PartitionedFeed {
    /// The projection.
    pub projection: &'static dyn Projection,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// The log, for events that Kafka did not deliver.
    pub log: Log,
    /// The number of partitions of each topic.
    pub partitions: HashMap<Arc<str>, i32>,
}

/// An event of the log that is not applied yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEvent {
    /// The partition that the event belongs to.
    pub partition: TopicPartition,
    /// The position of the event.
    pub position: Position,
}

impl PartitionedFeed {
    pub(super) fn check_version(&self, versions: Vec<Option<i32>>) -> Result<(), PartitionedError> {
        let (projection, code) = (self.projection.name(), self.projection.version());
        match versions.into_iter().flatten().find(|live| *live != code) {
            Some(live) => Err(PartitionedError::VersionMismatch { projection, live, code }),
            None => Ok(()),
        }
    }

    /// The partition of a topic that a stream belongs to.
    pub(super) fn partition_of(&self, topic: &Arc<str>, stream: Uuid) -> i32 {
        streams::relay::partition_of(stream, self.partition_count(topic))
    }

    /// The number of partitions of a topic.
    pub(super) fn partition_count(&self, topic: &Arc<str>) -> i32 {
        self.partitions.get(topic).copied().unwrap_or(1)
    }
}

/// The category that a topic holds, which is the last part of its name.
pub(super) fn category_of(topic: &str) -> &str {
    topic.rsplit('.').next().unwrap_or(topic)
}
