//! State topics: the current rows of a read model, one message per row, in a compacted topic.
//!
//! The log says which rows may have changed. Their current values come from the read model, once it has applied those
//! events. So the last message of a key is never older than an earlier one, and a repeated message has the same or a newer
//! row. A row that was deleted is published as a message without a value, a tombstone, which compaction removes together
//! with the row's messages. This also holds for a relay that was suspended: its successor uses the same transactional id, and the broker
//! rejects messages of the older client.

use super::constants::{HEARTBEAT_INTERVAL, LOCK_KEY, PAGE_EVENTS, RETRY_DELAY};
use super::error::RelayError;
use super::leader_lock::LeaderLock;
use super::producer::fenced_producer;
use super::topics;
use crate::error::ReadError;
use crate::event::{Position, RecordedEvent, Version};
use crate::relay::config::RelayConfig;
use crate::relay::state_table::StateTable;
use crate::tail::Tail;
use futures::future::try_join_all;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long the relay's session may be idle before the server releases its leader lock: as long as a page may take. A
/// relay that is idle for longer is fenced by its successor's transactional id.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often to check whether the read model has applied the events.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Publishes the rows of one read model to its state topic.
pub struct StateRelay {
    /// The database, for the leader lock, the checkpoint and the rows.
    pub pool: PgPool,
    /// The end of the log.
    pub tail: Tail,
    /// The relay's settings.
    pub config: RelayConfig,
    /// The read model.
    pub table: StateTable,
}

