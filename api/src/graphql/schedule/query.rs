//! Queries for schedules.

use super::types::{Schedule, ScheduleStatus};
use crate::graphql::as_of::AsOf;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::scalars::Position;
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use domain::permissions::ReadSchedules;
use domain::schedule::ScheduleStatus as Status;
use projections::schedules::{self, ScheduleFilter};

/// Queries for schedules.
#[derive(Default)]
pub(crate) struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// Returns a schedule by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the schedule.")] id: ID,
        #[graphql(
            desc = "Returns the schedule as it was at this position or time; its runs are the present ones. `minPosition` has no \
                    effect then. Default: as it is now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Schedule>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists schedules in the order in which they were defined.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only schedules with this status. Default: all but those that were deleted.")]
        status: Option<ScheduleStatus>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of schedules to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the schedules after this cursor. Default: from the first schedule on.")]
        after: Option<String>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Schedule>> {
        let access = authorise::<ReadSchedules>(ctx)?;
        let page = connection::page(ctx, first, after.as_deref())?;
        await_projections(ctx, Schedule::PROJECTIONS, min_position).await?;
        let status = status.map(|status| Status::from(status).as_str().to_owned());
        let filter = ScheduleFilter { ids: Vec::new(), status };
        let rows = schedules::list(&services(ctx)?.reads, &access, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.defined_at, row.schedule_id))
    }
}
