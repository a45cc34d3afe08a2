//! Queries for the status of projections.

use super::types::{ParkedEvent, ParkingDecision, Projection};
use crate::graphql::connection::STATEMENT_COST;
use crate::graphql::errors;
use crate::graphql::services::{authorise, services};
use async_graphql::{Context, Object, Result};
use domain::permissions::ReadProjections;
use projections::TenantSelection;

/// The most parked events, and the most decisions about them, in one response.
const MAX_PARKED: i64 = 500;

/// Queries for the status of projections.
#[derive(Default)]
pub(crate) struct ProjectionQuery;

#[Object]
impl ProjectionQuery {
    /// Lists all projections with their progress through the log.
    #[graphql(complexity = "STATEMENT_COST + 10 * child_complexity")]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<Projection>> {
        let access = authorise::<ReadProjections>(ctx)?;
        let statuses =
            projections::statuses(&access, &services(ctx)?.pool).await.map_err(|error| errors::database(&error))?;
        Ok(statuses.into_iter().map(Into::into).collect())
    }

    /// Lists parked events of the caller's tenant, sorted by projection and position, at most 500.
    #[graphql(complexity = "STATEMENT_COST + 50 * child_complexity")]
    async fn parked_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only events that this projection parked. Default: all projections.")]
        projection: Option<String>,
    ) -> Result<Vec<ParkedEvent>> {
        let access = authorise(ctx)?;
        let (own, projection) = (TenantSelection::Own(&services(ctx)?.reads, &access), projection.as_deref());
        let events = projections::parked_events(own, projection, MAX_PARKED).await;
        Ok(events.map_err(|error| errors::database(&error))?.into_iter().map(Into::into).collect())
    }

    /// Lists decisions about parked events of the caller's tenant, the latest first, at most 500.
    #[graphql(complexity = "STATEMENT_COST + 50 * child_complexity")]
    async fn parking_decisions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only decisions about events that this projection parked. Default: all projections.")]
        projection: Option<String>,
    ) -> Result<Vec<ParkingDecision>> {
        let access = authorise(ctx)?;
        let (own, projection) = (TenantSelection::Own(&services(ctx)?.reads, &access), projection.as_deref());
        let decisions = projections::parking_decisions(own, projection, MAX_PARKED).await;
        Ok(decisions.map_err(|error| errors::database(&error))?.into_iter().map(Into::into).collect())
    }
}
