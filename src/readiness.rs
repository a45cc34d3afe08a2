//! The readiness checks of a server.

use commands::Principal;
use domain::error_chain;
use domain::permissions::{Access, Forbidden, ReadMetrics, ReadProjections};
use projections::ProjectionStatus;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::{DatabaseFault, Log};

/// The maximum time since the last poll of the tail, which polls twice a second and reports failures: beyond it, the
/// tail hangs.
const MAX_TAIL_AGE: Duration = Duration::from_secs(10);
/// How long a failed append makes the process unready, unless a later one succeeds. An unready process gets no
/// requests, so that it would never append again.
const APPEND_FAILURE_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout of the connection that is opened to find out why a query timed out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the checkpoint of a projection that is behind the log may not advance.
const MAX_STANDSTILL: Duration = Duration::from_secs(60);

/// How long a job may be due before it is reported.
const MAX_JOB_LAG: Duration = Duration::from_secs(60);

/// Checks the database, the tail, the partitions, the projections and the jobs.
pub struct Readiness {
    /// The connections to the database.
    pub pool: PgPool,
    /// The log.
    pub log: Log,
    /// Access to the status of the read models.
    pub statuses_access: Access<ReadProjections>,
    /// Access to the gauges of the jobs.
    pub metrics_access: Access<ReadMetrics>,
    /// The times since which projections have not advanced.
    pub standstill: Standstill,
    /// How long the checkpoint of a projection that is behind the log may not advance.
    pub max_standstill: Duration,
    /// The latest results of the checks that query the database.
    pub latest: LatestResults,
}

/// The latest results of the checks that query the database, and when the queries started. One request at a time
/// queries the database; concurrent ones, which need no token, wait and share the results of queries that started after
/// they arrived.
pub type LatestResults = tokio::sync::Mutex<Option<(Instant, Vec<api::ReadyCheck>)>>;

impl Readiness {
    /// Creates the checks, with a limit of one minute for projections that do not advance. `principal` is the one that
    /// the process runs as.
    ///
    /// # Errors
    /// [`Forbidden`] if it may not read the status of the read models or the metrics.
    pub fn new(pool: PgPool, log: Log, principal: &Principal) -> Result<Self, Forbidden> {
        Ok(Self {
            pool,
            log,
            statuses_access: principal.authorise()?,
            metrics_access: principal.authorise()?,
            standstill: Standstill::default(),
            max_standstill: MAX_STANDSTILL,
            latest: LatestResults::default(),
        })
    }
}

/// The positions of projections that are behind the log, and when this process first saw each there.
#[derive(Default)]
pub struct Standstill(Mutex<HashMap<String, (i64, Instant)>>);

impl Standstill {
    /// How long a projection has been behind the log at its position; zero if it is up to date or has advanced.
    #[must_use]
    pub fn duration(&self, status: &ProjectionStatus) -> Duration {
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if status.lag_events == 0 {
            positions.remove(&status.name);
            return Duration::ZERO;
        }
        let (position, since) =
            positions.entry(status.name.clone()).or_insert_with(|| (status.position, Instant::now()));
        if *position != status.position {
            (*position, *since) = (status.position, Instant::now());
        }
        since.elapsed()
    }
}

impl api::ReadyChecks for Readiness {
    fn check(&self) -> futures::future::BoxFuture<'_, Vec<api::ReadyCheck>> {
        Box::pin(async move {
            let of_database = self.database_checks().await;
            [self.tail(), self.appends()].into_iter().chain(of_database).collect()
        })
    }
}

impl Readiness {
    async fn database_checks(&self) -> Vec<api::ReadyCheck> {
        let arrived = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some((_, checks)) = latest.as_ref().filter(|(start, _)| *start >= arrived) {
            return checks.clone();
        }
        let start = Instant::now();
        let (partitions, projections, jobs) = tokio::join!(self.partitions(), self.projections(), self.jobs());
        let checks = vec![partitions, projections, jobs];
        *latest = Some((start, checks.clone()));
        checks
    }

    fn tail(&self) -> api::ReadyCheck {
        let age = self.log.tail().age();
        let failure = self.log.tail().failure();
        let seen = format!("the end of the log was last read {} ms ago", age.as_millis());
        let detail = match &failure {
            Some(error) => format!("{seen}; {}", explain(&**error)),
            None => seen,
        };
        api::ReadyCheck { name: "tail", ok: failure.is_none() && age < MAX_TAIL_AGE, detail }
    }

    fn appends(&self) -> api::ReadyCheck {
        let failure = self.log.last_append_failure().filter(|(at, _)| at.elapsed() < APPEND_FAILURE_TIMEOUT);
        let detail = match &failure {
            Some((at, error)) => format!("the last append failed {} s ago; {}", at.elapsed().as_secs(), explain(error)),
            None => "no recent append failed".to_owned(),
        };
        api::ReadyCheck { name: "appends", ok: failure.is_none(), detail }
    }

    async fn partitions(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.query(self.log.headroom()).await {
            Ok(room) => {
                let detail = format!("the partitions have space for {} more events", room.positions);
                // Not a reason to route requests to other servers: their log is the same.
                let late = format!("WARNING: partitions are not created ahead of need; {detail}");
                (!room.is_critical(), if room.is_low() { late } else { detail })
            }
            Err(detail) => (false, detail),
        };
        api::ReadyCheck { name: "partitions", ok, detail }
    }

