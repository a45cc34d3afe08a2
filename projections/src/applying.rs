//! The log as far as a read model has applied it: for policies that act on what a read model found.

use crate::runtime::{Batch, Source};
use crate::wait::{WaitError, reached, wait_for};
use futures::future::BoxFuture;
use sqlx::postgres::PgPool;
use std::time::Duration;
use streams::{Position, ReadError, Tail};

/// How long to wait for the read model at a time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Events that a read model has applied already.
pub struct AppliedEvents {
    tail: Tail,
    pool: PgPool,
    projection: &'static str,
}

impl AppliedEvents {
    /// Behind this read model.
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
                match wait_for(&self.pool, &[self.projection], next, PATIENCE).await {
                    Ok(_) => return Ok(()),
                    Err(WaitError::TimedOut { .. }) => {}
                    Err(WaitError::Database(error)) => return Err(error.into()),
                }
            }
        })
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(async move {
            let reached = reached(&self.pool, &[self.projection]).await?;
            let mut events = self.tail.read_after(position, limit).await?;
            events.retain(|event| event.position <= reached);
            Ok(events.last().map(|last| last.position).map(|through| Batch { events, through }))
        })
    }
}
