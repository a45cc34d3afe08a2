//! Applying what Kafka delivers, taking a projection over and giving it back.

use super::error::PartitionedError;
use super::feed::{MissingEvent, PAGE_EVENTS, PartitionedFeed, category_of};
use super::partition::Missing;
use crate::batch::{apply_batch, apply_log};
use crate::checkpoint::{create_checkpoints, lock_feed_exclusive};
use crate::decode::{DecodedPages, decode};
use crate::progress::Progress;
use crate::projection::{ApplyError, Projection};
use crate::target::{Slot, Target};
use crate::transaction::{self, IDLE_IN_TRANSACTION_TIMEOUT, set_search_path};
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::HashMap;
use std::sync::Arc;
use streams::{Log, Pages, Position, ReadFilter, RecordedEvent, TopicPartition};

impl PartitionedFeed {
    /// Takes the projection over from the workers that feed it from the log, which stand by from then on.
    ///
    /// # Errors
    /// [`PartitionedError::NeedsLogOrder`] if the projection needs the order of the log,
    /// [`PartitionedError::VersionMismatch`] if the tables belong to another version of the code, and
    /// [`PartitionedError::Database`] if the database fails.
    pub async fn take_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        if self.projection.needs_log_order() {
            return Err(PartitionedError::NeedsLogOrder(name));
        }
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        lock_feed_exclusive(&mut transaction, name).await?;
        create_checkpoints(&mut transaction, &Target::live(self.projection)).await?;
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

    /// Applies events that Kafka delivered of a partition, except those that are applied already, and the events before
    /// them that Kafka did not deliver.
    ///
    /// # Errors
    /// [`PartitionedError`]; nothing of the batch is applied then, and it can be applied again.
    pub async fn apply(
        &self,
        partition: &TopicPartition,
        events: &[Arc<RecordedEvent>],
    ) -> Result<(), PartitionedError> {
        let Some(last) = events.iter().map(|event| event.position).max() else { return Ok(()) };
        let partitions = self.partition_count(&partition.topic);
        if partition.number >= partitions {
            let (projection, partition) = (self.projection.name(), partition.clone());
            return Err(PartitionedError::PartitionAdded { projection, partition, partitions });
        }
        let mut transaction = transaction::begin(&self.pool).await?;
        let locked = self.lock(&mut transaction, partition).await?;
        if last <= locked.checkpoint {
            return Ok(transaction.rollback().await?);
        }
        let missing = self.missing(&mut transaction, partition, &locked, last).await?;
        let Some((delivered, through)) = missing.and_then(|missing| all_delivered(&missing, events)) else {
            transaction.rollback().await?;
            return self.fill(partition, last).await;
        };
        self.write(&mut transaction, &delivered).await?;
        self.advance(&mut transaction, partition, through).await?;
        metrics::counter!("apex_projection_events_total", "projection" => self.projection.name())
            .increment(delivered.len() as u64);
        fail::fail_point!("projection_folded");
        transaction::commit(transaction).await?;
        fail::fail_point!("projection_committed");
        Ok(())
    }

    /// Applies the events of a partition up to a position that are not applied yet, reading them from the log.
    ///
    /// # Errors
    /// [`PartitionedError`]; the pages that were applied before stay applied.
    pub async fn fill(&self, partition: &TopicPartition, to: Position) -> Result<(), PartitionedError> {
        let to = to.min(self.log.head().await?);
        let mut transaction = transaction::begin(&self.pool).await?;
        let mut checkpoint = self.lock(&mut transaction, partition).await?.checkpoint;
        transaction::commit(transaction).await?;
        let filter = ReadFilter { category: Some(category_of(&partition.topic).to_owned()), ..ReadFilter::default() };
        let mut pages: Pages = self.log.pages(checkpoint, filter.clone(), PAGE_EVENTS);
        while checkpoint < to {
            let page = pages.next_page().await?.unwrap_or_default();
            // After the last page there is no event up to `to`.
            let through = page.last().map_or(to, |last| last.position).min(to);
            let mut transaction = transaction::begin(&self.pool).await?;
            let locked = self.lock(&mut transaction, partition).await?;
            if locked.checkpoint < checkpoint {
                // The tables were switched, and the new ones have fewer events.
                transaction::commit(transaction).await?;
                checkpoint = locked.checkpoint;
                pages = self.log.pages(checkpoint, filter.clone(), PAGE_EVENTS);
                continue;
            }
            checkpoint = locked.checkpoint;
            let missing: Vec<_> = page
                .into_iter()
                .filter(|event| event.position > checkpoint && event.position <= through)
                .filter(|event| self.partition_of(&partition.topic, event.stream.id) == partition.number)
                .filter(|event| !locked.progress.has(event))
                .map(Arc::new)
                .collect();
            self.write(&mut transaction, &missing).await?;
            checkpoint = checkpoint.max(through);
            self.advance(&mut transaction, partition, checkpoint).await?;
            transaction::commit(transaction).await?;
        }
        Ok(())
    }