impl StateRelay {
    /// Publishes until `shutdown` completes. After a failure, publishing starts again from the checkpoint.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ReadError> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let ended = tokio::select! {
                () = &mut shutdown => return Ok(()),
                ended = self.publish() => ended,
            };
            match ended {
                Ok(()) => {}
                Err(RelayError::CheckpointMoved) => {
                    tracing::info!(name = self.table.name, "the state relay publishes rows again");
                }
                Err(RelayError::Read(ReadError::Closed)) => return Err(ReadError::Closed),
                Err(error) => {
                    metrics::counter!("apex_relay_errors_total").increment(1);
                    let (name, error) = (self.table.name, &error as &dyn std::error::Error);
                    tracing::warn!(
                        name,
                        error,
                        "rows are not published to the state topic at the moment; the state relay retries"
                    );
                }
            }
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(RETRY_DELAY) => {}
            }
        }
    }

    async fn publish(&self) -> Result<(), RelayError> {
        if topics::prepare_compacted(&self.config, self.topic()).await? {
            self.reset_checkpoint().await?;
        }
        let mut lock = LeaderLock::acquire(&self.pool, self.lock_key(), self.table.checkpoint, IDLE_TIMEOUT).await?;
        let producer = fenced_producer(&self.config, &self.topic())?;
        let timeout = self.config.delivery_timeout;
        blocking(&producer, move |producer| producer.init_transactions(timeout)).await?;
        loop {
            let after = lock.position();
            let next = self.tail.next_after(after, PAGE_EVENTS);
            let Ok(events) = tokio::time::timeout(HEARTBEAT_INTERVAL, next).await else {
                lock.advance(after).await?;
                continue;
            };
            let events = events?;
            let Some(last) = events.last().map(|event| event.position) else { continue };
            while self.applied().await? < last {
                tokio::time::sleep(POLL_INTERVAL).await;
                lock.advance(after).await?;
            }
            let rows = self.rows(&events).await?;
            fail::fail_point!("state_read");
            if !rows.is_empty() {
                producer.begin_transaction().map_err(RelayError::Client)?;
                self.send(&producer, &rows, last).await?;
                blocking(&producer, move |producer| producer.commit_transaction(timeout)).await?;
            }
            lock.advance(last).await?;
        }
    }

    /// Sets the checkpoint to 0, because the topic was just created: rows may have been published to a deleted topic of
    /// the same name.
    async fn reset_checkpoint(&self) -> Result<(), sqlx::Error> {
        let again = "update apex.checkpoints set position = 0, generation = generation + 1
                     where name = $1 and position > 0";
        let reset = sqlx::query(again).bind(self.table.checkpoint).execute(&self.pool).await?;
        if reset.rows_affected() > 0 {
            tracing::warn!(
                topic = self.topic(),
                "the topic was missing and has been created: all rows are published again"
            );
        }
        Ok(())
    }

    /// The position up to which every shard of the read model has applied the log.
    async fn applied(&self) -> Result<Position, sqlx::Error> {
        let all_shards = "select min(position) from apex.checkpoints where follower = $1";
        let position: Option<i64> = sqlx::query_scalar(all_shards).bind(self.table.name).fetch_one(&self.pool).await?;
        Ok(Position::from_i64(position.unwrap_or(0)))
    }

    /// The keys and the current rows of the streams that some events belong to; none for a row that was deleted.
    async fn rows(&self, events: &[Arc<RecordedEvent>]) -> Result<Vec<(String, Option<String>)>, RelayError> {
        let touched: BTreeMap<(&str, Uuid), bool> = events
            .iter()
            .filter(|event| *event.stream.category == *self.table.category)
            // A row may have been published before any event but the first one of its stream.
            .map(|event| ((event.stream.tenant.as_str(), event.stream.id), event.version > Version::from(1)))
            .collect();
        let (tenants, ids): (Vec<_>, Vec<_>) = touched.keys().copied().unzip();
        let may_be_published: Vec<_> = touched.into_values().collect();
        let StateTable { table, id, hidden, decimals, .. } = self.table;
        let strings: Vec<_> = decimals.iter().map(|column| format!("'{column}', t.{column}::text")).collect();
        let sql = format!(
            "select touched.tenant_id || '/' || touched.id,
                    (to_jsonb(t) - $4::text[] || jsonb_build_object({}))::text
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as touched (tenant_id, id, may_be_published)
             left join {table} t on t.tenant_id = touched.tenant_id and t.{id} = touched.id
             where t.tenant_id is not null or touched.may_be_published",
            strings.join(", ")
        );
        let rows = sqlx::query_as(AssertSqlSafe(sql)).bind(tenants).bind(ids).bind(may_be_published).bind(hidden);
        Ok(rows.fetch_all(&self.pool).await?)
    }

    async fn send(
        &self,
        producer: &FutureProducer,
        rows: &[(String, Option<String>)],
        last: Position,
    ) -> Result<(), RelayError> {
        let topic = self.topic();
        let deliveries = rows.iter().map(|(key, row)| async {
            let record = FutureRecord::<_, String> { payload: row.as_ref(), ..FutureRecord::to(&topic).key(key) };
            producer.send(record, Timeout::Never).await
        });
        let waited = self.config.delivery_timeout;
        let delivered = tokio::time::timeout(waited, try_join_all(deliveries)).await;
        let delivered = delivered.map_err(|_| RelayError::AckTimeout { position: last, waited })?;
        delivered.map_err(|(source, _)| RelayError::NotAcknowledged { position: last, source })?;
        Ok(())
    }

    /// The name of the topic, which is also the transactional id.
    fn topic(&self) -> String {
        self.config.state_topic(self.table.name)
    }

    /// A key for each table that differs from the relay's own.
    fn lock_key(&self) -> i64 {
        self.table.name.bytes().fold(LOCK_KEY, |key, byte| key.wrapping_mul(31).wrapping_add(i64::from(byte)))
    }
}

/// Runs a client call that blocks until the broker answers.
async fn blocking(
    producer: &FutureProducer,
    call: impl FnOnce(&FutureProducer) -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), RelayError> {
    let producer = producer.clone();
    let called = tokio::task::spawn_blocking(move || call(&producer)).await;
    called.unwrap_or(Err(KafkaError::Canceled)).map_err(RelayError::Broker)
}
