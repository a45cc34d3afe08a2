//! Queries for calls.

use super::facts::CallOutcome;
use super::types::{Call, CallKind};
use crate::graphql::as_of::AsOf;
use crate::graphql::connection::ListOrder;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Position, Timestamp};
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, Result};
use domain::call::{CallKind as DomainKind, Outcome, TraceId, TraceIdError};
use domain::permissions::ReadCalls;
use projections::Page;
use projections::calls::{self, CallFilter};

/// Lists calls by the time at which they started.
pub(crate) async fn list(ctx: &Context<'_>, filter: &CallFilter, page: Page) -> Result<Connection<String, Call>> {
    let rows = calls::list(&services(ctx)?.reads, &authorise::<ReadCalls>(ctx)?, filter, page).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect(rows, page, |row| (row.started_at, row.call_id))
}

/// Conditions on calls. A call must meet all conditions that are given.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "CallFilter")]
pub(crate) struct Filter {
    /// Selects calls of this kind. Default: any kind.
    kind: Option<CallKind>,
    /// Selects calls that this agent made. Global id or UUID.
    agent_id: Option<ID>,
    /// Selects calls that were made for this task. Global id or UUID.
    task_id: Option<ID>,
    /// Selects calls that this model served.
    model: Option<String>,
    /// Selects calls that this provider served.
    provider: Option<String>,
    /// Selects calls of this tool.
    tool: Option<String>,
    /// Selects calls that ended in this way.
    outcome: Option<CallOutcome>,
    /// Selects calls of this conversation.
    conversation: Option<String>,
    /// Selects calls of this trace: 32 hexadecimal digits.
    trace_id: Option<String>,
    /// Selects calls that started at or after this time.
    from: Option<Timestamp>,
    /// Selects calls that started before this time.
    to: Option<Timestamp>,
    /// If true, selects only calls of language models for which no price is known. Default: false.
    unpriced: Option<bool>,
}

impl Filter {
    fn check(self) -> Result<CallFilter> {
        Ok(CallFilter {
            ids: Vec::new(),
            kind: self.kind.map(|kind| DomainKind::from(kind).as_str().to_owned()),
            agent_id: Kind::Agent.parse_opt(self.agent_id.as_ref())?,
            task_id: Kind::Task.parse_opt(self.task_id.as_ref())?,
            model: self.model,
            provider: self.provider,
            tool: self.tool,
            outcome: self.outcome.map(|outcome| Outcome::from(outcome).as_str().to_owned()),
            conversation: self.conversation,
            trace_id: self.trace_id.as_deref().map(trace_id).transpose()?.map(|id| id.to_string()),
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
            unpriced: self.unpriced.unwrap_or(false),
        })
    }
}

/// Parses the id of a trace.
///
/// # Errors
/// `NOT_A_TRACE_ID` if it is not one.
pub(crate) fn trace_id(text: &str) -> Result<TraceId> {
    text.parse().map_err(|error: TraceIdError| errors::bad_input("NOT_A_TRACE_ID", error.to_string()))
}

/// Queries for calls.
#[derive(Default)]
pub(crate) struct CallQuery;

#[Object]
impl CallQuery {
    /// Returns a call by any of its ids. The id of a call that was voided returns the call that it was voided into. Null if
    /// it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn call(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the call.")] id: ID,
        #[graphql(
            desc = "Returns the call as it was at this position or time. `minPosition` has no effect then. Default: as it is \
                    now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Call>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists calls by the time at which they started.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn calls(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only calls that meet these conditions. Default: all calls.")] filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of calls to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the calls after this cursor. Default: from the first call on.")] after: Option<
            String,
        >,
        #[graphql(
            default_with = "Some(ListOrder::OldestFirst)",
            desc = "Order of the calls. A cursor leads on in the order in which it is sent."
        )]
        order: Option<ListOrder>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Call>> {
        authorise::<ReadCalls>(ctx)?;
        let filter = filter.unwrap_or_default().check()?;
        await_projections(ctx, Call::PROJECTIONS, min_position).await?;
        list(ctx, &filter, connection::page_in_order(ctx, first, after.as_deref(), order)?).await
    }
}
