//! The worker of a policy, which reacts to events and changes no read model.

use crate::follower::{self, Follower, Step, StepError, WorkerConfig, WorkerError};
use crate::projection::ApplyError;
use crate::source::{Batch, Source};
use futures::future::BoxFuture;
use sqlx::postgres::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use streams::Position;

/// A reaction to events. It follows the log with a checkpoint of its own, and a rebuild never calls it.
pub trait Policy: Send + Sync {
    /// The name; its checkpoint is `policy:NAME`.
    fn name(&self) -> &'static str;
    /// Handles events in order. May be called again for the same events and must then have the same effect, for example
    /// by giving a command whose id is derived from the event.
    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), PolicyError>>;
    /// Called every 5 seconds while no event is appended, for a policy that acts on a read model: that may change
    /// without an event, by a decision about a parked event or a switch of versions. All events up to `handled` have
    /// been handled.
    fn tick(&self, _handled: Position) -> BoxFuture<'_, Result<(), PolicyError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How often a policy is called while no event is appended.
const TICK_INTERVAL: Duration = Duration::from_secs(5);

/// Why a policy failed; it is retried.
pub type PolicyError = Box<dyn std::error::Error + Send + Sync>;

/// Returns the name of a policy's checkpoint.
#[must_use]
pub fn policy_checkpoint(name: &str) -> String {
    format!("policy:{name}")
}

/// The worker of a policy. Several processes may run it: one of them advances the checkpoint.
pub struct PolicyWorker {
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// The database, as the application's role.
    pub pool: PgPool,
    /// Where the events are read from.
    pub source: Arc<dyn Source>,
    /// The settings.
    pub config: WorkerConfig,
}

impl PolicyWorker {
    /// Handles events until `shutdown` completes. A failure is retried with growing pauses.
    ///
    /// # Errors
    /// [`WorkerError::Log`] when the log is closed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        follower::run(&self, shutdown).await
    }
}

impl Follower for PolicyWorker {
    fn name(&self) -> &'static str {
        self.policy.name()
    }

    fn config(&self) -> &WorkerConfig {
        &self.config
    }

    async fn step(&self, known: Option<Position>) -> Result<Step, StepError> {
        let wait = self.source.wait_beyond(known.unwrap_or(Position::ZERO));
        if let Ok(waited) = tokio::time::timeout(TICK_INTERVAL, wait).await {
            waited?;
        }
        let name = policy_checkpoint(self.policy.name());
        let checkpoint = load_or_create(&self.pool, &name).await.map_err(ApplyError::from)?;
        let Some(batch) = self.source.read_after(checkpoint, self.config.batch_events).await? else {
            self.policy.tick(checkpoint).await.map_err(StepError::Policy)?;
            return Ok(Step::Advanced(checkpoint));
        };
        // No lock is held meanwhile: if two processes handle the same events, the log accepts each command once.
        self.policy.handle(&batch).await.map_err(StepError::Policy)?;
        fail::fail_point!("policy_reacted");
        let mut connection = self.pool.acquire().await.map_err(ApplyError::from)?;
        let is_advanced = streams::advance_checkpoint(&mut connection, &name, checkpoint, batch.through).await;
        let is_advanced = is_advanced.map_err(ApplyError::from)?;
        Ok(if is_advanced { Step::Advanced(batch.through) } else { Step::HeldElsewhere })
    }
}

/// Reads the checkpoint of a policy, which is created at position 0 if there is none.
async fn load_or_create(pool: &PgPool, name: &str) -> Result<Position, sqlx::Error> {
    sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
        .bind(name)
        .execute(pool)
        .await?;
    let find = "select position from apex.checkpoints where name = $1";
    sqlx::query_scalar(find).bind(name).fetch_one(pool).await.map(Position::from_i64)
}
