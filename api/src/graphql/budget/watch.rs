//! Conditions of budgets that are watched beside their thresholds, and the alerts that they raised.

use super::thresholds::AlertStatus;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend};
use crate::graphql::connection;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::scalars::{Decimal, Long, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{authorise, state};
use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::Utc;
use commands::{Commands, Undecided};
use domain::BudgetId;
use domain::alert_watch::{
    AlertWatches, AlertWatchesCommand, AlertWatchesError, Signal, SignalAnswered, SignalKey, Watch, WatchSet,
    WatchTerms,
};
use domain::budget_catalogue::BudgetCatalogue;
use domain::permissions::ReadSpending;
use std::sync::Arc;

/// Condition of a budget that raises an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::alert_watch::WatchKind")]
pub(crate) enum WatchCondition {
    /// Nothing is left: what is charged and reserved is at least the limit.
    Exhausted,
    /// The limit is spent more than 14.4 times as fast as it lasts, in a 720th part of the period (an hour of 30 days) and in a
    /// twelfth of that.
    BurnRateFast,
    /// The limit is spent more than 6 times as fast as it lasts, in a 120th part of the period (six hours of 30 days) and in a
    /// twelfth of that.
    BurnRateSlow,
    /// More than the limit will be charged at the end of the period, as forecast.
    Forecast,
    /// The last whole hour cost more than the band in which its cost was expected.
    Anomaly,
    /// Calls that settled a reservation have no price.
    Unpriced,
    /// Reservations are charged in full, because what was used is not known.
    Assumed,
    /// Nothing was charged or reserved for `noDataMinutes`.
    NoData,
}

command_error! {
    /// Reason for which `setBudgetWatch` or `acknowledgeBudgetCondition` was rejected.
    BudgetWatchCommandError,
    /// Reasons for which `setBudgetWatch` or `acknowledgeBudgetCondition` is rejected.
    BudgetWatchErrorCode {
        /// There is no such budget with an `enforcement`, or it is closed.
        NotControlled,
        /// The tenant watches as many budgets as it may.
        TooMany,
        /// The period of the budget has no end that a condition can refer to.
        NeedsEnd,
        /// There is no such alert that is firing.
        NotFiring,
    }
}

impl From<AlertWatchesError> for BudgetWatchCommandError {
    fn from(error: AlertWatchesError) -> Self {
        let code = match error {
            AlertWatchesError::NotControlled(_) => BudgetWatchErrorCode::NotControlled,
            AlertWatchesError::TooMany => BudgetWatchErrorCode::TooMany,
            AlertWatchesError::NeedsEnd(_) => BudgetWatchErrorCode::NeedsEnd,
            AlertWatchesError::NotFiring => BudgetWatchErrorCode::NotFiring,
            AlertWatchesError::RenotifyHours(_) => return Invalid::new("renotifyHours", error).into(),
            AlertWatchesError::NoDataMinutes(_)
            | AlertWatchesError::NoDataIncomplete
            | AlertWatchesError::NoDataBeyondPeriod { .. } => {
                return Invalid::new("noDataMinutes", error).into();
            }
        };
        Self::new(code, error)
    }
}

/// Alert that a condition of a budget raised: once in a period, for each version of the terms.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetConditionAlert {
    /// Condition.
    condition: WatchCondition,
    /// Status of the alert.
    status: AlertStatus,
    /// UUID of the period.
    balance_id: Uid,
    /// Start of the period, inclusive.
    starts_at: Timestamp,
    /// End of the period, exclusive.
    ends_at: Timestamp,
    /// Version of the budget that set its terms, or raised its limit.
    terms_version: Long,
    /// How often the alert was sent.
    sent: Long,
    /// What was observed when it was sent last: an amount in the unit of the budget, of `ANOMALY` in US dollars; of `UNPRICED` a
    /// number of calls, of `NO_DATA` of minutes.
    observed: Decimal,
    /// What that was compared with, in the same unit. Zero where anything is too much.
    reference: Decimal,
    /// When it was raised.
    raised_at: Timestamp,
    /// When it was sent last.
    sent_at: Timestamp,
}

