//! Checkpoints: how far somebody who follows the log has come.

use crate::Position;
use sqlx::postgres::PgConnection;

/// Moves a checkpoint if it still is where the caller found it, and says whether it was: who was overtaken by another
/// moves nothing.
///
/// # Errors
/// The database's.
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
