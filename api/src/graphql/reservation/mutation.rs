//! Commands to reservations.

use super::types::{Reservation, ReservationRefusal};
use crate::graphql::call::{self, CallKind, TagInput};
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{CommandResult, Outcome, command_result};
use crate::graphql::price;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use crate::graphql::usage::UsageInput;
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use commands::Commands;
use domain::budget::{Attributes, BudgetDimension};
use domain::call::{CallKind as DomainKind, Tags};
use domain::price_book::PriceBook;
use domain::reservation::{self as model, Alternatives, Estimate, Extend, ReservationError, Reserve};
use domain::{Name, ReservationId, Usage, derived_id};
use std::future::Future;
use uuid::Uuid;

/// How long a reservation is held if the request does not say so.
const DEFAULT_HOLD: TimeDelta = TimeDelta::minutes(15);

command_error! {
    /// Reason for which a command to a reservation was rejected. A reservation that a budget refuses is not rejected:
    /// `reservation.refusal` says why.
    ReservationCommandError,
    /// Reasons for which a command to a reservation is rejected.
    ReservationErrorCode {
        /// There is no such reservation.
        NotFound,
        /// A reservation for another call is known under this `uuid`.
        AlreadyReserved,
        /// The reservation was refused, so that nothing is set aside.
        NotGranted,
        /// The reservation was settled, released or has expired.
        NotHeld,
        /// The gateway holds the reservation, and ends it when its call ends.
        HeldByGateway,
        /// The request states what the credential says otherwise, such as another agent.
        Fixed,
        /// The request names no model, or of a call to a tool no tool.
        NoSubject,
        /// A reservation is held for 1 minute to 1 day.
        BadExpiry,
        /// `minOutputTokens` is more than the output that is asked for.
        BadMinimum,
        /// More than 24 budgets apply to the call.
        TooManyBudgets,
        /// The parts of a meter, such as reasoning tokens, are more than the meter that includes them, such as output tokens.
        PartsExceedWhole,
        /// What the call may cost cannot be represented exactly.
        CostOutOfRange,
        /// The extension does not fit into a budget.
        Refused,
    }
}

impl From<ReservationError> for ReservationCommandError {
    fn from(error: ReservationError) -> Self {
        let code = match &error {
            ReservationError::NotFound => ReservationErrorCode::NotFound,
            ReservationError::AlreadyReserved => ReservationErrorCode::AlreadyReserved,
            ReservationError::NotGranted => ReservationErrorCode::NotGranted,
            ReservationError::NotHeld
            | ReservationError::SettledByOther(_)
            | ReservationError::CallHasOther(_)
            | ReservationError::TooManyCalls { .. }
            | ReservationError::Call(_) => ReservationErrorCode::NotHeld,
            ReservationError::HeldByGateway => ReservationErrorCode::HeldByGateway,
            ReservationError::Fixed { .. } => ReservationErrorCode::Fixed,
            ReservationError::NoSubject => ReservationErrorCode::NoSubject,
            ReservationError::HoldTime { .. } => ReservationErrorCode::BadExpiry,
            ReservationError::MinimumOutput { .. } => ReservationErrorCode::BadMinimum,
            ReservationError::TooManyBudgets { .. } => ReservationErrorCode::TooManyBudgets,
            ReservationError::Usage(_) => ReservationErrorCode::PartsExceedWhole,
            ReservationError::Money(_) => ReservationErrorCode::CostOutOfRange,
            ReservationError::Refused(_) => ReservationErrorCode::Refused,
        };
        Self::new(code, error)
    }
}

/// Payload of the mutations of a reservation.
#[derive(SimpleObject)]
pub(crate) struct ReservationPayload {
    /// Idempotency key of the command. Send it again to retry safely: the answer is the same, also if other budgets apply by then.
    command_id: Uid,
    /// Outcome of the command. A reservation that a budget refuses is `DONE`: the refusal is recorded.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<ReservationCommandError>,
    /// The reservation after the command. Null if the command was rejected.
    reservation: Option<Reservation>,
    /// Which budget refuses the extension of a reservation, and why. Null otherwise.
    refusal: Option<ReservationRefusal>,
}

