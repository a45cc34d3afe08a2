//! The composition root: opens the log, starts the workers, and ends loudly when one of them dies.

use crate::database::Database;
use crate::policies;
use anyhow::Context as _;
use commands::{Commands, CommandsConfig};
use domain::TenantId;
use projections::{AppliedEvents, PolicyWorker, Projection, WaitError, Worker, WorkerConfig};
use sqlx::postgres::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Log, LogConfig, Position};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long workers may take to finish what they are at; the server takes up to 10 s for its open requests.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(15);

/// The pause before the checkpoints are read again that could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The log and the commands, with the workers of this process.
pub struct Rooms {
    /// The read models' database.
    pub pool: PgPool,
    /// The log.
    pub log: Log,
    /// The executor of commands.
    pub commands: Commands,
    /// Whose data this process works on.
    pub tenant: TenantId,
    shutdown: CancellationToken,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Rooms {
    /// Opens the log; starts the tail and nothing else.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn open(database: &Database, tenant: TenantId) -> anyhow::Result<Self> {
        let config = LogConfig { archive: database.archive.clone(), ..LogConfig::default() };
        Self::with(database.pool.clone(), tenant, config).await
    }

    /// As [`Rooms::open`], on a pool.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn on(pool: PgPool, tenant: TenantId) -> anyhow::Result<Self> {
        Self::with(pool, tenant, LogConfig::default()).await
    }

    async fn with(pool: PgPool, tenant: TenantId, config: LogConfig) -> anyhow::Result<Self> {
        let log = Log::open(pool.clone(), config).await.context("the log cannot be opened")?;
        let connections = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        // The other half is for the workers, each of which holds one connection at most, and for queries.
        let config = CommandsConfig { max_reads: connections / 2, ..CommandsConfig::default() };
        let commands = Commands::new(log.clone(), config);
        let shutdown = CancellationToken::new();
        let mut rooms = Self { pool, log, commands, tenant, shutdown, workers: JoinSet::new() };
        let (tail, stop) = (rooms.log.tail().clone(), rooms.stop_signal());
        rooms.spawn("tail", async move {
            tail.run(stop).await;
            Ok(())
        });
        let (log, stop) = (rooms.log.clone(), rooms.stop_signal());
        rooms.spawn("appender", async move {
            tokio::select! {
                () = stop => Ok(()),
                () = log.appender_stopped() => anyhow::bail!("appending panicked; nothing can be appended any more"),
            }
        });
        Ok(rooms)
    }

    /// Starts the workers of all projections and the policies that react to them.
    pub fn start_projections(&mut self) {
        for projection in projections::all() {
            self.start_projection(projection);
        }
        let alerts = policies::BudgetAlerts::new(self.pool.clone(), self.commands.clone());
        let policy = PolicyWorker {
            policy: Arc::new(alerts),
            pool: self.pool.clone(),
            source: Arc::new(AppliedEvents::new(self.log.tail().clone(), self.pool.clone(), policies::BUDGETS)),
            config: WorkerConfig::default(),
        };
        let stop = self.stop_signal();
        self.spawn(policies::BUDGET_ALERTS, async move { Ok(policy.run(stop).await?) });
    }

    /// Starts the workers of one projection.
    pub fn start_projection(&mut self, projection: &'static dyn Projection) {
        for worker in Worker::all(projection, &self.pool, self.log.tail(), WorkerConfig::default()) {
            let stop = self.stop_signal();
            self.spawn(projection.name(), async move { Ok(worker.run(stop).await?) });
        }
    }

    /// Starts keeping partitions ahead of need.
    pub fn start_maintenance(&mut self) {
        let (log, stop) = (self.log.clone(), self.stop_signal());
        self.spawn("partitions", async move {
            log.maintain_partitions(stop).await;
            Ok(())
        });
    }

    /// Starts a worker under a name. When it ends before it is told to, [`Rooms::run_until`] ends with an error.
    pub fn spawn(&mut self, name: &'static str, worker: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.workers.spawn(async move {
            worker.await.with_context(|| format!("worker {name:?} died"))?;
            anyhow::ensure!(shutdown.is_cancelled(), "worker {name:?} ended on its own");
            Ok(())
        });
    }

    /// Completes when a worker dies, with its error.
    ///
    /// # Errors
    /// The worker's.
    pub async fn worker_died(&mut self) -> anyhow::Result<()> {
        flatten(self.workers.join_next().await)
    }

    /// Completes when this process is to stop.
    pub fn stop_signal(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.shutdown.clone().cancelled_owned()
    }

    /// Waits until the read models have everything that is in the log now, and what it gave rise to: alerts are events
    /// too. Returns where they stand. What others append in the meantime is not waited for.
    ///
    /// # Errors
    /// Where they do not get there in time.
    pub async fn wait_for_read_models(&self, timeout: Duration) -> anyhow::Result<Position> {
        let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
        let alerts = projections::policy_checkpoint(policies::BUDGET_ALERTS);
        let deadline = Instant::now() + timeout;
        let mut head = self.log.head().await?;
        // What the policy gave rise to stands after the head that it had seen.
        self.wait_for(&[&alerts], head, deadline).await?;
        head = self.log.head().await?;
        Ok(self.wait_for(&names, head, deadline).await?)
    }

    /// Waits until the named projections have reached a position. That the database is busy or away is waited for, too.
    async fn wait_for(&self, names: &[&str], head: Position, deadline: Instant) -> Result<Position, WaitError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match projections::wait_for(&self.pool, names, head, left).await {
                Err(WaitError::Database(error)) if error.is_retryable() && !left.is_zero() => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the checkpoints are read again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                waited => return waited,
            }
        }
    }

    /// Runs until `stop` completes or a worker dies.
    ///
    /// # Errors
    /// The worker's.
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
    /// Where one of them died, or does not stop.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(SHUTDOWN_PATIENCE, async {
            let mut first = Ok(());
            while let Some(ended) = self.workers.join_next().await {
                first = first.and(flatten(Some(ended)));
            }
            // Last: what workers did may be due for a snapshot. And before the caller closes the connections.
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
