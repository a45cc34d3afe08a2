//! Feeding a projection from Kafka, partition by partition.
//!
//! A topic holds a category, and a partition of it the streams whose ids have a certain hash. What Kafka keeps is the
//! order within a partition, and so within a stream; the order of the log as a whole is lost. So only projections that
//! need no more than that can be fed so, and the checkpoint is a position of the log for each partition.
//!
//! Kafka is never believed to be complete. Where an event does not follow what this worker had before it, what lies
//! between the checkpoint and the event is read from the log. Where it does, offsets without gaps prove that nothing
//! does. What is at or before the checkpoint is a repetition and is dropped.
//!
//! Projection and partition checkpoints move in the transaction that changes the tables. [`PartitionedFeed::settle`]
//! moves the projection's own checkpoint up to the position before which everything is applied, so that queries that
//! wait for a position, archiving and status work as ever.

use crate::batch::{apply_batch, decode};
use crate::projection::{ApplyError, Projection, Slot, Target};
use crate::runtime::{TURN, enter};
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::HashMap;
use std::sync::Arc;
use streams::relay::partition_of;
use streams::{Log, Pages, Position, ReadError, ReadFilter, RecordedEvent, TopicPartition};
use thiserror::Error;
use uuid::Uuid;

/// Events that are read from the log at once, and ids that are looked at.
const PAGE_EVENTS: usize = 1000;
const SETTLE_EVENTS: i64 = 20_000;

/// Why a projection cannot be fed from Kafka, or was not at this time.
#[derive(Debug, Error)]
pub enum PartitionedError {
    /// The projection is not made for it.
    #[error(
        "projection {0} needs the events of all streams in the order of the log, and Kafka keeps the order of each \
         stream alone: feed it from the log"
    )]
    NeedsLogOrder(&'static str),
    /// It has checkpoints for parts of its own.
    #[error("projection {0} is divided already: feed it from the log")]
    Divided(&'static str),
    /// The live tables are written by other code.
    #[error("the live version of {projection} is {live}, this program's is {code}: nothing is written")]
    OtherVersion {
        /// Which projection.
        projection: &'static str,
        /// The version of the live tables.
        live: i32,
        /// The version of this program.
        code: i32,
    },
    /// Somebody gave it back to the log.
    #[error("projection {0} is fed from the log")]
    FedFromLog(&'static str),
    /// The number of partitions changed.
    #[error(
        "topic {topic} has {found} partitions and had {known}: streams have moved between them; give projection \
         {projection} back to the log with `apex worker --source log`, then feed it from Kafka again"
    )]
    OtherPartitions {
        /// Which projection.
        projection: &'static str,
        /// Which topic.
        topic: Arc<str>,
        /// How many it has.
        found: i32,
        /// How many it had.
        known: i32,
    },
    /// The events could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the read model cannot be written")]
    Database(#[from] sqlx::Error),
}

/// Feeds one projection.
pub struct PartitionedFeed {
    /// Which one.
    pub projection: &'static dyn Projection,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// For what Kafka does not have.
    pub log: Log,
    /// How many partitions each topic has.
    pub partitions: HashMap<Arc<str>, i32>,
}

/// An event that is in the log, and has not been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The partition that has it, or should.
    pub partition: TopicPartition,
    /// Which event.
    pub position: Position,
}

