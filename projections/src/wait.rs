//! Read your own writes: waiting until a projection has reached a position.

use sqlx::postgres::PgPool;
use std::time::Duration;
use streams::Position;
use thiserror::Error;

/// Why a projection was not waited for.
#[derive(Debug, Error)]
pub enum WaitError {
    /// It did not get there in time.
    #[error("the read models are at position {position}, requested {requested}; retry")]
    TimedOut {
        /// The position that the slowest of them has reached.
        position: Position,
        /// The position that was waited for.
        requested: Position,
    },
    /// The checkpoints cannot be read.
    #[error("the checkpoints cannot be read")]
    Database(#[from] sqlx::Error),
}

/// The pauses between looks: from the first, doubling up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// Waits until all named projections have applied everything up to a position; returns where the slowest stands.
///
/// # Errors
/// [`WaitError`].
pub async fn wait_for(
    pool: &PgPool,
    projections: &[&str],
    position: Position,
    patience: Duration,
) -> Result<Position, WaitError> {
    let deadline = tokio::time::Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let reached = reached(pool, projections).await?;
        if reached >= position {
            return Ok(reached);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(WaitError::TimedOut { position: reached, requested: position });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Where the slowest of the named projections stands; zero if one has not begun.
pub(crate) async fn reached(pool: &PgPool, projections: &[&str]) -> Result<Position, sqlx::Error> {
    let (count, slowest): (i64, Option<i64>) = sqlx::query_as(
        "select count(distinct follower), min(position) from apex.checkpoints where follower = any ($1)",
    )
    .bind(projections)
    .fetch_one(pool)
    .await?;
    let missing = usize::try_from(count).unwrap_or(0) < projections.len();
    Ok(if missing { Position::ZERO } else { Position::from_i64(slowest.unwrap_or(0)) })
}
