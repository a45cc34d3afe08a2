//! Checkpoints: the last position that a consumer of the log has processed.

use crate::event::Position;
use sqlx::postgres::PgConnection;

/// Advances a checkpoint by compare-and-set. Returns false, and changes nothing, when the checkpoint is not at `from` any
/// more: another process has moved it.
///
/// # Errors
/// The driver's error when the statement fails; the caller's transaction is aborted then.
pub async fn advance_checkpoint(
    connection: &mut PgConnection,
    name: &str,
    from: Position,
    to: Position,
) -> Result<bool, sqlx::Error> {
    let moved =
        sqlx::query("update apex.checkpoints set position = $3, updated_at = now() where name = $1 and position = $2")
            .bind(name)
            .bind(from.as_i64())
            .bind(to.as_i64())
            .execute(connection)
            .await?;
    Ok(moved.rows_affected() == 1)
}
