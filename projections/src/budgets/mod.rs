//! The read models of budgets: terms, spending by month, crossed thresholds.
//!
//! [`domain::spending::BudgetSpending`] decides which thresholds are crossed; this module counts and stores. A policy
//! raises an alert for a crossing with a command; the alert's own event then marks the crossing.

mod crossings;
mod fold;
mod history;
mod preview;
mod state;
mod tables;

pub use crossings::{AlertRow, CrossingCursor, CrossingRow, alerts, alerts_of_budgets, crossings, pending_alerts};
pub use history::{HistoryChange, HistoryEntry, HistoryPage, HistorySelection, MAX_HISTORY_EVENTS, history};
pub use preview::{BudgetPreview, MAX_PREVIEWED_CALLS, PreviewError, preview};

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::StreamRow;
use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use domain::budget::{Budget, BudgetDefined, BudgetEvent, BudgetPeriod, BudgetPeriodEvent};
use domain::call::Call;
use domain::permissions::{Access, ReadBudgets};
use domain::{AgentId, Aggregate, Event, Sum};
use fold::Fold;
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// The terms of a budget.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BudgetRow {
    /// The id of the budget.
    pub budget_id: Uuid,
    /// The name of the budget.
    pub name: String,
    /// The kind of scope: `tenant`, `agent`, `model`, or `conditions` if it is not counted by calendar month.
    pub scope_kind: String,
    /// The id of the agent or the name of the model; empty for the others.
    pub scope_key: String,
    /// The limit: how much may be spent in a month.
    pub limit_amount: Decimal,
    /// The currency of the limit.
    pub currency: String,
    /// The time zone in which a month begins and ends.
    pub time_zone: String,
    /// The thresholds at which alerts are raised, in percent of the limit.
    pub thresholds: Vec<i32>,
    /// Whether the budget is closed and counts no further spending.
    pub closed: bool,
    /// When the budget was defined.
    pub defined_at: DateTime<Utc>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

impl StreamRow for BudgetRow {
    type Read = ReadBudgets;
    const CATEGORY: &'static str = Budget::CATEGORY;

    fn is_read_by(&self, _: AgentId) -> bool {
        // All agents share the budgets.
        true
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Budget(event) = &*applied.event else { return Ok(row) };
        Ok(match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => {
                let defined_at = row.map_or(defined.at, |row| row.defined_at);
                Some(Self::defined(applied, defined, defined_at))
            }
            BudgetEvent::Suspended(_)
            | BudgetEvent::Resumed(_)
            | BudgetEvent::Raised(_)
            | BudgetEvent::Delegated(_)
            | BudgetEvent::DelegationEnded(_) => {
                row.map(|row| Self { version: applied.version(), position: applied.position(), ..row })
            }
            BudgetEvent::Closed(_) => {
                row.map(|row| Self { closed: true, version: applied.version(), position: applied.position(), ..row })
            }
        })
    }
}

impl BudgetRow {
    fn defined(applied: &Applied, defined: &BudgetDefined, defined_at: DateTime<Utc>) -> Self {
        let terms = &defined.terms;
        let (scope_kind, scope_key) = state::scope_of(terms);
        Self {
            budget_id: applied.stream_id(),
            name: terms.name.to_string(),
            scope_kind: scope_kind.to_owned(),
            scope_key,
            limit_amount: terms.limit.as_decimal(),
            currency: terms.currency.to_string(),
            time_zone: terms.time_zone.name().to_owned(),
            thresholds: terms.thresholds.iter().map(|threshold| i32::from(threshold.percent())).collect(),
            closed: false,
            defined_at,
            version: applied.version(),
            position: applied.position(),
        }
    }
}

pub(crate) struct Budgets;

