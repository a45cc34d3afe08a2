//! The relay's checkpoint, and publishing again from an earlier position.

use crate::event::Position;
use sqlx::postgres::PgPool;

/// The name of the relay's checkpoint.
pub(super) const CHECKPOINT: &str = "relay:kafka";

/// The relay's checkpoint: every event up to this position was acknowledged by Kafka. Zero if no relay ever ran.
///
/// # Errors
/// The driver's error when the database cannot be read.
pub async fn relay_checkpoint(pool: &PgPool) -> Result<Position, sqlx::Error> {
    let position: Option<i64> = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(CHECKPOINT)
        .fetch_optional(pool)
        .await?;
    Ok(Position::from_i64(position.unwrap_or(0)))
}

/// Makes the active relay publish every event from a position on again, and the state relays every row that has changed
/// since: for a broker that lost data. Returns false, and changes nothing, when the relay has not reached that position
/// yet, because no event may be skipped.
///
/// # Errors
/// The driver's error when the database cannot be read or written.
pub async fn republish_from(pool: &PgPool, from: Position) -> Result<bool, sqlx::Error> {
    let before = i64::max(from.as_i64() - 1, 0);
    if relay_checkpoint(pool).await?.as_i64() < before {
        return Ok(false);
    }
    let moved = sqlx::query(
        "update apex.checkpoints set position = least(position, $2), generation = generation + 1, updated_at = now()
         where (name = $1 and position >= $2) or name like 'state:%'",
    )
    .bind(CHECKPOINT)
    .bind(before)
    .execute(pool)
    .await?;
    Ok(moved.rows_affected() > 0 || before == 0)
}
