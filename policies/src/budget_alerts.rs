//! Alerts of budgets: a policy that writes a job for each crossed threshold, and the handler that raises the alert.
//!
//! The policy acts on the rows that the read model of budgets derived from events. A crossing stays in its table until
//! its alert is in the log.

use crate::handler::{JobHandler, JobOutcome};
use crate::job::{Job, NewJob};
use crate::jobs::Jobs;
use crate::policy::{Policy, PolicyError, Reaction};
use commands::{Commands, Component, Context, Error, Principal};
use domain::budget::{BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, ThresholdCrossed};
use domain::{BudgetId, Currency, Money, TenantId, derived_id};
use futures::future::BoxFuture;
use projections::budgets::{self, CrossingRow};
use projections::{Batch, DatabaseError};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streams::{AppendError, Position};
use thiserror::Error as ThisError;
use uuid::Uuid;

/// The number of crossings read at a time.
const PAGE_ROWS: i64 = 100;
/// The number of jobs from which the policy writes them before it looks for more.
const MAX_JOBS: usize = 1000;
/// How often the policy reads all pending crossings while events are appended, and not only those of the events: a
/// decision about a parked event or a switch of versions may have added earlier ones.
const RESCAN_INTERVAL: Duration = Duration::from_secs(30);

/// The name of the [`BudgetAlerts`] policy, used for its actor and its checkpoint.
pub const BUDGET_ALERTS: &str = "budget-alerts";

/// The kind of the jobs that raise an alert.
pub const BUDGET_ALERT: &str = "budget-alert";

/// The read model that detects crossed thresholds.
pub const BUDGETS: &str = "budgets";

/// Writes a job for each crossed threshold of a budget.
pub struct BudgetAlerts {
    pool: PgPool,
    jobs: Jobs,
    /// When all pending crossings were read last.
    last_scan: Mutex<Option<Instant>>,
}

/// Why the crossings cannot be turned into jobs.
#[derive(Debug, ThisError)]
enum AlertError {
    #[error("the crossings cannot be read")]
    Database(#[from] DatabaseError),
    #[error("a crossing cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// What the job of an alert says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Alert {
    crossed: ThresholdCrossed,
    crossed_by_event: Uuid,
    correlation_id: Uuid,
}

impl Policy for BudgetAlerts {
    fn name(&self) -> &'static str {
        BUDGET_ALERTS
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        let from = match batch.events.first() {
            _ if self.needs_scan() => Position::ZERO,
            Some(first) => first.position,
            None => batch.through,
        };
        Box::pin(async move { Ok(self.react(from, batch.through).await?) })
    }

    fn tick(&self, handled: Position) -> BoxFuture<'_, Result<Reaction, PolicyError>> {
        Box::pin(async move { Ok(self.react(Position::ZERO, handled).await?) })
    }
}

impl BudgetAlerts {
    /// Creates the policy for the read models in `pool`.
    #[must_use]
    pub fn new(pool: PgPool, jobs: Jobs) -> Self {
        Self { pool, jobs, last_scan: Mutex::default() }
    }

