//! Queries for agents.

use super::types::{Agent, AgentStatus, STATUSES};
use crate::graphql::as_of::AsOf;
use crate::graphql::connection::COUNT_COST;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::scalars::{Long, Position};
use crate::graphql::services::{authorise, services};
use crate::graphql::stored::counts;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use domain::agent::AgentStatus as Status;
use domain::permissions::ReadAgents;
use projections::agents::{self, AgentFilter};

/// Conditions on agents. An agent must meet all conditions that are given.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "AgentFilter")]
pub(crate) struct Filter {
    /// Selects agents with this status. Default: any status.
    status: Option<AgentStatus>,
}

/// How many agents have a status.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AgentStatusCount {
    /// Status.
    status: AgentStatus,
    /// Number of agents.
    count: Long,
}

/// Queries for agents.
#[derive(Default)]
pub(crate) struct AgentQuery;

#[Object]
impl AgentQuery {
    /// Returns an agent by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn agent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the agent.")] id: ID,
        #[graphql(
            desc = "Returns the agent as it was at this position or time. `minPosition` has no effect then. Default: as it is \
                    now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Agent>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists agents in the order in which they were registered.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn agents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only agents that meet these conditions. Default: all agents.")] filter: Option<
            Filter,
        >,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of agents to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the agents after this cursor. Default: from the first agent on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Agent>> {
        let access = authorise::<ReadAgents>(ctx)?;
        let page = connection::page(ctx, first, after.as_deref())?;
        await_projections(ctx, Agent::PROJECTIONS, min_position).await?;
        let status = filter.and_then(|filter| filter.status).map(|status| Status::from(status).as_str().to_owned());
        let filter = AgentFilter { ids: Vec::new(), status };
        let rows = agents::list(&services(ctx)?.reads, &access, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.registered_at, row.agent_id))
    }

    /// Counts agents by status, in the order of an agent's life. A status that no agent has is counted as 0.
    #[graphql(complexity = "COUNT_COST + child_complexity")]
    async fn agent_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Vec<AgentStatusCount>> {
        let access = authorise::<ReadAgents>(ctx)?;
        await_projections(ctx, Agent::PROJECTIONS, min_position).await?;
        let rows = agents::count_by_status(&services(ctx)?.reads, &access).await;
        let counts = counts(STATUSES, Status::as_str, rows.map_err(|error| errors::database(&error))?)?;
        Ok(counts.map(|(status, count)| AgentStatusCount { status: status.into(), count: count.into() }).into())
    }
}
