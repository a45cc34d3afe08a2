//! How far behind the log what is reported is.

use super::errors;
use super::scalars::{Long, Position};
use super::services::Services;
use async_graphql::{Result, SimpleObject};

/// How far behind the log what is reported is, in the fields of every report.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Freshness {
    /// Position of the report: it includes every event up to this position.
    position: Position,
    /// Position of the last event of the log when the report was made.
    head: Position,
    /// Number of events of the log that the report does not include yet, `head` less `position`. Null with `knownAt`: such a report
    /// includes what was known.
    events_behind: Option<Long>,
    /// How long ago the oldest of these events was recorded, in whole seconds. Null if there are none.
    seconds_behind: Option<Long>,
}

impl Freshness {
    /// That of a report from read models that have applied every event up to a position.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn of(services: &Services, position: streams::Position) -> Result<Self> {
        // After the report, so that it is not before its position.
        let head = services.commands.log().head().await.map_err(|error| errors::read(&error))?.max(position);
        let behind = head.get() - position.get();
        let seconds = match behind {
            0 => None,
            _ => services.commands.log().seconds_behind(position).await.map_err(|error| errors::read(&error))?,
        };
        Ok(Self {
            position: position.into(),
            head: head.into(),
            events_behind: Some(Long::from_unsigned(behind)),
            seconds_behind: seconds.map(Long::from_unsigned),
        })
    }

    /// That of a report as known at a position.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn known(services: &Services, position: streams::Position) -> Result<Self> {
        let head = services.commands.log().head().await.map_err(|error| errors::read(&error))?.max(position);
        Ok(Self { position: position.into(), head: head.into(), events_behind: None, seconds_behind: None })
    }
}
