//! Reports of calls.

use super::correction::{CallCorrection, Correction};
use super::facts::{self, CallOutcome, CallSpanInput, CostSource, TagInput};
use super::types::{Call, CallKind};
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend, command_input};
use crate::graphql::errors;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{CommandResult, command_result, payload};
use crate::graphql::price;
use crate::graphql::scalars::{Decimal, Long, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use crate::graphql::tag_key;
use crate::graphql::usage::UsageInput;
use async_graphql::{Context, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use domain::call::{CallCommand, CallError, CallFacts, CallKind as DomainKind, GATEWAY_SOURCE, ReportedCost};
use domain::price_book::PriceBook;
use domain::reservation::{Holder, ReservationError};
use domain::tag_keys::TagKeys;
use domain::{AgentId, CallId, DagId, Money, ReservationId, TaskId, UsageError};
use ingest::{CallReport, GivenCall as Given, client_call_ids as call_ids};

command_error! {
    /// Reason for which the report, correction or voiding of a call was rejected.
    CallCommandError,
    /// Reasons for which the report, correction or voiding of a call is rejected.
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
        /// The call that should be corrected or voided was never reported, or is not counted any more.
        NotReported,
        /// The correction names no field.
        NothingToCorrect,
        /// The call was voided into another one at the same moment. Send the command again.
        Voided,
        /// A command voided the call, for good: no report or correction changes anything of it.
        Void,
        /// The ids of the call were voided into others more than 32 times, or the report settles a reservation and ties more than 28
        /// calls together.
        TooManyIds,
        /// The gateway passed several of the calls on that the report names: each of them is a call of its own.
        PassedOnApart,
        /// The gateway passed one of the calls on that the report names, and another one was corrected.
        CorrectedApart,
        /// There is no such reservation, it was refused, or another call settled it; or the call settled another one.
        BadReservation,
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
            CallError::NotReported => CallErrorCode::NotReported,
            CallError::NothingToCorrect => CallErrorCode::NothingToCorrect,
            CallError::Voided(_) => CallErrorCode::Voided,
            CallError::Void => CallErrorCode::Void,
            CallError::TooManyIds { .. } => CallErrorCode::TooManyIds,
            CallError::PassedOnApart => CallErrorCode::PassedOnApart,
            CallError::CorrectedApart => CallErrorCode::CorrectedApart,
        };
        Self::new(code, error)
    }
}

impl From<ReservationError> for CallCommandError {
    fn from(error: ReservationError) -> Self {
        match error {
            ReservationError::Call(error) => error.into(),
            error @ ReservationError::TooManyCalls { .. } => Self::new(CallErrorCode::TooManyIds, error),
            error => Self::new(CallErrorCode::BadReservation, error),
        }
    }
}

payload! {
    /// Payload of `reportCall`, `correctCall` and `voidCall`.
    CallPayload {
        /// The call as of `position`; null if it is not counted any more. If the command was rejected, the call as it is now.
        call: Call, error: CallCommandError
    }
}

