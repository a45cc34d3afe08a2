//! Where workers read events from.

use crate::wait::{WaitError, applied_position, wait_for};
use futures::future::BoxFuture;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use std::time::Duration;
use streams::{Position, ReadError, RecordedEvent, Tail};

/// Events after a position.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Events in order of position, among them events that the reader does not consume.
    pub events: Vec<Arc<RecordedEvent>>,
    /// The position up to which `events` holds every event that the reader consumes.
    pub through: Position,
}

/// A source of events. Checkpoints are positions of the log, whatever the source.
pub trait Source: Send + Sync {
    /// Waits until there may be an event after a position.
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>>;
    /// Reads up to `limit` events after a position, without waiting for events to be appended; none if there are none.
    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>>;
}

impl Source for Tail {
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(Self::wait_beyond(self, position))
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(async move { Ok(batch_of(Self::read_after(self, position, limit).await?)) })
    }
}

/// The log up to the position that a read model has applied: the source of a policy that acts on a read model.
pub struct AppliedEvents {
    tail: Tail,
    pool: PgPool,
    projection: &'static str,
}

/// How long to wait for the read model before waiting again.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

impl AppliedEvents {
    /// Returns the events of a log that the named read model has applied.
    #[must_use]
    pub fn new(tail: Tail, pool: PgPool, projection: &'static str) -> Self {
        Self { tail, pool, projection }
    }
}

impl Source for AppliedEvents {
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async move {
            self.tail.wait_beyond(position).await?;
            let next = Position::from(position.get() + 1);
            loop {
                match wait_for(&self.pool, &[self.projection], next, WAIT_TIMEOUT).await {
                    Ok(_) => return Ok(()),
                    Err(WaitError::TimedOut { .. }) => {}
                    Err(WaitError::Database(error)) => return Err(error.into()),
                }
            }
        })
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(async move {
            let applied = applied_position(&self.pool, &[self.projection]).await?;
            let mut events = self.tail.read_after(position, limit).await?;
            events.retain(|event| event.position <= applied);
            Ok(batch_of(events))
        })
    }
}

fn batch_of(events: Vec<Arc<RecordedEvent>>) -> Option<Batch> {
    let through = events.last()?.position;
    Some(Batch { events, through })
}
