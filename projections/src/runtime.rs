//! The worker that feeds one projection.

use domain::Event;
use futures::future::BoxFuture;
use metrics::{counter, histogram};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Acquire, Row};
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Position, ReadError, RecordedEvent, StreamKey, Tail};
use thiserror::Error;
use tracing::Instrument;

/// An event that is being applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// As it stands in the log.
    pub recorded: Arc<RecordedEvent>,
    /// As the domain knows it.
    pub event: Event,
}

impl Applied {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.recorded.stream.tenant.as_str()
    }

    /// The position in the form of the tables.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.recorded.position.as_i64()
    }

    /// The version in the form of the tables.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.recorded.version.as_i64()
    }
}

/// Why a batch could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The database failed or refused.
    #[error("the read model cannot be written")]
    Database(#[from] sqlx::Error),
    /// An amount leaves the range.
    #[error(transparent)]
    Money(#[from] domain::MoneyError),
    /// A stored row is not one that this code wrote.
    #[error("a row of the read model cannot be read: {0}")]
    Row(String),
}

impl ApplyError {
    /// Whether the events are to blame, rather than the moment.
    fn is_permanent(&self) -> bool {
        match self {
            Self::Money(_) | Self::Row(_) => true,
            // Classes 22 (data exception) and 23 (integrity constraint violation).
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Database(_) => false,
        }
    }
}

/// A read model: which events it wants, and what they do to its tables.
pub trait Projection: Send + Sync {
    /// Its name, and that of its checkpoint.
    fn name(&self) -> &'static str;
    /// Whether it needs the events of different streams in the order of the log, rather than of each stream alone.
    fn needs_log_order(&self) -> bool {
        true
    }
    /// The categories it wants events of.
    fn categories(&self) -> &'static [&'static str];
    /// Its tables, each with the columns that order its rows.
    fn tables(&self) -> &'static [(&'static str, &'static str)];
    /// Applies events in order, on one transaction. The result must not depend on how events are cut into batches.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Settings of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerConfig {
    /// Events applied in one transaction.
    pub batch_events: usize,
    /// The pause before a failed batch is tried again; it doubles up to a hundredfold.
    pub retry_pause: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { batch_events: 1000, retry_pause: Duration::from_millis(100) }
    }
}

/// Why a worker ended other than by being told to.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The log closed under it.
    #[error("the worker of projection {projection} lost the log")]
    Log {
        /// Which projection.
        projection: &'static str,
        /// What happened.
        #[source]
        source: ReadError,
    },
}

/// Feeds one projection from the tail.
pub struct Worker {
    /// The projection.
    pub projection: &'static dyn Projection,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// The end of the log.
    pub tail: Tail,
    /// Settings.
    pub config: WorkerConfig,
}

/// What one step came to.
enum Step {
    Advanced(Position),
    /// Another worker holds the checkpoint.
    Elsewhere,
}

impl Worker {
    /// Applies batches until told to stop. Failures are retried with growing pauses and show in the lag.
    ///
    /// # Errors
    /// [`WorkerError`] when the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        let name = self.projection.name();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut failures: u32 = 0;
        let mut checkpoint = Position::ZERO;
        loop {
            let step = tokio::select! {
                () = &mut shutdown => return Ok(()),
                step = self.step(checkpoint) => step,
            };
            let pause = match step {
                Ok(Step::Advanced(position)) => {
                    failures = 0;
                    checkpoint = position;
                    continue;
                }
                Ok(Step::Elsewhere) => self.config.retry_pause,
                Err(ApplyOrRead::Read(ReadError::Closed)) => {
                    return Err(WorkerError::Log { projection: name, source: ReadError::Closed });
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    counter!("apex_projection_errors_total", "projection" => name).increment(1);
                    tracing::warn!(projection = name, error = &error as &dyn std::error::Error, "a batch failed");
                    self.config.retry_pause * (1 << failures.min(7)).min(100)
                }
            };
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits for something after the checkpoint and applies it.
    async fn step(&self, seen: Position) -> Result<Step, ApplyOrRead> {
        // What was seen last is only a hint; the checkpoint in the database decides.
        self.tail.wait_beyond(seen).await?;
        let started = Instant::now();
        let mut transaction = self.pool.begin().await.map_err(ApplyError::from)?;
        let Some(checkpoint) = lock_checkpoint(&mut transaction, self.projection.name()).await? else {
            return Ok(Step::Elsewhere);
        };
        let events = self.tail.read_after(checkpoint, self.config.batch_events).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            return Ok(Step::Advanced(checkpoint));
        };
        let span = tracing::info_span!("projection", name = self.projection.name(), events = events.len());
        streams::link_to_causes(&span, &events);
        apply_batch(self.projection, &mut transaction, &events).instrument(span).await?;
        advance_checkpoint(&mut transaction, self.projection.name(), checkpoint, last).await?;
        transaction.commit().await.map_err(ApplyError::from)?;
        histogram!("apex_projection_batch_seconds", "projection" => self.projection.name())
            .record(started.elapsed().as_secs_f64());
        counter!("apex_projection_events_total", "projection" => self.projection.name()).increment(events.len() as u64);
        Ok(Step::Advanced(last))
    }
}

