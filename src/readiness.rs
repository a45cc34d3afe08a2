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
                let detail = if stuck.is_empty() { format!("at most {lag} events behind") } else { stuck.join("; ") };
                (stuck.is_empty(), detail)
            }
            Err(_) => (false, "the database cannot be read".to_owned()),
        };
        api::ReadyCheck { name: "projections", ok, detail }
    }

    /// What is wrong with a projection.
    fn trouble(&self, status: &ProjectionStatus) -> Option<String> {
        let ProjectionStatus { name, lag_events, code_version, version, .. } = status;
        if !status.is_current() {
            let live = version.unwrap_or(0);
            return Some(format!("{name} is live in version {live}, this server's code is version {code_version}"));
        }
        (self.standing.look(status) > MAX_STANDSTILL)
            .then(|| format!("{name} stands still, {lag_events} events behind"))
    }
}