/// Input of `reserveSpend`.
#[derive(Debug, InputObject)]
pub(crate) struct ReserveSpendInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the same
    /// reservation. Default: a new UUID.
    command_id: Option<Uid>,
    /// UUID of the new reservation. Default: derived from `commandId` if that is given, otherwise a new UUID.
    uuid: Option<Uid>,
    /// Kind of the call. Default: `TOOL` if `tool` is given, otherwise `LLM`.
    kind: Option<CallKind>,
    /// Global id or UUID of the agent that makes the call. Default: the one that the credential is bound to.
    agent_id: Option<ID>,
    /// Global id or UUID of the task that the call is made for.
    task_id: Option<ID>,
    /// Global id or UUID of the task graph that the call is made for.
    dag_id: Option<ID>,
    /// Conversation that the call is a part of: one line of at most 256 bytes.
    conversation: Option<String>,
    /// User that the call is made for, by the UUID: one line of at most 256 bytes. Default: the user of the session.
    user: Option<String>,
    /// Team that the call is made for, by the UUID: one line of at most 256 bytes.
    team: Option<String>,
    /// API key that the call is made with, by the UUID: one line of at most 256 bytes. Default: the key of the request.
    key: Option<String>,
    /// Provider that serves the call: one line of at most 256 bytes.
    provider: Option<String>,
    /// Model that is called: one line of at most 256 bytes. Required for a call of a language model.
    model: Option<String>,
    /// Tool that is called: one line of at most 256 bytes. Required for a call of a tool.
    tool: Option<String>,
    /// Service tier, such as `batch`: one line of at most 256 bytes.
    service_tier: Option<String>,
    /// Speed, such as `fast`: one line of at most 256 bytes.
    speed: Option<String>,
    /// Region: one line of at most 256 bytes.
    region: Option<String>,
    /// Tags of the call, at most 16.
    tags: Option<Vec<TagInput>>,
    /// The most that the call may use: the input counted, or bounded by its bytes; the output by the limit of the request, or by
    /// the most that the model generates.
    usage: UsageInput,
    /// The fewest output tokens that would do. If all of the output does not fit, the largest one that fits is granted, down to
    /// this. Default: all of it, or nothing.
    min_output_tokens: Option<Long>,
    /// When the reservation expires, from 1 minute to 1 day from now. Default: in 15 minutes.
    expires_at: Option<Timestamp>,
    /// Whether the call is sent without a further command that says so. When the reservation expires, it is charged in full if the
    /// call was sent, and released if not. Default: true.
    sent: Option<bool>,
}

/// Input of `extendReservation`.
#[derive(Debug, InputObject)]
pub(crate) struct ExtendReservationInput {
    /// Idempotency key of the command. Default: a new UUID.
    command_id: Option<Uid>,
    /// UUID of the reservation.
    uuid: Uid,
    /// The most that the call may use, all of it. Default: as before.
    usage: Option<UsageInput>,
    /// When the reservation expires, from 1 minute to 1 day from now. Default: as before.
    expires_at: Option<Timestamp>,
    /// Whether the call was sent. Once it was, it stays so. Default: false.
    sent: Option<bool>,
}

/// Input of `releaseReservation`.
#[derive(Debug, InputObject)]
pub(crate) struct ReleaseReservationInput {
    /// Idempotency key of the command. Default: a new UUID.
    command_id: Option<Uid>,
    /// UUID of the reservation.
    uuid: Uid,
}

/// Commands to reservations.
#[derive(Default)]
pub(crate) struct ReservationMutation;

#[Object]
impl ReservationMutation {
    /// Reserves what a call may cost at most in every budget that applies to it, before the call is made: all of them grant it, or
    /// none. `reportCall` with `reservation` settles it. A reservation that a budget refuses is recorded, too.
    async fn reserve_spend(&self, ctx: &Context<'_>, input: ReserveSpendInput) -> Result<ReservationPayload> {
        let options = options(ctx, input.uuid, input.command_id)?;
        let fixed = requester(ctx)?.principal.call_attributes();
        let command = match reserve(input, fixed, options)? {
            Ok(command) => Ok(Reserve { prices: price::book(ctx).await?, ..command }),
            Err(invalid) => Err(invalid),
        };
        let execute = |commands: Commands, context: commands::Context, command: Reserve| async move {
            commands.reserve_spend(&context, &command).await
        };
        run(ctx, options, command, execute).await
    }

    /// Sets more aside for a call that goes on, or for longer, or says that the call was sent. All budgets of the reservation grant
    /// it, or none: then the command is rejected with `REFUSED`, and the reservation stays as it is.
    async fn extend_reservation(&self, ctx: &Context<'_>, input: ExtendReservationInput) -> Result<ReservationPayload> {
        let options = options(ctx, Some(input.uuid), input.command_id)?;
        let usage = input.usage.map(Usage::try_from).transpose();
        let prices = price::book(ctx).await?;
        let command = usage.map(|usage| Extend {
            reservation_id: ReservationId(options.target),
            usage,
            expires_at: input.expires_at.map(|expires_at| expires_at.0),
            sent: input.sent.unwrap_or(false),
            by: model::Holder::Client,
            prices,
            at: options.at,
        });
        let execute = |commands: Commands, context: commands::Context, command: Extend| async move {
            commands.extend_reservation(&context, &command).await
        };
        run(ctx, options, command, execute).await
    }

