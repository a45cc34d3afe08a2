//! Feeding a projection from Kafka, partition by partition.
//!
//! A topic holds a category, and a partition of it the streams whose ids have a certain hash. What Kafka keeps is the
//! order within a partition, and so within a stream; the order of the log as a whole is lost. So only projections that
//! need no more than that can be fed so, and the checkpoint is a position of the log for each partition. Into how many
//! parts the workers of the log divide the projection is of no concern here.
//!
//! Kafka is never believed to be complete. Where an event does not follow what this worker had before it, what lies
//! between the checkpoint and the event is read from the log. Where it does, offsets without gaps prove that nothing
//! does. What is at or before the checkpoint is a repetition and is dropped.
//!
//! The checkpoint of a partition moves in the transaction that changes the tables. [`PartitionedFeed::settle`] moves the
//! projection's own checkpoints up to the position before which everything is applied, so that queries that wait for a
//! position, archiving and status work as ever.

use crate::batch::{apply_batch, decode};
use crate::projection::{ApplyError, Projection, Slot, Target};
use crate::reach::Reach;
use crate::runtime::{TURN, enter, make_checkpoints};
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
    /// The number of partitions changed, or it is another topic.
    #[error(
        "projection {projection} was fed from topic {known_topic} with {known} partitions, and not from topic {topic} \
         with {found}: streams have moved between partitions; give it back to the log with `apex worker --source log`, \
         then feed it from Kafka again"
    )]
    OtherPartitions {
        /// Which projection.
        projection: &'static str,
        /// Which topic.
        topic: Arc<str>,
        /// How many partitions it has, as far as this worker has found.
        found: i32,
        /// Which topic it was.
        known_topic: String,
        /// How many partitions that had.
        known: i32,
    },
    /// A stream is not in the partition that it belongs to.
    #[error(
        "partition {} of topic {} has a stream that belongs to partition {belongs} of {partitions}, which is how many \
         there were when this worker began; if partitions were added, give projection {projection} back to the log with \
         `apex worker --source log`, then feed it from Kafka again", partition.number, partition.topic
    )]
    Misplaced {
        /// Which projection.
        projection: &'static str,
        /// Where the stream is.
        partition: TopicPartition,
        /// Where it belongs.
        belongs: i32,
        /// How many partitions the topic has, as far as this worker knows.
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
    /// [`PartitionedError::NeedsLogOrder`] where that cannot be, and the database's.
    pub async fn take_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        if self.projection.needs_log_order() {
            return Err(PartitionedError::NeedsLogOrder(name));
        }
        let mut transaction = self.pool.begin().await?;
        make_checkpoints(&mut transaction, &self.target()).await?;
        sqlx::query("update apex.checkpoints set source = 'kafka' where follower = $1 and source <> 'kafka'")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
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
        let belongs = |event: &Arc<RecordedEvent>| self.number(&partition.topic, event.stream.id);
        if let Some(other) = events.iter().map(belongs).find(|belongs| *belongs != partition.number) {
            return Err(self.misplaced(partition, other));
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
                if !held.reach.has(event) {
                    fresh.push(event.clone());
                }
            }
        }
        if last > held.checkpoint {
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
                .filter(|event| event.position > checkpoint && event.position <= through && !held.reach.has(event))
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

    /// Moves the projection's checkpoints to where everything before is applied; returns the event that keeps them from
    /// moving on. Nothing happens where another worker is at it.
    ///
    /// # Errors
    /// [`PartitionedError`].
    pub async fn settle(&self) -> Result<Option<Awaited>, PartitionedError> {
        let name = self.projection.name();
        let mut transaction = self.pool.begin().await?;
        let is_free: Option<bool> = sqlx::query_scalar(
            "select true from (select from apex.checkpoints where follower = $1 and source = 'kafka'
                               for no key update skip locked) as free
             having count(*) = (select count(*) from apex.checkpoints where follower = $1)",
        )
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?;
        if is_free.is_none() {
            return Ok(None);
        }
        let reach = Reach::of(&mut transaction, name).await?;
        let from = reach.least().as_i64();
        let head: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(&mut *transaction).await?;
        let events: Vec<(i64, String, String, Uuid)> = sqlx::query_as(
            "select position, tenant_id, category, stream_id from apex.events
             where position > $1 and position <= $2 and category = any ($3) order by position limit $4",
        )
        .bind(from)
        .bind(head)
        .bind(self.projection.categories())
        .bind(SETTLE_EVENTS)
        .fetch_all(&mut *transaction)
        .await?;
        let missing = events.iter().find(|(position, tenant, category, stream)| {
            !reach.has_at(tenant, category, *stream, Position::from_i64(*position))
        });
        let is_all = i64::try_from(events.len()).is_ok_and(|found| found < SETTLE_EVENTS);
        let to = match missing {
            Some((position, ..)) => position - 1,
            None if is_all => head,
            None => events.last().map_or(from, |(position, ..)| *position),
        };
        if to > from {
            sqlx::query(
                "update apex.checkpoints set position = greatest(position, $2), updated_at = now() where follower = $1",
            )
            .bind(name)
            .bind(to)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(missing.and_then(|(position, _, category, stream)| {
            let (topic, _) = self.partitions.iter().find(|(topic, _)| category_of(topic) == category)?;
            let partition = TopicPartition { topic: topic.clone(), number: self.number(topic, *stream) };
            Some(Awaited { partition, position: Position::from_i64(*position) })
        }))
    }

    /// The checkpoint of a partition, held for this transaction. Holds off whoever switches to other tables, too.
    async fn lock(&self, connection: &mut PgConnection, partition: &TopicPartition) -> Result<Held, PartitionedError> {
        let name = self.projection.name();
        enter(connection, Slot::Live, Some(TURN)).await?;
        let versions: Vec<Option<i32>> = sqlx::query_scalar(
            "select version from apex.checkpoints where follower = $1 and source = 'kafka' for key share",
        )
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
        if versions.is_empty() {
            return Err(PartitionedError::FedFromLog(name));
        }
        let code = self.projection.version();
        if let Some(live) = versions.into_iter().flatten().find(|live| *live != code) {
            return Err(PartitionedError::OtherVersion { projection: name, live, code });
        }
        let (topic, category) = (&partition.topic, category_of(&partition.topic));
        let found = self.count(topic);
        let made = sqlx::query(
            "insert into apex.partition_checkpoints (projection, category, partition, topic, partitions, position)
             select $1, $2, $3, $4, $5, min(position) from apex.checkpoints where follower = $1
             on conflict do nothing",
        )
        .bind(name)
        .bind(category)
        .bind(partition.number)
        .bind(&**topic)
        .bind(found)
        .execute(&mut *connection)
        .await?;
        let position: i64 = sqlx::query_scalar(
            "select position from apex.partition_checkpoints
             where projection = $1 and category = $2 and partition = $3 for update",
        )
        .bind(name)
        .bind(category)
        .bind(partition.number)
        .fetch_one(&mut *connection)
        .await?;
        // Of the whole topic: a partition that was added has no row that could tell.
        let reach = Reach::of(connection, name).await?;
        if let Some(other) = self.other(&reach, topic, found) {
            return Err(other);
        }
        let checkpoint = Position::from_i64(position).max(reach.least());
        Ok(Held { checkpoint, is_new: made.rows_affected() == 1, reach })
    }

    /// What is wrong where the category was fed from another topic, or from one with another number of partitions.
    fn other(&self, reach: &Reach, topic: &Arc<str>, found: i32) -> Option<PartitionedError> {
        let is_other = |known: &&crate::reach::Topic| {
            known.category == category_of(topic) && (known.name != **topic || known.partitions != found)
        };
        let known = reach.topics().iter().find(is_other)?;
        let (projection, known_topic) = (self.projection.name(), known.name.clone());
        Some(PartitionedError::OtherPartitions {
            projection,
            topic: topic.clone(),
            found,
            known_topic,
            known: known.partitions,
        })
    }

    fn misplaced(&self, partition: &TopicPartition, belongs: i32) -> PartitionedError {
        let (projection, partitions) = (self.projection.name(), self.count(&partition.topic));
        PartitionedError::Misplaced { projection, partition: partition.clone(), belongs, partitions }
    }

    async fn write(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let target = self.target();
        apply_batch(&target, connection, &decode(events, |event| target.wants(event))).await
    }

    async fn advance(
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

    fn target(&self) -> Target {
        Target { projection: self.projection, slot: Slot::Live }
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
    /// What is applied, by whatever way.
    reach: Reach,
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
    let is_fed: bool =
        sqlx::query_scalar("select exists (select from apex.checkpoints where follower = $1 and source = 'kafka')")
            .bind(name)
            .fetch_one(pool)
            .await?;
    if !is_fed {
        return Ok(());
    }
    let mut connection = pool.acquire().await?;
    let reach = Reach::of(&mut connection, name).await?;
    drop(connection);
    let partitions = reach.topics().iter().map(|topic| (topic.name.as_str().into(), topic.partitions)).collect();
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
        sqlx::query("select from apex.checkpoints where follower = $1 order by name for update")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        let given = sqlx::query(
            "update apex.checkpoints set source = 'log' where follower = $1 and not exists (
                 select from apex.partition_checkpoints where projection = $1 and position > (
                     select min(position) from apex.checkpoints where follower = $1))",
        )
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        if given.rows_affected() > 0 {
            sqlx::query("delete from apex.partition_checkpoints where projection = $1")
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(given.rows_affected() > 0)
    }
}
