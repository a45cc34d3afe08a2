//! Queries for endpoints and deliveries.

use super::delivery::{self, AlertDelivery, AlertDeliveryState};
use super::types::{AlertEndpoint, endpoints};
use crate::graphql::connection;
use crate::graphql::scalars::Uid;
use async_graphql::connection::Connection;
use async_graphql::{Context, Object, Result};

/// Queries for endpoints and deliveries.
#[derive(Default)]
pub(crate) struct AlertEndpointQuery;

#[Object]
impl AlertEndpointQuery {
    /// Lists the endpoints to which alerts are sent, sorted by id. There are at most 50.
    #[graphql(complexity = "connection::STATEMENT_COST + 50 * child_complexity")]
    async fn alert_endpoints(&self, ctx: &Context<'_>) -> Result<Vec<AlertEndpoint>> {
        Ok(endpoints(ctx).await?.iter().map(|(id, endpoint)| AlertEndpoint::new(id, endpoint)).collect())
    }

    /// Lists deliveries of alerts to endpoints, the one that was written last first. Those that were delivered are kept for a
    /// day; dead letters stay.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn alert_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only deliveries to the endpoint with this UUID. Default: to all endpoints.")]
        endpoint_id: Option<Uid>,
        #[graphql(desc = "Returns only deliveries in this state. Default: all.")] state: Option<AlertDeliveryState>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of deliveries to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the deliveries after this cursor. Default: from the last delivery on.")]
        after: Option<String>,
    ) -> Result<Connection<String, AlertDelivery>> {
        delivery::list(ctx, endpoint_id.map(|id| id.0), state, first, after.as_deref()).await
    }
}