    /// Releases a reservation whose call was not made, or cost nothing.
    async fn release_reservation(
        &self,
        ctx: &Context<'_>,
        input: ReleaseReservationInput,
    ) -> Result<ReservationPayload> {
        let options = options(ctx, Some(input.uuid), input.command_id)?;
        let execute = |commands: Commands, context: commands::Context, id| async move {
            commands.release_reservation(&context, id, model::Holder::Client, options.at).await
        };
        run(ctx, options, Ok(ReservationId(options.target)), execute).await
    }
}

/// The time is that of the server: it decides in which periods is reserved.
fn options(ctx: &Context<'_>, uuid: Option<Uid>, command_id: Option<Uid>) -> Result<CommandOptions> {
    let may_send = MaySend::check(ctx)?;
    let derived = |command: Uid| derived_id(&["command", "Reservation", &command.0.to_string()]);
    let target = uuid.map(|uuid| uuid.0).or_else(|| command_id.map(derived)).unwrap_or_else(Uuid::now_v7);
    Ok(CommandOptions { may_send, target, command_id, expected_version: None, at: or_now(None) })
}

/// Executes a command. One whose input is not valid is rejected.
async fn run<C, F>(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<C, Invalid>,
    execute: impl FnOnce(Commands, commands::Context, C) -> F,
) -> Result<ReservationPayload>
where
    F: Future<Output = Result<commands::Outcome<model::Reservation>, commands::Error<ReservationError>>>,
{
    let context = options.context(ctx)?;
    let (mut reservation, mut refusal) = (None, None);
    let result: CommandResult<ReservationCommandError> = match command {
        Ok(command) => {
            let executed = execute(services(ctx)?.commands.clone(), context.clone(), command).await;
            match &executed {
                Ok(executed) => reservation = Reservation::of(options.target, &executed.aggregate.state),
                Err(commands::Error::Rejected(ReservationError::Refused(refused))) => {
                    refusal = Some((&**refused).into())
                }
                Err(_) => {}
            }
            command_result(&context, options.target, executed.map(|executed| (executed.kind, executed.position)))?
        }
        Err(invalid) => CommandResult::rejected(&context, options.target, invalid),
    };
    let CommandResult { command_id, outcome, position, error, .. } = result;
    Ok(ReservationPayload { command_id: command_id.into(), outcome, position, error, reservation, refusal })
}

/// The command in an input: an error of the response for ids that are not valid, a rejection for other fields.
fn reserve(input: ReserveSpendInput, fixed: Attributes, options: CommandOptions) -> Result<Result<Reserve, Invalid>> {
    let ids = [
        (BudgetDimension::Agent, Kind::Agent.parse_opt(input.agent_id.as_ref())?),
        (BudgetDimension::Task, Kind::Task.parse_opt(input.task_id.as_ref())?),
        (BudgetDimension::Dag, Kind::Dag.parse_opt(input.dag_id.as_ref())?),
    ];
    let checked = || {
        let ids = ids.into_iter().filter_map(|(dimension, id)| Some((dimension, Name::new(id?.to_string()).ok()?)));
        let mut declared: Attributes = ids.collect();
        for (dimension, field, text) in [
            (BudgetDimension::Conversation, "conversation", input.conversation),
            (BudgetDimension::User, "user", input.user),
            (BudgetDimension::Team, "team", input.team),
            (BudgetDimension::Key, "key", input.key),
            (BudgetDimension::Provider, "provider", input.provider),
            (BudgetDimension::Model, "model", input.model),
            (BudgetDimension::Tool, "tool", input.tool),
        ] {
            declared.extend(input::name_opt(field, text)?.map(|name| (dimension, name)));
        }
        let tags = call::tags("tags", input.tags)?;
        let tags = tags.iter().flat_map(Tags::iter);
        declared.extend(tags.map(|(key, value)| (BudgetDimension::Tag(key.clone()), value.clone())));
        let is_tool = declared.contains_key(&BudgetDimension::Tool);
        let kind = input.kind.map_or(if is_tool { DomainKind::Tool } else { DomainKind::Llm }, DomainKind::from);
        let expires_at: Option<DateTime<Utc>> = input.expires_at.map(|expires_at| expires_at.0);
        Ok(Reserve {
            reservation_id: ReservationId(options.target),
            fixed,
            declared,
            estimate: Estimate {
                kind,
                usage: input.usage.try_into()?,
                min_output: input.min_output_tokens.map(Long::unsigned),
                service_tier: input::name_opt("serviceTier", input.service_tier)?,
                speed: input::name_opt("speed", input.speed)?,
                region: input::name_opt("region", input.region)?,
                alternatives: Alternatives::default(),
            },
            prices: PriceBook::default(),
            expires_at: expires_at.unwrap_or(options.at + DEFAULT_HOLD),
            sent: input.sent.unwrap_or(true),
            holder: model::Holder::Client,
            cheaper: None,
            at: options.at,
        })
    };
    Ok(checked())
}
