//! The checkpoints of the partitions, and which events of the log a partition has yet to apply.

use super::error::PartitionedError;
use super::feed::{PAGE_EVENTS, PartitionedFeed, category_of};
use crate::checkpoint::lock_feed_shared;
use crate::progress::{Progress, Topic};
use crate::target::Slot;
use crate::transaction::{IDLE_IN_TRANSACTION_TIMEOUT, set_search_path, use_async_commit};
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use streams::{Position, ReadFilter, RecordedEvent, TopicPartition};
use uuid::Uuid;

/// The maximum number of events that [`PartitionedFeed::events_after`] returns.
const MAX_EVENT_KEYS: i64 = 20_000;
/// The maximum number of positions between a checkpoint and a batch for which [`PartitionedFeed::missing`] queries the
/// events; the log is read page by page if there are more.
const MAX_MISSING_POSITIONS: u64 = 200_000;

/// The position, tenant, category and stream of an event.
pub(super) type EventKey = (i64, String, String, Uuid);

/// The checkpoint of a partition, locked by a transaction.
pub(super) struct LockedPartition {
    pub(super) checkpoint: Position,
    /// Which events the projection has applied, from whatever source.
    pub(super) progress: Progress,
}

/// The events of a partition that are not applied yet.
pub(super) struct Missing {
    /// Their positions and ids, in order.
    pub(super) events: Vec<(Position, Uuid)>,
    /// The position up to which `events` is complete.
    pub(super) through: Position,
}

