//! Handlers: the code that runs the jobs of a kind.

use crate::job::Job;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::time::Duration;

/// How many jobs of a queue run at the same time in all processes together, unless its handler says otherwise.
pub const DEFAULT_QUEUE_CONCURRENCY: u32 = 4;

/// Why an attempt of a job failed.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// The result of an attempt of a job.
#[derive(Debug)]
pub enum JobOutcome {
    /// The effect has taken place.
    Done,
    /// A part of the effect of a recurring job has taken place: it runs again at once, before its interval is over.
    Unfinished,
    /// The effect has taken place, and the job runs again at a time that its handler chose. A time that is over is not made up
    /// to the present: the job runs at once, as the run of that time.
    RepeatAt(DateTime<Utc>),
    /// The attempt failed, and a later one may succeed.
    Retry(JobError),
    /// As [`JobOutcome::Retry`], not before a delay that was asked for. The longest delay between attempts bounds it.
    RetryAfter(JobError, Duration),
    /// The attempt failed, and a later one would fail too: the job becomes a dead letter.
    DeadLetter(JobError),
}

/// Runs the jobs of one kind.
///
/// A job runs at least once, and again after a failure, a timeout, or the death of its runner. Its effect must take
/// place once however often it runs: [`Job::id`] is the idempotency key, for example as the id of a command. The future
/// is dropped when the attempt times out or the process stops.
pub trait JobHandler: Send + Sync {
    /// The kind of the jobs, of letters, digits and hyphens.
    fn kind(&self) -> &'static str;

    /// How many jobs of one queue run at the same time, in all processes together. With 1, jobs that do not fail run in
    /// the order in which they are due.
    fn concurrency(&self) -> u32 {
        DEFAULT_QUEUE_CONCURRENCY
    }

    /// The interval of a recurring job, which the runner inserts when it starts. Runs that are missed while no runner
    /// runs are made up for by one. None for jobs that others insert.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// The timeout of an attempt; that of the runner if none. The lease of an attempt that may take longer than the runner's
    /// timeout is renewed while it runs, so that the job of a runner that died is taken again as soon as any other.
    fn attempt_timeout(&self) -> Option<Duration> {
        None
    }

    /// Runs an attempt of a job.
    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome>;
}
