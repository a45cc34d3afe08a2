//! State topics: the rows of a read model, one message a row as it is now, in a topic that is compacted.
//!
//! The log says which rows may have changed; the read model says what they are, once it has come as far. So the last
//! message of a key is never older than what an earlier one said, and a repetition says the same or something newer.
//! That holds for a relay that stood still meanwhile, too: its successor has taken its transactional id, and the broker
//! takes nothing more from it.

use super::seat::Seat;
use super::{HEARTBEAT_INTERVAL, LOCK_KEY, PAGE_EVENTS, RETRY_PAUSE, RelayConfig, RelayError, topics, window};
use crate::{Position, ReadError, RecordedEvent, Tail};
use futures::future::try_join_all;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a relay may be silent to the database: as long as a page may take. One that is silent for longer is fenced by
/// its successor, whatever it sends.
const SILENCE: Duration = Duration::from_secs(120);
/// How often to look whether the read model has come as far as the log.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A read model of one row a stream.
#[derive(Debug, Clone, Copy)]
pub struct StateTable {
    /// Its name, which the topic has too: `PREFIX.state.NAME`.
    pub name: &'static str,
    /// The name of the checkpoint that says how far this topic is.
    pub checkpoint: &'static str,
    /// The category of the streams.
    pub category: &'static str,
    /// Its table.
    pub table: &'static str,
    /// The column with the id of the stream.
    pub id: &'static str,
    /// Columns that are nobody's business.
    pub hidden: &'static [&'static str],
    /// Columns of decimals, which become strings.
    pub decimals: &'static [&'static str],
}

/// Publishes the rows of one read model.
pub struct StateRelay {
    /// The database.
    pub pool: PgPool,
    /// The end of the log.
    pub tail: Tail,
    /// Settings.
    pub config: RelayConfig,
    /// Which read model.
    pub table: StateTable,
}

impl StateRelay {
    /// Publishes until told to stop. Failures are tried again from the checkpoint.
    ///
    /// # Errors
    /// When the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ReadError> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let ended = tokio::select! {
                () = &mut shutdown => return Ok(()),
                ended = self.publish() => ended,
            };
            match ended {
                Ok(()) => {}
                Err(RelayError::Moved) => tracing::info!(name = self.table.name, "rows are published again"),
                Err(RelayError::Read(ReadError::Closed)) => return Err(ReadError::Closed),
                Err(error) => {
                    metrics::counter!("apex_relay_errors_total").increment(1);
                    let (name, error) = (self.table.name, &error as &dyn std::error::Error);
                    tracing::warn!(name, error, "the relay of a state topic tries again");
                }
            }
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
    }

    async fn publish(&self) -> Result<(), RelayError> {
        if topics::prepare_compacted(&self.config, self.topic()).await? {
            self.publish_all_again().await?;
        }
        let mut seat = Seat::take(&self.pool, self.lock_key(), self.table.checkpoint, SILENCE).await?;
        let producer = window::fenced_producer(&self.config, &self.topic())?;
        let patience = self.config.delivery_timeout;
        blocking(&producer, move |producer| producer.init_transactions(patience)).await?;
        loop {
            let after = seat.position();
            let next = self.tail.next_after(after, PAGE_EVENTS);
            let Ok(events) = tokio::time::timeout(HEARTBEAT_INTERVAL, next).await else {
                seat.advance(after).await?;
                continue;
            };
            let events = events?;
            let Some(last) = events.last().map(|event| event.position) else { continue };
            while self.read_model().await? < last {
                tokio::time::sleep(LOOK_INTERVAL).await;
                seat.advance(after).await?;
            }
            let rows = self.rows(&events).await?;
            fail::fail_point!("state_read");
            if !rows.is_empty() {
                producer.begin_transaction().map_err(RelayError::Client)?;
                self.send(&producer, &rows, last).await?;
                blocking(&producer, move |producer| producer.commit_transaction(patience)).await?;
            }
            seat.advance(last).await?;
        }
    }

    /// The topic was made just now. Whoever has the seat may have published into the one before it.
    async fn publish_all_again(&self) -> Result<(), sqlx::Error> {
        let again = "update apex.checkpoints set position = 0, generation = generation + 1
                     where name = $1 and position > 0";
        let begun = sqlx::query(again).bind(self.table.checkpoint).execute(&self.pool).await?;
        if begun.rows_affected() > 0 {
            tracing::warn!(
                topic = self.topic(),
                "the topic was missing and is made anew: all rows are published again"
            );
        }
        Ok(())
    }

    /// How far the read model is.
    async fn read_model(&self) -> Result<Position, sqlx::Error> {
        let all_parts = "select min(position) from apex.checkpoints where follower = $1";
        let position: Option<i64> = sqlx::query_scalar(all_parts).bind(self.table.name).fetch_one(&self.pool).await?;
        Ok(Position::from_i64(position.unwrap_or(0)))
    }

    /// The keys and rows of what events have touched, as they are now.
    async fn rows(&self, events: &[Arc<RecordedEvent>]) -> Result<Vec<(String, String)>, RelayError> {
        let touched: BTreeSet<(&str, Uuid)> = events
            .iter()
            .filter(|event| *event.stream.category == *self.table.category)
            .map(|event| (event.stream.tenant.as_str(), event.stream.id))
            .collect();
        let (tenants, ids): (Vec<_>, Vec<_>) = touched.into_iter().unzip();
        let StateTable { table, id, hidden, decimals, .. } = self.table;
        let strings: Vec<_> = decimals.iter().map(|column| format!("'{column}', t.{column}::text")).collect();
        let sql = format!(
            "select t.tenant_id || '/' || t.{id}, (to_jsonb(t) - $3::text[] || jsonb_build_object({}))::text from {table} t
             where (t.tenant_id, t.{id}) in (select * from unnest($1::text[], $2::uuid[]))",
            strings.join(", ")
        );
        let rows = sqlx::query_as(AssertSqlSafe(sql)).bind(tenants).bind(ids).bind(hidden);
        Ok(rows.fetch_all(&self.pool).await?)
    }

    async fn send(
        &self,
        producer: &FutureProducer,
        rows: &[(String, String)],
        last: Position,
    ) -> Result<(), RelayError> {
        let topic = self.topic();
        let deliveries = rows.iter().map(|(key, row)| async {
            let record = FutureRecord::to(&topic).key(key).payload(row);
            producer.send(record, Timeout::Never).await
        });
        let waited = self.config.delivery_timeout;
        let delivered = tokio::time::timeout(waited, try_join_all(deliveries)).await;
        let delivered = delivered.map_err(|_| RelayError::Unanswered { position: last, waited })?;
        delivered.map_err(|(source, _)| RelayError::NotAcknowledged { position: last, source })?;
        Ok(())
    }

    /// Its transactional id, too.
    fn topic(&self) -> String {
        self.config.state_topic(self.table.name)
    }

    /// One a table, apart from the relay's own.
    fn lock_key(&self) -> i64 {
        self.table.name.bytes().fold(LOCK_KEY, |key, byte| key.wrapping_mul(31).wrapping_add(i64::from(byte)))
    }
}

/// The client waits for the broker in these.
async fn blocking(
    producer: &FutureProducer,
    call: impl FnOnce(&FutureProducer) -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), RelayError> {
    let producer = producer.clone();
    let called = tokio::task::spawn_blocking(move || call(&producer)).await;
    called.unwrap_or(Err(KafkaError::Canceled)).map_err(RelayError::Broker)
}
