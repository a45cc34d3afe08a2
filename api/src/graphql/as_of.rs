//! Time travel: an object as it was at a position or time, folded from the events of its stream.

use super::errors;
use super::scalars::{Position, Timestamp};
use super::services::{authorise, services};
use async_graphql::{Context, OneofObject, Result};
use projections::StreamRow;
use streams::RecordedEvent;
use uuid::Uuid;

/// A point in the history of an object. Give exactly one of the two.
#[derive(Debug, Clone, Copy, OneofObject)]
pub(crate) enum AsOf {
    /// Includes every event up to and including this position of the log.
    Position(Position),
    /// Includes every event that was recorded at or before this time.
    Time(Timestamp),
}

impl From<AsOf> for commands::AsOf {
    fn from(as_of: AsOf) -> Self {
        match as_of {
            AsOf::Position(position) => Self::Position(position.0),
            AsOf::Time(time) => Self::Time(time.0),
        }
    }
}

impl From<AsOf> for projections::KnownAt {
    fn from(as_of: AsOf) -> Self {
        match as_of {
            AsOf::Position(position) => Self::Position(position.0),
            AsOf::Time(time) => Self::Time(time.0),
        }
    }
}

/// Reads a row as it was at a point in its history; none if it did not exist yet.
pub(crate) async fn row<R: StreamRow>(ctx: &Context<'_>, id: Uuid, as_of: AsOf) -> Result<Option<R>> {
    let access = authorise::<R::Read>(ctx)?;
    let within = |event: &RecordedEvent| match as_of {
        AsOf::Position(position) => event.position <= position.0,
        AsOf::Time(time) => event.recorded_at <= time.0,
    };
    let row = projections::as_of(&services(ctx)?.events, &access, id, within).await;
    row.map_err(|error| errors::history(&error))
}
