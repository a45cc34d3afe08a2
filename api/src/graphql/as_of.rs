//! Time travel: an object as it was.

use super::Services;
use super::errors;
use super::scalars::{Position, Timestamp};
use crate::caller::Caller;
use async_graphql::{Context, OneofObject, Result};
use projections::StreamRow;
use std::sync::Arc;
use streams::{RecordedEvent, StreamKey};
use uuid::Uuid;

/// As of when an object is asked for: either of the two.
#[derive(Debug, Clone, Copy, OneofObject)]
pub(crate) enum AsOf {
    /// Up to and including a position of the log.
    Position(Position),
    /// All that was recorded up to and including a time.
    Time(Timestamp),
}

/// The row as it was; none if it was not there yet.
pub(crate) async fn row<R: StreamRow>(ctx: &Context<'_>, id: Uuid, as_of: AsOf) -> Result<Option<R>> {
    let services = ctx.data::<Arc<Services>>()?;
    let caller = ctx.data::<Caller>()?;
    let stream = StreamKey { tenant: caller.tenant.clone(), category: R::CATEGORY.into(), id };
    let within = |event: &RecordedEvent| match as_of {
        AsOf::Position(position) => event.position <= position.0,
        AsOf::Time(time) => event.recorded_at <= time.0,
    };
    let row = projections::as_of(services.commands.log(), &stream, within).await;
    row.map_err(|error| errors::history(&error))
}
