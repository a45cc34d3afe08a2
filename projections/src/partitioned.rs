//! Feeding a projection from Kafka, partition by partition.
//!
//! A topic holds a category, and a partition of it the streams whose ids have a certain hash. What Kafka keeps is the
//! order within a partition, and so within a stream; the order of the log as a whole is lost. So only projections that
//! need no more than that can be fed so, and the checkpoint is a position of the log for each partition. Into how many
//! parts the workers of the log divide the projection is of no concern here.
//!
//! Kafka is never believed to be complete, nor the worker's own memory. Offsets without gaps prove that nothing lies
//! between what a worker had and what it gets next; that it was applied, and still is, the checkpoint alone says: a server
//! that crashed may have lost it, or somebody put other tables in its place. Whatever lies between the checkpoint and
//! what the events follow is read from the log. What is at or before the checkpoint is a repetition and is dropped.
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
use std::time::Duration;
use streams::relay::partition_of;
use streams::{Log, Pages, Position, ReadError, ReadFilter, RecordedEvent, TopicPartition};
use thiserror::Error;
use uuid::Uuid;

/// Events that are read from the log at once, and ids that are looked at.
const PAGE_EVENTS: usize = 1000;
const SETTLE_EVENTS: i64 = 20_000;
/// The pause before a projection that could not be given back is tried again.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(100);

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
        loop {
            let mut transaction = self.pool.begin().await?;
            enter(&mut transaction, Slot::Live, Some(TURN)).await?;
            make_checkpoints(&mut transaction, &self.target()).await?;
            lock_sources(&mut transaction, name).await?;
            // A switch that this waited for has put in others, which only the next statement sees.
            let taken = sqlx::query("update apex.checkpoints set source = 'kafka' where follower = $1")
                .bind(name)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            if taken.rows_affected() > 0 {
                return Ok(());
            }
        }
    }

    /// Applies what Kafka delivered of a partition, whatever of it was delivered before. Nothing of the partition lies
    /// between the events up to `after` and the first of these; none says that nobody can tell what does.
    ///
    /// # Errors
    /// [`PartitionedError`]; nothing of the batch is applied then, and it can be handed in again.
    pub async fn apply(
        &self,
        partition: &TopicPartition,
        after: Option<Position>,
        events: &[Arc<RecordedEvent>],
    ) -> Result<(), PartitionedError> {
        let Some(first) = events.first() else { return Ok(()) };
        let belongs = |event: &Arc<RecordedEvent>| self.number(&partition.topic, event.stream.id);
        if let Some(other) = events.iter().map(belongs).find(|belongs| *belongs != partition.number) {
            return Err(self.misplaced(partition, other));
        }
        let needed = after.unwrap_or_else(|| Position::from(first.position.get().saturating_sub(1)));
        let (mut transaction, held) = loop {
            let mut transaction = self.pool.begin().await?;
            let held = self.lock(&mut transaction, partition).await?;
            if held.checkpoint >= needed {
                break (transaction, held);
            }
            transaction.rollback().await?;
            self.fill(partition, needed).await?;
        };
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

    /// Applies all that the log has and that is not applied yet: where Kafka is away.
    ///
    /// # Errors
    /// [`PartitionedError`]; what is applied by then stays so.
    pub async fn fill_all(&self) -> Result<(), PartitionedError> {
        let head = self.log.head().await?;
        for (topic, count) in &self.partitions {
            for number in 0..*count {
                self.fill(&TopicPartition { topic: topic.clone(), number }, head).await?;
            }
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
        enter(&mut transaction, Slot::Live, Some(TURN)).await?;
        let is_free: Option<bool> = sqlx::query_scalar(
            "select true from (select from apex.checkpoints where follower = $1 and source = 'kafka' order by name
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
        let from = reach.least();
        let (events, through) = self.events_after(&mut transaction, from).await?;
        let missing = events.iter().find(|(position, tenant, category, stream)| {
            !reach.has_at(tenant, category, *stream, Position::from_i64(*position))
        });
        let to = missing.map_or(through.as_i64(), |(position, ..)| position - 1);
        if to > from.as_i64() {
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

    /// Where the events after a position belong, as many as are looked at, and up to where these are all.
    async fn events_after(
        &self,
        connection: &mut PgConnection,
        from: Position,
    ) -> Result<(Vec<Place>, Position), PartitionedError> {
        let (head, archived): (i64, i64) = sqlx::query_as(
            "select position, coalesce((select max(last_position) from apex.archives), 0) from apex.head",
        )
        .fetch_one(&mut *connection)
        .await?;
        let categories = self.projection.categories();
        if from.as_i64() < archived {
            let page = self.log.read_after(from, &ReadFilter::default(), PAGE_EVENTS).await?;
            let through = page.last().map_or(from, |last| last.position);
            let wanted = page.into_iter().filter(|event| categories.contains(&&*event.stream.category));
            let place = |event: RecordedEvent| {
                let stream = event.stream;
                (event.position.as_i64(), stream.tenant.to_string(), stream.category.to_string(), stream.id)
            };
            return Ok((wanted.map(place).collect(), through));
        }
        let places: Vec<Place> = sqlx::query_as(
            "select position, tenant_id, category, stream_id from apex.events
             where position > $1 and position <= $2 and category = any ($3) order by position limit $4",
        )
        .bind(from.as_i64())
        .bind(head)
        .bind(categories)
        .bind(SETTLE_EVENTS)
        .fetch_all(connection)
        .await?;
        let is_all = i64::try_from(places.len()).is_ok_and(|found| found < SETTLE_EVENTS);
        let last = places.last().map_or(from.as_i64(), |(position, ..)| *position);
        Ok((places, Position::from_i64(if is_all { head } else { last })))
    }

    /// The checkpoint of a partition, held for this transaction. Holds off whoever switches to other tables, too.
    async fn lock(&self, connection: &mut PgConnection, partition: &TopicPartition) -> Result<Held, PartitionedError> {
        let name = self.projection.name();
        enter(connection, Slot::Live, Some(TURN)).await?;
        let held = "select version from apex.checkpoints where follower = $1 and source = 'kafka' order by name
                    for key share";
        let mut versions: Vec<Option<i32>> = vec![];
        while versions.is_empty() {
            if !is_fed_from_kafka(connection, name).await? {
                return Err(PartitionedError::FedFromLog(name));
            }
            // A switch that this waited for has put in others, which only the next statement sees.
            versions = sqlx::query_scalar(held).bind(name).fetch_all(&mut *connection).await?;
        }
        let code = self.projection.version();
        if let Some(live) = versions.into_iter().flatten().find(|live| *live != code) {
            return Err(PartitionedError::OtherVersion { projection: name, live, code });
        }
        let (topic, category) = (&partition.topic, category_of(&partition.topic));
        let found = self.count(topic);
        sqlx::query(
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
        Ok(Held { checkpoint, reach })
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

/// An event's position, tenant, category and stream.
type Place = (i64, String, String, Uuid);

/// The checkpoint of a partition, as a transaction holds it.
struct Held {
    checkpoint: Position,
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
    while is_fed_from_kafka(&mut *pool.acquire().await?, projection.name()).await? {
        // Anew each time: workers that still feed it may begin with partitions that had no checkpoint.
        let reach = Reach::of(&mut *pool.acquire().await?, projection.name()).await?;
        let topics = reach.topics().iter().map(|topic| (topic.name.as_str().into(), topic.partitions));
        let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions: topics.collect() };
        match feed.hand_over().await {
            // Somebody else was faster.
            Ok(()) | Err(PartitionedError::FedFromLog(_)) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(HAND_OVER_PAUSE).await;
    }
    Ok(())
}

async fn is_fed_from_kafka(connection: &mut PgConnection, projection: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from apex.checkpoints where follower = $1 and source = 'kafka')")
        .bind(projection)
        .fetch_one(connection)
        .await
}

/// Takes the checkpoints of all parts, to say who feeds them.
async fn lock_sources(connection: &mut PgConnection, projection: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select from apex.checkpoints where follower = $1 order by name for update")
        .bind(projection)
        .execute(connection)
        .await?;
    Ok(())
}

impl PartitionedFeed {
    /// Applies what partitions lack, and gives the projection to the log if that leaves none ahead of the others.
    async fn hand_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        self.fill_all().await?;
        self.settle().await?;
        let mut transaction = self.pool.begin().await?;
        enter(&mut transaction, Slot::Live, Some(TURN)).await?;
        lock_sources(&mut transaction, name).await?;
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
        Ok(())
    }
}
