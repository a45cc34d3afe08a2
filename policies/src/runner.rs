//! The runner: takes jobs that are due and runs them.
//!
//! Each queue with due jobs gets tasks of its own, which end when the queue has none left. A task waits for nothing but
//! its own job, so a destination that hangs delays its own queue only.

use crate::handler::{JobHandler, JobOutcome};
use crate::jobs::{Jobs, LeasedJob};
use crate::observe::record_attempt;
use crate::retry::{RetryConfig, Transition};
use futures::FutureExt as _;
use metrics::{counter, histogram};
use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The settings of a runner.
#[derive(Debug, Clone, Copy)]
pub struct JobRunnerConfig {
    /// How often the runner looks for due jobs that it was not told of: timers, retries, and jobs that other processes
    /// inserted. Default: 500 ms.
    pub poll_interval: Duration,
    /// The timeout of an attempt, unless its handler has another one. Default: 10 s.
    pub attempt_timeout: Duration,
    /// How long a lease lasts beyond the timeout of the attempt. A job whose runner died is taken again after both.
    /// Default: 5 s.
    pub lease_margin: Duration,
    /// How long attempts may go on after the runner was told to stop. Then they are dropped, and their jobs are given
    /// back. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// How long giving jobs back may take. Those that are not given back by then, because the database does not respond
    /// or their handlers block their threads, run again when their leases end. Default: 2 s.
    pub release_timeout: Duration,
    /// The maximum number of tasks of the runner. A task holds one job, of at most [`crate::MAX_PAYLOAD_BYTES`]. Queues
    /// do not delay each other while fewer queues than this, divided by their concurrency, hang. Default: 1024.
    pub max_tasks: usize,
    /// The maximum number of queues that are looked at in one round; the next round continues. Default: 1000.
    pub max_queues: u32,
    /// When failed jobs are retried.
    pub retry: RetryConfig,
}

impl Default for JobRunnerConfig {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            attempt_timeout: Duration::from_secs(10),
            lease_margin: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(5),
            release_timeout: Duration::from_secs(2),
            max_tasks: 1024,
            max_queues: 1000,
            retry: RetryConfig::default(),
        }
    }
}

impl JobRunnerConfig {
    /// How long a lease lasts, from its begin or its renewal.
    fn lease(&self) -> Duration {
        self.attempt_timeout + self.lease_margin
    }

    /// The timeout of an attempt of a handler.
    fn timeout_of(&self, handler: &dyn JobHandler) -> Duration {
        handler.attempt_timeout().unwrap_or(self.attempt_timeout)
    }
}

/// How often a lease is renewed while it lasts.
const RENEWALS_PER_LEASE: u32 = 3;

/// The pause between attempts to write the result of a job while the database cannot be reached.
const FINISH_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Runs the jobs whose kinds have a handler. Any number of processes may have one.
pub struct JobRunner {
    shared: Arc<Shared>,
    tasks: JoinSet<String>,
    /// The number of tasks of each queue that has any.
    running: HashMap<String, usize>,
    /// The queue after which the next round begins.
    continue_after: String,
}

/// What the tasks of a runner share.
struct Shared {
    jobs: Jobs,
    handlers: BTreeMap<&'static str, Arc<dyn JobHandler>>,
    config: JobRunnerConfig,
    /// Whether queues wait because the runner has as many tasks as it may have.
    is_full: AtomicBool,
    /// Cancelled when no further job may be taken.
    stopping: CancellationToken,
    /// Cancelled when attempts must end.
    aborting: CancellationToken,
}

impl JobRunner {
    /// Creates a runner. Of several handlers of one kind the last one is used.
    #[must_use]
    pub fn new(jobs: Jobs, handlers: Vec<Arc<dyn JobHandler>>, config: JobRunnerConfig) -> Self {
        let handlers = handlers.into_iter().map(|handler| (handler.kind(), handler)).collect();
        let (stopping, aborting) = (CancellationToken::new(), CancellationToken::new());
        let shared = Arc::new(Shared { jobs, handlers, config, is_full: AtomicBool::new(false), stopping, aborting });
        Self { shared, tasks: JoinSet::new(), running: HashMap::new(), continue_after: String::new() }
    }