impl PartitionedFeed {
    /// Takes the projection over from the workers that feed it from the log; they stand by from then on.
    ///
    /// # Errors
    /// [`PartitionedError::NeedsLogOrder`] and [`PartitionedError::Divided`] where that cannot be, and the database's.
    pub async fn take_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        if self.projection.needs_log_order() {
            return Err(PartitionedError::NeedsLogOrder(name));
        }
        if self.projection.partitioning().parts() > 1 {
            return Err(PartitionedError::Divided(name));
        }
        let mut transaction = self.pool.begin().await?;
        sqlx::query("insert into apex.checkpoints (name, position, version) values ($1, 0, $2) on conflict do nothing")
            .bind(name)
            .bind(self.projection.version())
            .execute(&mut *transaction)
            .await?;
        let taken = sqlx::query("update apex.checkpoints set source = 'kafka' where name = $1 and source <> 'kafka'")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        if taken.rows_affected() == 1 {
            // A rebuild gives a projection to the log, too, and leaves what was said of other tables.
            sqlx::query("delete from apex.partition_checkpoints where projection = $1")
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Applies what Kafka delivered of a partition, whatever of it was delivered before.
    ///
    /// # Errors
    /// [`PartitionedError`]; nothing of the batch is applied then, and it can be handed in again.
    pub async fn apply(
        &self,
        partition: &TopicPartition,
        follows: bool,
        events: &[Arc<RecordedEvent>],
    ) -> Result<(), PartitionedError> {
        let Some(first) = events.first() else { return Ok(()) };
        if events.iter().any(|event| self.number(&partition.topic, event.stream.id) != partition.number) {
            return Err(self.other_partitions(&partition.topic, partition.number + 1));
        }
        let before = Position::from(first.position.get().saturating_sub(1));
        if !follows {
            self.fill(partition, before).await?;
        }
        let mut transaction = self.pool.begin().await?;
        let mut held = self.lock(&mut transaction, partition).await?;
        if follows && held.is_new {
            // Somebody has put in other tables, or begun anew: what this worker had applied is not in them.
            transaction.rollback().await?;
            self.fill(partition, before).await?;
            transaction = self.pool.begin().await?;
            held = self.lock(&mut transaction, partition).await?;
        }
        let mut last = held.checkpoint;
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            // The first time that a partition has an event, it stands behind all earlier ones.
            if event.position > last {
                last = event.position;
                fresh.push(event.clone());
            }
        }
        if !fresh.is_empty() {
            self.write(&mut transaction, &fresh).await?;
            self.advance(&mut transaction, partition, last).await?;
            metrics::counter!("apex_projection_events_total", "projection" => self.projection.name())
                .increment(fresh.len() as u64);
        }
        fail::fail_point!("projection_folded");
        transaction.commit().await?;
        fail::fail_point!("projection_committed");
        Ok(())
    }

