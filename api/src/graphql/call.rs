//! Calls of models and tools.

use super::as_of::{self, AsOf};
use super::errors::{self, command_error};
use super::ids::Kind;
use super::input::{self, Invalid};
use super::payload::{self, Order, payload};
use super::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use super::{Services, agent, connection, from_wire, loaders, ready, task};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::call::{CallError, CallFacts, CallKind as DomainKind};
use domain::price_book::PriceBook;
use domain::{AgentId, CallId, Money, TaskId, Usage as DomainUsage, UsageError};
use ingest::{CallReport, call_id as derived_call_id, report_call};
use projections::calls::{self, CallFilter, CallRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The projections that feed the lists.
const PROJECTIONS: &[&str] = &["calls"];

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::call::CallKind")]
pub(crate) enum CallKind {
    /// A language model.
    Llm,
    /// A tool.
    Tool,
}

const KINDS: [DomainKind; 2] = [DomainKind::Llm, DomainKind::Tool];

/// The tokens of a call, by kind. Input, cache reads and cache writes are disjoint.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Usage {
    /// Prompt tokens that came from no cache.
    input: Long,
    /// Generated tokens, reasoning included.
    output: Long,
    /// Prompt tokens read from the provider's cache.
    cache_read: Long,
    /// Prompt tokens written to the provider's cache.
    cache_write: Long,
    /// The part of the output spent on reasoning.
    reasoning: Long,
}

/// The price that a call was charged at.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AppliedPrice {
    /// The date that it took effect on.
    effective_from: Timestamp,
    /// Which of its tiers held: `standard`, or `above_` and a number of prompt tokens.
    tier: String,
    /// The version of the price book that set it.
    book_version: Long,
}

/// A call: one request to a model or a tool, charged once however often it is reported.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Call {
    /// Its global id.
    pub(crate) id: ID,
    /// Its id as events and exports carry it.
    uuid: Uid,
    /// What was called.
    kind: CallKind,
    /// Who called.
    agent_id: Option<ID>,
    /// For which task.
    task_id: Option<ID>,
    /// Who answered, such as `openai`.
    provider: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// The tool that was called.
    tool: Option<String>,
    /// The tokens.
    usage: Usage,
    /// When it began.
    started_at: Timestamp,
    /// How long it took, in milliseconds.
    latency_ms: Option<Long>,
    /// What it was charged, in US dollars; null if no price is known, which is not the same as free.
    cost: Option<Decimal>,
    /// The price that it was charged at.
    price: Option<AppliedPrice>,
    /// What the record itself said it cost, in US dollars; never the charge.
    reported_cost: Option<Decimal>,
    /// What went wrong, if it failed.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    error: Option<String>,
    /// Who reported it first, such as `claude-code`.
    source: String,
    /// How many events it has.
    version: Long,
    /// The position of its last event.
    position: Position,
    #[graphql(skip)]
    caller: Option<AgentId>,
    #[graphql(skip)]
    cause: Option<TaskId>,
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
        Ok(Self {
            id: Kind::Call.id(row.call_id),
            uuid: row.call_id.into(),
            kind: from_wire(&KINDS, DomainKind::as_str, &row.kind)?.into(),
            agent_id: row.agent_id.map(|agent| Kind::Agent.id(agent)),
            task_id: row.task_id.map(|task| Kind::Task.id(task)),
            provider: row.provider,
            model: row.model,
            tool: row.tool,
            usage: Usage {
                input: row.input_tokens.into(),
                output: row.output_tokens.into(),
                cache_read: row.cache_read_tokens.into(),
                cache_write: row.cache_write_tokens.into(),
                reasoning: row.reasoning_tokens.into(),
            },
            started_at: row.started_at.into(),
            latency_ms: row.latency_ms.map(Into::into),
            cost: row.cost.map(Into::into),
            price,
            reported_cost: row.reported_cost.map(Into::into),
            error: row.error,
            source: row.source,
            version: row.version.into(),
            position: Position::from_row(row.position),
            caller: row.agent_id.map(AgentId),
            cause: row.task_id.map(TaskId),
        })
    }
}

#[ComplexObject]
impl Call {
    /// Who called, as the agent is now; null if the agent was never registered.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<agent::Agent>> {
        match self.caller {
            Some(id) => agent::by_id(ctx, id.0).await,
            None => Ok(None),
        }
    }

    /// For which task, as the task is now; null if the task was never submitted.
    async fn task(&self, ctx: &Context<'_>) -> Result<Option<task::Task>> {
        match self.cause {
            Some(id) => task::by_id(ctx, id.0).await,
            None => Ok(None),
        }
    }
}

