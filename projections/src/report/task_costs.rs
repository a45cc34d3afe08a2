//! The cost of completed tasks.

use super::error::ReportError;
use super::position;
use super::sums;
use super::totals::{Totals, UNIT_COST_PLACES};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::Sum;
use domain::permissions::{Access, ReadReports};
use sqlx::{AssertSqlSafe, FromRow as _, Row as _};
use streams::{Position, TenantReads};

/// The maximum number of completed tasks whose costs are summed up.
pub const MAX_COMPLETED_TASKS: i64 = 100_000;

/// The costs of the tasks that were completed in a time range.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCosts {
    /// The number of tasks that were completed in the time range.
    pub tasks: i64,
    /// The sums over all calls of these tasks, whenever they started.
    pub totals: Totals,
    /// The costs contain every task and call up to this position.
    pub position: Position,
}

impl TaskCosts {
    /// The projections that the costs are read from.
    pub const PROJECTIONS: [&str; 2] = ["calls", "tasks"];

    /// The charged cost of the calls of completed tasks, divided by the number of the tasks, rounded half to even to
    /// [`UNIT_COST_PLACES`]. None if no task was completed, or no cost is known.
    #[must_use]
    pub fn cost_per_task(&self) -> Option<Sum> {
        self.totals.known_cost()?.quotient(1, &Sum::from_integer(self.tasks.into()), UNIT_COST_PLACES)
    }
}

/// Sums up the calls of the tasks that were completed from a time on, and before another one: the sums by day and task answer, one
/// index each.
///
/// # Errors
/// [`ReportError`] if the range is empty or not one of whole minutes, more than [`MAX_COMPLETED_TASKS`] tasks were completed in it, or
/// the database fails.
pub async fn completed_task_costs(
    reads: &TenantReads,
    access: &Access<ReadReports>,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<TaskCosts, ReportError> {
    if from >= to {
        return Err(ReportError::EmptyRange { from, to });
    }
    for limit in [from, to] {
        if limit.duration_trunc(TimeDelta::minutes(1)).ok() != Some(limit) {
            return Err(ReportError::NotAMinute(limit));
        }
    }
    let mut transaction = reads.begin_snapshot(access).await?;
    let position = position(&mut transaction, &TaskCosts::PROJECTIONS).await?;
    let statement = format!(
        "with completed as materialized (
             select task_id from apex.tasks
             where tenant_id = $1 and status = 'completed' and ended_at >= $2 and ended_at < $3 limit $4 + 1
         )
         select {}, (select count(*) from completed) as tasks
         from completed c join apex.usage_daily u
              on u.tenant_id = $1 and u.dimension = 'task' and u.task_id = c.task_id
         where (select count(*) from completed) <= $4",
        sums::of_cells(false)
    );
    let statement = sqlx::query(AssertSqlSafe(statement)).bind(access.tenant().as_str()).bind(from).bind(to);
    let row = statement.bind(MAX_COMPLETED_TASKS).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let tasks = row.try_get("tasks")?;
    if tasks > MAX_COMPLETED_TASKS {
        return Err(ReportError::TooManyTasks { limit: MAX_COMPLETED_TASKS });
    }
    Ok(TaskCosts { tasks, totals: Totals::from_row(&row)?, position })
}
