//! The loop of a worker that follows a source of events with a checkpoint, step by step.

use crate::projection::ApplyError;
use crate::transaction::IDLE_IN_TRANSACTION_TIMEOUT;
use metrics::counter;
use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;
use streams::{Backoff, Position, ReadError};
use thiserror::Error;

/// The settings of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerConfig {
    /// The maximum number of events in a batch, which is one transaction. Default: 1000.
    pub batch_events: usize,
    /// Twice this is the pause before a failed batch is retried; it doubles with each failure, up to a hundred times
    /// this value.
    /// Default: 100 ms.
    pub retry_pause: Duration,
    /// How long a worker's transaction may be idle before the server ends its session, and so releases the checkpoint
    /// to another worker. Default: 10 s.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            batch_events: 1000,
            retry_pause: Duration::from_millis(100),
            idle_in_transaction_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
        }
    }
}

/// Why a worker ended although it was not told to.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The log was closed.
    #[error("the log was closed under worker {name}")]
    Log {
        /// The name of the projection or policy.
        name: &'static str,
        /// The error of the log.
        #[source]
        source: ReadError,
    },
}

/// The result of a step of a [`Follower`].
#[derive(Debug)]
pub enum Step {
    /// The checkpoint is at this position.
    Advanced(Position),
    /// Another worker holds the checkpoint.
    HeldElsewhere,
    /// The tables belong to another version of the code.
    VersionMismatch,
}

/// Why a step of a [`Follower`] failed; it is retried.
#[derive(Debug, Error)]
pub enum StepError {
    /// The events could not be applied, or the database failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The events could not be read. [`ReadError::Closed`] ends the worker.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A policy failed.
    #[error("the policy failed")]
    Policy(#[source] Box<dyn StdError + Send + Sync>),
}

/// A worker that follows a source of events.
pub trait Follower: Sync {
    /// The name of the projection or policy.
    fn name(&self) -> &'static str;
    /// The settings of the worker.
    fn config(&self) -> &WorkerConfig;
    /// Waits for an event after the last known checkpoint, and processes a batch.
    fn step(&self, checkpoint: Option<Position>) -> impl Future<Output = Result<Step, StepError>> + Send;
}

/// Runs steps until `shutdown` completes.
///
/// # Errors
/// [`WorkerError`] when the log is closed.
pub async fn follow(follower: &impl Follower, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
    let (name, config) = (follower.name(), follower.config());
    let mut shutdown = std::pin::pin!(shutdown);
    let mut failures: u32 = 0;
    let mut checkpoint = None;
    let mut is_mismatch_logged = false;
    loop {
        let step = tokio::select! {
            () = &mut shutdown => return Ok(()),
            step = follower.step(checkpoint) => step,
        };
        let pause = match step {
            Ok(Step::Advanced(position)) => {
                (failures, is_mismatch_logged) = (0, false);
                checkpoint = Some(position);
                continue;
            }
            Ok(Step::HeldElsewhere) => config.retry_pause,
            Ok(Step::VersionMismatch) => {
                if !std::mem::replace(&mut is_mismatch_logged, true) {
                    tracing::warn!(
                        projection = name,
                        "the live tables belong to another version of the code; this worker writes nothing"
                    );
                }
                config.retry_pause * 10
            }
            Err(StepError::Read(source @ ReadError::Closed)) => return Err(WorkerError::Log { name, source }),
            Err(error) => {
                failures = failures.saturating_add(1);
                counter!("apex_projection_errors_total", "projection" => name).increment(1);
                tracing::warn!(projection = name, error = &error as &dyn StdError, "a batch failed and is retried");
                backoff(config.retry_pause).delay(failures)
            }
        };
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The pauses after failures in a row.
fn backoff(retry_pause: Duration) -> Backoff {
    Backoff { first: retry_pause.saturating_mul(2), max: retry_pause.saturating_mul(100) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn the_retry_delay_doubles_up_to_a_hundredfold() {
        let pause = Duration::from_millis(100);
        let delays: Vec<_> = (1..=8).map(|failures| backoff(pause).delay(failures).as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    /// Gives prepared results, and keeps the checkpoints that it was given.
    struct Scripted {
        steps: Mutex<Vec<Result<Step, StepError>>>,
        checkpoints: Mutex<Vec<Option<u64>>>,
        config: WorkerConfig,
    }

    impl Scripted {
        fn new(mut steps: Vec<Result<Step, StepError>>) -> Self {
            steps.reverse();
            let config = WorkerConfig { retry_pause: Duration::from_millis(1), ..WorkerConfig::default() };
            Self { steps: Mutex::new(steps), checkpoints: Mutex::default(), config }
        }
    }

    impl Follower for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn config(&self) -> &WorkerConfig {
            &self.config
        }

        async fn step(&self, checkpoint: Option<Position>) -> Result<Step, StepError> {
            self.checkpoints.lock().unwrap().push(checkpoint.map(Position::get));
            let step = self.steps.lock().unwrap().pop();
            step.unwrap_or(Err(StepError::Read(ReadError::Closed)))
        }
    }

    #[tokio::test]
    async fn a_failed_step_is_retried_from_the_same_checkpoint() {
        let follower = Scripted::new(vec![
            Ok(Step::Advanced(Position::from(5))),
            Err(StepError::Apply(ApplyError::CheckpointMoved)),
            Ok(Step::HeldElsewhere),
            Ok(Step::VersionMismatch),
            Ok(Step::Advanced(Position::from(7))),
        ]);
        let ended = follow(&follower, std::future::pending()).await;
        assert!(matches!(ended, Err(WorkerError::Log { source: ReadError::Closed, .. })));
        assert_eq!(*follower.checkpoints.lock().unwrap(), [None, Some(5), Some(5), Some(5), Some(5), Some(7)]);
    }

    #[tokio::test]
    async fn a_worker_that_waits_to_retry_ends_when_it_is_told_to() {
        let mut follower = Scripted::new(vec![Ok(Step::HeldElsewhere)]);
        follower.config.retry_pause = Duration::from_secs(3600);
        assert!(follow(&follower, tokio::time::sleep(Duration::from_millis(5))).await.is_ok());
    }
}
