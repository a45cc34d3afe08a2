//! Opens the log, starts the workers, and fails when one of them dies.

use crate::alerts::MAX_DELIVERIES_OF_ENDPOINT;
use crate::config::Common;
use crate::database::{Database, read_connections};
use anyhow::Context as _;
use commands::{Commands, CommandsConfig, Component, Principal};
use domain::alert_endpoints::MAX_ENDPOINTS;
use identity::{Identities, SignInConfig};
use policies::{
    AgentPauses, AlertDelivery, AlertWatchHandler, BudgetAlertHandler, BudgetAlerts, BudgetCharging,
    BudgetCountHandler, ChargingCatchUpHandler, JobHandler, JobRetention, JobRunner, JobRunnerConfig, Jobs, Policy,
    PolicyWorker, ReservationExpiry, ReservationExpiryHandler, RetryConfig, Schedules, SpanRetention,
};
use projections::{AppliedEvents, Projection, Source, WaitError, Worker, WorkerConfig};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Backoff, Log, LogConfig, Position, TenantReads};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The timeout for workers to stop. The server takes up to 10 s to complete its open requests.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);

/// The pause before a failed read of the checkpoints is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The interval at which unfinished jobs are looked for.
const JOBS_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The maximum number of runs of schedules that one process makes at the same time. Each takes a connection of reads for as long as
/// it takes.
const MAX_SCHEDULED_RUNS: usize = 2;

/// The maximum number of alerts that one process delivers at the same time. It is more than the endpoints of a tenant take that all
/// hang, so that they do not delay those of others.
const MAX_ALERT_DELIVERIES: usize = 128;
const _: () = assert!(MAX_ENDPOINTS * (MAX_DELIVERIES_OF_ENDPOINT as usize) < MAX_ALERT_DELIVERIES);
/// When a delivery is tried again that failed: after 5 s, doubling to 12 h, 20 times, which takes two to three days.
const ALERT_BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_hours(12) };
const MAX_ALERT_ATTEMPTS: u32 = 20;
/// How much longer an attempt may take than the endpoint may take to answer.
const ALERT_MARGIN: Duration = Duration::from_secs(5);

/// The number of attempts to raise an alert after which [`Rooms::wait_for_read_models`] no longer waits for it.
const MAX_AWAITED_ATTEMPTS: u32 = 5;

/// The log and the commands, with the workers of this process.
pub struct Rooms {
    /// The connection pool of the database, which commands, workers and jobs share.
    pub pool: PgPool,
    /// The connections of reads on behalf of tenants.
    pub reads: TenantReads,
    /// The log.
    pub log: Log,
    /// The executor of commands.
    pub commands: Commands,
    /// The jobs of the policies.
    pub jobs: Jobs,
    /// Whom this process works for: the operator who started it, in a tenant.
    pub principal: Arc<Principal>,
    shutdown: CancellationToken,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Rooms {
    /// Opens the log of a database, and starts its tail. Other workers are started by the `start_` methods.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn open(database: &Database, principal: Arc<Principal>) -> anyhow::Result<Self> {
        let config = LogConfig { archive: database.archive.clone(), ..LogConfig::default() };
        Self::with(database.pool.clone(), database.reads.clone(), principal, config).await
    }