impl Projection for Budgets {
    fn name(&self) -> &'static str {
        "budgets"
    }

    /// Version 2 records a crossing once for each month and version of the terms.
    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Budget::CATEGORY, BudgetPeriod::CATEGORY, Call::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("budgets", "tenant_id, budget_id"),
            ("budget_spend", "tenant_id, scope_kind, scope_key, quarter"),
            ("budget_months", "tenant_id, budget_id, month"),
            ("budget_crossings", "tenant_id, budget_id, month, threshold_percent, terms_version"),
        ]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut fold = Fold::load(connection, events).await?;
            for applied in events {
                match &*applied.event {
                    Event::Call(event) => fold.call(connection, applied, event).await?,
                    Event::Budget(event) => fold.budget(connection, applied, event).await?,
                    Event::BudgetPeriod(BudgetPeriodEvent::ThresholdCrossed(crossed)) => {
                        crossings::mark_alerted(connection, applied, crossed).await?;
                    }
                    // Events of other categories are not delivered.
                    _ => {}
                }
            }
            fold.save(connection).await
        })
    }
}

/// Lists the budgets of a tenant in the order in which they were defined, only those with one of the ids unless `ids`
/// is empty; the cursor is (`defined_at`, `budget_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadBudgets>,
    ids: &[Uuid],
    page: Page,
) -> Result<Vec<BudgetRow>, DatabaseError> {
    let (after_time, after_id) = page.after();
    let query = sqlx::query_as(
        "select budget_id, name, scope_kind, scope_key, limit_amount, currency, time_zone, thresholds, closed,
                defined_at, version, position
         from apex.budgets
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or budget_id = any ($2))
           and ($3::timestamptz is null or (defined_at, budget_id) > ($3, $4))
         order by defined_at, budget_id limit $5",
    );
    let query = query.bind(access.tenant().as_str()).bind(ids).bind(after_time).bind(after_id).bind(page.limit());
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// The spending of a budget in a month.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct BudgetMonthRow {
    /// The id of the budget.
    pub budget_id: Uuid,
    /// The month, such as `2023-09`.
    pub month: String,
    /// When the month begins in the budget's time zone.
    pub starts_at: DateTime<Utc>,
    /// When the next month begins in the budget's time zone.
    pub ends_at: DateTime<Utc>,
    /// The amount spent.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The position of the last event that changed the amount.
    pub position: i64,
}

/// Lists the months of some budgets, by budget, the latest month first.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn months(
    reads: &TenantReads,
    access: &Access<ReadBudgets>,
    budget_ids: &[Uuid],
) -> Result<Vec<BudgetMonthRow>, DatabaseError> {
    let query = sqlx::query_as(
        "select budget_id, month, starts_at, ends_at, spent, position from apex.budget_months
         where tenant_id = $1 and budget_id = any ($2) order by budget_id, month desc",
    );
    Ok(query.bind(access.tenant().as_str()).bind(budget_ids).fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fold;

    fn terms(limit: &str, at: &str) -> String {
        format!(
            r#"{{"name":"platform","scope":{{"kind":"tenant"}},"limit":"{limit}","currency":"USD",
                "time_zone":"Europe/Berlin","thresholds":[50,100],"at":"{at}"}}"#
        )
    }

    #[test]
    fn a_revised_budget_has_the_new_terms_and_the_time_of_its_definition() {
        let (defined, revised) = (terms("250.5", "2023-09-01T07:00:00Z"), terms("300", "2023-09-02T07:00:00Z"));
        let events = [("budget.defined", &*defined), ("budget.revised", &*revised)];
        let row: BudgetRow = fold(&events).unwrap().unwrap();
        assert_eq!(
            (row.limit_amount.to_string(), row.thresholds, row.closed),
            ("300".to_owned(), vec![50, 100], false)
        );
        assert_eq!(row.defined_at.to_rfc3339(), "2023-09-01T07:00:00+00:00");
    }

    #[test]
    fn a_closed_budget_keeps_its_terms() {
        let defined = terms("250.5", "2023-09-01T07:00:00Z");
        let closed = ("budget.closed", r#"{"at":"2023-09-03T07:00:00Z"}"#);
        let row: BudgetRow = fold(&[("budget.defined", &*defined), closed]).unwrap().unwrap();
        assert_eq!((row.closed, row.version, row.limit_amount.to_string()), (true, 2, "250.5".to_owned()));
    }
}