    /// Applies every event that is not applied yet, reading it from the log: for when Kafka is unavailable.
    ///
    /// # Errors
    /// [`PartitionedError`]; the pages that were applied before stay applied.
    pub async fn fill_all(&self) -> Result<(), PartitionedError> {
        let head = self.log.head().await?;
        for (topic, count) in &self.partitions {
            for number in 0..*count {
                self.fill(&TopicPartition { topic: topic.clone(), number }, head).await?;
            }
        }
        Ok(())
    }

    /// Advances the projection's checkpoints to the position up to which every event is applied. Returns the event that
    /// keeps them from advancing further. Does nothing if the projection is not fed from Kafka.
    ///
    /// # Errors
    /// [`PartitionedError::Database`], [`PartitionedError::Read`] or [`PartitionedError::Apply`] if the checkpoints or
    /// the log cannot be read.
    pub async fn advance_low_watermark(&self) -> Result<Option<MissingEvent>, PartitionedError> {
        let name = self.projection.name();
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        let lock = "select from apex.checkpoints where follower = $1 and source = 'kafka' order by name
                    for no key update";
        sqlx::query(lock).bind(name).execute(&mut *transaction).await?;
        let progress = Progress::load(&mut transaction, name).await?;
        if progress.version.is_some_and(|live| live != self.projection.version()) {
            // Another version of the code may consume other events.
            return Ok(None);
        }
        let from = progress.low_watermark();
        let (events, through) = self.events_after(&mut transaction, from).await?;
        let missing = events.iter().find(|(position, tenant, category, stream)| {
            !progress.has_at(tenant, category, *stream, Position::from_i64(*position))
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
            let partition = TopicPartition { topic: topic.clone(), number: self.partition_of(topic, *stream) };
            Some(MissingEvent { partition, position: Position::from_i64(*position) })
        }))
    }

    /// Applies what the partitions lack while no other transaction applies events, and gives the projection to the log.
    async fn hand_over(&self) -> Result<(), PartitionedError> {
        let name = self.projection.name();
        let mut transaction = transaction::begin(&self.pool).await?;
        set_search_path(&mut transaction, Slot::Live, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
        lock_feed_exclusive(&mut transaction, name).await?;
        let versions: Vec<Option<i32>> = sqlx::query_scalar(
            "select version from apex.checkpoints where follower = $1 and source = 'kafka' order by name for update",
        )
        .bind(name)
        .fetch_all(&mut *transaction)
        .await?;
        if versions.is_empty() {
            return Ok(());
        }
        self.check_version(versions)?;
        let progress = Progress::load(&mut transaction, name).await?;
        let (last, target) = (progress.high_watermark(), Target::live(self.projection));
        let is_missing = |event: &RecordedEvent| target.wants(event) && !progress.has(event);
        let pages = DecodedPages::new(&self.log, progress.low_watermark(), Some(last), PAGE_EVENTS, is_missing);
        apply_log::<PartitionedError>(&target, &mut transaction, pages, |_| {}).await?;
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

    async fn write(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let target = Target::live(self.projection);
        apply_batch(&target, connection, &decode(events, |event| target.wants(event))).await
    }
}

/// The missing events and the position up to which they are complete, if all of them are among the delivered events.
fn all_delivered(missing: &Missing, delivered: &[Arc<RecordedEvent>]) -> Option<(Vec<Arc<RecordedEvent>>, Position)> {
    let by_key: HashMap<_, _> = delivered.iter().map(|event| ((event.position, event.event_id), event)).collect();
    let events = missing.events.iter().map(|key| by_key.get(key).map(|event| Arc::clone(event)));
    Some((events.collect::<Option<Vec<_>>>()?, missing.through))
}

/// Gives a projection back to the workers that feed it from the log, after applying what its partitions lack.
///
/// # Errors
/// [`PartitionedError`]; the projection is still fed from Kafka then, and this can be retried.
pub async fn give_back(projection: &'static dyn Projection, pool: &PgPool, log: &Log) -> Result<(), PartitionedError> {
    let progress = Progress::load(&mut *pool.acquire().await?, projection.name()).await?;
    let topics = progress.topics().iter().map(|topic| (topic.name.as_str().into(), topic.partitions));
    let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions: topics.collect() };
    match feed.fill_all().await {
        // Handing over does not depend on the number of partitions.
        Ok(()) | Err(PartitionedError::FedFromLog(_) | PartitionedError::PartitionsChanged { .. }) => {
            feed.hand_over().await
        }
        Err(error) => Err(error),
    }
}