/// Input of `reportCall`: what one record states about a call. Several records of one call are joined, with the same result
/// in any order. The usage is taken whole from one record: from one that states it rather than from one whose reader derived
/// it, then by source, then the one with the largest total. Every other field is taken from the record with the earliest
/// `startedAt` of those that have the field; if these are equal, by `source` and `recordId`.
#[derive(Debug, InputObject)]
pub(crate) struct ReportCallInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed, unless it is a call
    /// with several ids. Default: a new UUID.
    command_id: Option<Uid>,
    /// Global id or UUID of the call. Give either `id` or `callKey`. A call may have several ids: those of its `id` or
    /// `callKey`, its `responseId`, its `requestId` and its `span`. All calls that these name are one from then on: the one with
    /// the lowest id, into which the others are voided. Default: `responseId`, `requestId` and `span` identify the call; without
    /// these, its id is derived from `commandId`, otherwise it is a new UUID.
    id: Option<ID>,
    /// Key by which the provider or the client identifies the call, such as the id in the provider's response: one line of
    /// at most 256 bytes that is not blank. All reports with the same key and `provider` concern the same call. If the key has
    /// a form that providers make unique, such as `msg_…`, reports of another `model` concern another call, and imported
    /// records of the response concern the same one.
    call_key: Option<String>,
    /// Kind of the call. Default: `TOOL` if `tool` is given, otherwise `LLM`.
    kind: Option<CallKind>,
    /// Global id or UUID of the agent that made the call.
    agent_id: Option<ID>,
    /// Global id or UUID of the task that the call was made for.
    task_id: Option<ID>,
    /// Global id or UUID of the task graph that the call was made for.
    dag_id: Option<ID>,
    /// Conversation that the call is a part of, such as a session or a thread: one line of at most 256 bytes.
    conversation: Option<String>,
    /// User that the call was made for, by an id that the source gives: one line of at most 256 bytes.
    user: Option<String>,
    /// Team that the call was made for: one line of at most 256 bytes.
    team: Option<String>,
    /// Name or id of the API key that the call was made with, never the secret: one line of at most 256 bytes.
    key: Option<String>,
    /// Provider that served the call, such as `openai`: one line of at most 256 bytes.
    provider: Option<String>,
    /// Model that served the call: one line of at most 256 bytes. Required for a call of a language model.
    model: Option<String>,
    /// Tool that was called: one line of at most 256 bytes. Required for a call of a tool.
    tool: Option<String>,
    /// Service tier that the call was served in, such as `batch`: one line of at most 256 bytes.
    service_tier: Option<String>,
    /// Speed that the call was served at, such as `fast`: one line of at most 256 bytes.
    speed: Option<String>,
    /// Region that the call was served in: one line of at most 256 bytes.
    region: Option<String>,
    /// How the call ended.
    outcome: Option<CallOutcome>,
    /// Tags of the call, at most 16.
    tags: Option<Vec<TagInput>>,
    /// Usage of the call. Default: none.
    usage: Option<UsageInput>,
    /// Whether the usage was derived, rather than stated by the provider. Default: false.
    usage_assumed: Option<bool>,
    /// Time at which the call started. It determines the price that applies and the month in which budgets count the call.
    /// Default: the current time of the server.
    started_at: Option<Timestamp>,
    /// Duration of the call, in milliseconds, at most 30 days.
    latency_ms: Option<Long>,
    /// Time from the start of the call to the first token of the response, in milliseconds, at most 30 days.
    first_token_ms: Option<Long>,
    /// Cost that the reporting source states, in US dollars. It is informative and never charged.
    reported_cost: Option<Decimal>,
    /// Where the reported cost comes from. It has no effect without `reportedCost`.
    reported_cost_source: Option<CostSource>,
    /// Error with which the call failed: text of at most 64 KiB. Null if it succeeded.
    error: Option<String>,
    /// Source of the report, such as `claude-code`: one line of at most 256 bytes, and not `gateway`, whose reports precede those of
    /// others. Default: `api`.
    source: Option<String>,
    /// Id of the record in its source: one line of at most 256 bytes.
    record_id: Option<String>,
    /// Span that the call was, and no other call. It identifies the call.
    span: Option<CallSpanInput>,
    /// Id that the provider gave the response: one line of at most 256 bytes. It identifies a call of a language model,
    /// together with `provider` and `model`, if it has a form that providers make unique, such as `msg_…`.
    response_id: Option<String>,
    /// Id that the provider gave the request: one line of at most 256 bytes. It identifies a call of a language model if it has
    /// the form of Anthropic's, such as `req_011CSHoEeqs5C35K2UUqR7Fy`.
    request_id: Option<String>,
    /// UUID of the reservation that was made for the call by `reserveSpend`. The call settles it: budgets are charged what the call
    /// costs instead, at once. Reports of the call that follow need not name it.
    reservation: Option<Uid>,
    /// Version that the call must have; of several calls, the one with the lowest id. The command is rejected with
    /// `WRONG_VERSION` if it has another one. Default: any version.
    expected_version: Option<Long>,
}