impl BudgetConditionAlert {
    fn new(signal: &Signal) -> Self {
        Self {
            condition: signal.key.kind.into(),
            status: signal.status_at(Utc::now()).into(),
            balance_id: signal.key.balance_id.into(),
            starts_at: signal.span.starts_at.into(),
            ends_at: signal.span.ends_at.into(),
            terms_version: Long::from_unsigned(signal.key.terms_version),
            sent: Long::from_unsigned(signal.number.into()),
            observed: signal.observed.into(),
            reference: signal.reference.into(),
            raised_at: signal.raised_at.into(),
            sent_at: signal.notified_at.into(),
        }
    }
}

/// What of a budget is watched beside its thresholds, and which alerts that raised.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetWatch {
    /// Global id of the budget.
    budget_id: ID,
    /// Conditions that raise alerts.
    conditions: Vec<WatchCondition>,
    /// Hours after which an alert that is firing is sent again. Null if it is not.
    renotify_hours: Option<i32>,
    /// Minutes without a charge after which `NO_DATA` holds. Null if that is not watched.
    no_data_minutes: Option<i32>,
    /// Alerts that were raised, the earliest first: the last 32.
    alerts: Vec<BudgetConditionAlert>,
}

impl BudgetWatch {
    fn new(budget_id: BudgetId, watch: &Watch) -> Self {
        let WatchTerms { kinds, renotify_hours, no_data_minutes } = &watch.terms;
        Self {
            budget_id: Kind::Budget.id(budget_id),
            conditions: kinds.iter().copied().map(WatchCondition::from).collect(),
            renotify_hours: renotify_hours.map(i32::from),
            no_data_minutes: no_data_minutes.and_then(|minutes| i32::try_from(minutes).ok()),
            alerts: watch.signals.iter().map(BudgetConditionAlert::new).collect(),
        }
    }
}

/// The watches of the tenant. Alerts say what is charged.
async fn watches(ctx: &Context<'_>) -> Result<Arc<AlertWatches>> {
    authorise::<ReadSpending>(ctx)?;
    state(ctx, AlertWatches::id()).await
}

/// Queries for conditions of budgets that are watched.
#[derive(Default)]
pub(crate) struct WatchQuery;

#[Object]
impl WatchQuery {
    /// Lists the budgets of which conditions are watched, sorted by id, with the alerts that were raised. There are at most 100 that
    /// are watched; the last 20 of those that are watched no more are listed while the period of an alert runs.
    #[graphql(complexity = "connection::STATEMENT_COST + 120 * child_complexity")]
    async fn budget_watches(&self, ctx: &Context<'_>) -> Result<Vec<BudgetWatch>> {
        Ok(watches(ctx).await?.iter().map(|(budget_id, watch)| BudgetWatch::new(budget_id, watch)).collect())
    }
}

/// Input of `setBudgetWatch`.
#[derive(Debug, InputObject)]
pub(crate) struct SetBudgetWatchInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID.
    command_id: Option<Uid>,
    /// Global id or UUID of a budget with an `enforcement`.
    budget_id: ID,
    /// Conditions that raise alerts, which replace those before. None of them ends the watch.
    conditions: Vec<WatchCondition>,
    /// Hours, 1 to 720, after which an alert that is firing and not acknowledged is sent again. Default: it is not.
    renotify_hours: Option<i32>,
    /// Minutes without a charge, 5 to 44,640 and less than the shortest period has, after which `NO_DATA` holds. Required with that
    /// condition, and not allowed without it.
    no_data_minutes: Option<i32>,
    /// Why: text of at most 64 KiB.
    reason: Option<String>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Input of `acknowledgeBudgetCondition`. `budgetWatches` has the values that name an alert.
#[derive(Debug, InputObject)]
pub(crate) struct AcknowledgeBudgetConditionInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID.
    command_id: Option<Uid>,
    /// Global id or UUID of the budget.
    budget_id: ID,
    /// UUID of the period.
    balance_id: Uid,
    /// Version of the terms.
    terms_version: Long,
    /// Condition.
    condition: WatchCondition,
    /// Why, or what is done about it: text of at most 64 KiB.
    reason: Option<String>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Payload of `setBudgetWatch` and `acknowledgeBudgetCondition`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct BudgetWatchPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<BudgetWatchCommandError>,
    #[graphql(skip)]
    budget: BudgetId,
}