impl Loader<CallId> for loaders::Rows {
    type Value = CallRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[CallId]) -> Result<HashMap<CallId, CallRow>, Self::Error> {
        let filter = CallFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { after: None, limit: MAX_PAGE_ROWS };
        let rows = calls::list(&self.pool, &self.tenant, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (CallId(row.call_id), row)).collect())
    }
}

/// One call, together with others that are asked for at this moment.
pub(crate) async fn by_id(ctx: &Context<'_>, id: Uuid) -> Result<Option<Call>> {
    let row = loaders::of(ctx)?.load_one(CallId(id)).await.map_err(errors::loader)?;
    row.map(Call::try_from).transpose()
}

/// A page of calls.
pub(crate) async fn list(
    ctx: &Context<'_>,
    filter: &CallFilter,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<Connection<String, Call>> {
    let page = connection::page(ctx, first, after)?;
    let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
    let rows = calls::list(&services.pool, &caller.tenant, filter, page).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect(rows, page, |row| (row.started_at, row.call_id))
}

/// Which calls.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "CallFilter")]
pub(crate) struct Filter {
    /// Of models, or of tools.
    kind: Option<CallKind>,
    /// Of this agent.
    agent_id: Option<ID>,
    /// For this task.
    task_id: Option<ID>,
    /// By this model.
    model: Option<String>,
    /// That began at or after this time.
    from: Option<Timestamp>,
    /// That began before this time.
    to: Option<Timestamp>,
    /// Only those of models that no price is known for.
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
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
            unpriced: self.unpriced.unwrap_or(false),
        })
    }
}

/// Queries about calls.
#[derive(Default)]
pub(crate) struct CallQuery;

#[Object]
impl CallQuery {
    /// A call; null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn call(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(desc = "As it was then, rather than as it is now.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Option<Call>> {
        let id = Kind::Call.parse(&id)?;
        if let Some(as_of) = as_of {
            return as_of::row::<CallRow>(ctx, id, as_of).await?.map(Call::try_from).transpose();
        }
        ready(ctx, PROJECTIONS, min_position).await?;
        by_id(ctx, id).await
    }

    /// Calls, in the order in which they began.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn calls(
        &self,
        ctx: &Context<'_>,
        filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, Call>> {
        let filter = filter.unwrap_or_default().check()?;
        ready(ctx, PROJECTIONS, min_position).await?;
        list(ctx, &filter, first, after.as_deref()).await
    }
}

command_error! {
    /// Why a report of a call was refused.
    CallCommandError, CallErrorCode {
        /// A call of a model needs the model.
        NoModel,
        /// A call of a tool needs the tool.
        NoTool,
        /// The call is known as a call of another kind.
        OtherKind,
        /// The latency is longer than 30 days.
        LatencyTooLong,
        /// The call began before 1970 or after 2199.
        StartOutOfRange,
        /// The reported cost is negative.
        NegativeCost,
        /// There are more reasoning tokens than output tokens, which they are a part of.
        ReasoningExceedsOutput,
        /// The charge cannot be computed exactly.
        ChargeOutOfRange,
    }
}

impl From<CallError> for CallCommandError {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::NoModel => CallErrorCode::NoModel,
            CallError::NoTool => CallErrorCode::NoTool,
            CallError::KindMismatch => CallErrorCode::OtherKind,
            CallError::StartOutOfRange(_) => CallErrorCode::StartOutOfRange,
            CallError::LatencyTooLong(_) => CallErrorCode::LatencyTooLong,
            CallError::NegativeCost(_) => CallErrorCode::NegativeCost,
            CallError::Usage(UsageError::ReasoningExceedsOutput { .. }) => CallErrorCode::ReasoningExceedsOutput,
            CallError::Money(_) => CallErrorCode::ChargeOutOfRange,
        };
        Self::new(code, error)
    }
}

payload! {
    /// What became of a report of a call.
    CallPayload {
        /// The call as of `position`; as it is now if the report was refused.
        call: Call(CallRow), error: CallCommandError
    }
}

/// The tokens of a call, by kind; 0 where not given. Providers that count cached tokens inside the prompt report them
/// here apart: `input` is what came from no cache.
#[derive(Debug, Default, InputObject)]
pub(crate) struct UsageInput {
    /// Prompt tokens that came from no cache.
    input: Option<Long>,
    /// Generated tokens, reasoning included.
    output: Option<Long>,
    /// Prompt tokens read from the provider's cache.
    cache_read: Option<Long>,
    /// Prompt tokens written to the provider's cache.
    cache_write: Option<Long>,
    /// The part of the output spent on reasoning.
    reasoning: Option<Long>,
}

