//! The object type, and how its rows are loaded.

use super::facts::{
    COST_SOURCES, CallOrigin, CallOutcome, CallSpan, CostSource, OUTCOMES, Tag, provenance_of, tags_of,
};
use super::receipt::{self, Receipt};
use crate::graphql::agent::Agent;
use crate::graphql::as_of::AsOf;
use crate::graphql::entity::{self, Entity};
use crate::graphql::ids::Kind;
use crate::graphql::loaders::Rows;
use crate::graphql::price::Charge;
use crate::graphql::scalars::{Decimal, Long, Position, Timestamp, Uid};
use crate::graphql::services::{authorise, requester, services};
use crate::graphql::stored::from_stored_name;
use crate::graphql::task::Task;
use crate::graphql::usage::Usage;
use crate::graphql::{connection, errors};
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use domain::call::{CallKind as DomainKind, CostSource as DomainCostSource, Outcome as DomainOutcome};
use domain::permissions::ReadCalls;
use domain::{AgentId, CallId, TaskId};
use projections::calls::{self, CallFilter, CallRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::call::CallKind")]
pub(crate) enum CallKind {
    /// A request to a language model.
    Llm,
    /// A request to a tool.
    Tool,
}

const KINDS: [DomainKind; 2] = [DomainKind::Llm, DomainKind::Tool];

/// The price that was applied to a call.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AppliedPrice {
    /// Time from which the price is effective.
    effective_from: Timestamp,
    /// Conditions under which it applied, such as `context > 200000`; `standard` if there are none.
    tier: String,
    /// Version of the price book by which the call was charged.
    book_version: Long,
}

/// A call: one request to a language model or a tool. It is charged once, however often and by whom it is reported.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Call {
    /// Global id of the call: of several ids that it has, the lowest one.
    pub(crate) id: ID,
    /// UUID of the call, as it occurs in events and exports.
    uuid: Uid,
    /// Kind of the call.
    kind: CallKind,
    /// Global id of the agent that made the call.
    agent_id: Option<ID>,
    /// Global id of the task that the call was made for.
    task_id: Option<ID>,
    /// Global id of the task graph that the call was made for.
    dag_id: Option<ID>,
    /// Conversation that the call is a part of, such as a session or a thread, by its id in the source.
    conversation: Option<String>,
    /// User that the call was made for, by an id that the source gives.
    user: Option<String>,
    /// Team that the call was made for.
    team: Option<String>,
    /// Name or id of the API key that the call was made with.
    key: Option<String>,
    /// Provider that served the call, such as `openai`.
    provider: Option<String>,
    /// Model that served the call.
    model: Option<String>,
    /// Tool that was called.
    tool: Option<String>,
    /// Service tier that the call was served in, such as `batch`.
    service_tier: Option<String>,
    /// Speed that the call was served at, such as `fast`.
    speed: Option<String>,
    /// Region that the call was served in.
    region: Option<String>,
    /// How the call ended.
    outcome: Option<CallOutcome>,
    /// Tags of the call, ordered by key.
    tags: Vec<Tag>,
    /// Usage of the call. It is taken whole from the record that knows it best.
    usage: Usage,
    /// Whether the reader of the record derived the usage, which the record does not state.
    usage_assumed: bool,
    /// Time at which the call started.
    started_at: Timestamp,
    /// Duration of the call, in milliseconds.
    latency_ms: Option<Long>,
    /// Time from the start of the call to the first token of the response, in milliseconds.
    first_token_ms: Option<Long>,
    /// Cost that was charged for the call, in US dollars. Null if no price is known for the model, which does not mean that
    /// the call was free.
    cost: Option<Decimal>,
    /// Price that was applied. Null if `cost` is null.
    price: Option<AppliedPrice>,
    /// Cost that the reporting source stated, in US dollars. It is informative and never charged.
    reported_cost: Option<Decimal>,
    /// Where the reported cost comes from. Null if that is not known.
    reported_cost_source: Option<CostSource>,
    /// Error with which the call failed. Null if it succeeded.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    error: Option<String>,
    /// Source of the first record of the call, such as `claude-code`.
    source: String,
    /// Id of the first record in its source.
    record_id: Option<String>,
    /// Span that the call was.
    span: Option<CallSpan>,
    /// Id that the provider gave the response.
    response_id: Option<String>,
    /// Id that the provider gave the request.
    request_id: Option<String>,
    /// Other records that fields of the call were taken from, in the order of their times. All other fields were taken from
    /// the first record.
    origins: Vec<CallOrigin>,
    /// Names of the fields that were corrected, as they are in events. No record changes them.
    corrected_fields: Vec<String>,
    /// Version of the call: the number of its events.
    version: Long,
    /// Position of the call's last event.
    position: Position,
    #[graphql(skip)]
    agent: Option<AgentId>,
    #[graphql(skip)]
    task: Option<TaskId>,
}

