//! Deliveries of alerts to endpoints, as requests see them: the jobs of a tenant, without what they carry.
//!
//! It is no read model: the jobs are the state. The view that is read shows the rows of the tenant of the connection alone.

use chrono::{DateTime, Utc};
use domain::permissions::{Access, ReadAlertEndpoints};
use sqlx::FromRow;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// A delivery of an alert to an endpoint.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct AlertDeliveryRow {
    /// The order in which deliveries were written.
    pub sequence: i64,
    /// The id of the delivery, which is that of the message.
    pub delivery_id: Uuid,
    /// The endpoint.
    pub endpoint_id: Uuid,
    /// What the endpoint is told, such as `budget.threshold_crossed`.
    pub alert_type: String,
    /// The budget; none of a test.
    pub budget_id: Option<Uuid>,
    /// The threshold in percent; none of a test.
    pub threshold_percent: Option<i32>,
    /// The state, as jobs have it.
    pub state: String,
    /// The number of attempts.
    pub attempts: i32,
    /// The error of the last failed attempt; none if there was none.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it is tried next, if it is waiting.
    pub available_at: DateTime<Utc>,
    /// When it was delivered or became a dead letter; none before.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct AlertDeliveryFilter {
    /// Only those of this endpoint.
    pub endpoint_id: Option<Uuid>,
    /// Only those in this state, as jobs have it.
    pub state: Option<&'static str>,
    /// Only those that were written before the one with this number.
    pub before: Option<i64>,
}

/// Lists deliveries, the one that was written last first.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadAlertEndpoints>,
    filter: &AlertDeliveryFilter,
    limit: i64,
) -> Result<Vec<AlertDeliveryRow>, DatabaseError> {
    let query = sqlx::query_as(
        "select sequence, delivery_id, endpoint_id, alert_type, budget_id, threshold_percent, state, attempts, last_error,
                created_at, available_at, finished_at
         from apex.alert_deliveries
         where tenant_id = $1 and ($2::uuid is null or endpoint_id = $2) and ($3::text is null or state = $3)
             and ($4::bigint is null or sequence < $4)
         order by sequence desc limit $5",
    );
    let query = query.bind(access.tenant().as_str()).bind(filter.endpoint_id).bind(filter.state).bind(filter.before);
    Ok(query.bind(limit).fetch_all(&mut *reads.acquire(access).await?).await?)
}