    fn last_scan(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_scan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needs_scan(&self) -> bool {
        self.last_scan().is_none_or(|at| at.elapsed() >= RESCAN_INTERVAL)
    }

    /// The jobs of all thresholds crossed from one position to another one, which the read model has reached, that have
    /// no job yet.
    async fn react(&self, from: Position, until: Position) -> Result<Reaction, AlertError> {
        let mut reaction = Reaction::default();
        let mut after = None;
        loop {
            let page = budgets::pending_alerts(&self.pool, from, until, after.as_ref(), PAGE_ROWS).await?;
            let mut jobs = Vec::new();
            for row in &page {
                match job(row) {
                    Ok(job) => jobs.push(job?),
                    Err(cause) => tracing::warn!(?row, cause, "the row of a crossing is damaged; it raises no alert"),
                }
            }
            let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
            let existing = if ids.is_empty() { Default::default() } else { self.jobs.existing(&ids).await? };
            reaction.jobs.extend(jobs.into_iter().filter(|job| !existing.contains(&job.id)));
            after = page.last().map(CrossingRow::cursor);
            if i64::try_from(page.len()).unwrap_or(PAGE_ROWS) < PAGE_ROWS {
                if from == Position::ZERO {
                    *self.last_scan() = Some(Instant::now());
                }
                return Ok(reaction);
            }
            if reaction.jobs.len() >= MAX_JOBS {
                return Ok(Reaction { has_more: true, ..reaction });
            }
        }
    }
}

/// The job that raises the alert of a crossing; the name of a column if its value is not valid.
fn job(row: &CrossingRow) -> Result<Result<NewJob, AlertError>, &'static str> {
    let tenant: TenantId = row.tenant_id.parse().map_err(|_| "tenant_id")?;
    let percent = u16::try_from(row.threshold_percent).map_err(|_| "threshold_percent")?;
    let crossed = ThresholdCrossed {
        budget_id: BudgetId(row.budget_id),
        month: row.month.parse().map_err(|_| "month")?,
        threshold_percent: percent.try_into().map_err(|_| "threshold_percent")?,
        terms_version: u64::try_from(row.terms_version).map_err(|_| "terms_version")?,
        spent: row.spent.clone(),
        limit: Money::from_decimal(row.limit_amount),
        currency: Currency::Usd,
        crossed_at_position: u64::try_from(row.crossed_at_position).map_err(|_| "crossed_at_position")?,
    };
    let period = BudgetPeriod::id(crossed.budget_id, crossed.month);
    // With the budget and the threshold: one event may cross several thresholds of several budgets.
    let (event, percent) = (row.crossed_by_event.to_string(), percent.to_string());
    let id = derived_id(&[BUDGET_ALERTS, &event, &period.to_string(), &percent, &crossed.terms_version.to_string()]);
    let alert = Alert { crossed, crossed_by_event: row.crossed_by_event, correlation_id: row.correlation_id };
    let payload = serde_json::to_value(alert).map_err(AlertError::from);
    Ok(payload.map(|payload| NewJob {
        id,
        kind: BUDGET_ALERT,
        // The stream of the alert: the alerts of a period are raised in the order of their crossings.
        destination: Some(format!("{tenant}/{period}")),
        tenant: Some(tenant),
        payload,
        due_at: None,
    }))
}

/// Raises an alert by a command whose id is that of the job.
pub struct BudgetAlertHandler {
    commands: Commands,
}

impl BudgetAlertHandler {
    /// Creates the handler.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn raise(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = job.tenant.clone() else { return JobOutcome::DeadLetter("the job has no tenant".into()) };
        let alert: Alert = match serde_json::from_value(job.payload.clone()) {
            Ok(alert) => alert,
            Err(error) => return JobOutcome::DeadLetter(error.into()),
        };
        let id = BudgetPeriod::id(alert.crossed.budget_id, alert.crossed.month);
        let context = Context {
            correlation_id: alert.correlation_id,
            causation_id: Some(alert.crossed_by_event),
            ..Context::new(Principal::component(tenant, Component::Policy(BUDGET_ALERTS)), job.id)
        };
        let raise = BudgetPeriodCommand::RaiseAlert { crossed: alert.crossed };
        match self.commands.execute::<BudgetPeriod>(&context, id, raise).await {
            Ok(_) => JobOutcome::Done,
            Err(error) if may_succeed_later(&error) => JobOutcome::Retry(error.into()),
            Err(error) => JobOutcome::DeadLetter(error.into()),
        }
    }
}

impl JobHandler for BudgetAlertHandler {
    fn kind(&self) -> &'static str {
        BUDGET_ALERT
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.raise(job))
    }
}

/// Whether a retry of the command may succeed.
fn may_succeed_later(error: &Error<BudgetPeriodError>) -> bool {
    match error {
        Error::Contended | Error::Load(_) => true,
        Error::Forbidden(_)
        | Error::Rejected(_)
        | Error::WrongVersion { .. }
        | Error::CommandIdReused
        | Error::TooManyAggregates { .. }
        | Error::Decode(_)
        | Error::Encode(_) => false,
        // The log is closed while the process stops: another process, or the next, raises the alert.
        Error::Append(error) => {
            !matches!(error, AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::CommandReused)
        }
    }
}