    async fn projections(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.query(projections::statuses(&self.statuses_access, &self.pool)).await {
            Ok(statuses) => {
                let stuck: Vec<_> = statuses.iter().filter_map(|status| self.problem(status)).collect();
                let lag = statuses.iter().map(|status| status.lag_events).max().unwrap_or(0);
                let warnings = statuses.iter().flat_map(|status| [version_warning(status), parked_warning(status)]);
                let mut detail: Vec<_> = warnings.flatten().collect();
                detail.extend(stuck.iter().cloned());
                if stuck.is_empty() {
                    detail.push(format!("at most {lag} events behind"));
                }
                let detail = detail.join("; ");
                (stuck.is_empty(), detail)
            }
            Err(detail) => (false, detail),
        };
        api::ReadyCheck { name: "projections", ok, detail }
    }

    /// Late jobs and dead letters are no reason to route requests to other servers: all servers share them.
    async fn jobs(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.query(policies::gauges(&self.metrics_access, &self.pool, &policies::KINDS)).await
        {
            Ok(kinds) => {
                let warnings: Vec<_> =
                    kinds.iter().flat_map(|kind| [late_warning(kind), dead_letter_warning(kind)]).collect();
                let detail: Vec<_> = warnings.into_iter().flatten().collect();
                (
                    true,
                    if detail.is_empty() {
                        "no job is late, and none is a dead letter".to_owned()
                    } else {
                        detail.join("; ")
                    },
                )
            }
            Err(detail) => (false, detail),
        };
        api::ReadyCheck { name: "jobs", ok, detail }
    }

    /// Runs a query. Returns a message if it fails or times out.
    async fn query<T, E: Error + 'static>(&self, query: impl Future<Output = Result<T, E>>) -> Result<T, String> {
        match tokio::time::timeout(QUERY_TIMEOUT, query).await {
            Ok(result) => result.map_err(|error| explain(&error)),
            Err(_) => Err(self.explain_timeout().await),
        }
    }

    /// Why a query timed out. The pool retries refused connections without reporting them, so that one is opened here.
    async fn explain_timeout(&self) -> String {
        use sqlx::{ConnectOptions as _, Connection as _};
        let waited = QUERY_TIMEOUT.as_secs();
        let options = self.pool.connect_options();
        match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(Err(error)) => explain(&error),
            Ok(Ok(connection)) => {
                // It was only opened to see whether the server accepts it.
                drop(connection.close().await);
                format!("no result within {waited} s: the database is slow, or APEX_DATABASE_CONNECTIONS is too low")
            }
            Err(_) => format!("the database does not respond within {waited} s"),
        }
    }

    /// The problem of a projection, if it does not advance.
    fn problem(&self, status: &ProjectionStatus) -> Option<String> {
        (self.standstill.duration(status) > self.max_standstill)
            .then(|| format!("{} does not advance, {} events behind", status.name, status.lag_events))
    }
}

/// The warning for a projection whose live version is not that of this server's code. This server reads its tables, and
/// only servers of that version write them.
fn version_warning(status: &ProjectionStatus) -> Option<String> {
    let (name, code, live) = (&status.name, status.code_version, status.version.unwrap_or(0));
    (!status.is_current())
        .then(|| format!("WARNING: version {live} of {name} is live, this server writes version {code}"))
}

/// The warning for a projection with parked events. The process is ready nevertheless: other streams are not affected.
fn parked_warning(status: &ProjectionStatus) -> Option<String> {
    let (name, events) = (&status.name, status.parked_events);
    (events > 0).then(|| {
        format!("WARNING: {name} has {events} parked events, and does not apply later events of their streams: see `apex projections parked {name}`")
    })
}

/// The warning for jobs that are due and that no process runs, or whose destination hangs.
fn late_warning(jobs: &policies::JobGauges) -> Option<String> {
    let (kind, lag) = (&jobs.kind, jobs.lag_seconds);
    (lag > MAX_JOB_LAG.as_secs_f64()).then(|| format!("WARNING: a job of kind {kind} has been due for {lag:.0} s"))
}

/// The warning for dead letters.
fn dead_letter_warning(jobs: &policies::JobGauges) -> Option<String> {
    let (kind, count) = (&jobs.kind, jobs.dead_letters);
    (count > 0).then(|| {
        format!("WARNING: {count} jobs of kind {kind} are dead letters: see `apex jobs list --state dead-letter`")
    })
}

/// The meaning of a database error and its remedy. Without the addresses and texts in the error, because readiness can
/// be queried without a token.
fn explain(error: &(dyn Error + 'static)) -> String {
    let fault = error_chain(error).find_map(|cause| match cause.downcast_ref::<streams::DatabaseError>() {
        Some(error) => Some(error.fault()),
        None => cause.downcast_ref::<sqlx::Error>().map(DatabaseFault::of),
    });
    match fault {
        Some(DatabaseFault::DiskFull) => "the disk of the database is full: free space or enlarge it".to_owned(),
        Some(DatabaseFault::TooManyConnections) => {
            "the database has no free connection slots: raise its max_connections, or lower APEX_DATABASE_CONNECTIONS"
                .to_owned()
        }
        Some(DatabaseFault::Restarting) => "the database is starting or stopping".to_owned(),
        Some(DatabaseFault::ReadOnly) => "the database is read-only: APEX_DATABASE_URL names a standby".to_owned(),
        Some(DatabaseFault::Sqlstate(code)) => {
            format!("the database returned error {code}: see the log of this process")
        }
        Some(DatabaseFault::Unreachable(kind)) => {
            format!("the database cannot be reached ({kind}): check that PostgreSQL runs")
        }
        Some(DatabaseFault::NoConnection) => "no connection to the database became available in time".to_owned(),
        Some(DatabaseFault::Driver) | None => "the database cannot be used: see the log of this process".to_owned(),
    }
}
