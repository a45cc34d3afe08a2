//! An aggregate as it was loaded from the log.

use chrono::{DateTime, Utc};
use std::sync::Arc;
use streams::{Position, Version};

/// An aggregate's state, with the version and position up to which its events were folded.
#[derive(Debug, Clone, Default)]
pub struct Loaded<A> {
    /// The state of the aggregate.
    pub state: Arc<A>,
    /// The number of events in the stream.
    pub version: Version,
    /// The position of the last event; zero if the stream has none.
    pub position: Position,
}

/// The point in the log or in time as of which an aggregate is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// All events up to and including this position.
    Position(Position),
    /// All events recorded up to and including this time.
    Time(DateTime<Utc>),
}

impl AsOf {
    /// Whether an event at this position, recorded at this time, is included.
    pub(crate) fn includes(self, position: Position, recorded_at: DateTime<Utc>) -> bool {
        match self {
            Self::Position(last) => position <= last,
            Self::Time(last) => recorded_at <= last,
        }
    }
}
