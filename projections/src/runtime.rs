//! The worker that feeds one shard of one projection from a source of events.
//!
//! A turn is one transaction: it takes the checkpoint, applies what follows it, and moves the checkpoint from where it
//! found it. Whoever does not get the checkpoint waits for the next turn. A worker that stands still past its turn loses
//! its connection, and with it the checkpoint: a successor goes on, and what the first one had done is not there.

use crate::batch::{apply_batch, decode};
use crate::projection::{ApplyError, Projection, Shard, Slot, Target};
use crate::transaction;
use futures::future::BoxFuture;
use metrics::{counter, histogram};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Postgres, Transaction};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Position, ReadError, RecordedEvent, Tail};
use thiserror::Error;
use tracing::Instrument;

/// Settings of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerConfig {
    /// Events applied in one transaction.
    pub batch_events: usize,
    /// The pause before a failed batch is tried again; it doubles up to a hundredfold.
    pub retry_pause: Duration,
    /// How long a worker's transaction may be idle before the server ends its session and so releases the checkpoint.
    pub idle_in_transaction_timeout: Duration,
}

/// How long whoever holds a checkpoint may stand still, unless told otherwise.
pub(crate) const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            batch_events: 1000,
            retry_pause: Duration::from_millis(100),
            idle_in_transaction_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
        }
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

/// What follows a position.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Events in the order of their positions; some may be of no interest.
    pub events: Vec<Arc<RecordedEvent>>,
    /// Up to here nothing is missing from `events` that the reader may want.
    pub through: Position,
}

/// Where a worker has its events from. The checkpoint is a position of the log, whatever the source.
pub trait Source: Send + Sync {
    /// Waits until there may be something after a position.
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>>;
    /// Up to `limit` events after a position; none if there are none yet. Called with the checkpoint taken: it does
    /// not wait for events.
    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>>;
}

impl Source for Tail {
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(Self::wait_beyond(self, position))
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(async move {
            let events = Self::read_after(self, position, limit).await?;
            Ok(events.last().map(|last| last.position).map(|through| Batch { events, through }))
        })
    }
}

/// Feeds one shard of a projection.
pub struct Worker {
    /// The projection.
    pub projection: &'static dyn Projection,
    /// Which of its shards; 0 for one that is not divided.
    pub shard: u16,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// Where the events come from.
    pub source: Arc<dyn Source>,
    /// Settings.
    pub config: WorkerConfig,
}

/// What one turn came to.
enum Turn {
    Advanced(Position),
    /// Another worker holds the checkpoint.
    Elsewhere,
    /// The tables are of another version.
    OtherVersion,
}

/// Whoever follows a source with a checkpoint, turn by turn.
trait Turns: Sync {
    fn name(&self) -> &'static str;
    fn config(&self) -> &WorkerConfig;
    /// Waits for something after the position that it saw last, and deals with it.
    fn turn(&self, seen: Option<Position>) -> impl Future<Output = Result<Turn, TurnError>> + Send;
}

