//! Whether this process can do its work.

use domain::error_chain;
use projections::ProjectionStatus;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::{DatabaseFault, Log};

/// The tail polls twice a second, and says so where it fails; silence for longer than this means that it hangs.
const MAX_TAIL_AGE: Duration = Duration::from_secs(10);
/// How long a failed append counts while nothing else is appended. Whether the next one would fail nobody knows before it
/// is tried, and where this process takes no requests nobody tries.
const APPEND_FAILURE_COUNTS: Duration = Duration::from_secs(30);
/// How long one question to the database may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take to find out why there was no answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A projection may be behind; it may not stand still while it is.
const MAX_STANDSTILL: Duration = Duration::from_secs(60);

/// Checks the database, the tail, the partitions and the projections.
pub struct Readiness {
    /// The database.
    pub pool: PgPool,
    /// The log.
    pub log: Log,
    /// Where each projection that is behind was seen first at its present position, and when.
    pub standing: Standing,
    /// For how long a projection that is behind may stand still.
    pub max_standstill: Duration,
    /// What the database said last, and when it was asked.
    pub found: Found,
}

/// What the database said last, and when it began to be asked. Clients, who need no token, wait while it is asked for
/// another; those who have waited share the next answer. However many ask, one of them at a time asks the database.
pub type Found = tokio::sync::Mutex<Option<(Instant, Vec<api::ReadyCheck>)>>;

impl Readiness {
    /// With a minute for projections that stand still.
    #[must_use]
    pub fn new(pool: PgPool, log: Log) -> Self {
        Self { pool, log, standing: Standing::default(), max_standstill: MAX_STANDSTILL, found: Found::default() }
    }
}

/// Positions of projections that are behind, and since when they have not moved, as far as this process has seen.
#[derive(Default)]
pub struct Standing(Mutex<HashMap<String, (i64, Instant)>>);

impl Standing {
    /// For how long a projection has been behind at one position; zero for one that moves or has nothing to do.
    #[must_use]
    pub fn look(&self, status: &ProjectionStatus) -> Duration {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if status.lag_events == 0 {
            standing.remove(&status.name);
            return Duration::ZERO;
        }
        let (position, since) =
            standing.entry(status.name.clone()).or_insert_with(|| (status.position, Instant::now()));
        if *position != status.position {
            (*position, *since) = (status.position, Instant::now());
        }
        since.elapsed()
    }
}

impl api::ReadyChecks for Readiness {
    fn check(&self) -> futures::future::BoxFuture<'_, Vec<api::ReadyCheck>> {
        Box::pin(async move {
            let of_database = self.of_database().await;
            [self.tail(), self.appends()].into_iter().chain(of_database).collect()
        })
    }
}

impl Readiness {
    async fn of_database(&self) -> Vec<api::ReadyCheck> {
        let arrived = Instant::now();
        let mut found = self.found.lock().await;
        if let Some((_, checks)) = found.as_ref().filter(|(began, _)| *began >= arrived) {
            return checks.clone();
        }
        let began = Instant::now();
        let (partitions, projections) = tokio::join!(self.partitions(), self.projections());
        let checks = vec![partitions, projections];
        *found = Some((began, checks.clone()));
        checks
    }

    fn tail(&self) -> api::ReadyCheck {
        let age = self.log.tail().age();
        let failure = self.log.tail().failure();
        let seen = format!("the log's end was last seen {} ms ago", age.as_millis());
        let detail = match &failure {
            Some(error) => format!("{seen}; {}", explain(&**error)),
            None => seen,
        };
        api::ReadyCheck { name: "tail", ok: failure.is_none() && age < MAX_TAIL_AGE, detail }
    }

    fn appends(&self) -> api::ReadyCheck {
        let failure = self.log.last_append_failure().filter(|(at, _)| at.elapsed() < APPEND_FAILURE_COUNTS);
        let detail = match &failure {
            Some((at, error)) => format!("the last append failed {} s ago; {}", at.elapsed().as_secs(), explain(error)),
            None => "no append failed lately".to_owned(),
        };
        api::ReadyCheck { name: "appends", ok: failure.is_none(), detail }
    }

