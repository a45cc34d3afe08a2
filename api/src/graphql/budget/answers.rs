//! Answers to alerts of periods: that they are known, or settled.

use super::thresholds::BudgetThreshold;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::scalars::{Position, Timestamp, Uid, or_now};
use crate::graphql::services::{requester, services};
use crate::graphql::{connection, errors};
use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use commands::{Commands, Undecided};
use domain::Aggregate as _;
use domain::alert::{Alert, AlertAnswered, AlertCommand, AlertError};
use domain::budget_balance::BudgetBalance;
use domain::permissions::{ReadSpending, SendCommand};
use uuid::Uuid;

command_error! {
    /// Reason for which `acknowledgeAlert` or `resolveAlert` was rejected.
    AlertCommandError,
    /// Reasons for which `acknowledgeAlert` or `resolveAlert` is rejected.
    AlertErrorCode {
        /// The threshold is not crossed any more, or was crossed again, because the limit was raised since.
        NotCrossed,
    }
}

impl From<AlertError> for AlertCommandError {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::NotCrossed => Self::new(AlertErrorCode::NotCrossed, error),
        }
    }
}

/// Input of `acknowledgeAlert` and `resolveAlert`.
#[derive(Debug, InputObject)]
pub(crate) struct AnswerAlertInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID.
    command_id: Option<Uid>,
    /// Position of the alert, as `budgetThresholds` has it.
    position: Position,
    /// Why, or what is done about it: text of at most 64 KiB.
    reason: Option<String>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Payload of `acknowledgeAlert` and `resolveAlert`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct AnswerAlertPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the alert was answered so.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<AlertCommandError>,
    #[graphql(skip)]
    alert: Position,
}

#[ComplexObject]
impl AnswerAlertPayload {
    /// The alert. Null if there is none at the position.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn budget_threshold(&self, ctx: &Context<'_>) -> Result<Option<BudgetThreshold>> {
        let access = crate::graphql::services::authorise::<ReadSpending>(ctx)?;
        BudgetThreshold::at(ctx, &access, self.alert).await
    }
}

/// Answers to alerts of periods.
#[derive(Default)]
pub(crate) struct AlertAnswerMutation;

#[Object]
impl AlertAnswerMutation {
    /// Says that an alert of a budget with `enforcement` is known. If its threshold is crossed again, that is another alert.
    async fn acknowledge_alert(&self, ctx: &Context<'_>, input: AnswerAlertInput) -> Result<AnswerAlertPayload> {
        answer(ctx, input, AlertCommand::Acknowledge).await
    }

    /// Says that an alert of a budget with `enforcement` is settled.
    async fn resolve_alert(&self, ctx: &Context<'_>, input: AnswerAlertInput) -> Result<AnswerAlertPayload> {
        answer(ctx, input, AlertCommand::Resolve).await
    }
}

async fn answer(
    ctx: &Context<'_>,
    input: AnswerAlertInput,
    command: fn(AlertAnswered) -> AlertCommand,
) -> Result<AnswerAlertPayload> {
    let (may_send, at) = (MaySend::check(ctx)?, or_now(input.at));
    let allowed = requester(ctx)?.principal.authorise_on::<SendCommand>(Alert::CATEGORY, Uuid::nil());
    allowed.map_err(|forbidden| errors::forbidden(&forbidden))?;
    // Who may answer need not be able to list what is charged.
    let access = requester(ctx)?.principal.charging().authorise::<ReadSpending>();
    let access = access.map_err(|forbidden| errors::forbidden(&forbidden))?;
    let crossing = BudgetThreshold::at(ctx, &access, input.position).await?.map(|found| found.crossing);
    let options = CommandOptions {
        may_send,
        target: crossing.map(|crossing| crossing.alert_id()).unwrap_or_default(),
        command_id: input.command_id,
        expected_version: None,
        at,
    };
    let parsed = || {
        let crossing =
            crossing.ok_or_else(|| Invalid::new("position", "there is no alert of a period at this position"))?;
        let reason = input::body_opt("reason", input.reason)?;
        Ok::<_, Invalid>((crossing.balance_id, command(AlertAnswered { crossing, reason, at })))
    };
    let target = options.target;
    let execute = |commands: Commands, context: commands::Context, (balance_id, command): (Uuid, AlertCommand)| async move {
        let decided = commands.decide_on::<Alert, AlertError>(&context, target, |alert, mut others| {
            let balance = others.get::<BudgetBalance>(balance_id)?;
            alert.answer(command.clone(), &balance).map_err(Undecided::Rejected)
        });
        decided.await
    };
    let result =
        payload::execute_by::<Alert, _, AlertError, AlertCommandError, _>(ctx, options, parsed(), execute).await?;
    let CommandResult { command_id, outcome, position, error, .. } = result;
    Ok(AnswerAlertPayload { command_id: command_id.into(), outcome, position, error, alert: input.position })
}

impl BudgetThreshold {
    /// The alert of a period at a position; none if another event is there.
    async fn at(
        ctx: &Context<'_>,
        access: &domain::permissions::Access<ReadSpending>,
        position: Position,
    ) -> Result<Option<Self>> {
        let before = streams::Position::from(position.0.get().saturating_sub(1));
        let found = services(ctx)?.events.find_after(before, &super::thresholds::filter(access), 1).await;
        let found = found.map_err(|error| errors::read(&error))?.pop();
        found.filter(|event| event.position == position.0).map(Self::try_from).transpose()
    }
}