/// Takes turns until told to stop.
async fn take_turns(follower: &impl Turns, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
    let (name, config) = (follower.name(), follower.config());
    let mut shutdown = std::pin::pin!(shutdown);
    let mut failures: u32 = 0;
    let mut checkpoint = None;
    let mut was_told = false;
    loop {
        let turn = tokio::select! {
            () = &mut shutdown => return Ok(()),
            turn = follower.turn(checkpoint) => turn,
        };
        let pause = match turn {
            Ok(Turn::Advanced(position)) => {
                (failures, was_told) = (0, false);
                checkpoint = Some(position);
                continue;
            }
            Ok(Turn::Elsewhere) => config.retry_pause,
            Ok(Turn::OtherVersion) => {
                if !std::mem::replace(&mut was_told, true) {
                    tracing::warn!(projection = name, "the tables are of another version; nothing is written");
                }
                config.retry_pause * 10
            }
            Err(TurnError::Read(ReadError::Closed)) => {
                return Err(WorkerError::Log { projection: name, source: ReadError::Closed });
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                counter!("apex_projection_errors_total", "projection" => name).increment(1);
                tracing::warn!(projection = name, error = &error as &dyn std::error::Error, "a batch failed");
                config.retry_pause * (1 << failures.min(7)).min(100)
            }
        };
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Worker {
    /// The workers of all shards of a projection.
    #[must_use]
    pub fn all(projection: &'static dyn Projection, pool: &PgPool, tail: &Tail, config: WorkerConfig) -> Vec<Self> {
        let worker = |shard| Self { projection, shard, pool: pool.clone(), source: Arc::new(tail.clone()), config };
        (0..projection.sharding().shard_count()).map(worker).collect()
    }

    /// Applies batches until told to stop. Failures are retried with growing pauses and show in the lag.
    ///
    /// # Errors
    /// [`WorkerError`] when the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        take_turns(&self, shutdown).await
    }
}

impl Turns for Worker {
    fn name(&self) -> &'static str {
        self.projection.name()
    }

    fn config(&self) -> &WorkerConfig {
        &self.config
    }

    async fn turn(&self, seen: Option<Position>) -> Result<Turn, TurnError> {
        // What was seen last is only a hint; the checkpoint in the database decides.
        self.source.wait_beyond(seen.unwrap_or(Position::ZERO)).await?;
        // Read before a connection is held: reading may need one too.
        let early = match seen {
            Some(seen) => Some((seen, self.source.read_after(seen, self.config.batch_events).await?)),
            None => None,
        };
        let started = Instant::now();
        let name = self.projection.name();
        let target = Target { projection: self.projection, slot: Slot::Live };
        let shard = Shard { target, number: self.shard };
        let mut transaction = begin(&self.pool, &target, Some(self.config.idle_in_transaction_timeout)).await?;
        let checkpoint = match lock_checkpoint(&mut transaction, &shard).await? {
            CheckpointLock::Acquired(position) => position,
            CheckpointLock::HeldElsewhere => return Ok(Turn::Elsewhere),
            CheckpointLock::VersionMismatch => return Ok(Turn::OtherVersion),
        };
        // Others have moved the checkpoint, or it was not known: what follows it is read before the next turn. Reading it
        // now would take a second connection while this one is held, and if all workers did, none would get one.
        let batch = early.filter(|(seen, _)| *seen == checkpoint).and_then(|(_, batch)| batch);
        let Some(batch) = batch else {
            // A checkpoint that was made just now is kept.
            transaction::commit(transaction).await.map_err(ApplyError::from)?;
            return Ok(Turn::Advanced(checkpoint));
        };
        let span = tracing::info_span!("projection", name, events = batch.events.len());
        streams::link_to_causes(&span, &batch.events);
        let events = decode(&batch.events, |event| shard.wants(event));
        apply_batch(&target, &mut transaction, &events).instrument(span).await?;
        advance(&mut transaction, &shard, checkpoint, batch.through).await?;
        fail::fail_point!("projection_folded");
        transaction::commit(transaction).await.map_err(ApplyError::from)?;
        fail::fail_point!("projection_committed");
        histogram!("apex_projection_batch_seconds", "projection" => name).record(started.elapsed().as_secs_f64());
        counter!("apex_projection_events_total", "projection" => name).increment(batch.events.len() as u64);
        Ok(Turn::Advanced(batch.through))
    }
}

/// What a policy does about events. A rebuild never calls it: it follows the log with a checkpoint of its own.
pub trait Policy: Send + Sync {
    /// Its name; that of its checkpoint is `policy:NAME`.
    fn name(&self) -> &'static str;
    /// Reacts to events in order, all of them up to a position. It may be called again for the same events: what it does
    /// must be the same thing then, such as a command under an id that is derived from the event.
    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), PolicyError>>;
    /// Looks now and then while nothing is appended, for one that acts on what a read model found: that may change without
    /// an event, by a decision about a parked one or by a switch. It has reacted to everything up to the position.
    fn tick(&self, _reacted: Position) -> BoxFuture<'_, Result<(), PolicyError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How often a policy looks while nothing is appended.
const TICK_INTERVAL: Duration = Duration::from_secs(5);

/// Why a policy could not react; it is tried again.
pub type PolicyError = Box<dyn std::error::Error + Send + Sync>;

/// The name of a policy's checkpoint.
#[must_use]
pub fn policy_checkpoint(name: &str) -> String {
    format!("policy:{name}")
}

