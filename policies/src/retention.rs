//! The retention of finished jobs: a recurring job.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::Job;
use futures::future::BoxFuture;
use sqlx::postgres::PgPool;
use std::time::{Duration, Instant};
use streams::DatabaseError;

/// The kind of the job that deletes finished jobs.
pub const JOB_RETENTION: &str = "job-retention";

/// How often finished jobs are deleted.
const INTERVAL: Duration = Duration::from_mins(10);
/// How long jobs that are done are kept: longer than any of their events takes to reach the read models, so that a
/// policy sees that the job was written.
const DONE_RETENTION: Duration = Duration::from_hours(24);
/// The maximum number of jobs that one statement deletes.
const BATCH_JOBS: i32 = 1000;

/// Deletes jobs that were done a day ago. Dead letters are kept until an operator decides, and dropped jobs for good: their
/// policy would write them again.
pub struct JobRetention {
    pool: PgPool,
    max_run: Duration,
}

impl JobRetention {
    /// Creates the handler for the jobs in the database of `pool`. A run starts no further statement after `max_run`,
    /// which must be shorter than the timeout of an attempt; the next run, which follows at once, deletes the rest.
    #[must_use]
    pub fn new(pool: PgPool, max_run: Duration) -> Self {
        Self { pool, max_run }
    }

    async fn delete_finished(&self) -> Result<JobOutcome, DatabaseError> {
        let start = Instant::now();
        while start.elapsed() < self.max_run {
            let delete = "select apex.delete_done_jobs(make_interval(secs => $1), $2)";
            let deleted: i32 = sqlx::query_scalar(delete)
                .bind(DONE_RETENTION.as_secs_f64())
                .bind(BATCH_JOBS)
                .fetch_one(&self.pool)
                .await?;
            if deleted < BATCH_JOBS {
                return Ok(JobOutcome::Done);
            }
        }
        Ok(JobOutcome::Unfinished)
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
        Box::pin(async move { self.delete_finished().await.unwrap_or_else(|error| JobOutcome::Retry(error.into())) })
    }
}
