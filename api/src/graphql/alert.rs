//! Alerts of budgets: a list of those that were raised, and a stream of those that are; and all thresholds that were
//! crossed, whether an alert is raised for them or not.

use super::errors;
use super::ids::Kind;
use super::report::Currency;
use super::scalars::{Decimal, Long, Position, Timestamp};
use super::{Services, budget, connection, follow, loaders, ready};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{Context, Error, ID, Object, Result, SimpleObject, Subscription};
use domain::budget::{BudgetPeriod, BudgetPeriodEvent, Month, ThresholdCrossed};
use domain::{Aggregate as _, BudgetId};
use futures::{Stream, StreamExt};
use projections::DatabaseError;
use projections::budgets::{self, AlertRow, CrossingCursor, CrossingRow};
use std::collections::HashMap;
use std::sync::Arc;
use streams::{ReadFilter, RecordedEvent};

/// A crossed threshold.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetAlert {
    /// Whose.
    budget_id: ID,
    /// In which month, such as `2023-09`.
    month: String,
    /// Which threshold, in percent of the limit.
    threshold_percent: i32,
    /// The version of the budget that set the terms under which it was crossed. Under other terms it may be crossed again.
    terms_version: Long,
    /// What was spent when it was crossed.
    spent: Decimal,
    /// The limit at that time.
    limit: Decimal,
    /// The currency of both.
    currency: Currency,
    /// The position of the event that crossed it.
    crossed_at_position: Position,
    /// The position of the alert itself: what to subscribe after.
    position: Position,
    /// When it was raised.
    raised_at: Timestamp,
}

impl TryFrom<AlertRow> for BudgetAlert {
    type Error = Error;

    fn try_from(row: AlertRow) -> Result<Self> {
        Ok(Self {
            budget_id: Kind::Budget.id(row.budget_id),
            month: row.month,
            threshold_percent: row.threshold_percent,
            terms_version: row.terms_version.into(),
            spent: row.spent.into(),
            limit: row.limit_amount.into(),
            currency: Currency::Usd,
            crossed_at_position: Position::from_row(row.crossed_at_position),
            position: Position::from_row(row.alert_position),
            raised_at: row.alerted_at.into(),
        })
    }
}

impl BudgetAlert {
    fn of(event: &RecordedEvent, crossed: ThresholdCrossed) -> Self {
        Self {
            budget_id: Kind::Budget.id(crossed.budget_id),
            month: crossed.month.to_string(),
            threshold_percent: crossed.threshold_percent.percent().into(),
            terms_version: Long::from_unsigned(crossed.terms_version),
            spent: crossed.spent.into(),
            limit: crossed.limit.into(),
            currency: crossed.currency.into(),
            crossed_at_position: Position(crossed.crossed_at_position.into()),
            position: event.position.into(),
            raised_at: event.recorded_at.into(),
        }
    }
}

/// The alerts of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AlertsOf(pub(crate) BudgetId);

impl Loader<AlertsOf> for loaders::Rows {
    type Value = Vec<AlertRow>;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[AlertsOf]) -> Result<HashMap<AlertsOf, Self::Value>, Self::Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.0.0).collect();
        let mut alerts: HashMap<AlertsOf, Self::Value> = HashMap::new();
        for row in budgets::alerts_of_budgets(&self.pool, &self.tenant, &ids).await? {
            alerts.entry(AlertsOf(BudgetId(row.budget_id))).or_default().push(row);
        }
        Ok(alerts)
    }
}

/// A threshold that was crossed in a month.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetCrossing {
    /// Whose.
    budget_id: ID,
    /// In which month, such as `2023-09`.
    month: String,
    /// Which threshold, in percent of the limit.
    threshold_percent: i32,
    /// The version of the budget that set the terms under which it was crossed. Under other terms it may be crossed again.
    terms_version: Long,
    /// What was spent when it was crossed.
    spent: Decimal,
    /// The limit at that time.
    limit: Decimal,
    /// The currency of both.
    currency: Currency,
    /// The position of the event that crossed it.
    crossed_at_position: Position,
    /// Whether an alert is raised for it: only in the two latest months with spending, as of `crossedAtPosition`.
    is_delivered: bool,
    /// The position of the alert; null if none is raised, or not yet.
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
            is_delivered: row.is_delivered,
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

/// Queries about alerts.
#[derive(Default)]
pub(crate) struct AlertQuery;

#[Object]
impl AlertQuery {
    /// Alerts, in the order in which they were raised. A cursor is the position of the alert.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this budget alone.")] budget_id: Option<ID>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this position.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, BudgetAlert>> {
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let size = connection::size(ctx, first)?;
        let place = after.as_deref().map(super::events::cursor).transpose()?.unwrap_or_default();
        ready(ctx, budget::PROJECTIONS, min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let rows = budgets::alerts(&services.pool, &caller.tenant, budget_id, place.as_i64(), limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| row.alert_position.to_string())
    }

    /// Thresholds that were crossed, in the order in which they were, also in months for which no alert is raised.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_crossings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this budget alone.")] budget_id: Option<ID>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, BudgetCrossing>> {
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let size = connection::size(ctx, first)?;
        let cursor = |text: &str| decode_crossing(text).ok_or_else(|| connection::bad_cursor(text));
        let after = after.as_deref().map(cursor).transpose()?;
        ready(ctx, budget::PROJECTIONS, min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let rows = budgets::crossings(&services.pool, &caller.tenant, budget_id, after.as_ref(), limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| encode_crossing(&row.cursor()))
    }
}

/// Following alerts.
#[derive(Default)]
pub(crate) struct AlertSubscription;

#[Subscription]
impl AlertSubscription {
    /// Alerts as they are raised: those after a position first, then those that come. Each is told once.
    async fn budget_alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The position of the last alert already seen; 0 for all, from now on if not given.")]
        after: Option<Position>,
        #[graphql(desc = "Of this budget alone.")] budget_id: Option<ID>,
    ) -> Result<impl Stream<Item = Result<BudgetAlert>> + use<>> {
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let filter = ReadFilter {
            tenant: Some(ctx.data::<Caller>()?.tenant.clone()),
            category: Some(BudgetPeriod::CATEGORY.to_owned()),
            types: Vec::new(),
            stream_id: None,
        };
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
            Some(BudgetAlert::of(event, crossed))
        }
        Ok(_) => None,
        Err(error) => {
            // The read model has parked it, which is where operators see it; whoever follows goes on.
            let (position, error) = (event.position, &error as &dyn std::error::Error);
            tracing::warn!(%position, error, "an event of a budget cannot be read and is left out of alerts");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn cursors_of_crossings_go_there_and_back() {
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