/// Lets a policy react. Several processes may: one of them moves the checkpoint.
pub struct PolicyWorker {
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// Where the events come from.
    pub source: Arc<dyn Source>,
    /// Settings.
    pub config: WorkerConfig,
}

impl PolicyWorker {
    /// Reacts until told to stop. Failures are retried with growing pauses.
    ///
    /// # Errors
    /// [`WorkerError`] when the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        take_turns(&self, shutdown).await
    }
}

impl Turns for PolicyWorker {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn config(&self) -> &WorkerConfig {
        &self.config
    }

    async fn turn(&self, seen: Option<Position>) -> Result<Turn, TurnError> {
        let waited = self.source.wait_beyond(seen.unwrap_or(Position::ZERO));
        if let Ok(waited) = tokio::time::timeout(TICK_INTERVAL, waited).await {
            waited?;
        }
        let name = policy_checkpoint(self.policy.name());
        let checkpoint = checkpoint_of(&self.pool, &name).await.map_err(ApplyError::from)?;
        let Some(batch) = self.source.read_after(checkpoint, self.config.batch_events).await? else {
            self.policy.tick(checkpoint).await.map_err(TurnError::Policy)?;
            return Ok(Turn::Advanced(checkpoint));
        };
        // Nothing is held meanwhile: where two processes react to the same events, the log takes the commands once.
        self.policy.handle(&batch).await.map_err(TurnError::Policy)?;
        fail::fail_point!("policy_reacted");
        let mut connection = self.pool.acquire().await.map_err(ApplyError::from)?;
        let is_moved = streams::advance_checkpoint(&mut connection, &name, checkpoint, batch.through).await;
        let is_moved = is_moved.map_err(ApplyError::from)?;
        Ok(if is_moved { Turn::Advanced(batch.through) } else { Turn::Elsewhere })
    }
}

async fn checkpoint_of(pool: &PgPool, name: &str) -> Result<Position, sqlx::Error> {
    sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
        .bind(name)
        .execute(pool)
        .await?;
    let find = "select position from apex.checkpoints where name = $1";
    sqlx::query_scalar(find).bind(name).fetch_one(pool).await.map(Position::from_i64)
}

#[derive(Debug, Error)]
enum TurnError {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a policy could not react")]
    Policy(#[source] PolicyError),
}

/// Begins a transaction in which statements find the tables of the target.
pub(crate) async fn begin(
    pool: &PgPool,
    target: &Target,
    turn: Option<Duration>,
) -> Result<Transaction<'static, Postgres>, ApplyError> {
    let mut transaction = transaction::begin(pool).await?;
    set_search_path(&mut transaction, target.slot, turn).await?;
    use_async_commit(&mut transaction).await?;
    Ok(transaction)
}

/// Makes statements of this transaction find the tables of a slot. It may stand still for a turn, or as long as it likes.
pub(crate) async fn set_search_path(
    connection: &mut PgConnection,
    slot: Slot,
    turn: Option<Duration>,
) -> Result<(), ApplyError> {
    sqlx::query(
        "select set_config('search_path', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)",
    )
    .bind(slot.schema())
    .bind(turn.unwrap_or(Duration::ZERO).as_millis().to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets this transaction be lost in a crash, tables and checkpoint together: the log has everything. Not for what the log
/// does not say, such as a decision, a switch, or who feeds a read model.
pub(crate) async fn use_async_commit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("set local synchronous_commit = off").execute(connection).await?;
    Ok(())
}

/// Waits until nobody who feeds the projection from Kafka is in a transaction, and keeps them from beginning one. They
/// share the checkpoints and come and go, so that there may never be a moment without one of them; those who wait for this
/// lock have their turn.
pub(crate) async fn lock_feed_exclusive(connection: &mut PgConnection, projection: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('apex.feed.' || $1, 0))")
        .bind(projection)
        .execute(connection)
        .await?;
    Ok(())
}

/// Goes through the gate to feed the projection from Kafka.
pub(crate) async fn lock_feed_shared(connection: &mut PgConnection, projection: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock_shared(hashtextextended('apex.feed.' || $1, 0))")
        .bind(projection)
        .execute(connection)
        .await?;
    Ok(())
}

/// What became of the wish for a checkpoint.
pub(crate) enum CheckpointLock {
    Acquired(Position),
    /// Another transaction has it.
    HeldElsewhere,
    /// The tables are written by other code.
    VersionMismatch,
}

