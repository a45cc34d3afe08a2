//! Queries for budgets.

use super::status::{self, BudgetPeriodStatus};
use super::types::Budget;
use crate::graphql::as_of::AsOf;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Position, Timestamp, or_now};
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use domain::BudgetId;
use domain::permissions::{ReadBudgets, ReadSpending};
use projections::budgets;

/// Queries for budgets.
#[derive(Default)]
pub(crate) struct BudgetQuery;

#[Object]
impl BudgetQuery {
    /// Returns a budget by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn budget(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the budget.")] id: ID,
        #[graphql(
            desc = "Returns the terms of the budget as they were at this position or time; `months` and `alerts` are as they \
                    are now. `minPosition` has no effect then. Default: as they are now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Budget>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Returns what is charged and reserved in the period of a budget that a time belongs to, from the log itself. Null if the
    /// budget is not decided on before calls are made, or is closed.
    #[graphql(complexity = "2 * connection::STATEMENT_COST + child_complexity")]
    async fn budget_period(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the budget.")] id: ID,
        #[graphql(desc = "A time in the period. Default: the current time of the server.")] at: Option<Timestamp>,
    ) -> Result<Option<BudgetPeriodStatus>> {
        authorise::<ReadSpending>(ctx)?;
        status::period(ctx, BudgetId(Kind::Budget.parse(&id)?), or_now(at)).await
    }

    /// Lists budgets in the order in which they were defined.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budgets(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of budgets to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the budgets after this cursor. Default: from the first budget on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Budget>> {
        let access = authorise::<ReadBudgets>(ctx)?;
        let page = connection::page(ctx, first, after.as_deref())?;
        await_projections(ctx, Budget::PROJECTIONS, min_position).await?;
        let rows = budgets::list(&services(ctx)?.reads, &access, &[], page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.defined_at, row.budget_id))
    }
}