#[derive(Debug, Error)]
enum ApplyOrRead {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Takes the checkpoint for this transaction; nothing if another worker has it.
async fn lock_checkpoint(connection: &mut PgConnection, name: &str) -> Result<Option<Position>, ApplyError> {
    // The tables and the checkpoint are lost or kept together, and the log has everything: no flush is needed.
    sqlx::query("set local synchronous_commit = off").execute(&mut *connection).await?;
    let find = "select position from apex.checkpoints where name = $1 and source = 'log' for update skip locked";
    if let Some(position) = sqlx::query_scalar(find).bind(name).fetch_optional(&mut *connection).await? {
        return Ok(Some(Position::from_i64(position)));
    }
    let made = sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    Ok((made.rows_affected() == 1).then_some(Position::ZERO))
}

/// Moves the checkpoint, if it still is where this transaction found it: a worker that was overtaken writes nothing.
pub(crate) async fn advance_checkpoint(
    connection: &mut PgConnection,
    name: &str,
    from: Position,
    to: Position,
) -> Result<(), ApplyError> {
    let is_moved = streams::advance_checkpoint(connection, name, from, to).await?;
    if is_moved { Ok(()) } else { Err(ApplyError::Database(sqlx::Error::RowNotFound)) }
}

/// Applies a batch, parking the streams of events that cannot be applied.
pub(crate) async fn apply_batch(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    events: &[Arc<RecordedEvent>],
) -> Result<(), ApplyError> {
    let wanted: Vec<_> =
        events.iter().filter(|event| projection.categories().contains(&&*event.stream.category)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut parked = parked_streams(projection.name(), connection, &wanted).await?;
    let mut batch = Vec::with_capacity(wanted.len());
    for recorded in wanted {
        if parked.contains(&recorded.stream) {
            park(projection.name(), connection, recorded, "an earlier event of the stream is parked").await?;
            continue;
        }
        match recorded.decode() {
            Ok(event) => batch.push(Applied { recorded: recorded.clone(), event }),
            Err(error) => {
                park(projection.name(), connection, recorded, &chain(&error)).await?;
                parked.insert(recorded.stream.clone());
            }
        }
    }
    let mut savepoint = connection.begin().await?;
    match projection.apply(&mut savepoint, &batch).await {
        Ok(()) => Ok(savepoint.commit().await?),
        Err(error) if error.is_permanent() => {
            savepoint.rollback().await?;
            apply_singly(projection, connection, &batch).await
        }
        Err(error) => Err(error),
    }
}

/// One event at a time, to find the one that is to blame.
async fn apply_singly(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    batch: &[Applied],
) -> Result<(), ApplyError> {
    let mut parked = HashSet::new();
    for applied in batch {
        if parked.contains(&applied.recorded.stream) {
            park(projection.name(), connection, &applied.recorded, "an earlier event of the stream is parked").await?;
            continue;
        }
        let mut savepoint = connection.begin().await?;
        match projection.apply(&mut savepoint, std::slice::from_ref(applied)).await {
            Ok(()) => savepoint.commit().await?,
            Err(error) if error.is_permanent() => {
                savepoint.rollback().await?;
                park(projection.name(), connection, &applied.recorded, &chain(&error)).await?;
                parked.insert(applied.recorded.stream.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn parked_streams(
    projection: &str,
    connection: &mut PgConnection,
    events: &[&Arc<RecordedEvent>],
) -> Result<HashSet<StreamKey>, ApplyError> {
    let ids: Vec<_> = events.iter().map(|event| event.stream.id).collect();
    let rows = sqlx::query(
        "select distinct tenant_id, category, stream_id from apex.parked_events
         where projection = $1 and stream_id = any ($2)",
    )
    .bind(projection)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let tenant: String = row.try_get("tenant_id")?;
            Ok(StreamKey {
                tenant: tenant.try_into().map_err(|error| ApplyError::Row(format!("{error}")))?,
                category: row.try_get::<&str, _>("category")?.into(),
                id: row.try_get("stream_id")?,
            })
        })
        .collect()
}

async fn park(
    projection: &'static str,
    connection: &mut PgConnection,
    event: &RecordedEvent,
    cause: &str,
) -> Result<(), ApplyError> {
    tracing::error!(projection, position = %event.position, stream = %event.stream, cause, "an event is parked");
    counter!("apex_projection_parked_total", "projection" => projection).increment(1);
    sqlx::query(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(projection)
    .bind(event.position.as_i64())
    .bind(event.stream.tenant.as_str())
    .bind(&*event.stream.category)
    .bind(event.stream.id)
    .bind(cause)
    .execute(connection)
    .await?;
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