    /// Runs jobs until `shutdown` completes, then waits for running attempts. A failure of the database is retried. If
    /// this future is dropped, the attempts are dropped too, and their jobs run again when their leases expire.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut is_started = false;
        loop {
            let round = async {
                if !is_started {
                    self.start_recurring().await?;
                    is_started = true;
                }
                self.start_tasks().await
            };
            let started = tokio::select! {
                () = &mut shutdown => break,
                started = round => started,
            };
            if let Err(error) = started {
                report(&error, "the jobs cannot be read");
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = self.pause() => {}
            }
        }
        self.stop().await;
    }

    async fn start_recurring(&self) -> Result<(), sqlx::Error> {
        for handler in self.shared.handlers.values().filter(|handler| handler.interval().is_some()) {
            self.shared.jobs.start_recurring(handler.kind()).await?;
        }
        Ok(())
    }

    /// Starts tasks for the queues that have due jobs and fewer tasks than they may have.
    async fn start_tasks(&mut self) -> Result<(), sqlx::Error> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.count_ended(ended);
        }
        let shared = &self.shared;
        let kinds: Vec<_> = shared.handlers.keys().copied().collect();
        let most = shared.handlers.values().map(|handler| handler.concurrency()).max().unwrap_or(1);
        let found = shared.jobs.due_queues(&kinds, &self.continue_after, shared.config.max_queues, most).await?;
        self.continue_after = found.continue_after;
        for due in found.queues {
            let Some(handler) = shared.handlers.get(due.kind.as_str()) else { continue };
            let running = self.running.get(&due.queue).copied().unwrap_or(0);
            // The jobs that tasks are running are not due.
            let bound = usize::try_from(handler.concurrency()).unwrap_or(usize::MAX);
            let wanted = usize::try_from(due.due).unwrap_or(0).saturating_add(running).min(bound);
            for _ in running..wanted {
                if self.tasks.len() >= shared.config.max_tasks {
                    // The queues after this one come first in the next round.
                    self.continue_after = due.queue;
                    shared.is_full.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                *self.running.entry(due.queue.clone()).or_default() += 1;
                self.tasks.spawn(shared.clone().run_queue(due.queue.clone(), handler.clone()));
            }
        }
        shared.is_full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until it is time to look for due jobs again.
    async fn pause(&mut self) {
        let until = Instant::now() + self.shared.config.poll_interval;
        let jobs = self.shared.jobs.clone();
        loop {
            tokio::select! {
                () = jobs.woken() => return,
                () = tokio::time::sleep_until(until) => return,
                Some(ended) = self.tasks.join_next() => self.count_ended(ended),
            }
        }
    }

    fn count_ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(queue) => {
                if let Some(running) = self.running.get_mut(&queue) {
                    *running -= 1;
                    if *running == 0 {
                        self.running.remove(&queue);
                    }
                }
            }
            // Handlers cannot panic their task: see `outcome`.
            Err(error) => report(&error, "a task of the job runner panicked"),
        }
    }

    async fn stop(&mut self) {
        let config = self.shared.config;
        self.shared.stopping.cancel();
        if !self.tasks_end_within(config.shutdown_timeout).await {
            self.shared.aborting.cancel();
            if !self.tasks_end_within(config.release_timeout).await {
                tracing::warn!(jobs = self.tasks.len(), "jobs cannot be given back; they run again after their leases");
            }
        }
    }

    /// Waits for the tasks. Returns false if some are left after a timeout.
    async fn tasks_end_within(&mut self, timeout: Duration) -> bool {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(timeout, ended).await.is_ok()
    }
}

impl Shared {
    /// Runs jobs of a queue, one after the other, until none is due, or until other queues wait for a task. Returns the
    /// queue.
    async fn run_queue(self: Arc<Self>, queue: String, handler: Arc<dyn JobHandler>) -> String {
        let lease = self.config.lease();
        while !self.stopping.is_cancelled() {
            match self.jobs.lease(&queue, lease, handler.concurrency()).await {
                Ok(Some(job)) => self.attempt(&job, &handler).await,
                Ok(None) => break,
                Err(error) => {
                    report(&error, "a job cannot be leased");
                    break;
                }
            }
            if self.is_full.load(Ordering::Relaxed) {
                break;
            }
        }
        queue
    }

