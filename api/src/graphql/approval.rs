//! Requests for approval of reservations that a budget refused. They are read from the log itself.

use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::ids::Kind;
use crate::graphql::input;
use crate::graphql::payload::{CommandResult, Outcome, command_result};
use crate::graphql::scalars::{Decimal, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{authorise, requester, services, state};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use chrono::Utc;
use commands::ListedApproval;
use domain::approval as model;
use domain::approval::ApprovalRejection;
use domain::budget::Budget;
use domain::permissions::{ReadSpending, SendCommand};
use domain::{Aggregate as _, ApprovalId};
use uuid::Uuid;

/// Status of a request for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ApprovalStatus")]
pub(crate) enum ApprovalStatus {
    /// It waits for an answer.
    Pending,
    /// The limit of the budget was raised.
    Granted,
    /// It was denied.
    Denied,
    /// It was not answered in time: the limit stays as it is.
    Expired,
}

/// Request for approval: a budget refused a reservation, and an operator is asked to raise its limit by what the call may use.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Approval {
    /// UUID of the request.
    uuid: Uid,
    /// Status, as it is now.
    status: ApprovalStatus,
    /// Global id of the budget.
    budget_id: ID,
    /// UUID of the reservation that was refused.
    reservation: Uid,
    /// Global id of the agent of the call. Null if it was not stated.
    agent_id: Option<ID>,
    /// Model that was to be called. Null of a call to a tool.
    model: Option<String>,
    /// What a grant adds to the limit, in the unit of the budget.
    amount: Decimal,
    /// Until when a grant raises the limit: the end of the period.
    period_ends_at: Timestamp,
    /// When the request is denied if it was not answered.
    expires_at: Timestamp,
    /// Time of the refusal.
    requested_at: Timestamp,
    /// Why it was granted or denied. Null if it was not answered.
    reason: Option<String>,
    /// When it was granted or denied. Null if it was not answered.
    answered_at: Option<Timestamp>,
}