    /// As [`Rooms::open`], with a pool and without an archive. Reads on behalf of tenants have connections of their own, in
    /// addition to those of the pool.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn on(pool: PgPool, principal: impl Into<Arc<Principal>>) -> anyhow::Result<Self> {
        let reads = TenantReads::beside(&pool, read_connections(pool.options().get_max_connections()));
        Self::with(pool, reads, principal.into(), LogConfig::default()).await
    }

    async fn with(
        pool: PgPool,
        reads: TenantReads,
        principal: Arc<Principal>,
        config: LogConfig,
    ) -> anyhow::Result<Self> {
        let log = Log::open(pool.clone(), config).await.context("the log cannot be opened")?;
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        // The other half is for the workers, each of which uses at most one connection.
        let config = CommandsConfig { max_reads: connections / 2, ..CommandsConfig::default() };
        let commands = Commands::new(log.clone(), config);
        let shutdown = CancellationToken::new();
        let jobs = Jobs::new(pool.clone());
        let mut rooms = Self { pool, reads, log, commands, jobs, principal, shutdown, workers: JoinSet::new() };
        let (tail, stop) = (rooms.log.tail().clone(), rooms.stop_signal());
        rooms.spawn("tail", async move {
            tail.run(stop).await;
            Ok(())
        });
        let (log, stop) = (rooms.log.clone(), rooms.stop_signal());
        rooms.spawn("appender", async move {
            tokio::select! {
                () = stop => Ok(()),
                () = log.appender_stopped() => anyhow::bail!("the appender panicked; no more events can be appended"),
            }
        });
        Ok(rooms)
    }

    /// The credentials of the installation, and who they belong to, as of now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn identities(&self, common: &Common) -> anyhow::Result<Identities> {
        self.identities_with(common, SignInConfig::default()).await
    }

    /// As [`Rooms::identities`], with settings of sessions.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn identities_with(&self, common: &Common, config: SignInConfig) -> anyhow::Result<Identities> {
        let opened = Identities::open_with(self.pool.clone(), self.commands.clone(), common.key_file(), config).await;
        opened.context("the grants cannot be read from the log")
    }

    /// A component of Apex, in the tenant that this process works in.
    #[must_use]
    pub fn component(&self, component: Component) -> Principal {
        Principal::component(self.principal.tenant().clone(), component)
    }

    /// Starts the workers of all projections, the policies, and a runner of the alerts, which
    /// [`Rooms::wait_for_read_models`] waits for. Other jobs are left to servers.
    pub fn start_projections(&mut self) {
        self.start_policies();
        self.start_jobs(vec![self.alerts()]);
    }

    /// Starts the workers of all projections, the policies, and a runner of all jobs, of which some have these handlers.
    /// Spans that exporters sent are deleted after a number of days.
    pub fn start_server_workers(&mut self, mut handlers: Vec<Arc<dyn JobHandler>>, span_retention_days: u16) {
        self.start_policies();
        let config = JobRunnerConfig::default();
        // Half of the timeout: the last statement of a run takes its time too.
        let max_run = config.attempt_timeout / 2;
        let retention = JobRetention::new(self.pool.clone(), max_run);
        let spans = SpanRetention::new(self.pool.clone(), span_retention_days, max_run);
        let (count, expiry) =
            (BudgetCountHandler::new(self.commands.clone()), ReservationExpiryHandler::new(self.commands.clone()));
        let charging = ChargingCatchUpHandler::new(self.commands.clone());
        let delegations = policies::DelegationEndHandler::new(self.commands.clone());
        let watch = AlertWatchHandler::new(self.commands.clone(), self.reads.clone());
        handlers.extend([
            self.alerts(),
            Arc::new(watch),
            Arc::new(count),
            Arc::new(charging),
            Arc::new(expiry),
            Arc::new(delegations),
            Arc::new(retention),
            Arc::new(spans),
        ]);
        self.start_jobs(handlers);
    }

    /// Starts the policy of schedules, and a runner of their runs. A run may take an hour: the runner is one of its own, so that runs
    /// take no place of other jobs, however many are due at midnight.
    pub fn start_schedules(&mut self, handler: Arc<dyn JobHandler>) {
        self.start_policy(Arc::new(Schedules), Arc::new(self.log.tail().clone()));
        let config = JobRunnerConfig { max_tasks: MAX_SCHEDULED_RUNS, ..JobRunnerConfig::default() };
        // A wake-up reaches one runner, and this one would take those of the other. It looks for due jobs twice a second.
        let runner = JobRunner::new(Jobs::new(self.pool.clone()), vec![handler], config);
        let stop = self.stop_signal();
        self.spawn("schedules", async move {
            runner.run(stop).await;
            Ok(())
        });
    }

    /// Starts the policy of deliveries of alerts, and a runner of them. An endpoint may be away for days, and a slow one takes no
    /// place of other jobs: the runner is one of its own.
    pub fn start_alert_deliveries(&mut self, handlers: Vec<Arc<dyn JobHandler>>, timeout: Duration) {
        let jobs = Jobs::new(self.pool.clone());
        let policy: Arc<dyn Policy> = Arc::new(AlertDelivery::new(self.commands.clone(), jobs.clone()));
        let (name, source, stop) = (policy.name(), Arc::new(self.log.tail().clone()), self.stop_signal());
        let worker = PolicyWorker { policy, jobs: jobs.clone(), source, config: WorkerConfig::default() };
        self.spawn(name, async move { Ok(worker.run(stop).await?) });
        let config = JobRunnerConfig {
            attempt_timeout: timeout + ALERT_MARGIN,
            max_tasks: MAX_ALERT_DELIVERIES,
            retry: RetryConfig { backoff: ALERT_BACKOFF, max_attempts: MAX_ALERT_ATTEMPTS },
            ..JobRunnerConfig::default()
        };
        let (runner, stop) = (JobRunner::new(jobs, handlers, config), self.stop_signal());
        self.spawn("alert deliveries", async move {
            runner.run(stop).await;
            Ok(())
        });
    }

    fn alerts(&self) -> Arc<dyn JobHandler> {
        Arc::new(BudgetAlertHandler::new(self.commands.clone()))
    }

    fn start_policies(&mut self) {
        for projection in projections::all() {
            self.start_projection(projection);
        }
        let budgets = AppliedEvents::new(self.log.tail().clone(), self.pool.clone(), policies::BUDGETS);
        self.start_policy(Arc::new(BudgetAlerts::new(self.pool.clone(), self.jobs.clone())), Arc::new(budgets));
        let log = Arc::new(self.log.tail().clone());
        self.start_policy(Arc::new(BudgetCharging::new(self.commands.clone())), log.clone());
        self.start_policy(Arc::new(ReservationExpiry), log.clone());
        self.start_policy(Arc::new(policies::DelegationEnds), log.clone());
        self.start_policy(Arc::new(AgentPauses::new(self.commands.clone())), log);
    }

    /// Starts the worker of a policy.
    fn start_policy(&mut self, policy: Arc<dyn Policy>, source: Arc<dyn Source>) {
        let (name, stop) = (policy.name(), self.stop_signal());
        let worker = PolicyWorker { policy, jobs: self.jobs.clone(), source, config: WorkerConfig::default() };
        self.spawn(name, async move { Ok(worker.run(stop).await?) });
    }

    /// Starts a runner of the jobs of some handlers.
    fn start_jobs(&mut self, handlers: Vec<Arc<dyn JobHandler>>) {
        let runner = JobRunner::new(self.jobs.clone(), handlers, JobRunnerConfig::default());
        let stop = self.stop_signal();
        self.spawn("jobs", async move {
            runner.run(stop).await;
            Ok(())
        });
    }

    /// Starts the workers of one projection.
    pub fn start_projection(&mut self, projection: &'static dyn Projection) {
        for worker in Worker::all(projection, &self.pool, self.log.tail(), WorkerConfig::default()) {
            let stop = self.stop_signal();
            self.spawn(projection.name(), async move { Ok(worker.run(stop).await?) });
        }
    }

    /// Starts the worker that creates partitions of the log ahead of need.
    pub fn start_maintenance(&mut self) {
        let (log, stop) = (self.log.clone(), self.stop_signal());
        self.spawn("partitions", async move {
            log.maintain_partitions(stop).await;
            Ok(())
        });
    }

    /// Starts a worker. If it ends before this process stops, [`Rooms::run_until`] returns an error.
    pub fn spawn(&mut self, name: &'static str, worker: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.workers.spawn(async move {
            worker.await.with_context(|| format!("worker {name:?} died"))?;
            anyhow::ensure!(shutdown.is_cancelled(), "worker {name:?} ended on its own");
            Ok(())
        });
    }

    /// Completes when a worker ends.
    ///
    /// # Errors
    /// The error of the worker.
    pub async fn worker_died(&mut self) -> anyhow::Result<()> {
        flatten(self.workers.join_next().await)
    }

    /// Completes when this process stops its workers.
    pub fn stop_signal(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.shutdown.clone().cancelled_owned()
    }

    /// Waits until the read models have all events that are in the log now, and the alerts that they cause, which are
    /// events too. Returns the position of the read models. Events that others append meanwhile are not waited for, nor
    /// are alerts that cannot be raised, or not in a few attempts.
    ///
    /// # Errors
    /// If the alerts are not raised or the read models do not reach the position within `timeout`.
    pub async fn wait_for_read_models(&self, timeout: Duration) -> anyhow::Result<Position> {
        let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
        let alerts = policies::policy_checkpoint(policies::BUDGET_ALERTS);
        let deadline = Instant::now() + timeout;
        let mut head = self.log.head().await?;
        // The alerts are after the head that the policy had read.
        self.wait_for(&[&alerts], head, deadline).await?;
        self.wait_for_alerts(deadline).await?;
        head = self.log.head().await?;
        Ok(self.wait_for(&names, head, deadline).await?)
    }

    /// Waits until the alerts whose jobs are written have been raised. Retries while the database is busy or unreachable.
    async fn wait_for_alerts(&self, deadline: Instant) -> anyhow::Result<()> {
        let mut through = None;
        loop {
            let unfinished = async {
                let last = match through {
                    Some(last) => last,
                    None => *through.insert(self.jobs.last_sequence().await?),
                };
                self.jobs.has_unfinished(policies::BUDGET_ALERT, last, MAX_AWAITED_ATTEMPTS).await
            };
            let pause = match unfinished.await {
                Ok(false) => return Ok(()),
                Ok(true) => JOBS_POLL_INTERVAL,
                Err(error) if error.is_retryable() => RETRY_PAUSE,
                Err(error) => return Err(error.into()),
            };
            anyhow::ensure!(
                Instant::now() < deadline,
                "alerts of budgets are still to be raised: see `apex jobs list --kind {}`",
                policies::BUDGET_ALERT
            );
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until the named projections have reached a position. Retries while the database is busy or unreachable.
    async fn wait_for(&self, names: &[&str], head: Position, deadline: Instant) -> Result<Position, WaitError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match projections::wait_for(&self.pool, names, head, left).await {
                Err(WaitError::Database(error)) if error.is_retryable() && !left.is_zero() => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "retrying to read the checkpoints");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                waited => return waited,
            }
        }
    }

    /// Runs until `stop` completes or a worker ends, then stops all workers.
    ///
    /// # Errors
    /// The error of the worker that ended.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let died = tokio::select! {
            () = stop => Ok(()),
            ended = self.workers.join_next() => flatten(ended),
        };
        let closed = self.close().await;
        died.and(closed)
    }

    /// Stops the workers and waits for them.
    ///
    /// # Errors
    /// If a worker failed, or does not stop in time.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(SHUTDOWN_TIMEOUT, async {
            let mut first = Ok(());
            while let Some(ended) = self.workers.join_next().await {
                first = first.and(flatten(Some(ended)));
            }
            // After the workers, whose commands may have queued snapshots, and before the caller closes the
            // connections.
            self.commands.close().await;
            first
        });
        ended.await.context("the workers did not stop in time")?
    }
}

fn flatten(ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(error).context("a worker panicked"),
        None => Ok(()),
    }
}
