//! The retention of finished jobs: a recurring job.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::Job;
use futures::future::BoxFuture;
use sqlx::postgres::PgPool;
use std::time::Duration;
use streams::DatabaseError;

/// The kind of the job that deletes finished jobs.
pub const JOB_RETENTION: &str = "job-retention";

/// How often finished jobs are deleted.
const INTERVAL: Duration = Duration::from_mins(10);
/// How long jobs that are done are kept: longer than any of their events takes to reach the read models, so that a
/// policy sees that the job was written.
const DONE_RETENTION: Duration = Duration::from_hours(24);
/// The maximum number of jobs that one statement deletes.
const BATCH_ROWS: i64 = 1000;
/// The maximum number of statements of a run; the next run deletes the rest.
const MAX_BATCHES: u32 = 100;

/// Deletes jobs that were done a day ago. Dead letters are kept until an operator decides, and dropped jobs for good: their
/// policy would write them again.
pub struct JobRetention {
    pool: PgPool,
}

impl JobRetention {
    /// Creates the handler for the jobs in the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn delete_finished(&self) -> Result<(), DatabaseError> {
        for _ in 0..MAX_BATCHES {
            let deleted = sqlx::query(
                "delete from apex.jobs where job_id in (
                     select job_id from apex.jobs
                     where state = 'done' and finished_at < clock_timestamp() - make_interval(secs => $1)
                     order by finished_at limit $2 for update skip locked)",
            )
            .bind(DONE_RETENTION.as_secs_f64())
            .bind(BATCH_ROWS)
            .execute(&self.pool)
            .await?;
            if deleted.rows_affected() < BATCH_ROWS.unsigned_abs() {
                break;
            }
        }
        Ok(())
    }
}

impl JobHandler for JobRetention {
    fn kind(&self) -> &'static str {
        JOB_RETENTION
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn run<'a>(&'a self, _job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move {
            match self.delete_finished().await {
                Ok(()) => JobOutcome::Done,
                Err(error) => JobOutcome::Retry(error.into()),
            }
        })
    }
}
