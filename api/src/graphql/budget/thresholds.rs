//! Thresholds of budgets that are enforced, as they are crossed in their periods: as a list, and as a stream. Both are read from the
//! log itself.

use crate::graphql::follow;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Decimal, Position, Timestamp};
use crate::graphql::services::{authorise, services, state};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Object, Result, SimpleObject, Subscription};
use chrono::Utc;
use domain::Aggregate as _;
use domain::alert::{Alert, Crossing};
use domain::budget_balance::{BalanceThresholdCrossed, BudgetBalance, BudgetBalanceEvent};
use domain::permissions::{Access, ReadSpending};
use futures::{Stream, StreamExt};
use streams::{RecordedEvent, TenantFilter};

/// The type of the events.
const THRESHOLD_CROSSED: &str = "budget_balance.threshold_crossed";

/// Status of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::alert::AlertStatus")]
pub(crate) enum AlertStatus {
    /// The threshold is crossed, and the alert was not answered.
    Firing,
    /// The alert is known: `acknowledgeAlert`.
    Acknowledged,
    /// The alert is settled: by `resolveAlert`, by a raised limit, or because its period is over.
    Resolved,
}

/// A threshold of a budget that was reached in a period. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct BudgetThreshold {
    /// Global id of the budget.
    budget_id: ID,
    /// Start of the period, inclusive.
    starts_at: Timestamp,
    /// End of the period, exclusive.
    ends_at: Timestamp,
    /// Threshold that was crossed, in percent of the limit.
    threshold_percent: i32,
    /// What was charged, also for expired reservations that are not settled.
    spent: Decimal,
    /// Limit that was in force, with temporary raises and what was carried over.
    limit: Decimal,
    /// Position of the event. Pass it as `after` to subscribe to those that follow.
    position: Position,
    /// Time at which it was crossed.
    crossed_at: Timestamp,
    #[graphql(skip)]
    pub(super) crossing: Crossing,
}

#[ComplexObject]
impl BudgetThreshold {
    /// Status of the alert.
    #[graphql(complexity = "2 * connection::STATEMENT_COST")]
    async fn status(&self, ctx: &Context<'_>) -> Result<AlertStatus> {
        let crossing = &self.crossing;
        if self.ends_at.0 <= Utc::now() {
            return Ok(AlertStatus::Resolved);
        }
        // Who may read what is charged may read what was said of it.
        let alert = state::<Alert>(ctx, crossing.alert_id()).await?;
        let balance = state::<BudgetBalance>(ctx, crossing.balance_id).await?;
        Ok(alert.status(crossing, &balance).into())
    }
}

impl BudgetThreshold {
    fn new(event: &RecordedEvent, crossed: &BalanceThresholdCrossed) -> Self {
        let BalanceThresholdCrossed { budget_id, threshold_percent, limit, after } = crossed;
        Self {
            budget_id: Kind::Budget.id(budget_id),
            starts_at: after.span.starts_at.into(),
            ends_at: after.span.ends_at.into(),
            threshold_percent: threshold_percent.percent().into(),
            spent: after.spent_with_delegations().into(),
            limit: (*limit).into(),
            position: event.position.into(),
            crossed_at: event.recorded_at.into(),
            crossing: Crossing {
                budget_id: *budget_id,
                balance_id: event.stream.id,
                threshold_percent: *threshold_percent,
                limit: *limit,
                position: event.position.get(),
            },
        }
    }
}

impl TryFrom<RecordedEvent> for BudgetThreshold {
    type Error = Error;

    fn try_from(event: RecordedEvent) -> Result<Self> {
        match event.decode().map_err(|error| errors::internal(&error))? {
            domain::Event::BudgetBalance(BudgetBalanceEvent::ThresholdCrossed(crossed)) => {
                Ok(Self::new(&event, &crossed))
            }
            _ => Err(errors::internal(&OtherType)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an event that was selected by its type has another one")]
struct OtherType;

pub(super) fn filter(access: &Access<ReadSpending>) -> TenantFilter {
    TenantFilter::new(access, Some(BudgetBalance::CATEGORY.to_owned()), vec![THRESHOLD_CROSSED.to_owned()], None)
}

/// The query for crossed thresholds.
#[derive(Default)]
pub(crate) struct ThresholdQuery;

#[Object]
impl ThresholdQuery {
    /// Lists the thresholds that were crossed of budgets with `enforcement`, in the order in which they were, those of past periods
    /// too. Alerts of budgets of money by calendar month are `budgetAlerts`.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_thresholds(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of thresholds to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns those after this cursor, which is a position. Default: from the first one on.")]
        after: Option<String>,
    ) -> Result<Connection<String, BudgetThreshold>> {
        let filter = filter(&authorise(ctx)?);
        let size = connection::size(ctx, first)?;
        let after = after.as_deref().map(connection::position_cursor).transpose()?;
        let events = services(ctx)?.events.find_after(after.unwrap_or_default(), &filter, size + 1).await;
        let events = events.map_err(|error| errors::read(&error))?;
        connection::connect_by(events, size, after.is_some(), |event| event.position.to_string())
    }
}

/// The stream of crossed thresholds.
#[derive(Default)]
pub(crate) struct ThresholdSubscription;

#[Subscription]
impl ThresholdSubscription {
    /// Streams the thresholds that are crossed of budgets with `enforcement`: first the stored ones after a position, then each new
    /// one, without gaps or duplicates. To resume after a disconnect, subscribe with the position of the last one that was received.
    async fn budget_thresholds(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Position after which to start; 0 for all of them. Default: the end of the log, for new ones only."
        )]
        after: Option<Position>,
    ) -> Result<impl Stream<Item = Result<BudgetThreshold>> + use<>> {
        let filter = filter(&authorise(ctx)?);
        let events = follow::events(ctx, filter, after.map(|after| after.0)).await?;
        Ok(events.map(|event| event.and_then(|event| BudgetThreshold::try_from(RecordedEvent::clone(&event)))))
    }
}
