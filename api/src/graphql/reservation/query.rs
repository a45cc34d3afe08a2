//! The query for a reservation.

use super::types::Reservation;
use crate::graphql::connection;
use crate::graphql::scalars::Uid;
use crate::graphql::services::{authorise, state};
use async_graphql::{Context, Object, Result};
use domain::Aggregate as _;
use domain::permissions::ReadCalls;
use domain::reservation as model;

/// The query for a reservation.
#[derive(Default)]
pub(crate) struct ReservationQuery;

#[Object]
impl ReservationQuery {
    /// Returns a reservation by its UUID, as it is now. Null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn reservation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "UUID of the reservation.")] uuid: Uid,
    ) -> Result<Option<Reservation>> {
        let access = authorise::<ReadCalls>(ctx)?;
        let state = state::<model::Reservation>(ctx, uuid.0).await?;
        let owner = state.owner(uuid.0);
        let is_read = access.is_to(|agent| owner == Some(agent));
        Ok(is_read.then(|| Reservation::of(uuid.0, &state)).flatten())
    }
}
