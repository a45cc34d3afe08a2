//! Whether this process can do its work.

use projections::ProjectionStatus;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::Log;

/// The tail polls twice a second; silence for longer than this means that the database cannot be read.
const MAX_TAIL_AGE: Duration = Duration::from_secs(10);
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
}

impl Readiness {
    /// With a minute for projections that stand still.
    #[must_use]
    pub fn new(pool: PgPool, log: Log) -> Self {
        Self { pool, log, standing: Standing::default(), max_standstill: MAX_STANDSTILL }
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
        Box::pin(async move { vec![self.tail(), self.partitions().await, self.projections().await] })
    }
}

impl Readiness {
    fn tail(&self) -> api::ReadyCheck {
        let age = self.log.tail().age();
        let detail = format!("the log's end was last seen {} ms ago", age.as_millis());
        api::ReadyCheck { name: "tail", ok: age < MAX_TAIL_AGE, detail }
    }

    async fn partitions(&self) -> api::ReadyCheck {
        let (ok, detail) = match self.log.headroom().await {
            Ok(room) => {
                let detail = format!("room for {} more events", room.positions);
                // Not yet a reason to send callers elsewhere: everywhere else it is the same log.
                let late = format!("WARNING: partitions are not made ahead of need; {detail}");
                (!room.is_short(), if room.is_behind() { late } else { detail })
            }
            Err(_) => (false, "the database cannot be read".to_owned()),
        };
        api::ReadyCheck { name: "partitions", ok, detail }
    }

    async fn projections(&self) -> api::ReadyCheck {
        let (ok, detail) = match projections::statuses(&self.pool).await {
            Ok(statuses) => {
                let stuck: Vec<_> = statuses.iter().filter_map(|status| self.trouble(status)).collect();
                let lag = statuses.iter().map(|status| status.lag_events).max().unwrap_or(0);
                let mut detail: Vec<_> = statuses.iter().filter_map(other_version).collect();
                detail.extend(stuck.iter().cloned());
                if stuck.is_empty() {
                    detail.push(format!("at most {lag} events behind"));
                }
                let detail = detail.join("; ");
                (stuck.is_empty(), detail)
            }
            Err(_) => (false, "the database cannot be read".to_owned()),
        };
        api::ReadyCheck { name: "projections", ok, detail }
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
