//! The worker of a policy, which reacts to events and changes no read model.

use crate::job::NewJob;
use crate::jobs::Jobs;
use futures::future::BoxFuture;
use projections::{
    ApplyError, Batch, Follower, Source, Step, StepError, WorkerConfig, WorkerError, begin_transaction,
    commit_transaction, follow,
};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use streams::Position;

/// A reaction to events. It follows the log with a checkpoint of its own, and a rebuild never calls it.
pub trait Policy: Send + Sync {
    /// The name; its checkpoint is `policy:NAME`.
    fn name(&self) -> &'static str;
    /// Handles events in order. May be called again for the same events and must then have the same effect: it returns
    /// jobs, or gives commands, whose ids are derived from the event.
    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>>;
    /// Called every 5 seconds while no event is appended, for a policy that acts on a read model: that may change
    /// without an event, by a decision about a parked event or a switch of versions. All events up to `handled` have
    /// been handled.
    fn tick(&self, _handled: Position) -> BoxFuture<'_, Result<Reaction, PolicyError>> {
        Box::pin(std::future::ready(Ok(Reaction::default())))
    }
}

/// What a policy answers events with, beside the commands that it gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reaction {
    /// The jobs to be written in the transaction that advances the checkpoint; a policy bounds their number.
    pub jobs: Vec<NewJob>,
    /// Whether there are further jobs for the same events. Then the checkpoint is not advanced, and the policy is called
    /// for the same events again.
    pub has_more: bool,
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
    /// The jobs of the database, which the policy's jobs are inserted into.
    pub jobs: Jobs,
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
        follow(&self, shutdown).await
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
        let checkpoint = load_or_create(self.jobs.pool(), &name).await.map_err(ApplyError::from)?;
        let Some(batch) = self.source.read_after(checkpoint, self.config.batch_events).await? else {
            let reaction = self.policy.tick(checkpoint).await.map_err(StepError::Policy)?;
            return if reaction.jobs.is_empty() {
                Ok(Step::Advanced(checkpoint))
            } else {
                self.commit(&name, checkpoint, checkpoint, &reaction.jobs).await
            };
        };
        // No lock is held meanwhile: if two processes handle the same events, each command and job is accepted once.
        let reaction = self.policy.handle(&batch).await.map_err(StepError::Policy)?;
        fail::fail_point!("policy_reacted");
        let through = if reaction.has_more { checkpoint } else { batch.through };
        self.commit(&name, checkpoint, through, &reaction.jobs).await
    }
}

impl PolicyWorker {
    /// Advances the checkpoint and inserts jobs, in one transaction: neither if the checkpoint has been moved.
    async fn commit(&self, name: &str, from: Position, to: Position, jobs: &[NewJob]) -> Result<Step, StepError> {
        let mut transaction = begin_transaction(self.jobs.pool()).await.map_err(ApplyError::from)?;
        let is_advanced = streams::advance_checkpoint(&mut transaction, name, from, to).await;
        if !is_advanced.map_err(ApplyError::from)? {
            return Ok(Step::HeldElsewhere);
        }
        if !jobs.is_empty() {
            self.jobs.insert(&mut transaction, jobs).await.map_err(ApplyError::from)?;
        }
        fail::fail_point!("policy_jobs_inserted");
        commit_transaction(transaction).await.map_err(ApplyError::from)?;
        if !jobs.is_empty() {
            self.jobs.wake();
        }
        Ok(Step::Advanced(to))
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
