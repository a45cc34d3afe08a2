//! Crossed thresholds: how they are recorded, and how the alert policy and users read them.

use super::state::BudgetKey;
use crate::page::clamp_limit;
use crate::projection::{Applied, ApplyError};
use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use domain::Sum;
use domain::budget::ThresholdCrossed;
use domain::permissions::{Access, ReadBudgets};
use domain::spending::Crossing;
use rust_decimal::Decimal;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgPool};
use streams::{DatabaseError, Position, TenantReads};
use uuid::Uuid;

/// The sort key of a crossing in the order in which thresholds were crossed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrossingCursor {
    /// The position of the event that crossed the threshold.
    pub crossed_at_position: i64,
    /// The id of the budget.
    pub budget_id: Uuid,
    /// The month, such as `2023-09`.
    pub month: String,
    /// The threshold in percent of the limit.
    pub threshold_percent: i32,
}

/// A threshold that the spending of a month crossed.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct CrossingRow {
    /// The tenant that the budget belongs to.
    pub tenant_id: String,
    /// The id of the budget.
    pub budget_id: Uuid,
    /// The month, such as `2023-09`.
    pub month: String,
    /// The threshold in percent of the limit.
    pub threshold_percent: i32,
    /// The version of the budget whose terms were in force.
    pub terms_version: i64,
    /// The amount spent after the crossing.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The limit in force.
    pub limit_amount: Decimal,
    /// The position of the event that crossed the threshold.
    pub crossed_at_position: i64,
    /// The id of the event that crossed the threshold.
    pub crossed_by_event: Uuid,
    /// The correlation id of the event that crossed the threshold.
    pub correlation_id: Uuid,
    /// Whether an alert is to be raised: only for the two latest months with spending.
    pub is_delivered: bool,
    /// The position of the alert's event; none until it is raised.
    pub alert_position: Option<i64>,
    /// When the alert was raised; none until then.
    pub alerted_at: Option<DateTime<Utc>>,
}

impl CrossingRow {
    /// Returns the sort key of the crossing.
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

/// An alert that was raised for a crossed threshold.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct AlertRow {
    /// The id of the budget.
    pub budget_id: Uuid,
    /// The month, such as `2023-09`.
    pub month: String,
    /// The threshold in percent of the limit.
    pub threshold_percent: i32,
    /// The version of the budget whose terms were in force.
    pub terms_version: i64,
    /// The amount spent after the crossing.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The limit in force.
    pub limit_amount: Decimal,
    /// The position of the event that crossed the threshold.
    pub crossed_at_position: i64,
    /// The position of the alert's event.
    pub alert_position: i64,
    /// When the alert was raised.
    pub alerted_at: DateTime<Utc>,
}

macro_rules! select_crossings {
    ($where:literal) => {
        concat!(
            "select tenant_id, budget_id, month, threshold_percent, terms_version, spent, limit_amount,
                    crossed_at_position, crossed_by_event, correlation_id, is_delivered, alert_position, alerted_at
             from apex.budget_crossings ",
            $where
        )
    };
}

/// Lists crossings whose alert is to be raised and is not in the log yet, from one position to another one, both
/// included, after a cursor, in the order in which thresholds were crossed.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn pending_alerts(
    pool: &PgPool,
    from: Position,
    until: Position,
    after: Option<&CrossingCursor>,
    limit: i64,
) -> Result<Vec<CrossingRow>, DatabaseError> {
    let rows = sqlx::query_as(select_crossings!(
        "where is_delivered and alert_position is null and crossed_at_position between $7 and $1
           and ($2::bigint is null or (crossed_at_position, budget_id, month, threshold_percent) > ($2, $3, $4, $5))
         order by crossed_at_position, budget_id, month, threshold_percent limit $6"
    ))
    .bind(until.as_i64())
    .bind(after.map(|cursor| cursor.crossed_at_position))
    .bind(after.map(|cursor| cursor.budget_id))
    .bind(after.map(|cursor| cursor.month.as_str()))
    .bind(after.map(|cursor| cursor.threshold_percent))
    .bind(limit)
    .bind(from.as_i64())
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Lists the crossings of a tenant, or of one of its budgets, after a cursor, in the order in which thresholds were
/// crossed. The limit is clamped as [`crate::Page::limit`] is.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn crossings(
    reads: &TenantReads,
    access: &Access<ReadBudgets>,
    budget_id: Option<Uuid>,
    after: Option<&CrossingCursor>,
    limit: i64,
) -> Result<Vec<CrossingRow>, DatabaseError> {
    let rows = sqlx::query_as(select_crossings!(
        "where tenant_id = $1 and ($2::uuid is null or budget_id = $2)
           and ($3::bigint is null or (crossed_at_position, budget_id, month, threshold_percent) > ($3, $4, $5, $6))
         order by crossed_at_position, budget_id, month, threshold_percent limit $7"
    ))
    .bind(access.tenant().as_str())
    .bind(budget_id)
    .bind(after.map(|cursor| cursor.crossed_at_position))
    .bind(after.map(|cursor| cursor.budget_id))
    .bind(after.map(|cursor| cursor.month.as_str()))
    .bind(after.map(|cursor| cursor.threshold_percent))
    .bind(clamp_limit(limit))
    .fetch_all(&mut *reads.acquire(access).await?)
    .await?;
    Ok(rows)
}

