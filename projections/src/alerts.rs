//! Thresholds that were crossed, as the policy that raises alerts and those who ask for crossings read them.

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use domain::{Sum, TenantId};
use rust_decimal::Decimal;
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use streams::Position;
use uuid::Uuid;

/// The place of a crossing in the order in which thresholds were crossed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrossingCursor {
    /// The event that crossed it.
    pub crossed_at_position: i64,
    /// Which budget.
    pub budget_id: Uuid,
    /// In which month.
    pub month: String,
    /// Which threshold.
    pub threshold_percent: i32,
}

/// A threshold that was crossed.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct CrossingRow {
    /// Whose budget.
    pub tenant_id: String,
    /// Which budget.
    pub budget_id: Uuid,
    /// In which month.
    pub month: String,
    /// Which threshold, in percent of the limit.
    pub threshold_percent: i32,
    /// The version of the budget that set the terms under which it was crossed.
    pub terms_version: i64,
    /// The amount spent when it was crossed.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The limit when it was crossed.
    pub limit_amount: Decimal,
    /// The position of the event that crossed it.
    pub crossed_at_position: i64,
    /// The id of that event.
    pub crossed_by_event: Uuid,
    /// What that event belongs to.
    pub correlation_id: Uuid,
    /// Whether an alert is raised for it.
    pub is_delivered: bool,
    /// The position of the alert, once it is in the log.
    pub alert_position: Option<i64>,
    /// When the alert was raised.
    pub alerted_at: Option<DateTime<Utc>>,
}

impl CrossingRow {
    /// Its place in the order of crossings.
    #[must_use]
    pub fn cursor(&self) -> CrossingCursor {
        CrossingCursor {
            crossed_at_position: self.crossed_at_position,
            budget_id: self.budget_id,
            month: self.month.clone(),
            threshold_percent: self.threshold_percent,
        }
    }
}

/// The crossings up to a position whose alert is not in the log yet, after a cursor, in the order in which they happened.
///
/// # Errors
/// The database's.
pub async fn pending_alerts(
    pool: &PgPool,
    until: Position,
    after: Option<&CrossingCursor>,
    limit: i64,
) -> Result<Vec<CrossingRow>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, budget_id, month, threshold_percent, terms_version, spent, limit_amount,
                crossed_at_position, crossed_by_event, correlation_id, is_delivered, alert_position, alerted_at
         from apex.budget_crossings
         where is_delivered and alert_position is null and crossed_at_position <= $1
           and ($2::bigint is null or (crossed_at_position, budget_id, month, threshold_percent) > ($2, $3, $4, $5))
         order by crossed_at_position, budget_id, month, threshold_percent limit $6",
    )
    .bind(until.as_i64())
    .bind(after.map(|cursor| cursor.crossed_at_position))
    .bind(after.map(|cursor| cursor.budget_id))
    .bind(after.map(|cursor| cursor.month.as_str()))
    .bind(after.map(|cursor| cursor.threshold_percent))
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The crossings of a tenant or of one budget after a cursor, in the order in which they happened.
///
/// # Errors
/// The database's.
pub async fn crossings(
    pool: &PgPool,
    tenant: &TenantId,
    budget_id: Option<Uuid>,
    after: Option<&CrossingCursor>,
    limit: i64,
) -> Result<Vec<CrossingRow>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, budget_id, month, threshold_percent, terms_version, spent, limit_amount,
                crossed_at_position, crossed_by_event, correlation_id, is_delivered, alert_position, alerted_at
         from apex.budget_crossings
         where tenant_id = $1 and ($2::uuid is null or budget_id = $2)
           and ($3::bigint is null or (crossed_at_position, budget_id, month, threshold_percent) > ($3, $4, $5, $6))
         order by crossed_at_position, budget_id, month, threshold_percent limit $7",
    )
    .bind(tenant.as_str())
    .bind(budget_id)
    .bind(after.map(|cursor| cursor.crossed_at_position))
    .bind(after.map(|cursor| cursor.budget_id))
    .bind(after.map(|cursor| cursor.month.as_str()))
    .bind(after.map(|cursor| cursor.threshold_percent))
    .bind(limit.clamp(1, crate::query::MAX_PAGE_ROWS + 1))
    .fetch_all(pool)
    .await
}