impl Entity for Call {
    type Row = CallRow;
    type Key = CallId;
    const KIND: Kind = Kind::Call;
    const PROJECTIONS: &'static [&'static str] = &["calls"];

    /// A call that was voided has no row. Its id names the call that it was voided into. A principal that may read the
    /// calls of some agents only is not told, since that may be a call of another agent.
    async fn resolve(ctx: &Context<'_>, id: Uuid, as_of: Option<AsOf>) -> Result<Uuid> {
        if authorise::<ReadCalls>(ctx)?.agents().is_some() {
            return Ok(id);
        }
        let (commands, principal) = (&services(ctx)?.commands, &requester(ctx)?.principal);
        let call = commands.load_call(principal, CallId(id), as_of.map(Into::into)).await;
        Ok(call.map_err(|error| errors::failed(&error))?.0.0)
    }
}

impl TryFrom<CallRow> for Call {
    type Error = Error;

    fn try_from(row: CallRow) -> Result<Self> {
        let price = match (row.price_effective_from, row.price_tier, row.price_book_version) {
            (Some(effective_from), Some(tier), Some(version)) => {
                Some(AppliedPrice { effective_from: effective_from.into(), tier, book_version: version.into() })
            }
            _ => None,
        };
        let span = match (row.trace_id, row.span_id) {
            (Some(trace_id), Some(span_id)) => Some(CallSpan { trace_id, span_id, parent_span_id: row.parent_span_id }),
            _ => None,
        };
        let outcome = row.outcome.map(|name| from_stored_name(&OUTCOMES, DomainOutcome::as_str, &name)).transpose()?;
        let cost_source = row.reported_cost_source;
        let cost_source =
            cost_source.map(|name| from_stored_name(&COST_SOURCES, DomainCostSource::as_str, &name)).transpose()?;
        let (origins, corrected_fields) = provenance_of(row.provenance);
        Ok(Self {
            id: Kind::Call.id(row.call_id),
            uuid: row.call_id.into(),
            kind: from_stored_name(&KINDS, DomainKind::as_str, &row.kind)?.into(),
            agent_id: row.agent_id.map(|agent| Kind::Agent.id(agent)),
            task_id: row.task_id.map(|task| Kind::Task.id(task)),
            dag_id: row.dag_id.map(|dag| Kind::Dag.id(dag)),
            conversation: row.conversation,
            user: row.user_id,
            team: row.team,
            key: row.key,
            provider: row.provider,
            model: row.model,
            tool: row.tool,
            service_tier: row.service_tier,
            speed: row.speed,
            region: row.region,
            outcome: outcome.map(Into::into),
            tags: tags_of(row.tags),
            usage: row.usage.into(),
            usage_assumed: row.usage_assumed,
            started_at: row.started_at.into(),
            latency_ms: row.latency_ms.map(Into::into),
            first_token_ms: row.first_token_ms.map(Into::into),
            cost: row.cost.map(Into::into),
            price,
            reported_cost: row.reported_cost.map(Into::into),
            reported_cost_source: cost_source.map(Into::into),
            error: row.error,
            source: row.source,
            record_id: row.record_id,
            span,
            response_id: row.response_id,
            request_id: row.request_id,
            origins,
            corrected_fields,
            version: row.version.into(),
            position: Position::from_row(row.position),
            agent: row.agent_id.map(AgentId),
            task: row.task_id.map(TaskId),
        })
    }
}

#[ComplexObject]
impl Call {
    /// The agent that made the call, as it is now. Null if it is unknown or was never registered.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Agent>> {
        entity::by_id_opt(ctx, self.agent.map(|id| id.0)).await
    }

    /// The charge for the call as it is now, with the lines of a receipt. Null if no price is known.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn charge(&self, ctx: &Context<'_>) -> Result<Option<Charge>> {
        let (commands, principal) = (&services(ctx)?.commands, &requester(ctx)?.principal);
        let call = commands.load_call(principal, CallId(self.uuid.0), None).await;
        let (_, call) = call.map_err(|error| errors::failed(&error))?;
        Ok(call.state.charged.as_ref().and_then(|charged| charged.charge.as_ref()).map(Into::into))
    }

    /// How the cost of the call follows from its usage, as of `position`. Null if the call was voided.
    #[graphql(complexity = "2 * connection::STATEMENT_COST + child_complexity")]
    async fn receipt(&self, ctx: &Context<'_>) -> Result<Option<Receipt>> {
        receipt::at(ctx, CallId(self.uuid.0), self.position.0).await
    }

    /// The task that the call was made for, as it is now. Null if it is unknown or was never submitted.
    async fn task(&self, ctx: &Context<'_>) -> Result<Option<Task>> {
        entity::by_id_opt(ctx, self.task.map(|id| id.0)).await
    }
}

impl Loader<CallId> for Rows {
    type Value = CallRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[CallId]) -> Result<HashMap<CallId, CallRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = CallFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = calls::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (CallId(row.call_id), row)).collect())
    }
}
