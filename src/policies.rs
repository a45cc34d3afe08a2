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
/// The pause after a failure.
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
            let pause = match self.raise_pending(head).await {
                Ok(()) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "alerts wait");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                moved = async {
                    tokio::time::sleep(pause).await;
                    self.commands.log().tail().wait_beyond(head).await
                } => moved?,
            }
        }
    }

    async fn raise_pending(&self, head: Position) -> Result<(), AlertError> {
        match projections::wait_for(&self.pool, &["budgets"], head, PATIENCE).await {
            // Late is no failure: what is there already can be told.
            Ok(_) | Err(projections::WaitError::Late { .. }) => {}
            Err(projections::WaitError::Database(error)) => return Err(error.into()),
        }
        for pending in projections::pending_alerts(&self.pool, MAX_ALERTS).await? {
            self.raise(&pending).await?;
        }
        Ok(())
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
