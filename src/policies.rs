//! Policies: what happens is answered by commands.
//!
//! A policy acts on what a read model found, under a command id derived from what it reacts to. However often it runs,
//! and in however many processes, the log takes each reaction once; a rebuild of the read model does not act at all.

use commands::{Commands, Context, Error};
use domain::budget::{BudgetPeriod, BudgetPeriodCommand, BudgetPeriodError, ThresholdCrossed};
use domain::{BudgetId, Currency, Money, derived_id};
use projections::PendingAlert;
use sqlx::postgres::PgPool;
use std::future::Future;
use std::time::Duration;
use streams::{Position, ReadError};
use thiserror::Error as ThisError;

/// How long the policy waits for the budgets' read model before it looks again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after a failure, or while the read model is behind.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
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
    #[error("the alert cannot be raised")]
    Command(#[from] Error<BudgetPeriodError>),
}

impl BudgetAlerts {
    /// Raises alerts until told to stop. Failures are tried again: a crossing waits in its table until its alert is in
    /// the log.
    ///
    /// # Errors
    /// When the log closes.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ReadError> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // Read before looking: what comes later wakes the next round.
            let head = self.commands.log().tail().head();
            let is_settled = self.raise_pending(head).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "alerts wait");
                false
            });
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                // Only when everything up to the head was seen and told may the next event be waited for.
                moved = self.commands.log().tail().wait_beyond(head), if is_settled => moved?,
                () = tokio::time::sleep(RETRY_PAUSE), if !is_settled => {}
            }
        }
    }

    /// Raises what is pending; returns whether that was everything up to `head`.
    async fn raise_pending(&self, head: Position) -> Result<bool, AlertError> {
        let caught_up = match projections::wait_for(&self.pool, &["budgets"], head, PATIENCE).await {
            Ok(_) => true,
            // What is there already can be told.
            Err(projections::WaitError::Late { .. }) => false,
            Err(projections::WaitError::Database(error)) => return Err(error.into()),
        };
        let pending = projections::pending_alerts(&self.pool, MAX_ALERTS).await?;
        let all = i64::try_from(pending.len()).unwrap_or(MAX_ALERTS) < MAX_ALERTS;
        let mut raised = Ok(caught_up && all);
        for pending in pending {
            // One that cannot be raised does not keep the others waiting.
            if let Err(error) = self.raise(&pending).await {
                raised = Err(error);
            }
        }
        raised
    }

    async fn raise(&self, pending: &PendingAlert) -> Result<(), AlertError> {
        let row = |error: &dyn std::fmt::Display| AlertError::Row(error.to_string());
        let tenant = pending.tenant_id.parse().map_err(|error| row(&error))?;
        let percent = u16::try_from(pending.threshold_percent).map_err(|error| row(&error))?;
        let crossed = ThresholdCrossed {
            budget_id: BudgetId(pending.budget_id),
            month: pending.month.parse().map_err(|error| row(&error))?,
            threshold_percent: percent.try_into().map_err(|error| row(&error))?,
            spent: Money::from_decimal(pending.spent),
            limit: Money::from_decimal(pending.limit_amount),
            currency: Currency::Usd,
            crossed_at_position: u64::try_from(pending.crossed_at_position).map_err(|error| row(&error))?,
        };
        let id = BudgetPeriod::id(crossed.budget_id, crossed.month);
        let command_id = derived_id(&["budget_alert", &id.to_string(), &percent.to_string()]);
        let context = Context {
            correlation_id: pending.correlation_id,
            causation_id: Some(pending.crossed_by_event),
            ..Context::new(tenant, "policy:budget-alerts", command_id)
        };
        self.commands.execute::<BudgetPeriod>(&context, id, BudgetPeriodCommand::RaiseAlert { crossed }).await?;
        Ok(())
    }
}
