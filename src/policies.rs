//! Policies: they react to events with commands.
//!
//! A policy follows the log with a checkpoint of its own, on the runtime of the projections. It reacts to events, or to
//! the rows that a read model derived from them, with command ids that are derived from the policy and the event: each
//! reaction is recorded once, however often the policy runs and in however many processes. A rebuild runs no policy.

use commands::{Commands, Context, Error};
use domain::budget::{BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, ThresholdCrossed};
use domain::{BudgetId, Currency, Money, derived_id};
use futures::future::BoxFuture;
use metrics::counter;
use projections::budgets::{self, CrossingCursor, CrossingRow};
use projections::{Batch, DatabaseError, Policy, PolicyError};
use sqlx::postgres::PgPool;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use streams::{AppendError, Position};
use thiserror::Error as ThisError;
use tokio::time::Instant;

/// The number of crossings read at a time.
const PAGE_ROWS: i64 = 100;
/// The number of consecutive transient failures of an alert after which the policy no longer waits for it.
const MAX_BLOCKING_ATTEMPTS: u32 = 5;
/// The delay before an alert is retried for the first time; it doubles up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_mins(5);

/// Raises an alert for each crossed threshold of a budget.
pub struct BudgetAlerts {
    pool: PgPool,
    commands: Commands,
    /// The alerts that failed and will be retried.
    failures: Mutex<BTreeMap<CrossingCursor, Failure>>,
}

/// The retry state of an alert that failed.
#[derive(Debug, Clone, Copy)]
struct Failure {
    attempts: u32,
    retry_at: Instant,
}

/// Why an alert could not be raised.
#[derive(Debug, ThisError)]
enum AlertError {
    #[error("the crossings cannot be read")]
    Database(#[from] DatabaseError),
    #[error("a crossing cannot be read: {0}")]
    Row(String),
    #[error("the alert cannot be raised")]
    Command(#[from] Error<BudgetPeriodError>),
}

impl AlertError {
    /// Whether a retry may succeed soon.
    fn is_transient(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Row(_) => false,
            Self::Command(error) => match error {
                Error::Contended | Error::Load(_) => true,
                Error::Rejected(_)
                | Error::WrongVersion { .. }
                | Error::CommandIdReused
                | Error::TooManyAggregates { .. }
                | Error::Decode(_)
                | Error::Encode(_) => false,
                Error::Append(error) => {
                    !matches!(error, AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::CommandReused)
                }
            },
        }
    }
}

/// The name of the [`BudgetAlerts`] policy, used for its actor and its checkpoint.
pub const BUDGET_ALERTS: &str = "budget-alerts";

/// The read model that detects crossed thresholds.
pub const BUDGETS: &str = "budgets";

impl Policy for BudgetAlerts {
    fn name(&self) -> &'static str {
        BUDGET_ALERTS
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), PolicyError>> {
        Box::pin(async move { Ok(self.raise_until(batch.through).await?) })
    }

    fn tick(&self, reacted: Position) -> BoxFuture<'_, Result<(), PolicyError>> {
        Box::pin(async move { Ok(self.raise_until(reacted).await?) })
    }
}

impl BudgetAlerts {
    /// Creates the policy for the read models in `pool`.
    #[must_use]
    pub fn new(pool: PgPool, commands: Commands) -> Self {
        Self { pool, commands, failures: Mutex::default() }
    }

    /// Raises the alerts of all thresholds crossed up to a position, which the read model has reached. A crossing stays
    /// in its table until its alert is in the log. An alert that fails does not delay the others.
    async fn raise_until(&self, position: Position) -> Result<(), AlertError> {
        let known = self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut failures = BTreeMap::new();
        let mut raised = Ok(());
        let mut after = None;
        loop {
            let page = budgets::pending_alerts(&self.pool, position, after.as_ref(), PAGE_ROWS).await?;
            for pending in &page {
                let cursor = pending.cursor();
                let failure = known.get(&cursor);
                if let Some(failure) = failure.filter(|failure| failure.retry_at > Instant::now()) {
                    failures.insert(cursor, *failure);
                    continue;
                }
                if let Err(error) = self.raise(pending).await {
                    let failure = Failure::after(failure);
                    if error.is_transient() && failure.attempts <= MAX_BLOCKING_ATTEMPTS {
                        failures.insert(cursor, Failure { retry_at: Instant::now(), ..failure });
                        raised = Err(error);
                    } else {
                        warn_of_failure(pending, &error, failure);
                        failures.insert(cursor, failure);
                    }
                }
            }
            after = page.last().map(CrossingRow::cursor);
            if i64::try_from(page.len()).unwrap_or(PAGE_ROWS) < PAGE_ROWS {
                break;
            }
        }
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = failures;
        raised
    }

    /// Raises one alert.
    async fn raise(&self, pending: &CrossingRow) -> Result<(), AlertError> {
        let row = |error: &dyn std::fmt::Display| AlertError::Row(error.to_string());
        let tenant = pending.tenant_id.parse().map_err(|error| row(&error))?;
        let percent = u16::try_from(pending.threshold_percent).map_err(|error| row(&error))?;
        let terms_version = u64::try_from(pending.terms_version).map_err(|error| row(&error))?;
        let crossed = ThresholdCrossed {
            budget_id: BudgetId(pending.budget_id),
            month: pending.month.parse().map_err(|error| row(&error))?,
            threshold_percent: percent.try_into().map_err(|error| row(&error))?,
            terms_version,
            spent: pending.spent.clone(),
            limit: Money::from_decimal(pending.limit_amount),
            currency: Currency::Usd,
            crossed_at_position: u64::try_from(pending.crossed_at_position).map_err(|error| row(&error))?,
        };
        let id = BudgetPeriod::id(crossed.budget_id, crossed.month);
        // With the budget and the threshold: one event may cross several thresholds of several budgets.
        let event = pending.crossed_by_event.to_string();
        let (percent, version) = (percent.to_string(), terms_version.to_string());
        let command_id = derived_id(&[BUDGET_ALERTS, &event, &id.to_string(), &percent, &version]);
        let context = Context {
            correlation_id: pending.correlation_id,
            causation_id: Some(pending.crossed_by_event),
            ..Context::new(tenant, "policy:budget-alerts", command_id)
        };
        let raise = BudgetPeriodCommand::RaiseAlert { crossed };
        self.commands.execute::<BudgetPeriod>(&context, id, raise).await?;
        Ok(())
    }
}

impl Failure {
    /// The state after one more failure.
    fn after(last: Option<&Self>) -> Self {
        let attempts = last.map_or(0, |last| last.attempts).saturating_add(1);
        let delay = RETRY_DELAY.saturating_mul(1 << (attempts - 1).min(16)).min(MAX_RETRY_DELAY);
        Self { attempts, retry_at: Instant::now() + delay }
    }
}

/// Reports an alert that the policy no longer waits for.
fn warn_of_failure(pending: &CrossingRow, error: &AlertError, failure: Failure) {
    counter!("apex_projection_errors_total", "projection" => BUDGET_ALERTS).increment(1);
    tracing::warn!(
        tenant = pending.tenant_id,
        budget = %pending.budget_id,
        month = pending.month,
        threshold_percent = pending.threshold_percent,
        attempts = failure.attempts,
        error = error as &dyn std::error::Error,
        "an alert cannot be raised; it will be retried, and the other alerts are raised"
    );
}