command_input! {
    /// Input of `correctCall`.
    CorrectCallInput {
        /// Global id or UUID of the call.
        id: Call,
        /// The corrected fields.
        values: CallCorrection,
        /// Reason for the correction: text of at most 64 KiB.
        reason: String,
    }
}

command_input! {
    /// Input of `voidCall`.
    VoidCallInput {
        /// Global id or UUID of the call.
        id: Call,
        /// Reason for which the call is voided: text of at most 64 KiB.
        reason: String,
    }
}

/// Reports of calls.
#[derive(Default)]
pub(crate) struct CallMutation;

#[Object]
impl CallMutation {
    /// Records a call and charges it at the price that was effective for its model when it started. A call is charged once,
    /// however often and by whom it is reported.
    async fn report_call(&self, ctx: &Context<'_>, mut input: ReportCallInput) -> Result<CallPayload> {
        let may_send = MaySend::check(ctx)?;
        let (command_id, expected_version) = (input.command_id, input.expected_version);
        let at = or_now(input.started_at);
        let given = given(input.id.take(), input.call_key.take())?;
        let reservation = input.reservation;
        let facts = match &given {
            Ok(_) => facts(input, at)?,
            Err(invalid) => Err(invalid.clone()),
        };
        let given = given.ok().flatten();
        let stated = facts.as_ref().ok().and_then(|facts| call_ids(given.as_ref(), facts));
        let call_ids = match (stated, given) {
            (Some(call_ids), _) => call_ids,
            (None, Some(Given::Id(call_id))) => call_id.into(),
            // A report without valid facts changes no call: a key alone names none.
            (None, Some(Given::Key(_)) | None) => CallId(Kind::Call.new_id(None, command_id)?).into(),
        };
        let target = call_ids.highest().0;
        let context = CommandOptions { may_send, target, command_id, expected_version, at }.context(ctx)?;
        let result: CommandResult<CallCommandError> = match facts {
            Ok(facts) => {
                let commands = &services(ctx)?.commands;
                // A call without a model has no price, and must not fail if the price book cannot be read.
                let prices = async {
                    match facts.model {
                        Some(_) => price::book(ctx).await,
                        None => Ok(PriceBook::default()),
                    }
                };
                let (prices, tag_keys) = futures::try_join!(prices, tag_keys(ctx, &facts))?;
                let report = CallReport::new(call_ids, facts, &prices).with_tag_keys(&tag_keys);
                if let Some(reservation) = reservation {
                    let (held, now) = ((ReservationId(reservation.0), Holder::Client), or_now(None));
                    let executed = ingest::settle_call(commands, &context, &report, held, now).await;
                    command_result(&context, target, executed.map(|executed| (executed.kind, executed.position)))?
                } else {
                    let executed = ingest::report_call(commands, &context, &report).await;
                    command_result(&context, target, executed.map(|executed| (executed.kind, executed.position)))?
                }
            }
            Err(invalid) => CommandResult::rejected(&context, target, invalid),
        };
        Ok(result.into())
    }

    /// Corrects fields of a call and charges it again by the version of the price book that it was charged by before. No
    /// later report changes a corrected field; a later correction may. The id of a call that was voided into another one
    /// corrects that one. A call that the gateway passed on is corrected by who may change budgets.
    async fn correct_call(&self, ctx: &Context<'_>, input: CorrectCallInput) -> Result<CallPayload> {
        let options = input.options(ctx)?;
        let reason = input::body("reason", input.reason);
        let correction = Correction::new(input.values)?.and_then(|correction| Ok((correction, reason?)));
        let (context, target) = (options.context(ctx)?, options.target);
        let result: CommandResult<CallCommandError> = match correction {
            Ok((Correction { fields, values }, reason)) => {
                let (prices, tag_keys) = futures::try_join!(price::book(ctx), tag_keys(ctx, &values))?;
                let command = CallCommand::Correct { fields, values, reason, at: options.at, prices, tag_keys };
                let executed = services(ctx)?.commands.execute_call(&context, &CallId(target).into(), &command).await;
                command_result(&context, target, executed.map(|executed| (executed.kind, executed.position)))?
            }
            Err(invalid) => CommandResult::rejected(&context, target, invalid),
        };
        Ok(result.into())
    }