/// Takes the checkpoint for this transaction, if nobody else has it. Makes those of all shards if there is none at all.
pub(crate) async fn lock_checkpoint(
    connection: &mut PgConnection,
    shard: &Shard,
) -> Result<CheckpointLock, ApplyError> {
    let find =
        "select position, version from apex.checkpoints where name = $1 and source = 'log' for update skip locked";
    let found: Option<(i64, Option<i32>)> =
        sqlx::query_as(find).bind(shard.checkpoint()).fetch_optional(&mut *connection).await?;
    let code = shard.target.projection.version();
    if let Some((position, version)) = found {
        let is_own = version.is_none_or(|version| version == code);
        return Ok(if is_own {
            CheckpointLock::Acquired(Position::from_i64(position))
        } else {
            CheckpointLock::VersionMismatch
        });
    }
    if create_checkpoints(connection, &shard.target).await? {
        return Ok(CheckpointLock::Acquired(Position::ZERO));
    }
    // Other code may have other shards, and this shard no checkpoint among theirs.
    let is_other: bool = sqlx::query_scalar(
        "select bool_or(version <> $2) or not bool_or(name = $3) from apex.checkpoints where follower = $1",
    )
    .bind(shard.target.follower())
    .bind(code)
    .bind(shard.checkpoint())
    .fetch_one(connection)
    .await?;
    Ok(if is_other { CheckpointLock::VersionMismatch } else { CheckpointLock::HeldElsewhere })
}

/// Makes the checkpoints of all shards, at the beginning of the log, unless there is one already; whether it did.
pub(crate) async fn create_checkpoints(connection: &mut PgConnection, target: &Target) -> Result<bool, sqlx::Error> {
    // All shards or none: who finds one shard of a version finds all of them, and other code finds that there is one.
    let names: Vec<_> = target.shards().iter().map(Shard::checkpoint).collect();
    let made = sqlx::query(
        "insert into apex.checkpoints (name, position, version, partitioned_by)
         select n, 0, $2, $3 from unnest($1::text[]) as n
         where not exists (select from apex.checkpoints where follower = $4) on conflict do nothing",
    )
    .bind(&names)
    .bind(target.projection.version())
    .bind(target.projection.sharding().key())
    .bind(target.follower())
    .execute(connection)
    .await?;
    Ok(made.rows_affected() == names.len() as u64)
}

/// Takes the checkpoints of all shards, waiting for whoever has them; whether they are this code's.
pub(crate) async fn lock_checkpoints(connection: &mut PgConnection, target: &Target) -> Result<bool, ApplyError> {
    set_search_path(connection, target.slot, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
    if target.slot == Slot::Live {
        lock_feed_exclusive(connection, target.projection.name()).await?;
    }
    let names: Vec<_> = target.shards().iter().map(Shard::checkpoint).collect();
    let take = "select version from apex.checkpoints where name = any ($1) order by name for update";
    let mut versions: Vec<Option<i32>> = sqlx::query_scalar(take).bind(&names).fetch_all(&mut *connection).await?;
    if versions.is_empty() {
        // A switch that this waited for has put in others, which only the next statement sees.
        versions = sqlx::query_scalar(take).bind(&names).fetch_all(connection).await?;
    }
    let is_own = |version: &Option<i32>| version.is_none_or(|version| version == target.projection.version());
    Ok(versions.len() == names.len() && versions.iter().all(is_own))
}

/// Has the state topic of a read model published again from behind a position on: rows have changed there that its relay
/// takes for published. Nothing happens where there is none.
pub(crate) async fn rewind_state_topic(
    connection: &mut PgConnection,
    projection: &str,
    position: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update apex.checkpoints set position = least(position, $2), generation = generation + 1
                 where name = 'state:' || $1",
    )
    .bind(projection)
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves the checkpoint, if it still is where this transaction found it: a worker that was overtaken writes nothing.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    shard: &Shard,
    from: Position,
    to: Position,
) -> Result<(), ApplyError> {
    let is_moved = streams::advance_checkpoint(connection, &shard.checkpoint(), from, to).await?;
    if is_moved { Ok(()) } else { Err(ApplyError::Overtaken) }
}