/// Lists the alerts of a tenant, or of one of its budgets, after a position, in the order in which they were raised.
/// The limit is clamped as [`crate::Page::limit`] is.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn alerts(
    reads: &TenantReads,
    access: &Access<ReadBudgets>,
    budget_id: Option<Uuid>,
    after_position: i64,
    limit: i64,
) -> Result<Vec<AlertRow>, DatabaseError> {
    let query = sqlx::query_as(select_crossings!(
        "where tenant_id = $1 and ($2::uuid is null or budget_id = $2) and alert_position > $3
         order by alert_position limit $4"
    ));
    let query = query.bind(access.tenant().as_str()).bind(budget_id).bind(after_position).bind(clamp_limit(limit));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// Lists the alerts of some budgets, by budget in the order in which they were raised.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn alerts_of_budgets(
    reads: &TenantReads,
    access: &Access<ReadBudgets>,
    budget_ids: &[Uuid],
) -> Result<Vec<AlertRow>, DatabaseError> {
    let query = sqlx::query_as(select_crossings!(
        "where tenant_id = $1 and budget_id = any ($2) and alert_position is not null
         order by budget_id, alert_position"
    ));
    Ok(query.bind(access.tenant().as_str()).bind(budget_ids).fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// Records thresholds that an event crossed, except those for which an alert has been raised already.
pub(super) async fn record(
    connection: &mut PgConnection,
    applied: &Applied,
    (tenant, budget_id): &BudgetKey,
    crossed: &[Crossing],
) -> Result<(), ApplyError> {
    let correlation_id = applied.recorded.metadata().map_or(applied.recorded.event_id, |m| m.correlation_id);
    for crossing in crossed {
        sqlx::query(include_str!("record_crossing.sql"))
            .bind(tenant)
            .bind(budget_id)
            .bind(crossing.month.to_string())
            .bind(i32::from(crossing.threshold.percent()))
            .bind(i64::try_from(crossing.terms_version).map_err(ApplyError::row)?)
            .bind(crossing.spent.as_number())
            .bind(crossing.limit.as_decimal())
            .bind(applied.position())
            .bind(applied.recorded.event_id)
            .bind(correlation_id)
            .bind(crossing.is_delivered)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Marks the crossing that an alert was raised for. If the tables are built by another version of the code than the one
/// that raised the alert, that crossing may differ, follow later or be missing: then the alert's values are stored.
pub(super) async fn mark_alerted(
    connection: &mut PgConnection,
    applied: &Applied,
    crossed: &ThresholdCrossed,
) -> Result<(), ApplyError> {
    let metadata = applied.recorded.metadata();
    let event_id = applied.recorded.event_id;
    sqlx::query(include_str!("mark_alerted.sql"))
        .bind(applied.tenant())
        .bind(crossed.budget_id.0)
        .bind(crossed.month.to_string())
        .bind(i32::from(crossed.threshold_percent.percent()))
        .bind(i64::try_from(crossed.terms_version).map_err(ApplyError::row)?)
        .bind(crossed.spent.as_number())
        .bind(crossed.limit.as_decimal())
        .bind(i64::try_from(crossed.crossed_at_position).map_err(ApplyError::row)?)
        .bind(metadata.as_ref().ok().and_then(|metadata| metadata.causation_id).unwrap_or(event_id))
        .bind(metadata.as_ref().map_or(event_id, |metadata| metadata.correlation_id))
        .bind(applied.position())
        .bind(applied.recorded.recorded_at)
        .execute(connection)
        .await?;
    Ok(())
}
