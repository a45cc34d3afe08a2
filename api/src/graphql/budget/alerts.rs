//! Alerts and crossed thresholds of all budgets: as lists, and alerts as a stream.

use super::types::{Budget, BudgetAlert};
use crate::graphql::entity::Entity;
use crate::graphql::follow;
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Currency, Decimal, Long, Position};
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Error, ID, Object, Result, SimpleObject, Subscription};
use domain::Aggregate as _;
use domain::budget::{BudgetPeriod, BudgetPeriodEvent, Month};
use domain::permissions::ReadBudgets;
use futures::{Stream, StreamExt};
use projections::budgets::{self, CrossingCursor, CrossingRow};
use streams::{RecordedEvent, TenantFilter};

/// A threshold that a budget's spending crossed in a month.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetCrossing {
    /// Global id of the budget.
    budget_id: ID,
    /// Month in which the threshold was crossed, such as `2023-09`.
    month: String,
    /// Threshold that was crossed, in percent of the limit.
    threshold_percent: i32,
    /// Version of the budget whose terms were in force. After a revision of the terms the same threshold may be crossed
    /// again.
    terms_version: Long,
    /// Amount spent in the month when the threshold was crossed.
    spent: Decimal,
    /// Limit that was in force.
    limit: Decimal,
    /// Currency of `spent` and `limit`.
    currency: Currency,
    /// Position of the event with which the threshold was crossed.
    crossed_at_position: Position,
    /// Whether an alert is raised for the crossing. This is the case in the two latest months with spending, as of
    /// `crossedAtPosition`, and in later months.
    raises_alert: bool,
    /// Position of the alert. Null if none is raised, or not yet.
    alert_position: Option<Position>,
}

impl TryFrom<CrossingRow> for BudgetCrossing {
    type Error = Error;

    fn try_from(row: CrossingRow) -> Result<Self> {
        Ok(Self {
            budget_id: Kind::Budget.id(row.budget_id),
            month: row.month,
            threshold_percent: row.threshold_percent,
            terms_version: row.terms_version.into(),
            spent: row.spent.into(),
            limit: row.limit_amount.into(),
            currency: Currency::Usd,
            crossed_at_position: Position::from_row(row.crossed_at_position),
            raises_alert: row.is_delivered,
            alert_position: row.alert_position.map(Position::from_row),
        })
    }
}

fn encode_crossing(cursor: &CrossingCursor) -> String {
    let CrossingCursor { crossed_at_position, budget_id, month, threshold_percent } = cursor;
    connection::encode_text(&format!("{crossed_at_position}:{budget_id}:{month}:{threshold_percent}"))
}

fn decode_crossing(cursor: &str) -> Option<CrossingCursor> {
    let text = connection::decode_text(cursor)?;
    let [position, budget_id, month, percent] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    Some(CrossingCursor {
        crossed_at_position: position.parse().ok()?,
        budget_id: budget_id.parse().ok()?,
        month: month.parse::<Month>().ok()?.to_string(),
        threshold_percent: percent.parse().ok()?,
    })
}

/// Queries for alerts and crossed thresholds.
#[derive(Default)]
pub(crate) struct AlertQuery;

#[Object]
impl AlertQuery {
    /// Lists alerts in the order in which they were raised. The cursor of an alert is its position.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only alerts of this budget. Global id or UUID. Default: of all budgets.")]
        budget_id: Option<ID>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of alerts to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the alerts after this position. Default: from the first alert on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, BudgetAlert>> {
        let access = authorise::<ReadBudgets>(ctx)?;
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let size = connection::size(ctx, first)?;
        let position = after.as_deref().map(connection::position_cursor).transpose()?.unwrap_or_default();
        await_projections(ctx, Budget::PROJECTIONS, min_position).await?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let rows = budgets::alerts(&services(ctx)?.reads, &access, budget_id, position.as_i64(), limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| row.alert_position.to_string())
    }

    /// Lists crossed thresholds in the order in which they were crossed, including those for which no alert is raised.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_crossings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only crossings of this budget. Global id or UUID. Default: of all budgets.")]
        budget_id: Option<ID>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of crossings to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the crossings after this cursor. Default: from the first crossing on.")]
        after: Option<String>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, BudgetCrossing>> {
        let access = authorise::<ReadBudgets>(ctx)?;
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let size = connection::size(ctx, first)?;
        let cursor = |text: &str| decode_crossing(text).ok_or_else(|| connection::bad_cursor(text));
        let after = after.as_deref().map(cursor).transpose()?;
        await_projections(ctx, Budget::PROJECTIONS, min_position).await?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let rows = budgets::crossings(&services(ctx)?.reads, &access, budget_id, after.as_ref(), limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| encode_crossing(&row.cursor()))
    }
}

/// The stream of alerts.
#[derive(Default)]
pub(crate) struct AlertSubscription;

#[Subscription]
impl AlertSubscription {
    /// Streams alerts: first the stored ones after a position, then each new one as it is raised, without gaps or
    /// duplicates. To resume after a disconnect, subscribe with the position of the last alert that was received.
    async fn budget_alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Position after which to start; 0 for all alerts. Default: the end of the log, for new alerts only."
        )]
        after: Option<Position>,
        #[graphql(desc = "Streams only alerts of this budget. Global id or UUID. Default: of all budgets.")]
        budget_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<BudgetAlert>> + use<>> {
        let access = authorise::<ReadBudgets>(ctx)?;
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let filter = TenantFilter::new(&access, Some(BudgetPeriod::CATEGORY.to_owned()), Vec::new(), None);
        let events = follow::events(ctx, filter, after.map(|after| after.0)).await?;
        Ok(events.filter_map(move |event| {
            let wanted = |alert: &BudgetAlert| budget_id.is_none_or(|id| alert.budget_id == Kind::Budget.id(id));
            std::future::ready(match event {
                Ok(event) => alert(&event).filter(wanted).map(Ok),
                Err(error) => Some(Err(error)),
            })
        }))
    }
}

fn alert(event: &RecordedEvent) -> Option<BudgetAlert> {
    match event.decode() {
        Ok(domain::Event::BudgetPeriod(BudgetPeriodEvent::ThresholdCrossed(crossed))) => {
            Some(BudgetAlert::of_event(event, crossed))
        }
        Ok(_) => None,
        Err(error) => {
            // The projection parks the event, which is where operators find it. The subscription continues.
            let (position, error) = (event.position, &error as &dyn std::error::Error);
            tracing::warn!(%position, error, "skipped an event of a budget that cannot be decoded in a stream of alerts");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn cursors_of_crossings_are_decoded_to_what_was_encoded() {
        let cursor = CrossingCursor {
            crossed_at_position: 42,
            budget_id: Uuid::from_u128(7),
            month: "2023-09".to_owned(),
            threshold_percent: 80,
        };
        assert_eq!(decode_crossing(&encode_crossing(&cursor)), Some(cursor));
        for bad in ["", "4", "4:5:6:7", "4:00000000-0000-0000-0000-000000000007:2023-13:80", "\0:\0:\0:\0"] {
            assert_eq!(decode_crossing(&connection::encode_text(bad)), None, "{bad:?}");
        }
    }
}