    /// Voids a call that was reported wrongly: it is not counted any more, and later reports of it are rejected with `VOID`.
    /// The id of a call that was voided into another one voids that one. A call that the gateway passed on is voided by who may change
    /// budgets.
    async fn void_call(&self, ctx: &Context<'_>, input: VoidCallInput) -> Result<CallPayload> {
        let options = input.options(ctx)?;
        let reason = input::body("reason", input.reason);
        let (context, target) = (options.context(ctx)?, options.target);
        let result: CommandResult<CallCommandError> = match reason {
            Ok(reason) => {
                let command = CallCommand::Void { reason, at: options.at };
                let executed = services(ctx)?.commands.execute_call(&context, &CallId(target).into(), &command).await;
                command_result(&context, target, executed.map(|executed| (executed.kind, executed.position)))?
            }
            Err(invalid) => CommandResult::rejected(&context, target, invalid),
        };
        Ok(result.into())
    }
}

/// The tag keys that are declared now; none if the facts have no tags, which need not be looked up then.
async fn tag_keys(ctx: &Context<'_>, facts: &CallFacts) -> Result<TagKeys> {
    match facts.tags {
        Some(_) => Ok(TagKeys::clone(
            &tag_key::declared_in(services(ctx)?, &requester(ctx)?.principal.charging()).await?.state,
        )),
        None => Ok(TagKeys::default()),
    }
}

/// The name that a client gives a call: an error of the response for an id that is not one, a rejection for a key that is not
/// valid.
fn given(id: Option<ID>, call_key: Option<String>) -> Result<Result<Option<Given>, Invalid>> {
    match (id, call_key) {
        (Some(_), Some(_)) => Err(errors::bad_input("ID_TWICE", "give either `id` or `callKey`, not both")),
        // The key must not be blank: all calls with a blank key would be one call.
        (None, Some(key)) => Ok(input::name("callKey", key).map(|key| Some(Given::Key(key)))),
        (Some(id), None) => Ok(Ok(Some(Given::Id(CallId(Kind::Call.parse(&id)?))))),
        (None, None) => Ok(Ok(None)),
    }
}