    /// Runs an attempt of a job, and writes its result.
    async fn attempt(&self, leased: &LeasedJob, handler: &Arc<dyn JobHandler>) {
        let start = Instant::now();
        let mut lease_ends = start + self.config.lease();
        let outcome = tokio::select! {
            biased;
            outcome = self.outcome(leased, handler) => outcome,
            () = self.aborting.cancelled() => return self.give_back(leased, handler).await,
            () = self.keep_lease(leased, handler, &mut lease_ends) => return record_attempt(handler, "lost"),
        };
        histogram!("apex_jobs_attempt_seconds", "kind" => handler.kind()).record(start.elapsed().as_secs_f64());
        let next = Transition::after(outcome, leased.attempt, handler.interval(), &self.config.retry, rand::random());
        self.log(leased, &next);
        let written = loop {
            match self.jobs.finish(leased, &next).await {
                Ok(written) => break written,
                // Once the lease has expired, the job runs again anyhow.
                Err(error) if Instant::now() < lease_ends && !self.aborting.is_cancelled() => {
                    report(&error, "the result of a job cannot be written; retrying");
                    tokio::time::sleep(FINISH_RETRY_PAUSE).await;
                }
                Err(error) => {
                    report(&error, "the result of a job cannot be written; the job runs again after its lease");
                    break false;
                }
            }
        };
        record_attempt(handler, if written { next.label() } else { "lost" });
    }

    /// Renews the lease of an attempt that may take longer than it. Completes if the lease is lost: another runner runs the job
    /// then, or an operator has decided about it.
    async fn keep_lease(&self, leased: &LeasedJob, handler: &Arc<dyn JobHandler>, lease_ends: &mut Instant) {
        let lease = self.config.lease();
        if self.config.timeout_of(&**handler) <= self.config.attempt_timeout {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(lease / RENEWALS_PER_LEASE).await;
            let renewed_at = Instant::now();
            match self.jobs.renew(leased, lease).await {
                Ok(true) => *lease_ends = renewed_at + lease,
                Ok(false) => {
                    tracing::warn!(job = %leased.id, "the lease of a job was lost while it ran; its attempt is stopped");
                    return;
                }
                Err(error) => report(&error, "the lease of a job cannot be renewed; retrying"),
            }
        }
    }

    /// The outcome of an attempt that may time out or panic.
    async fn outcome(&self, leased: &LeasedJob, handler: &Arc<dyn JobHandler>) -> JobOutcome {
        let (attempt, max_attempts) = (leased.attempt, self.config.retry.max_attempts);
        if attempt > max_attempts {
            // Perhaps it is this job that kills its runners.
            let error = format!("none of {max_attempts} attempts ended before its lease: their runners died or hung");
            return JobOutcome::DeadLetter(error.into());
        }
        let job = match &leased.job {
            Ok(job) => job,
            // It cannot be decoded by a later attempt either.
            Err(error) => return JobOutcome::DeadLetter(error.clone().into()),
        };
        let run = AssertUnwindSafe(async { handler.run(job).await }).catch_unwind();
        let timeout = self.config.timeout_of(&**handler);
        match tokio::time::timeout(timeout, run).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => JobOutcome::Retry("the handler panicked; standard error has the message".into()),
            Err(_) => {
                let timeout_ms = timeout.as_millis();
                JobOutcome::Retry(format!("the attempt took longer than {timeout_ms} ms").into())
            }
        }
    }

    async fn give_back(&self, leased: &LeasedJob, handler: &Arc<dyn JobHandler>) {
        if let Err(error) = self.jobs.release(leased).await {
            report(&error, "a job cannot be given back; it runs again after its lease");
        }
        record_attempt(handler, "released");
    }

    fn log(&self, leased: &LeasedJob, next: &Transition) {
        let (job, queue, attempt) = (leased.id, &leased.queue, leased.attempt);
        match next {
            Transition::Done | Transition::Repeat(_) | Transition::RepeatAt(_) => {
                tracing::debug!(%job, queue, attempt, "a job is done")
            }
            Transition::RetryAfter(delay, error) => {
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(%job, queue, attempt, delay_ms, error, "a job failed and is retried");
            }
            Transition::DeadLetter(error) => {
                tracing::warn!(%job, queue, attempt, error, "a job became a dead letter: `apex jobs retry` sets it waiting again");
            }
        }
    }
}

/// Counts and logs a failure of the runner itself.
fn report(error: &(dyn StdError + 'static), message: &str) {
    counter!("apex_jobs_runner_errors_total").increment(1);
    tracing::warn!(error, "{message}");
}
