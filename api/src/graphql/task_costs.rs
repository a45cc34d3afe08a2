//! The cost of completed tasks.

use super::errors;
use super::freshness::await_projections;
use super::report_freshness::Freshness;
use super::report_totals::UsageTotals;
use super::scalars::{Decimal, Long, Position, Timestamp};
use super::services::{authorise, services};
use async_graphql::{Context, Object, Result, SimpleObject};
use domain::permissions::ReadReports;
use projections as models;

/// The complexity of the aggregation, in the unit of [`crate::config::Limits::max_complexity`].
const TASK_COSTS: usize = 500;

/// Costs of the tasks that were completed in a time range.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CompletedTaskCosts {
    /// Number of tasks that were completed in the time range.
    tasks: Long,
    /// Totals of all calls of these tasks, whenever they started.
    totals: UsageTotals,
    /// Charged cost of these calls divided by the number of tasks, rounded to 12 decimal places, half to even. Null if no task was
    /// completed, or no cost is known.
    cost_per_task: Option<Decimal>,
    #[graphql(flatten)]
    freshness: Freshness,
}

/// The query for the cost of completed tasks.
#[derive(Default)]
pub(crate) struct TaskCostQuery;

#[Object]
impl TaskCostQuery {
    /// Reports the cost of the tasks that were completed in a time range, and of one of them on average. A task has the cost of all of
    /// its calls, whenever they started; tasks that failed or were cancelled are not included. At most 100000 tasks are read; with more,
    /// it fails with the reason `TOO_MANY_TASKS`.
    #[graphql(complexity = "TASK_COSTS + child_complexity")]
    async fn completed_task_costs(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Includes tasks that were completed at or after this time, which must be the start of a minute."
        )]
        from: Timestamp,
        #[graphql(desc = "Includes tasks that were completed before this time, which must be the start of a minute.")]
        to: Timestamp,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<CompletedTaskCosts> {
        let (access, services) = (authorise::<ReadReports>(ctx)?, services(ctx)?);
        await_projections(ctx, &models::TaskCosts::PROJECTIONS, min_position).await?;
        let costs = models::completed_task_costs(&services.reads, &access, (from.0, to.0)).await;
        let costs = costs.map_err(|error| errors::report(&error))?;
        Ok(CompletedTaskCosts {
            tasks: costs.tasks.into(),
            cost_per_task: costs.cost_per_task().map(Into::into),
            freshness: Freshness::of(services, costs.position).await?,
            totals: costs.totals.into(),
        })
    }
}