#[ComplexObject]
impl BudgetWatchPayload {
    /// What of the budget is watched now. Null if it never was, or is not any more.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn budget_watch(&self, ctx: &Context<'_>) -> Result<Option<BudgetWatch>> {
        Ok(watches(ctx).await?.get(self.budget).map(|watch| BudgetWatch::new(self.budget, watch)))
    }
}

impl BudgetWatchPayload {
    fn new(result: CommandResult<BudgetWatchCommandError>, budget: BudgetId) -> Self {
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Self { command_id: command_id.into(), outcome, position, error, budget }
    }
}

/// Commands about conditions of budgets.
#[derive(Default)]
pub(crate) struct WatchMutation;

#[Object]
impl WatchMutation {
    /// Says which conditions of a budget raise alerts, beside its thresholds.
    async fn set_budget_watch(&self, ctx: &Context<'_>, input: SetBudgetWatchInput) -> Result<BudgetWatchPayload> {
        let options = options(ctx, input.command_id, input.at)?;
        let budget_id = BudgetId(Kind::Budget.parse(&input.budget_id)?);
        let given = || {
            let terms = WatchTerms {
                kinds: input.conditions.into_iter().map(Into::into).collect(),
                renotify_hours: number("renotifyHours", input.renotify_hours)?,
                no_data_minutes: number("noDataMinutes", input.no_data_minutes)?,
            };
            let reason = input::body_opt("reason", input.reason)?;
            Ok::<_, Invalid>(WatchSet { budget_id, terms, reason, at: options.at })
        };
        let execute = |commands: Commands, context: commands::Context, given: WatchSet| async move {
            let id = AlertWatches::id();
            let decided = commands.decide_on::<AlertWatches, AlertWatchesError>(&context, id, |watches, mut others| {
                let catalogue = others.get::<BudgetCatalogue>(BudgetCatalogue::id())?;
                watches.set(given.clone(), &catalogue).map_err(Undecided::Rejected)
            });
            decided.await
        };
        let result = payload::execute_by::<AlertWatches, _, AlertWatchesError, BudgetWatchCommandError, _>(
            ctx,
            options,
            given(),
            execute,
        );
        Ok(BudgetWatchPayload::new(result.await?, budget_id))
    }

    /// Says that an alert of a condition is known. It is not sent again.
    async fn acknowledge_budget_condition(
        &self,
        ctx: &Context<'_>,
        input: AcknowledgeBudgetConditionInput,
    ) -> Result<BudgetWatchPayload> {
        let options = options(ctx, input.command_id, input.at)?;
        let budget_id = BudgetId(Kind::Budget.parse(&input.budget_id)?);
        let key = SignalKey {
            balance_id: input.balance_id.0,
            terms_version: input.terms_version.unsigned(),
            kind: input.condition.into(),
        };
        let reason = input::body_opt("reason", input.reason);
        let answer = reason.map(|reason| SignalAnswered { budget_id, key, reason, at: options.at });
        let command = answer.map(AlertWatchesCommand::Acknowledge);
        let result = payload::execute::<AlertWatches, BudgetWatchCommandError>(ctx, options, command).await?;
        Ok(BudgetWatchPayload::new(result, budget_id))
    }
}

fn options(ctx: &Context<'_>, command_id: Option<Uid>, at: Option<Timestamp>) -> Result<CommandOptions> {
    let may_send = MaySend::check(ctx)?;
    Ok(CommandOptions { may_send, target: AlertWatches::id(), command_id, expected_version: None, at: or_now(at) })
}

/// A number of a setting. The domain says which are allowed.
fn number<N: TryFrom<i32>>(field: &'static str, given: Option<i32>) -> Result<Option<N>, Invalid> {
    let number = given.map(N::try_from).transpose();
    number.map_err(|_| Invalid::new(field, "is out of range"))
}