impl PartitionedFeed {
    /// Locks the checkpoint of a partition, and keeps the tables from being switched.
    pub(super) async fn lock(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
    ) -> Result<LockedPartition, PartitionedError> {
        let name = self.projection.name();
        set_search_path(connection, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        use_async_commit(connection).await?;
        lock_feed_shared(connection, name).await?;
        let lock = "select version from apex.checkpoints where follower = $1 and source = 'kafka' order by name
                    for key share";
        let versions: Vec<Option<i32>> = sqlx::query_scalar(lock).bind(name).fetch_all(&mut *connection).await?;
        if versions.is_empty() {
            return Err(PartitionedError::FedFromLog(name));
        }
        self.check_version(versions)?;
        let position = self.lock_checkpoint(connection, partition).await?;
        // Of the whole topic, because a partition that was added has no checkpoint to compare with.
        let progress = Progress::load(connection, name).await?;
        if let Some(changed) = self.partitions_changed(&progress, &partition.topic) {
            return Err(changed);
        }
        let checkpoint = position.max(progress.low_watermark());
        Ok(LockedPartition { checkpoint, progress })
    }

    async fn lock_checkpoint(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
    ) -> Result<Position, PartitionedError> {
        let (name, topic, category) = (self.projection.name(), &partition.topic, category_of(&partition.topic));
        let lock = "select position from apex.partition_checkpoints
                    where projection = $1 and category = $2 and partition = $3 for update";
        let locked = || sqlx::query_scalar(lock).bind(name).bind(category).bind(partition.number);
        let mut position: Option<i64> = locked().fetch_optional(&mut *connection).await?;
        if position.is_none() {
            // Those of all partitions: if two workers know different partition counts, the second finds the rows of the
            // first.
            sqlx::query(
                "insert into apex.partition_checkpoints (projection, category, partition, topic, partitions, position)
                 select $1, $2, number, $3, $4, (select min(position) from apex.checkpoints where follower = $1)
                 from generate_series(0, $4 - 1) as number on conflict do nothing",
            )
            .bind(name)
            .bind(category)
            .bind(&**topic)
            .bind(self.partition_count(topic))
            .execute(&mut *connection)
            .await?;
            position = locked().fetch_optional(&mut *connection).await?;
        }
        Ok(position.map_or(Position::ZERO, Position::from_i64))
    }

    /// The error if the category was fed from another topic, or from one with another number of partitions.
    fn partitions_changed(&self, progress: &Progress, topic: &Arc<str>) -> Option<PartitionedError> {
        let found = self.partition_count(topic);
        let is_changed = |known: &&Topic| {
            known.category == category_of(topic) && (known.name != **topic || known.partitions != found)
        };
        let known = progress.topics().iter().find(is_changed)?;
        Some(PartitionedError::PartitionsChanged {
            projection: self.projection.name(),
            topic: topic.clone(),
            found,
            known_topic: known.name.clone(),
            known: known.partitions,
        })
    }

    /// Advances the checkpoint of a partition, which the transaction holds.
    pub(super) async fn advance(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
        to: Position,
    ) -> Result<(), PartitionedError> {
        sqlx::query(
            "update apex.partition_checkpoints set position = $4
             where projection = $1 and category = $2 and partition = $3",
        )
        .bind(self.projection.name())
        .bind(category_of(&partition.topic))
        .bind(partition.number)
        .bind(to.as_i64())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// The events of a partition up to a position that are not applied yet; none if the log is to be read page by page
    /// instead.
    pub(super) async fn missing(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
        locked: &LockedPartition,
        to: Position,
    ) -> Result<Option<Missing>, PartitionedError> {
        let (head, archived) = log_bounds(connection).await?;
        let (from, through) = (locked.checkpoint, to.min(head));
        if from < archived || through.get().saturating_sub(from.get()) > MAX_MISSING_POSITIONS {
            return Ok(None);
        }
        let category = category_of(&partition.topic);
        let rows: Vec<(i64, Uuid, String, Uuid)> = sqlx::query_as(
            "select position, event_id, tenant_id, stream_id from apex.events
             where position > $1 and position <= $2 and category = $3 order by position",
        )
        .bind(from.as_i64())
        .bind(through.as_i64())
        .bind(category)
        .fetch_all(connection)
        .await?;
        let is_missing = |(position, _, tenant, stream): &(i64, Uuid, String, Uuid)| {
            self.partition_of(&partition.topic, *stream) == partition.number
                && !locked.progress.has_at(tenant, category, *stream, Position::from_i64(*position))
        };
        let missing = rows.into_iter().filter(is_missing);
        let events = missing.map(|(position, event_id, ..)| (Position::from_i64(position), event_id)).collect();
        Ok(Some(Missing { events, through }))
    }

    /// The keys of the projection's events after a position, and the position up to which they are complete.
    pub(super) async fn events_after(
        &self,
        connection: &mut PgConnection,
        from: Position,
    ) -> Result<(Vec<EventKey>, Position), PartitionedError> {
        let (head, archived) = log_bounds(connection).await?;
        let categories = self.projection.categories();
        if from < archived {
            let page = self.log.read_after(from, &ReadFilter::default(), PAGE_EVENTS).await?;
            let through = page.last().map_or(from, |last| last.position);
            let wanted = page.into_iter().filter(|event| categories.contains(&&*event.stream.category));
            let key = |event: RecordedEvent| {
                let stream = event.stream;
                (event.position.as_i64(), stream.tenant.to_string(), stream.category.to_string(), stream.id)
            };
            return Ok((wanted.map(key).collect(), through));
        }
        let keys: Vec<EventKey> = sqlx::query_as(
            "select position, tenant_id, category, stream_id from apex.events
             where position > $1 and position <= $2 and category = any ($3) order by position limit $4",
        )
        .bind(from.as_i64())
        .bind(head.as_i64())
        .bind(categories)
        .bind(MAX_EVENT_KEYS)
        .fetch_all(connection)
        .await?;
        let is_complete = i64::try_from(keys.len()).is_ok_and(|found| found < MAX_EVENT_KEYS);
        let last = keys.last().map_or(from, |(position, ..)| Position::from_i64(*position));
        Ok((keys, if is_complete { head } else { last }))
    }
}

/// The position of the last event of the log, and of the last archived one.
async fn log_bounds(connection: &mut PgConnection) -> Result<(Position, Position), sqlx::Error> {
    let (head, archived): (i64, i64) =
        sqlx::query_as("select position, coalesce((select max(last_position) from apex.archives), 0) from apex.head")
            .fetch_one(connection)
            .await?;
    Ok((Position::from_i64(head), Position::from_i64(archived)))
}
