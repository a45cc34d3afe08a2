//! How far a read model has come: each shard of it, and where it is fed from Kafka, each partition of a topic.

use crate::projection::{ApplyError, Sharding};
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use streams::relay::partition_of;
use streams::{Position, RecordedEvent};
use uuid::Uuid;

/// What a version of a read model has applied, by whatever code.
pub(crate) struct Progress {
    /// The version of the tables; none before there is a checkpoint.
    pub(crate) version: Option<i32>,
    sharding: Sharding,
    shards: HashMap<u16, Position>,
    topics: Vec<Topic>,
}

/// How far the partitions of a topic are. Some may be ahead of the shards.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) category: String,
    /// How many partitions it has.
    pub(crate) partitions: i32,
    reached: HashMap<i32, Position>,
}

impl Progress {
    /// Reads it, as this transaction sees it. Fails where the checkpoints are not those of one division: nobody could
    /// tell what they mean.
    pub(crate) async fn of(connection: &mut PgConnection, follower: &str) -> Result<Self, ApplyError> {
        let rows: Vec<(String, i64, Option<i32>, Option<String>)> =
            sqlx::query_as("select name, position, version, partitioned_by from apex.checkpoints where follower = $1")
                .bind(follower)
                .fetch_all(&mut *connection)
                .await?;
        let key = rows.first().and_then(|row| row.3.as_deref());
        let count = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        let sharding = Sharding::of_key(key, count);
        let mut shards = HashMap::new();
        for number in (0..count).filter(|_| rows.iter().all(|row| row.3.as_deref() == key)) {
            let name = sharding.checkpoint(follower, number);
            shards.extend(rows.iter().find(|row| row.0 == name).map(|row| (number, Position::from_i64(row.1))));
        }
        if shards.len() != rows.len() {
            let names: Vec<_> = rows.iter().map(|row| row.0.as_str()).collect();
            return Err(ApplyError::Row(format!("checkpoints of several divisions: {}", names.join(", "))));
        }
        let version = rows.iter().filter_map(|row| row.2).max();
        Ok(Self { version, sharding, shards, topics: topics(connection, follower).await? })
    }

    /// Whether the event is applied, or parked.
    pub(crate) fn has(&self, event: &RecordedEvent) -> bool {
        let stream = &event.stream;
        self.has_at(stream.tenant.as_str(), &stream.category, stream.id, event.position)
    }

    /// As [`Progress::has`], for the event of a stream at a position.
    pub(crate) fn has_at(&self, tenant: &str, category: &str, stream: Uuid, position: Position) -> bool {
        let shard = self.sharding.shard_of(tenant, stream);
        let is_at = |reached: Option<&Position>| reached.is_some_and(|reached| position <= *reached);
        is_at(self.shards.get(&shard))
            || self.topics.iter().any(|topic| {
                topic.category == category && is_at(topic.reached.get(&partition_of(stream, topic.partitions)))
            })
    }

    /// The position up to which everything is applied.
    pub(crate) fn low_watermark(&self) -> Position {
        self.shards.values().min().copied().unwrap_or(Position::ZERO)
    }

    /// The position behind which nothing is applied.
    pub(crate) fn high_watermark(&self) -> Position {
        let ahead = self.topics.iter().flat_map(|topic| topic.reached.values());
        self.shards.values().chain(ahead).max().copied().unwrap_or(Position::ZERO)
    }

    /// The topics that it is fed from.
    pub(crate) fn topics(&self) -> &[Topic] {
        &self.topics
    }
}

async fn topics(connection: &mut PgConnection, projection: &str) -> Result<Vec<Topic>, sqlx::Error> {
    let rows: Vec<(String, String, i32, i32, i64)> = sqlx::query_as(
        "select topic, category, partitions, partition, position from apex.partition_checkpoints
         where projection = $1 order by category, topic, partitions",
    )
    .bind(projection)
    .fetch_all(connection)
    .await?;
    let mut topics: Vec<Topic> = Vec::new();
    for (name, category, partitions, number, position) in rows {
        let is_same = |topic: &&mut Topic| topic.name == name && topic.partitions == partitions;
        let reached = (number, Position::from_i64(position));
        if let Some(topic) = topics.last_mut().filter(is_same) {
            topic.reached.extend([reached]);
        } else {
            topics.push(Topic { name, category, partitions, reached: HashMap::from([reached]) });
        }
    }
    Ok(topics)
}
