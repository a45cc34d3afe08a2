//! Waiting until read models have applied a position, so that a client reads its own writes.

use sqlx::postgres::PgPool;
use std::time::Duration;
use streams::{Backoff, DatabaseError, Position};
use thiserror::Error;

/// Why waiting for read models failed.
#[derive(Debug, Error)]
pub enum WaitError {
    /// The read models did not reach the position within the timeout.
    #[error("the read models are at position {position}, requested {requested}; retry")]
    TimedOut {
        /// The position that the slowest of them has reached.
        position: Position,
        /// The position that was waited for.
        requested: Position,
    },
    /// The checkpoints could not be read.
    #[error("the checkpoints cannot be read")]
    Database(#[from] DatabaseError),
}

/// The pauses between two reads of the checkpoints.
const POLL_PAUSES: Backoff = Backoff { first: Duration::from_millis(2), max: Duration::from_millis(50) };

/// Waits until all named projections have applied every event up to a position. Returns the position of the slowest.
///
/// It takes no access: it reads the checkpoints of the workers and nothing of a tenant.
///
/// # Errors
/// [`WaitError::TimedOut`] after the timeout, and [`WaitError::Database`] if the checkpoints cannot be read.
pub async fn wait_for(
    pool: &PgPool,
    projections: &[&str],
    position: Position,
    timeout: Duration,
) -> Result<Position, WaitError> {
    let deadline = tokio::time::Instant::now() + timeout;
    let mut reads = 0;
    loop {
        let applied = applied_position(pool, projections).await?;
        if applied >= position {
            return Ok(applied);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(WaitError::TimedOut { position: applied, requested: position });
        }
        reads += 1;
        tokio::time::sleep(POLL_PAUSES.delay(reads)).await;
    }
}

/// The position up to which all named projections have applied every event; 0 if one of them has no checkpoint.
pub(crate) async fn applied_position(pool: &PgPool, projections: &[&str]) -> Result<Position, DatabaseError> {
    let (count, slowest): (i64, Option<i64>) = sqlx::query_as(
        "select count(distinct follower), min(position) from apex.checkpoints where follower = any ($1)",
    )
    .bind(projections)
    .fetch_one(pool)
    .await?;
    let has_missing = usize::try_from(count).unwrap_or(0) < projections.len();
    Ok(if has_missing { Position::ZERO } else { Position::from_i64(slowest.unwrap_or(0)) })
}
