//! How the read models are doing.

use super::connection::STATEMENT_COST;
use super::scalars::{Long, Position, Timestamp, Uid};
use super::{Services, errors};
use crate::caller::Caller;
use async_graphql::{Context, Object, Result, SimpleObject};
use std::sync::Arc;

/// The most parked events that are answered.
const MAX_PARKED: i64 = 500;

/// A read model, and how far it is behind the log.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Projection {
    /// Its name.
    name: String,
    /// The last position that it has applied.
    position: Position,
    /// How many events it is behind.
    lag_events: Long,
    /// When it last moved; null before its first batch.
    updated_at: Option<Timestamp>,
    /// How many events are parked because they could not be applied.
    parked_events: Long,
}

/// An event that a projection could not apply. The rest of its stream waits; everything else goes on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ParkedEvent {
    /// Which projection.
    projection: String,
    /// Which event.
    position: Position,
    /// What the event happened to: the kind of aggregate.
    category: String,
    /// Which one.
    stream_id: Uid,
    /// Why.
    cause: String,
    /// Since when.
    parked_at: Timestamp,
}

/// Queries about the read models.
#[derive(Default)]
pub(crate) struct ProjectionQuery;

#[Object]
impl ProjectionQuery {
    /// The read models, and how far each is behind the log.
    #[graphql(complexity = "STATEMENT_COST + 10 * child_complexity")]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<Projection>> {
        let statuses = projections::statuses(&ctx.data::<Arc<Services>>()?.pool).await;
        let statuses = statuses.map_err(|error| errors::database(&error))?;
        let status = |status: projections::ProjectionStatus| Projection {
            name: status.name,
            position: Position::from_row(status.position),
            lag_events: status.lag_events.into(),
            updated_at: status.updated_at.map(Into::into),
            parked_events: status.parked_events.into(),
        };
        Ok(statuses.into_iter().map(status).collect())
    }

    /// The events that projections could not apply, by projection and position; at most 500.
    #[graphql(complexity = "STATEMENT_COST + 50 * child_complexity")]
    async fn parked_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this projection alone.")] projection: Option<String>,
    ) -> Result<Vec<ParkedEvent>> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let events = projections::parked_events(&services.pool, projection.as_deref(), MAX_PARKED).await;
        let events = events.map_err(|error| errors::database(&error))?;
        let parked = |event: projections::ParkedEvent| ParkedEvent {
            projection: event.projection,
            position: Position::from_row(event.position),
            category: event.category,
            stream_id: event.stream_id.into(),
            cause: event.cause,
            parked_at: event.parked_at.into(),
        };
        Ok(events.into_iter().filter(|event| event.tenant_id == caller.tenant.as_str()).map(parked).collect())
    }
}
