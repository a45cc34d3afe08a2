//! Policies: what happens is answered by commands.
//!
//! A policy follows the log with a checkpoint of its own, on the runtime of the projections. It acts on events or on
//! what a read model found in them, under a command id that is derived from the policy and the event: however often it
//! runs, and in however many processes, the log takes each reaction once. A rebuild calls no policy.

use commands::{Commands, Context, Error};
use domain::budget::{BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, ThresholdCrossed};
use domain::{BudgetId, Currency, Money, derived_id};
use futures::future::BoxFuture;
use projections::{Batch, PendingAlert, Reaction, ReactionError, WaitError};
use sqlx::postgres::PgPool;
use std::time::Duration;
use streams::Position;
use thiserror::Error as ThisError;

/// How long the policy waits for the budgets' read model to see its alerts.
const PATIENCE: Duration = Duration::from_secs(5);
/// Alerts raised in one go.
const MAX_ALERTS: i64 = 100;

/// Raises an alert for each threshold of a budget that was crossed.
pub struct BudgetAlerts {
    /// The read models.
    pub pool: PgPool,
    /// Where the alert is given to.
    pub commands: Commands,
}

/// Why no alert could be raised for the moment.
#[derive(Debug, ThisError)]
enum AlertError {
    #[error("the crossings cannot be read")]
    Database(#[from] sqlx::Error),
    #[error("a crossing cannot be read: {0}")]
    Row(String),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error("the alert cannot be raised")]
    Command(#[from] Error<BudgetPeriodError>),
}

/// The name of [`BudgetAlerts`], which their actor and their checkpoint are called by.
pub const BUDGET_ALERTS: &str = "budget-alerts";

/// The read model that says what was crossed.
pub const BUDGETS: &str = "budgets";

impl Reaction for BudgetAlerts {
    fn name(&self) -> &'static str {
        BUDGET_ALERTS
    }

    fn react<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), ReactionError>> {
        Box::pin(async move { Ok(self.raise_until(batch.through).await?) })
    }

    fn look(&self, reacted: Position) -> BoxFuture<'_, Result<(), ReactionError>> {
        Box::pin(async move { Ok(self.raise_until(reacted).await?) })
    }
}

impl BudgetAlerts {
    /// Raises what was crossed up to a position, which the read model has reached. A crossing waits in its table until
    /// its alert is in the log.
    async fn raise_until(&self, position: Position) -> Result<(), AlertError> {
        loop {
            let pending = projections::pending_alerts(&self.pool, position, MAX_ALERTS).await?;
            let mut raised = Ok(position);
            for pending in &pending {
                // One that cannot be raised does not keep the others waiting.
                match self.raise(pending).await {
                    Ok(told) => raised = raised.map(|last: Position| last.max(told)),
                    Err(error) => raised = Err(error),
                }
            }
            let raised = raised?;
            if i64::try_from(pending.len()).unwrap_or(MAX_ALERTS) < MAX_ALERTS {
                return Ok(());
            }
            // An alert marks its crossing when the read model has seen it; then the next ones are found.
            projections::wait_for(&self.pool, &[BUDGETS], raised, PATIENCE).await?;
        }
    }

    /// Raises one alert; returns where it stands in the log.
    async fn raise(&self, pending: &PendingAlert) -> Result<Position, AlertError> {
        let row = |error: &dyn std::fmt::Display| AlertError::Row(error.to_string());
        let tenant = pending.tenant_id.parse().map_err(|error| row(&error))?;
        let percent = u16::try_from(pending.threshold_percent).map_err(|error| row(&error))?;
        let crossed = ThresholdCrossed {
            budget_id: BudgetId(pending.budget_id),
            month: pending.month.parse().map_err(|error| row(&error))?,
            threshold_percent: percent.try_into().map_err(|error| row(&error))?,
            spent: pending.spent.clone(),
            limit: Money::from_decimal(pending.limit_amount),
            currency: Currency::Usd,
            crossed_at_position: u64::try_from(pending.crossed_at_position).map_err(|error| row(&error))?,
        };
        let id = BudgetPeriod::id(crossed.budget_id, crossed.month);
        // From the policy and the event, and what the event crossed: one may cross thresholds of several budgets.
        let event = pending.crossed_by_event.to_string();
        let command_id = derived_id(&[BUDGET_ALERTS, &event, &id.to_string(), &percent.to_string()]);
        let context = Context {
            correlation_id: pending.correlation_id,
            causation_id: Some(pending.crossed_by_event),
            ..Context::new(tenant, "policy:budget-alerts", command_id)
        };
        let raise = BudgetPeriodCommand::RaiseAlert { crossed };
        Ok(self.commands.execute::<BudgetPeriod>(&context, id, raise).await?.position)
    }
}