impl Approval {
    /// A request; none if there is none.
    fn of(id: Uuid, state: &model::Approval) -> Option<Self> {
        let (request, status) = (state.request.as_ref()?, state.status_at(Utc::now())?);
        Some(Self {
            uuid: id.into(),
            status: status.into(),
            budget_id: Kind::Budget.id(request.budget_id),
            reservation: request.reservation_id.0.into(),
            agent_id: request.agent_id.map(|agent| Kind::Agent.id(agent)),
            model: request.model.as_ref().map(ToString::to_string),
            amount: request.amount.into(),
            period_ends_at: request.period_ends_at.into(),
            expires_at: request.expires_at.into(),
            requested_at: request.at.into(),
            reason: state.answer.as_ref().map(|answer| answer.reason.to_string()),
            answered_at: state.answer.as_ref().map(|answer| answer.at.into()),
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a stream that opens a request for approval has none")]
struct NoRequest;

impl TryFrom<ListedApproval> for Approval {
    type Error = Error;

    fn try_from(listed: ListedApproval) -> Result<Self> {
        Self::of(listed.id.0, &listed.approval.state).ok_or_else(|| errors::internal(&NoRequest))
    }
}

/// The queries for requests for approval.
#[derive(Default)]
pub(crate) struct ApprovalQuery;

#[Object]
impl ApprovalQuery {
    /// Returns a request for approval by its UUID, as it is now. Null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn approval(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "UUID of the request.")] approval_id: Uid,
    ) -> Result<Option<Approval>> {
        authorise::<ReadSpending>(ctx)?;
        Ok(Approval::of(approval_id.0, &*state(ctx, approval_id.0).await?))
    }

    /// Lists requests for approval, the last one first, as they are now. One that waits for an answer is at most a week old.
    #[graphql(complexity = "connection::STATEMENT_COST + connection::cost(first, child_complexity)")]
    async fn approvals(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of requests to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns those after this cursor, which were opened before. Default: from the last one on.")]
        after: Option<String>,
    ) -> Result<Connection<String, Approval>> {
        authorise::<ReadSpending>(ctx)?;
        let size = connection::size(ctx, first)?;
        let before = after.as_deref().map(connection::position_cursor).transpose()?;
        let (services, principal) = (services(ctx)?, &requester(ctx)?.principal);
        let listed = services.commands.approvals(principal, &services.events, before, size + 1).await;
        let listed = listed.map_err(|error| errors::failed(&error))?;
        connection::connect_by(listed, size, after.is_some(), |listed: &ListedApproval| listed.opened_at.to_string())
    }
}

command_error! {
    /// Reason for which `answerApproval` was rejected.
    ApprovalCommandError,
    /// Reasons for which `answerApproval` is rejected.
    ApprovalErrorCode {
        /// There is no such request.
        NotFound,
        /// The request was answered otherwise, or its deadline has passed.
        NotPending,
        /// The limit of the budget cannot be raised, such as of one that is closed.
        NotRaised,
    }
}

impl From<ApprovalRejection> for ApprovalCommandError {
    fn from(rejection: ApprovalRejection) -> Self {
        let code = match &rejection {
            ApprovalRejection::Approval(model::ApprovalError::NotFound) => ApprovalErrorCode::NotFound,
            ApprovalRejection::Approval(model::ApprovalError::NotPending(_)) => ApprovalErrorCode::NotPending,
            ApprovalRejection::Budget(_) => ApprovalErrorCode::NotRaised,
        };
        Self::new(code, rejection)
    }
}

/// Answer to a request for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ApprovalAnswer")]
pub(crate) enum ApprovalAnswer {
    /// Raises the limit of the budget by what was asked for, to the end of the period.
    Approve,
    /// Leaves the limit as it is.
    Deny,
}

/// Input of `answerApproval`.
#[derive(Debug, InputObject)]
pub(crate) struct AnswerApprovalInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID.
    command_id: Option<Uid>,
    /// UUID of the request.
    approval_id: Uid,
    /// Answer.
    answer: ApprovalAnswer,
    /// Why: text of at most 64 KiB.
    reason: String,
}

/// Payload of `answerApproval`.
#[derive(SimpleObject)]
pub(crate) struct AnswerApprovalPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the request was answered so.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<ApprovalCommandError>,
    /// The request after the command. Null if the command was rejected.
    approval: Option<Approval>,
}

/// Answers to requests for approval.
#[derive(Default)]
pub(crate) struct ApprovalMutation;

#[Object]
impl ApprovalMutation {
    /// Answers a request for approval. One that is granted raises the limit of the budget for the running period, as `raiseBudget`
    /// does, in the same append; nothing is reserved by it: the client reserves again, under another id.
    async fn answer_approval(&self, ctx: &Context<'_>, input: AnswerApprovalInput) -> Result<AnswerApprovalPayload> {
        // The time is that of the server: it decides whether the deadline has passed.
        let (may_send, at) = (MaySend::check(ctx)?, or_now(None));
        let (target, command_id) = (input.approval_id.0, input.command_id);
        let options = CommandOptions { may_send, target, command_id, expected_version: None, at };
        let allowed = requester(ctx)?.principal.authorise_on::<SendCommand>(Budget::CATEGORY, target);
        allowed.map_err(|forbidden| errors::forbidden(&forbidden))?;
        let context = options.context(ctx)?;
        let mut approval = None;
        let result: CommandResult<ApprovalCommandError> = match input::body("reason", input.reason) {
            Ok(reason) => {
                let (commands, id, answer) = (&services(ctx)?.commands, ApprovalId(target), input.answer.into());
                let executed = commands.answer_approval(&context, id, answer, reason, at).await;
                approval = executed.as_ref().ok().and_then(|done| Approval::of(target, &done.aggregate.state));
                command_result(&context, target, executed.map(|done| (done.kind, done.position)))?
            }
            Err(invalid) => CommandResult::rejected(&context, target, invalid),
        };
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Ok(AnswerApprovalPayload { command_id: command_id.into(), outcome, position, error, approval })
    }
}