/// What is known of a call. Reports of one call are joined: the larger counts, the earlier start, and for the rest the
/// first that says anything.
#[derive(Debug, InputObject)]
pub(crate) struct ReportCallInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The call's id, where the client knows it.
    id: Option<ID>,
    /// What the provider or the client calls the call, such as the id in its answer. The call's id is made from it and
    /// `provider`, so that whoever reports the same call reports it under the same id. One line of at most 256 bytes, not
    /// only white space.
    call_key: Option<String>,
    /// What was called; a tool if `tool` is given, else a model.
    kind: Option<CallKind>,
    /// Who called.
    agent_id: Option<ID>,
    /// For which task.
    task_id: Option<ID>,
    /// Who answered, such as `openai`.
    provider: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// The tool that was called.
    tool: Option<String>,
    /// The tokens.
    usage: Option<UsageInput>,
    /// When it began; now if not given. Its month is the one that budgets count it in.
    started_at: Option<Timestamp>,
    /// How long it took, in milliseconds; at most 30 days.
    latency_ms: Option<Long>,
    /// What the record itself says it cost, in US dollars; never the charge.
    reported_cost: Option<Decimal>,
    /// What went wrong, if it failed.
    error: Option<String>,
    /// Who reports it, such as `claude-code`; `api` if not given.
    source: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
}

/// Reports of calls.
#[derive(Default)]
pub(crate) struct CallMutation;

#[Object]
impl CallMutation {
    /// Takes note of a call and charges it at the price that its model had when it began. One call is charged once,
    /// whoever reports it and however often.
    async fn report_call(&self, ctx: &Context<'_>, input: ReportCallInput) -> Result<CallPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let id = match call_id(&input)? {
            Ok(id) => id,
            Err(invalid) => {
                let context = order.context(ctx, Uuid::nil())?;
                return Ok(payload::refused::<CallCommandError>(&context, Uuid::nil(), invalid).into());
            }
        };
        let context = order.context(ctx, id)?;
        let facts = match facts(input)? {
            Ok(facts) => facts,
            Err(invalid) => return Ok(payload::refused::<CallCommandError>(&context, id, invalid).into()),
        };
        let commands = &ctx.data::<Arc<Services>>()?.commands;
        let prices = commands.load::<PriceBook>(&context.tenant, PriceBook::id()).await;
        let prices = prices.map_err(|error| errors::failed(&error))?;
        let report = CallReport::new(CallId(id), facts, &prices.state);
        let result = report_call(commands, &context, &report).await;
        payload::settle::<_, _, CallCommandError>(&context, id, result).map(Into::into)
    }
}

/// The id of a call: an error of the request for an id that is none, a refusal for a key that does not fit.
fn call_id(input: &ReportCallInput) -> Result<Result<Uuid, Invalid>> {
    match (&input.id, &input.call_key) {
        (Some(_), Some(_)) => Err(errors::bad_input("ID_TWICE", "give `id` or `callKey`, not both")),
        // All calls with a key that says nothing would be one.
        (None, Some(key)) => Ok(input::name("callKey", key.clone())
            .map(|key| derived_call_id(&[input.provider.as_deref().unwrap_or_default(), key.as_str()]).0)),
        (id, None) => Kind::Call.new_id(id.as_ref(), input.command_id).map(Ok),
    }
}

/// The facts in an input: an error of the request for ids that are none, a refusal for text that does not fit.
fn facts(input: ReportCallInput) -> Result<Result<CallFacts, Invalid>> {
    let agent_id = Kind::Agent.parse_opt(input.agent_id.as_ref())?.map(AgentId);
    let task_id = Kind::Task.parse_opt(input.task_id.as_ref())?.map(TaskId);
    let kind =
        input.kind.map_or(if input.tool.is_some() { DomainKind::Tool } else { DomainKind::Llm }, DomainKind::from);
    let checked = || {
        Ok(CallFacts {
            kind,
            agent_id,
            task_id,
            provider: input::name_opt("provider", input.provider)?,
            model: input::name_opt("model", input.model)?,
            tool: input::name_opt("tool", input.tool)?,
            usage: usage(input.usage.unwrap_or_default())?,
            started_at: or_now(input.started_at),
            latency_ms: input.latency_ms.map(Long::unsigned),
            reported_cost: input
                .reported_cost
                .as_ref()
                .map(Money::try_from)
                .transpose()
                .map_err(|error| Invalid::new("reportedCost", error))?,
            error: input::body_opt("error", input.error)?,
            source: input::name("source", input.source.unwrap_or_else(|| "api".to_owned()))?,
        })
    };
    Ok(checked())
}

fn usage(input: UsageInput) -> Result<DomainUsage, Invalid> {
    Ok(DomainUsage {
        input: input::tokens("usage.input", input.input)?,
        output: input::tokens("usage.output", input.output)?,
        cache_read: input::tokens("usage.cacheRead", input.cache_read)?,
        cache_write: input::tokens("usage.cacheWrite", input.cache_write)?,
        reasoning: input::tokens("usage.reasoning", input.reasoning)?,
    })
}