/// The facts in an input: an error of the response for ids that are not valid, a rejection for other fields.
fn facts(input: ReportCallInput, started_at: DateTime<Utc>) -> Result<Result<CallFacts, Invalid>> {
    let agent_id = Kind::Agent.parse_opt(input.agent_id.as_ref())?.map(AgentId);
    let task_id = Kind::Task.parse_opt(input.task_id.as_ref())?.map(TaskId);
    let dag_id = Kind::Dag.parse_opt(input.dag_id.as_ref())?.map(DagId);
    let kind =
        input.kind.map_or(if input.tool.is_some() { DomainKind::Tool } else { DomainKind::Llm }, DomainKind::from);
    let checked = || {
        let amount = input.reported_cost.as_ref().map(Money::try_from).transpose();
        let amount = amount.map_err(|error| Invalid::new("reportedCost", error))?;
        let source = input::name("source", input.source.unwrap_or_else(|| "api".to_owned()))?;
        if source.as_str() == GATEWAY_SOURCE {
            return Err(Invalid::new("source", "is that of calls which the gateway passes on: use another name"));
        }
        Ok(CallFacts {
            agent_id,
            task_id,
            dag_id,
            conversation: input::name_opt("conversation", input.conversation)?,
            user: input::name_opt("user", input.user)?,
            team: input::name_opt("team", input.team)?,
            key: input::name_opt("key", input.key)?,
            provider: input::name_opt("provider", input.provider)?,
            model: input::name_opt("model", input.model)?,
            tool: input::name_opt("tool", input.tool)?,
            service_tier: input::name_opt("serviceTier", input.service_tier)?,
            speed: input::name_opt("speed", input.speed)?,
            region: input::name_opt("region", input.region)?,
            outcome: input.outcome.map(Into::into),
            tags: facts::tags("tags", input.tags)?,
            usage: input.usage.unwrap_or_default().try_into()?,
            usage_assumed: input.usage_assumed.unwrap_or(false),
            latency_ms: input.latency_ms.map(Long::unsigned),
            first_token_ms: input.first_token_ms.map(Long::unsigned),
            reported_cost: amount
                .map(|amount| ReportedCost { amount, source: input.reported_cost_source.map(Into::into) }),
            error: input::body_opt("error", input.error)?,
            span: input.span.map(TryInto::try_into).transpose()?,
            response_id: input::name_opt("responseId", input.response_id)?,
            request_id: input::name_opt("requestId", input.request_id)?,
            record_id: input::name_opt("recordId", input.record_id)?,
            ..CallFacts::new(kind, started_at, source)
        })
    };
    Ok(checked())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Name;
    use domain::call::{CallIds, CallKey, CallSpan};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn facts(kind: DomainKind, provider: &str) -> CallFacts {
        let facts = CallFacts::new(kind, DateTime::UNIX_EPOCH, name("api"));
        CallFacts { provider: Some(name(provider)), model: Some(name("m")), ..facts }
    }

    fn ids(key: &str, facts: &CallFacts) -> CallIds {
        call_ids(Some(&Given::Key(name(key))), facts).unwrap()
    }

    #[test]
    fn a_key_is_that_of_a_response_for_a_call_to_a_model_only() {
        let (llm, tool) = (facts(DomainKind::Llm, "openai"), facts(DomainKind::Tool, "openai"));
        assert_eq!(ids("msg_9", &llm), CallKey::of_response("", "m", "msg_9").unwrap().call_id().into());
        assert_eq!(ids("msg_9", &tool), CallKey::of_client("openai", "msg_9").call_id().into());
        // The response that called the tool is not the call of the tool.
        let answered = CallFacts { response_id: Some(name("msg_9")), ..tool };
        assert_eq!(call_ids(None, &answered), None);
        // Nor is it the call of the request, whose id identifies a call to a model.
        let asked = |facts| CallFacts { request_id: Some(name("req_011CStqPRADRX9fx9ReRNWHf")), ..facts };
        assert_eq!(call_ids(None, &asked(answered.clone())), None);
        let of_request = CallKey::of_provider_request("req_011CStqPRADRX9fx9ReRNWHf").unwrap().call_id();
        assert_eq!(call_ids(None, &asked(llm.clone())), Some(of_request.into()));
        assert_eq!(
            ids("msg_9", &asked(llm.clone())),
            CallIds::from(of_request).with(ids("msg_9", &llm).single().unwrap())
        );
        let span = CallSpan {
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            span_id: "b7ad6b7169203331".parse().unwrap(),
            parent_span_id: None,
        };
        assert_eq!(
            call_ids(None, &CallFacts { span: Some(span), ..answered }),
            Some(CallKey::of_span(DomainKind::Tool, &span).call_id().into())
        );
    }

    #[test]
    fn a_key_of_a_provider_is_one_whichever_of_its_names_is_given() {
        for key in ["chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW", "k"] {
            assert_eq!(
                ids(key, &facts(DomainKind::Llm, "Azure")),
                ids(key, &facts(DomainKind::Llm, "azure.ai.openai"))
            );
        }
    }
}
