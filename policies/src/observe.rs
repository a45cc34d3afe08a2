//! The metrics of jobs. Labels are kinds and not queues, because users choose destinations.

use crate::handler::JobHandler;
use domain::permissions::{Access, ReadMetrics};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use streams::DatabaseError;

/// The results of attempts.
const OUTCOMES: [&str; 5] = ["done", "retried", "dead_letter", "lost", "released"];

/// The counters without labels, with their descriptions.
const COUNTERS: [(&str, &str); 4] = [
    (
        "apex_charging_undecodable_total",
        "Reservations and catalogues that the charging policy of this process could not decode: calls are charged later.",
    ),
    (
        "apex_alerts_undecodable_total",
        "Alerts that this process could not decode: jobs of the kind alert-catch-up deliver them later.",
    ),
    (
        "apex_alert_watch_failures_total",
        "Budgets whose conditions this process could not look at, for each time that it tried.",
    ),
    ("apex_jobs_runner_errors_total", "Failures of this process to read or write the table of jobs."),
];

/// The number of jobs of a kind and state up to which they are counted for the gauges, so that a long queue costs little.
const MAX_COUNTED: i64 = 100_000;

/// Describes the metrics of this crate, and registers its counters at zero for these kinds of jobs: Prometheus'
/// `increase` shows the first increment only of a counter that existed before.
pub fn register_metrics(kinds: &[&'static str]) {
    for (name, description) in COUNTERS {
        describe_counter!(name, description);
        counter!(name).increment(0);
    }
    describe_counter!("apex_jobs_attempts_total", "Attempts of jobs that this process ended, by kind and outcome.");
    describe_gauge!("apex_jobs_waiting", "Jobs that wait for a runner, now or later, up to 100000, by kind.");
    describe_gauge!("apex_jobs_dead_letters", "Dead letters, up to 100000, by kind.");
    describe_gauge!("apex_jobs_lag_seconds", "For how long the oldest due job of a kind has been due.");
    describe_histogram!("apex_jobs_attempt_seconds", "How long an attempt of a job took, by kind.");
    for kind in kinds {
        for outcome in OUTCOMES {
            counter!("apex_jobs_attempts_total", "kind" => *kind, "outcome" => outcome).increment(0);
        }
    }
}

/// Counts an attempt of a job. `outcome` is one of [`OUTCOMES`].
pub(crate) fn record_attempt(handler: &Arc<dyn JobHandler>, outcome: &'static str) {
    counter!("apex_jobs_attempts_total", "kind" => handler.kind(), "outcome" => outcome).increment(1);
}

/// The jobs of a kind in the database.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct JobGauges {
    /// The kind.
    pub kind: String,
    /// The number of jobs that wait for a runner, now or later, at most 100 000. Leased jobs are not among them.
    pub waiting: i64,
    /// The number of dead letters, at most 100 000.
    pub dead_letters: i64,
    /// For how long the oldest due job has been due, in seconds; 0 if none is due.
    pub lag_seconds: f64,
}

/// Returns the gauges of some kinds of jobs.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn gauges(_: &Access<ReadMetrics>, pool: &PgPool, kinds: &[&str]) -> Result<Vec<JobGauges>, DatabaseError> {
    let query = sqlx::query_as(include_str!("gauges.sql"));
    Ok(query.bind(kinds).bind(MAX_COUNTED).fetch_all(pool).await?)
}