    /// Applies what the log has of a partition up to a position and is not applied yet: where Kafka does not have it.
    ///
    /// # Errors
    /// [`PartitionedError`]; what is applied by then stays so.
    pub async fn fill(&self, partition: &TopicPartition, to: Position) -> Result<(), PartitionedError> {
        let mut transaction = self.pool.begin().await?;
        let mut checkpoint = self.lock(&mut transaction, partition).await?.checkpoint;
        transaction.commit().await?;
        let filter = ReadFilter { category: Some(category_of(&partition.topic).to_owned()), ..ReadFilter::default() };
        let mut pages: Pages = self.log.pages(checkpoint, filter.clone(), PAGE_EVENTS);
        while checkpoint < to {
            let page = pages.next_page().await?.unwrap_or_default();
            // Behind the last page there is nothing up to the position that was asked for.
            let through = page.last().map_or(to, |last| last.position).min(to);
            let mut transaction = self.pool.begin().await?;
            let held = self.lock(&mut transaction, partition).await?;
            if held.checkpoint < checkpoint {
                // Other tables, which have less.
                transaction.commit().await?;
                checkpoint = held.checkpoint;
                pages = self.log.pages(checkpoint, filter.clone(), PAGE_EVENTS);
                continue;
            }
            checkpoint = held.checkpoint;
            let missing: Vec<_> = page
                .into_iter()
                .filter(|event| event.position > checkpoint && event.position <= through)
                .filter(|event| self.number(&partition.topic, event.stream.id) == partition.number)
                .map(Arc::new)
                .collect();
            self.write(&mut transaction, &missing).await?;
            checkpoint = checkpoint.max(through);
            self.advance(&mut transaction, partition, checkpoint).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Moves the projection's checkpoint to where everything before is applied; returns the event that keeps it from
    /// moving on. Nothing happens where another worker is at it.
    ///
    /// # Errors
    /// [`PartitionedError`].
    pub async fn settle(&self) -> Result<Option<Awaited>, PartitionedError> {
        let name = self.projection.name();
        let mut transaction = self.pool.begin().await?;
        let find = "select position from apex.checkpoints where name = $1 and source = 'kafka'
                    for no key update skip locked";
        let from: Option<i64> = sqlx::query_scalar(find).bind(name).fetch_optional(&mut *transaction).await?;
        let Some(from) = from else { return Ok(None) };
        let head: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(&mut *transaction).await?;
        let rows: Vec<(String, i32, i64)> =
            sqlx::query_as("select topic, partition, position from apex.partition_checkpoints where projection = $1")
                .bind(name)
                .fetch_all(&mut *transaction)
                .await?;
        let applied: HashMap<_, _> =
            rows.iter().map(|(topic, number, position)| ((&**topic, *number), *position)).collect();
        let events: Vec<(i64, String, Uuid)> = sqlx::query_as(
            "select position, category, stream_id from apex.events
             where position > $1 and position <= $2 and category = any ($3) order by position limit $4",
        )
        .bind(from)
        .bind(head)
        .bind(self.projection.categories())
        .bind(SETTLE_EVENTS)
        .fetch_all(&mut *transaction)
        .await?;
        let place = |category: &str, stream: Uuid| {
            let (topic, _) = self.partitions.iter().find(|(topic, _)| category_of(topic) == category)?;
            Some(TopicPartition { topic: topic.clone(), number: self.number(topic, stream) })
        };
        let missing = events.iter().find_map(|(position, category, stream)| {
            let partition = place(category, *stream);
            let reached = partition.as_ref().and_then(|partition| applied.get(&(&*partition.topic, partition.number)));
            reached.is_none_or(|reached| position > reached).then_some((*position, partition))
        });
        let is_all = i64::try_from(events.len()).is_ok_and(|found| found < SETTLE_EVENTS);
        let to = match &missing {
            Some((position, _)) => position - 1,
            None if is_all => head,
            None => events.last().map_or(from, |(position, ..)| *position),
        };
        if to > from {
            sqlx::query("update apex.checkpoints set position = $2, updated_at = now() where name = $1")
                .bind(name)
                .bind(to)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(missing.and_then(|(position, partition)| {
            Some(Awaited { partition: partition?, position: Position::from_i64(position) })
        }))
    }

    /// The checkpoint of a partition, held for this transaction: what is applied of it, by whatever way. Holds off
    /// whoever rebuilds the projection, too.
    async fn lock(&self, connection: &mut PgConnection, partition: &TopicPartition) -> Result<Held, PartitionedError> {
        let name = self.projection.name();
        enter(connection, Slot::Live, Some(TURN)).await?;
        let of_all: Option<(i64, Option<i32>)> = sqlx::query_as(
            "select position, version from apex.checkpoints where name = $1 and source = 'kafka' for key share",
        )
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
        let (of_all, version) = of_all.ok_or(PartitionedError::FedFromLog(name))?;
        let code = self.projection.version();
        if let Some(live) = version.filter(|live| *live != code) {
            return Err(PartitionedError::OtherVersion { projection: name, live, code });
        }
        let found = self.count(&partition.topic);
        let made =
            sqlx::query("insert into apex.partition_checkpoints values ($1, $2, $3, $4, $5) on conflict do nothing")
                .bind(name)
                .bind(&*partition.topic)
                .bind(partition.number)
                .bind(found)
                .bind(of_all)
                .execute(&mut *connection)
                .await?;
        let position: i64 = sqlx::query_scalar(
            "select position from apex.partition_checkpoints
             where projection = $1 and topic = $2 and partition = $3 for update",
        )
        .bind(name)
        .bind(&*partition.topic)
        .bind(partition.number)
        .fetch_one(&mut *connection)
        .await?;
        // Of the whole topic: a partition that was added has no row that could tell.
        let other: Option<i32> = sqlx::query_scalar(
            "select partitions from apex.partition_checkpoints
             where projection = $1 and topic = $2 and partitions <> $3 limit 1",
        )
        .bind(name)
        .bind(&*partition.topic)
        .bind(found)
        .fetch_optional(connection)
        .await?;
        if let Some(known) = other {
            let topic = partition.topic.clone();
            return Err(PartitionedError::OtherPartitions { projection: name, topic, found, known });
        }
        let checkpoint = Position::from_i64(position.max(of_all));
        Ok(Held { checkpoint, is_new: made.rows_affected() == 1 })
    }

    /// The topic has partitions that this worker did not find when it began.
    fn other_partitions(&self, topic: &Arc<str>, at_least: i32) -> PartitionedError {
        let known = self.count(topic);
        let (projection, topic) = (self.projection.name(), topic.clone());
        PartitionedError::OtherPartitions { projection, topic, found: at_least.max(known), known }
    }

    async fn write(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let target = Target { projection: self.projection, slot: Slot::Live, part: 0 };
        apply_batch(&target, connection, &decode(&target, events)).await
    }

    async fn advance(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
        to: Position,
    ) -> Result<(), PartitionedError> {
        sqlx::query(
            "update apex.partition_checkpoints set position = $4
             where projection = $1 and topic = $2 and partition = $3",
        )
        .bind(self.projection.name())
        .bind(&*partition.topic)
        .bind(partition.number)
        .bind(to.as_i64())
        .execute(connection)
        .await?;
        Ok(())
    }

    fn number(&self, topic: &Arc<str>, stream: Uuid) -> i32 {
        partition_of(stream, self.count(topic))
    }

    /// How many partitions the topic has, as far as this worker knows.
    fn count(&self, topic: &Arc<str>) -> i32 {
        self.partitions.get(topic).copied().unwrap_or(1)
    }
}

/// The checkpoint of a partition, as a transaction holds it.
struct Held {
    checkpoint: Position,
    /// Nobody had one before.
    is_new: bool,
}

/// How far the partitions of a projection are that is fed from Kafka; some may be ahead of its own checkpoint.
pub(crate) struct Ahead(HashMap<String, (i32, HashMap<i32, Position>)>);

impl Ahead {
    pub(crate) async fn of(connection: &mut PgConnection, projection: &str) -> Result<Self, sqlx::Error> {
        let rows: Vec<(String, i32, i32, i64)> = sqlx::query_as(
            "select topic, partitions, partition, position from apex.partition_checkpoints where projection = $1",
        )
        .bind(projection)
        .fetch_all(connection)
        .await?;
        let mut topics: HashMap<String, (i32, HashMap<i32, Position>)> = HashMap::new();
        for (topic, count, number, position) in rows {
            let of_topic = topics.entry(category_of(&topic).to_owned()).or_default();
            of_topic.0 = count;
            of_topic.1.insert(number, Position::from_i64(position));
        }
        Ok(Self(topics))
    }

    /// Whether the partition of an event has applied it.
    pub(crate) fn has(&self, event: &RecordedEvent) -> bool {
        let Some((count, reached)) = self.0.get(&*event.stream.category) else { return false };
        reached.get(&partition_of(event.stream.id, *count)).is_some_and(|position| event.position <= *position)
    }

    /// The furthest position of any.
    pub(crate) fn furthest(&self) -> Option<Position> {
        self.0.values().flat_map(|(_, reached)| reached.values()).copied().max()
    }
}

/// The category that a topic holds: what is behind the last point of its name.
fn category_of(topic: &str) -> &str {
    topic.rsplit('.').next().unwrap_or(topic)
}

/// Gives a projection back to the workers that feed it from the log: what some partitions lack is applied first.
///
/// # Errors
/// [`PartitionedError`]; Kafka's workers can go on then, and this can be tried again.
pub async fn give_back(projection: &'static dyn Projection, pool: &PgPool, log: &Log) -> Result<(), PartitionedError> {
    let name = projection.name();
    let source: Option<String> = sqlx::query_scalar("select source from apex.checkpoints where name = $1")
        .bind(name)
        .fetch_optional(pool)
        .await?;
    if source.as_deref() != Some("kafka") {
        return Ok(());
    }
    let rows: Vec<(String, i32)> =
        sqlx::query_as("select distinct topic, partitions from apex.partition_checkpoints where projection = $1")
            .bind(name)
            .fetch_all(pool)
            .await?;
    let partitions = rows.into_iter().map(|(topic, count)| (topic.into(), count)).collect();
    let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions };
    while !feed.hand_over().await? {}
    Ok(())
}

impl PartitionedFeed {
    /// Applies what partitions lack, and gives the projection to the log if that leaves none ahead of the others.
    async fn hand_over(&self) -> Result<bool, PartitionedError> {
        let (name, head) = (self.projection.name(), self.log.head().await?);
        for (topic, count) in &self.partitions {
            for number in 0..*count {
                self.fill(&TopicPartition { topic: topic.clone(), number }, head).await?;
            }
        }
        self.settle().await?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("select from apex.checkpoints where name = $1 for update")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        let given = sqlx::query(
            "update apex.checkpoints c set source = 'log' where name = $1 and not exists (
                 select from apex.partition_checkpoints p where p.projection = c.name and p.position > c.position)",
        )
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        if given.rows_affected() == 1 {
            sqlx::query("delete from apex.partition_checkpoints where projection = $1")
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(given.rows_affected() == 1)
    }
}
