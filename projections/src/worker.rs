//! The worker of one shard of a projection.
//!
//! Each step is one transaction: it locks the checkpoint, applies the events after it, and advances the checkpoint from
//! the position that it found. A worker that does not get the lock waits for its next step. A worker that is stopped
//! for longer than the idle timeout loses its session, and with it the lock and everything that the step has written;
//! another worker takes over.

use crate::batch::apply_batch;
use crate::checkpoint::{CheckpointLock, advance, lock_checkpoint};
use crate::decode::decode;
use crate::follower::{self, Follower, Step, StepError, WorkerConfig, WorkerError};
use crate::projection::{ApplyError, Projection};
use crate::source::Source;
use crate::target::{Shard, Target};
use crate::transaction;
use metrics::{counter, histogram};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use streams::{Position, Tail};
use tracing::Instrument;

/// A worker that applies the events of one shard of a projection.
pub struct Worker {
    /// The projection.
    pub projection: &'static dyn Projection,
    /// The number of the shard, from 0 on.
    pub shard: u16,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// Where the events are read from.
    pub source: Arc<dyn Source>,
    /// The settings.
    pub config: WorkerConfig,
}

impl Worker {
    /// Returns a worker for each shard of a projection, fed from the log.
    #[must_use]
    pub fn all(projection: &'static dyn Projection, pool: &PgPool, tail: &Tail, config: WorkerConfig) -> Vec<Self> {
        let worker = |shard| Self { projection, shard, pool: pool.clone(), source: Arc::new(tail.clone()), config };
        (0..projection.sharding().shard_count()).map(worker).collect()
    }

    /// Applies events until `shutdown` completes. A failed batch is retried with growing pauses.
    ///
    /// # Errors
    /// [`WorkerError::Log`] when the log is closed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        follower::follow(&self, shutdown).await
    }
}

impl Follower for Worker {
    fn name(&self) -> &'static str {
        self.projection.name()
    }

    fn config(&self) -> &WorkerConfig {
        &self.config
    }

    async fn step(&self, known: Option<Position>) -> Result<Step, StepError> {
        // The known checkpoint is only a hint; the one in the database decides.
        self.source.wait_beyond(known.unwrap_or(Position::ZERO)).await?;
        // Read before a connection is held, because reading may need one too.
        let early = match known {
            Some(known) => Some((known, self.source.read_after(known, self.config.batch_events).await?)),
            None => None,
        };
        let started = Instant::now();
        let name = self.projection.name();
        let target = Target::live(self.projection);
        let shard = Shard { target, number: self.shard };
        let idle_timeout = Some(self.config.idle_in_transaction_timeout);
        let begun = transaction::begin_apply(&self.pool, &target, idle_timeout).await;
        let mut transaction = begun.map_err(ApplyError::from)?;
        let checkpoint = match lock_checkpoint(&mut transaction, &shard).await? {
            CheckpointLock::Acquired(position) => position,
            CheckpointLock::HeldElsewhere => return Ok(Step::HeldElsewhere),
            CheckpointLock::VersionMismatch => return Ok(Step::VersionMismatch),
        };
        // If another worker advanced the checkpoint, or it was not known, the events after it are read before the next
        // step. Reading them now would take a second connection: if all workers did so, none would get one.
        let batch = early.filter(|(known, _)| *known == checkpoint).and_then(|(_, batch)| batch);
        let Some(batch) = batch else {
            // Keeps checkpoints that were just created.
            transaction::commit(transaction).await.map_err(ApplyError::from)?;
            return Ok(Step::Advanced(checkpoint));
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
        Ok(Step::Advanced(batch.through))
    }
}