    async fn partitions(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.ask(self.log.headroom()).await {
            Ok(room) => {
                let detail = format!("room for {} more events", room.positions);
                // Not yet a reason to send callers elsewhere: everywhere else it is the same log.
                let late = format!("WARNING: partitions are not made ahead of need; {detail}");
                (!room.is_critical(), if room.is_low() { late } else { detail })
            }
            Err(detail) => (false, detail),
        };
        api::ReadyCheck { name: "partitions", ok, detail }
    }

    async fn projections(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.ask(projections::statuses(&self.pool)).await {
            Ok(statuses) => {
                let stuck: Vec<_> = statuses.iter().filter_map(|status| self.trouble(status)).collect();
                let lag = statuses.iter().map(|status| status.lag_events).max().unwrap_or(0);
                let warnings = statuses.iter().flat_map(|status| [other_version(status), parked(status)]);
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

    /// Asks the database; what is wrong where it does not answer, or not in time.
    async fn ask<T, E: Error + 'static>(&self, question: impl Future<Output = Result<T, E>>) -> Result<T, String> {
        match tokio::time::timeout(QUERY_TIMEOUT, question).await {
            Ok(answer) => answer.map_err(|error| explain(&error)),
            Err(_) => Err(self.why_no_answer().await),
        }
    }

    /// Why nothing comes from the pool: it goes on trying to connect where the server refuses, and says nothing.
    async fn why_no_answer(&self) -> String {
        use sqlx::{ConnectOptions as _, Connection as _};
        let waited = QUERY_TIMEOUT.as_secs();
        let options = self.pool.connect_options();
        match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
            Ok(Err(error)) => explain(&error),
            Ok(Ok(connection)) => {
                // Only asked for to see whether it can be had.
                drop(connection.close().await);
                format!("no answer within {waited} s: the database is slow, or APEX_DATABASE_CONNECTIONS are too few")
            }
            Err(_) => format!("the database does not answer within {waited} s"),
        }
    }

    /// What is wrong with a projection.
    fn trouble(&self, status: &ProjectionStatus) -> Option<String> {
        (self.standing.look(status) > self.max_standstill)
            .then(|| format!("{} stands still, {} events behind", status.name, status.lag_events))
    }
}

/// Whose tables are of another version than this server's code. Queries are answered all the same, and servers of that
/// version write them: where there is none, the read model stands still.
fn other_version(status: &ProjectionStatus) -> Option<String> {
    let (name, code, live) = (&status.name, status.code_version, status.version.unwrap_or(0));
    (!status.is_current())
        .then(|| format!("WARNING: {name} is live in version {live}, this server writes version {code}"))
}

/// Whose streams wait behind an event that cannot be applied. The other streams go on, so this process can do its work.
fn parked(status: &ProjectionStatus) -> Option<String> {
    let (name, events) = (&status.name, status.parked_events);
    (events > 0).then(|| {
        format!("WARNING: {name} has {events} parked events, their streams wait: see `apex projections parked {name}`")
    })
}

/// What an error means and what to do, by what PostgreSQL or the system says; without the addresses and texts in it, since
/// whoever asks for readiness shows no token.
fn explain(error: &(dyn Error + 'static)) -> String {
    let fault = error_chain(error).find_map(|cause| match cause.downcast_ref::<streams::DatabaseError>() {
        Some(error) => Some(error.fault()),
        None => cause.downcast_ref::<sqlx::Error>().map(DatabaseFault::of),
    });
    match fault {
        Some(DatabaseFault::DiskFull) => {
            "the disk of the database is full: free space on it, or make it larger".to_owned()
        }
        Some(DatabaseFault::TooManyConnections) => {
            "the database has no connection left: raise its max_connections, or lower APEX_DATABASE_CONNECTIONS"
                .to_owned()
        }
        Some(DatabaseFault::Restarting) => "the database is starting or stopping".to_owned(),
        Some(DatabaseFault::ReadOnly) => "the database takes no writes: APEX_DATABASE_URL names a standby".to_owned(),
        Some(DatabaseFault::Sqlstate(code)) => {
            format!("the database answers with the error {code}: see this process's log")
        }
        Some(DatabaseFault::Unreachable(kind)) => {
            format!("the database cannot be reached ({kind}): check that PostgreSQL runs")
        }
        Some(DatabaseFault::NoConnection) => {
            "no connection to the database could be made in time, or none was free".to_owned()
        }
        Some(DatabaseFault::Driver) | None => "the database cannot be used: see this process's log".to_owned(),
    }
}
