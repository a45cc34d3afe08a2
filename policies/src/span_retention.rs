//! The retention of the spans that exporters sent: a recurring job.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::Job;
use futures::future::BoxFuture;
use projections::spans;
use sqlx::postgres::PgPool;
use std::time::{Duration, Instant};
use streams::DatabaseError;

/// The kind of the job that deletes spans.
pub const SPAN_RETENTION: &str = "span-retention";

/// How often spans are deleted.
const INTERVAL: Duration = Duration::from_mins(10);

/// Deletes the traces to which no span has come for a number of days.
pub struct SpanRetention {
    pool: PgPool,
    days: u16,
    max_run: Duration,
}

impl SpanRetention {
    /// Creates the handler for the spans in the database of `pool`, of which with 0 days none are kept. A run starts no further
    /// statement after `max_run`, which must be shorter than the timeout of an attempt; the next run, which follows at once, deletes the rest.
    #[must_use]
    pub fn new(pool: PgPool, days: u16, max_run: Duration) -> Self {
        Self { pool, days, max_run }
    }

    async fn delete_expired(&self) -> Result<JobOutcome, DatabaseError> {
        let start = Instant::now();
        while start.elapsed() < self.max_run {
            if spans::delete_expired(&self.pool, self.days).await? == 0 {
                return Ok(JobOutcome::Done);
            }
        }
        Ok(JobOutcome::Unfinished)
    }
}

impl JobHandler for SpanRetention {
    fn kind(&self) -> &'static str {
        SPAN_RETENTION
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn run<'a>(&'a self, _job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(async move { self.delete_expired().await.unwrap_or_else(|error| JobOutcome::Retry(error.into())) })
    }
}
