//! Reports of calls.

use super::types::{Call, CallKind};
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::errors;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{CommandResult, command_result, payload};
use crate::graphql::scalars::{Decimal, Long, Timestamp, Uid, or_now};
use crate::graphql::services::services;
use crate::graphql::usage::UsageInput;
use async_graphql::{Context, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use domain::call::{CallError, CallFacts, CallKind as DomainKind};
use domain::price_book::PriceBook;
use domain::{AgentId, CallId, Money, TaskId, UsageError};
use ingest::CallReport;
use uuid::Uuid;

command_error! {
    /// Reason for which the report of a call was rejected.
    CallCommandError,
    /// Reasons for which the report of a call is rejected.
    CallErrorCode {
        /// The call is one of a language model, and no model is known.
        NoModel,
        /// The call is one of a tool, and no tool is known.
        NoTool,
        /// The call was reported before with another kind.
        OtherKind,
        /// The latency is longer than 30 days.
        LatencyTooLong,
        /// The call started before 1970 or after 2199.
        StartOutOfRange,
        /// The reported cost is negative.
        NegativeCost,
        /// The parts of a meter, such as reasoning tokens, are more than the meter that includes them, such as output tokens.
        PartsExceedWhole,
        /// The cost cannot be represented exactly.
        ChargeOutOfRange,
        /// The call was charged by a later version of the price book than the server has read. Send the command again.
        PriceBookOutdated,
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
            CallError::Usage(UsageError::PartsExceedWhole { .. }) => CallErrorCode::PartsExceedWhole,
            CallError::Money(_) => CallErrorCode::ChargeOutOfRange,
            CallError::PriceBookOutdated { .. } => CallErrorCode::PriceBookOutdated,
        };
        Self::new(code, error)
    }
}

payload! {
    /// Payload of `reportCall`.
    CallPayload {
        /// The call as of `position`. If the report was rejected, the call as it is now.
        call: Call, error: CallCommandError
    }
}

/// Input of `reportCall`: what is known about a call. Several reports of one call are merged: the largest usage, latency
/// and reported cost, the earliest start, and for every other field the first value that was reported.
#[derive(Debug, InputObject)]
pub(crate) struct ReportCallInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed. Default: a new
    /// UUID.
    command_id: Option<Uid>,
    /// Global id or UUID of the call. Give either `id` or `callKey`. Default: derived from `callKey` or `commandId`,
    /// otherwise a new UUID.
    id: Option<ID>,
    /// Key by which the provider or the client identifies the call, such as the id in the provider's response: one line of
    /// at most 256 bytes that is not blank. The id of the call is derived from `provider` and this key, so that all reports
    /// with the same key concern the same call.
    call_key: Option<String>,
    /// Kind of the call. Default: `TOOL` if `tool` is given, otherwise `LLM`.
    kind: Option<CallKind>,
    /// Global id or UUID of the agent that made the call.
    agent_id: Option<ID>,
    /// Global id or UUID of the task that the call was made for.
    task_id: Option<ID>,
    /// Provider that served the call, such as `openai`: one line of at most 256 bytes.
    provider: Option<String>,
    /// Model that served the call: one line of at most 256 bytes. Required for a call of a language model.
    model: Option<String>,
    /// Tool that was called: one line of at most 256 bytes. Required for a call of a tool.
    tool: Option<String>,
    /// Usage of the call. Default: none.
    usage: Option<UsageInput>,
    /// Time at which the call started. It determines the price that applies and the month in which budgets count the call.
    /// Default: the current time of the server.
    started_at: Option<Timestamp>,
    /// Duration of the call, in milliseconds, at most 30 days.
    latency_ms: Option<Long>,
    /// Cost that the reporting source states, in US dollars. It is informative and never charged.
    reported_cost: Option<Decimal>,
    /// Error with which the call failed: text of at most 64 KiB. Null if it succeeded.
    error: Option<String>,
    /// Source of the report, such as `claude-code`: one line of at most 256 bytes. Default: `api`.
    source: Option<String>,
    /// Version that the call must have. The command is rejected with `WRONG_VERSION` if it has another one. Default: any
    /// version.
    expected_version: Option<Long>,
}

/// Reports of calls.
#[derive(Default)]
pub(crate) struct CallMutation;

#[Object]
impl CallMutation {
    /// Records a call and charges it at the price that was effective for its model when it started. A call is charged once,
    /// however often and by whom it is reported.
    async fn report_call(&self, ctx: &Context<'_>, input: ReportCallInput) -> Result<CallPayload> {
        let may_send = MaySend::check(ctx)?;
        let (command_id, expected_version) = (input.command_id, input.expected_version);
        let at = or_now(input.started_at);
        let target = call_id(&input)?;
        let facts = match &target {
            Ok(_) => facts(input, at)?,
            Err(invalid) => Err(invalid.clone()),
        };
        let target = target.unwrap_or_default();
        let context = CommandOptions { may_send, target, command_id, expected_version, at }.context(ctx)?;
        let result: CommandResult<CallCommandError> = match facts {
            Ok(facts) => {
                let commands = &services(ctx)?.commands;
                // A call without a model has no price, and must not fail if the price book cannot be read.
                let prices = match facts.model {
                    Some(_) => commands.load::<PriceBook>(&context.principal, PriceBook::id()).await.map(Some),
                    None => Ok(None),
                };
                let prices = prices.map_err(|error| errors::failed(&error))?;
                let prices = prices.map(|loaded| loaded.state.clone()).unwrap_or_default();
                let report = CallReport::new(CallId(target), facts, &prices);
                let executed = ingest::report_call(commands, &context, &report).await;
                command_result(&context, target, executed)?
            }
            Err(invalid) => CommandResult::rejected(&context, target, invalid),
        };
        Ok(result.into())
    }
}

/// The id of a call: an error of the response for an id that is not one, a rejection for a key that is not valid.
fn call_id(input: &ReportCallInput) -> Result<Result<Uuid, Invalid>> {
    match (&input.id, &input.call_key) {
        (Some(_), Some(_)) => Err(errors::bad_input("ID_TWICE", "give either `id` or `callKey`, not both")),
        // The key must not be blank: all calls with a blank key would be one call.
        (None, Some(key)) => Ok(input::name("callKey", key.clone())
            .map(|key| ingest::call_id(&[input.provider.as_deref().unwrap_or_default(), key.as_str()]).0)),
        (id, None) => Kind::Call.new_id(id.as_ref(), input.command_id).map(Ok),
    }
}

/// The facts in an input: an error of the response for ids that are not valid, a rejection for other fields.
fn facts(input: ReportCallInput, started_at: DateTime<Utc>) -> Result<Result<CallFacts, Invalid>> {
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
            usage: input.usage.unwrap_or_default().try_into()?,
            started_at,
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
