//! Feeding a projection from Kafka, partition by partition.
//!
//! A topic holds a category, and a partition of it the streams whose ids have a certain hash. What Kafka keeps is the
//! order within a partition, and so within a stream; the order of the log as a whole is lost. So only projections that
//! need no more than that can be fed so, and the checkpoint is a position of the log for each partition. Into how many
//! shards the workers of the log divide the projection is of no concern here.
//!
//! Kafka brings payloads and no more: which events a partition has up to a position, the log says, before they are
//! applied. What Kafka did not bring of them is read from the log. What it brings beside them is left out: repetitions,
//! streams that belong elsewhere, messages of another log. So no loss on the side of Kafka, and no memory of a worker, can
//! make a checkpoint pass over an event.
//!
//! The checkpoint of a partition moves in the transaction that changes the tables. [`PartitionedFeed::advance_low_watermark`] moves the
//! projection's own checkpoints up to the position before which everything is applied, so that queries that wait for a
//! position, archiving and status work as ever.

use crate::batch::{apply_batch, apply_log, decode};
use crate::progress::Progress;
use crate::projection::{ApplyError, Projection, Slot, Target};
use crate::runtime::{
    IDLE_IN_TRANSACTION_TIMEOUT, create_checkpoints, lock_feed_exclusive, lock_feed_shared, set_search_path,
    use_async_commit,
};
use crate::transaction;
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
/// Positions between a checkpoint and a batch at which the log is read rather than asked what is due.
const MAX_DUE: u64 = 200_000;

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
    /// The topic had fewer partitions when this worker began.
    #[error(
        "topic {} has a partition {} and had {partitions} when this worker began: give projection {projection} back to \
         the log with `apex worker --source log`, then feed it from Kafka again", partition.topic, partition.number
    )]
    AddedPartition {
        /// Which projection.
        projection: &'static str,
        /// The partition that there was not.
        partition: TopicPartition,
        /// How many there were.
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
pub struct MissingEvent {
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
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        lock_feed_exclusive(&mut transaction, name).await?;
        create_checkpoints(&mut transaction, &self.target()).await?;
        let versions: Vec<Option<i32>> =
            sqlx::query_scalar("select version from apex.checkpoints where follower = $1 order by name for update")
                .bind(name)
                .fetch_all(&mut *transaction)
                .await?;
        self.check_version(versions)?;
        sqlx::query("update apex.checkpoints set source = 'kafka' where follower = $1 and source <> 'kafka'")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction::commit(transaction).await?;
        Ok(())
    }

    /// Applies what Kafka delivered of a partition, whatever of it was delivered before, and whatever is missing.
    ///
    /// # Errors
    /// [`PartitionedError`]; nothing of the batch is applied then, and it can be handed in again.
    pub async fn apply(
        &self,
        partition: &TopicPartition,
        events: &[Arc<RecordedEvent>],
    ) -> Result<(), PartitionedError> {
        let Some(last) = events.iter().map(|event| event.position).max() else { return Ok(()) };
        let partitions = self.count(&partition.topic);
        if partition.number >= partitions {
            let (projection, partition) = (self.projection.name(), partition.clone());
            return Err(PartitionedError::AddedPartition { projection, partition, partitions });
        }
        let mut transaction = transaction::begin(&self.pool).await?;
        let held = self.lock(&mut transaction, partition).await?;
        if last <= held.checkpoint {
            return Ok(transaction.rollback().await?);
        }
        let brought: HashMap<_, _> = events.iter().map(|event| ((event.position, event.event_id), event)).collect();
        let due = self.due(&mut transaction, partition, &held, last).await?;
        let fresh = due.as_ref().and_then(|due| {
            due.events.iter().map(|due| brought.get(due).map(|event| Arc::clone(event))).collect::<Option<Vec<_>>>()
        });
        let (Some(due), Some(fresh)) = (due, fresh) else {
            transaction.rollback().await?;
            return self.fill(partition, last).await;
        };
        self.write(&mut transaction, &fresh).await?;
        self.advance(&mut transaction, partition, due.through).await?;
        metrics::counter!("apex_projection_events_total", "projection" => self.projection.name())
            .increment(fresh.len() as u64);
        fail::fail_point!("projection_folded");
        transaction::commit(transaction).await?;
        fail::fail_point!("projection_committed");
        Ok(())
    }

    /// What the log has of a partition up to a position and is not applied yet; none where that is better read as a
    /// whole.
    async fn due(
        &self,
        connection: &mut PgConnection,
        partition: &TopicPartition,
        held: &Held,
        to: Position,
    ) -> Result<Option<Due>, PartitionedError> {
        let (head, archived) = ends(connection).await?;
        let (from, through) = (held.checkpoint, to.min(head));
        if from < archived || through.get().saturating_sub(from.get()) > MAX_DUE {
            return Ok(None);
        }
        let rows: Vec<(i64, Uuid, String, Uuid)> = sqlx::query_as(
            "select position, event_id, tenant_id, stream_id from apex.events
             where position > $1 and position <= $2 and category = $3 order by position",
        )
        .bind(from.as_i64())
        .bind(through.as_i64())
        .bind(category_of(&partition.topic))
        .fetch_all(connection)
        .await?;
        let is_due = |(position, _, tenant, stream): &(i64, Uuid, String, Uuid)| {
            let (category, position) = (category_of(&partition.topic), Position::from_i64(*position));
            self.number(&partition.topic, *stream) == partition.number
                && !held.reach.has_at(tenant, category, *stream, position)
        };
        let due = rows.into_iter().filter(is_due);
        let events = due.map(|(position, event_id, ..)| (Position::from_i64(position), event_id)).collect();
        Ok(Some(Due { events, through }))
    }

    /// Applies what the log has of a partition up to a position and is not applied yet: where Kafka does not have it.
    ///
    /// # Errors
    /// [`PartitionedError`]; what is applied by then stays so.
    pub async fn fill(&self, partition: &TopicPartition, to: Position) -> Result<(), PartitionedError> {
        let to = to.min(self.log.head().await?);
        let mut transaction = transaction::begin(&self.pool).await?;
        let mut checkpoint = self.lock(&mut transaction, partition).await?.checkpoint;
        transaction::commit(transaction).await?;
        let filter = ReadFilter { category: Some(category_of(&partition.topic).to_owned()), ..ReadFilter::default() };
        let mut pages: Pages = self.log.pages(checkpoint, filter.clone(), PAGE_EVENTS);
        while checkpoint < to {
            let page = pages.next_page().await?.unwrap_or_default();
            // Behind the last page there is nothing up to the position that was asked for.
            let through = page.last().map_or(to, |last| last.position).min(to);
            let mut transaction = transaction::begin(&self.pool).await?;
            let held = self.lock(&mut transaction, partition).await?;
            if held.checkpoint < checkpoint {
                // Other tables, which have less.
                transaction::commit(transaction).await?;
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
            transaction::commit(transaction).await?;
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
    /// moving on. Nothing happens where somebody else feeds it.
    ///
    /// # Errors
    /// [`PartitionedError`].
    pub async fn advance_low_watermark(&self) -> Result<Option<MissingEvent>, PartitionedError> {
        let name = self.projection.name();
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        let held = "select from apex.checkpoints where follower = $1 and source = 'kafka' order by name
                    for no key update";
        sqlx::query(held).bind(name).execute(&mut *transaction).await?;
        let reach = Progress::of(&mut transaction, name).await?;
        if reach.version.is_some_and(|live| live != self.projection.version()) {
            // What other code wants, this one does not know.
            return Ok(None);
        }
        let from = reach.low_watermark();
        let (events, through) = self.events_after(&mut transaction, from).await?;
        let missing = events.iter().find(|(position, tenant, category, stream)| {
            !reach.has_at(tenant, category, *stream, Position::from_i64(*position))
        });
        let to = missing.map_or(through.as_i64(), |(position, ..)| position - 1);
        if to > from.as_i64() {
            sqlx::query(
                "update apex.checkpoints set position = greatest(position, $2), updated_at = now()
                 where follower = $1 and source = 'kafka'",
            )
            .bind(name)
            .bind(to)
            .execute(&mut *transaction)
            .await?;
        }
        transaction::commit(transaction).await?;
        Ok(missing.and_then(|(position, _, category, stream)| {
            let (topic, _) = self.partitions.iter().find(|(topic, _)| category_of(topic) == category)?;
            let partition = TopicPartition { topic: topic.clone(), number: self.number(topic, *stream) };
            Some(MissingEvent { partition, position: Position::from_i64(*position) })
        }))
    }

    /// Where the events after a position belong, as many as are looked at, and up to where these are all.
    async fn events_after(
        &self,
        connection: &mut PgConnection,
        from: Position,
    ) -> Result<(Vec<Place>, Position), PartitionedError> {
        let (head, archived) = ends(connection).await?;
        let categories = self.projection.categories();
        if from < archived {
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
        .bind(head.as_i64())
        .bind(categories)
        .bind(SETTLE_EVENTS)
        .fetch_all(connection)
        .await?;
        let is_all = i64::try_from(places.len()).is_ok_and(|found| found < SETTLE_EVENTS);
        let last = places.last().map_or(from, |(position, ..)| Position::from_i64(*position));
        Ok((places, if is_all { head } else { last }))
    }

    /// The checkpoint of a partition, held for this transaction. Holds off whoever switches to other tables, too.
    async fn lock(&self, connection: &mut PgConnection, partition: &TopicPartition) -> Result<Held, PartitionedError> {
        let name = self.projection.name();
        set_search_path(connection, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        use_async_commit(connection).await?;
        lock_feed_shared(connection, name).await?;
        let held = "select version from apex.checkpoints where follower = $1 and source = 'kafka' order by name
                    for key share";
        let versions: Vec<Option<i32>> = sqlx::query_scalar(held).bind(name).fetch_all(&mut *connection).await?;
        if versions.is_empty() {
            return Err(PartitionedError::FedFromLog(name));
        }
        self.check_version(versions)?;
        let (topic, category) = (&partition.topic, category_of(&partition.topic));
        let found = self.count(topic);
        let take = "select position from apex.partition_checkpoints
                    where projection = $1 and category = $2 and partition = $3 for update";
        let taken = || sqlx::query_scalar(take).bind(name).bind(category).bind(partition.number);
        let mut position: Option<i64> = taken().fetch_optional(&mut *connection).await?;
        if position.is_none() {
            // Those of all partitions: of two workers that know of other numbers of them, the second finds the first's.
            sqlx::query(
                "insert into apex.partition_checkpoints (projection, category, partition, topic, partitions, position)
                 select $1, $2, number, $3, $4, (select min(position) from apex.checkpoints where follower = $1)
                 from generate_series(0, $4 - 1) as number on conflict do nothing",
            )
            .bind(name)
            .bind(category)
            .bind(&**topic)
            .bind(found)
            .execute(&mut *connection)
            .await?;
            position = taken().fetch_optional(&mut *connection).await?;
        }
        // Of the whole topic: a partition that was added has no row that could tell.
        let reach = Progress::of(connection, name).await?;
        if let Some(other) = self.other(&reach, topic, found) {
            return Err(other);
        }
        let checkpoint = position.map_or(Position::ZERO, Position::from_i64).max(reach.low_watermark());
        Ok(Held { checkpoint, reach })
    }

    /// What is wrong where the category was fed from another topic, or from one with another number of partitions.
    fn other(&self, reach: &Progress, topic: &Arc<str>, found: i32) -> Option<PartitionedError> {
        let is_other = |known: &&crate::progress::Topic| {
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

    fn check_version(&self, versions: Vec<Option<i32>>) -> Result<(), PartitionedError> {
        let (projection, code) = (self.projection.name(), self.projection.version());
        match versions.into_iter().flatten().find(|live| *live != code) {
            Some(live) => Err(PartitionedError::OtherVersion { projection, live, code }),
            None => Ok(()),
        }
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

/// What of a partition is to be applied.
struct Due {
    /// Positions and ids, in order.
    events: Vec<(Position, Uuid)>,
    /// Up to here that is all.
    through: Position,
}

/// The checkpoint of a partition, as a transaction holds it.
struct Held {
    checkpoint: Position,
    /// What is applied, by whatever way.
    reach: Progress,
}

/// The category that a topic holds: what is behind the last point of its name.
fn category_of(topic: &str) -> &str {
    topic.rsplit('.').next().unwrap_or(topic)
}

/// The end of the log, and of what is archived of it.
async fn ends(connection: &mut PgConnection) -> Result<(Position, Position), sqlx::Error> {
    let (head, archived): (i64, i64) =
        sqlx::query_as("select position, coalesce((select max(last_position) from apex.archives), 0) from apex.head")
            .fetch_one(connection)
            .await?;
    Ok((Position::from_i64(head), Position::from_i64(archived)))
}

/// Gives a projection back to the workers that feed it from the log: what some partitions lack is applied first.
///
/// # Errors
/// [`PartitionedError`]; Kafka's workers can go on then, and this can be tried again.
pub async fn give_back(projection: &'static dyn Projection, pool: &PgPool, log: &Log) -> Result<(), PartitionedError> {
    let reach = Progress::of(&mut *pool.acquire().await?, projection.name()).await?;
    let topics = reach.topics().iter().map(|topic| (topic.name.as_str().into(), topic.partitions));
    let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions: topics.collect() };
    match feed.fill_all().await {
        // Whatever the numbers of partitions are, what is applied can be told.
        Ok(()) | Err(PartitionedError::FedFromLog(_) | PartitionedError::OtherPartitions { .. }) => {
            feed.hand_over().await
        }
        Err(error) => Err(error),
    }
}

impl PartitionedFeed {
    /// Applies what the partitions that are behind lack, while nobody else applies anything, and gives the projection to
    /// the log.
    async fn hand_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        lock_feed_exclusive(&mut transaction, name).await?;
        let fed: Vec<Option<i32>> = sqlx::query_scalar(
            "select version from apex.checkpoints where follower = $1 and source = 'kafka' order by name for update",
        )
        .bind(name)
        .fetch_all(&mut *transaction)
        .await?;
        if fed.is_empty() {
            return Ok(());
        }
        self.check_version(fed)?;
        let reach = Progress::of(&mut transaction, name).await?;
        let (last, target) = (reach.high_watermark(), self.target());
        let pages = self.log.pages(reach.low_watermark(), ReadFilter::default(), PAGE_EVENTS);
        let (range, is_missing) = ((reach.low_watermark(), last), |event: &RecordedEvent| !reach.has(event));
        apply_log::<PartitionedError>(&target, &mut transaction, pages, range, is_missing, |_| {}).await?;
        sqlx::query(
            "update apex.checkpoints set source = 'log', position = greatest(position, $2), updated_at = now()
             where follower = $1",
        )
        .bind(name)
        .bind(last.as_i64())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("delete from apex.partition_checkpoints where projection = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction::commit(transaction).await?;
        Ok(())
    }
}
