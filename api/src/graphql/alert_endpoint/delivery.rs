//! Deliveries of alerts to endpoints.

use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::{authorise, services};
use crate::graphql::stored::from_stored_name;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, Error, Result, SimpleObject};
use projections::alert_deliveries::{self, AlertDeliveryFilter, AlertDeliveryRow};
use uuid::Uuid;

/// State of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum AlertDeliveryState {
    /// It is delivered, or tried again, at `nextAttemptAt`.
    Waiting,
    /// It is being delivered.
    Sending,
    /// The endpoint accepted it.
    Delivered,
    /// It failed, and is not tried again unless `redeliverAlerts` demands it.
    DeadLetter,
    /// An operator of the installation dropped it.
    Dropped,
}

impl AlertDeliveryState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Sending, Self::Delivered, Self::DeadLetter, Self::Dropped];

    /// The name that jobs have.
    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "leased",
            Self::Delivered => "done",
            Self::DeadLetter => "dead",
            Self::Dropped => "dropped",
        }
    }
}

/// Delivery of an alert to an endpoint.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AlertDelivery {
    /// UUID of the delivery: the id of the message, which is the same in every attempt.
    uuid: Uid,
    /// UUID of the endpoint.
    endpoint_uuid: Uid,
    /// What the endpoint is told: `budget.threshold_crossed`, `budget.condition_raised`,
    /// `budget.approval_requested` or `alert_endpoint.test`.
    #[graphql(name = "type")]
    alert_type: String,
    /// UUID of the budget. Null of a test.
    budget_uuid: Option<Uid>,
    /// Threshold that was crossed, in percent of the limit. Null of a test.
    threshold_percent: Option<i32>,
    /// State.
    state: AlertDeliveryState,
    /// Number of attempts so far.
    attempts: i32,
    /// Why the last failed attempt failed. Null if none did.
    error: Option<String>,
    /// Time at which it was written.
    created_at: Timestamp,
    /// Time of the next attempt. Null unless `state` is `WAITING`.
    next_attempt_at: Option<Timestamp>,
    /// Time at which it was delivered, became a dead letter or was dropped. Null before.
    finished_at: Option<Timestamp>,
}

impl TryFrom<AlertDeliveryRow> for AlertDelivery {
    type Error = Error;

    fn try_from(row: AlertDeliveryRow) -> Result<Self> {
        let state = from_stored_name(&AlertDeliveryState::ALL, AlertDeliveryState::as_str, &row.state)?;
        Ok(Self {
            uuid: row.delivery_id.into(),
            endpoint_uuid: row.endpoint_id.into(),
            alert_type: row.alert_type,
            budget_uuid: row.budget_id.map(Into::into),
            threshold_percent: row.threshold_percent,
            state,
            attempts: row.attempts,
            error: row.last_error,
            created_at: row.created_at.into(),
            next_attempt_at: (state == AlertDeliveryState::Waiting).then(|| row.available_at.into()),
            finished_at: row.finished_at.map(Into::into),
        })
    }
}

/// A page of deliveries.
pub(super) async fn list(
    ctx: &Context<'_>,
    endpoint_id: Option<Uuid>,
    state: Option<AlertDeliveryState>,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<Connection<String, AlertDelivery>> {
    let access = authorise(ctx)?;
    let size = connection::size(ctx, first)?;
    let before = after.map(connection::position_cursor).transpose()?.map(streams::Position::as_i64);
    let filter = AlertDeliveryFilter { endpoint_id, state: state.map(AlertDeliveryState::as_str), before };
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let rows = alert_deliveries::list(&services(ctx)?.reads, &access, &filter, limit).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect_by(rows, size, before.is_some(), |row| row.sequence.to_string())
}
