//! The leader lock: a session advisory lock, and the checkpoint that it fences.
//!
//! The lock is held by a database session with an idle timeout, so that the server itself releases it when a relay has
//! stopped, hangs, or is on a machine that cannot be reached. A relay that resumes later finds its session closed. The
//! checkpoint is advanced by that session only.

use super::error::RelayError;
use crate::event::Position;
use sqlx::postgres::{PgConnection, PgPool};
use std::future::Future;
use std::time::Duration;

/// How often a standby relay tries to acquire the lock.
const ACQUIRE_INTERVAL: Duration = Duration::from_millis(500);
/// How long the database may take to answer.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct LeaderLock {
    /// Not pooled: dropping it closes the session, which releases the lock.
    connection: PgConnection,
    checkpoint: &'static str,
    position: Position,
    /// Changes with every request to publish again, even if the position stays the same.
    generation: i64,
}

impl LeaderLock {
    /// Waits until the lock is acquired. The server releases it once the session was idle for `idle_timeout`.
    pub(super) async fn acquire(
        pool: &PgPool,
        lock_key: i64,
        checkpoint: &'static str,
        idle_timeout: Duration,
    ) -> Result<Self, RelayError> {
        let mut connection = pool.acquire().await?.detach();
        // Polled instead of a blocking `pg_advisory_lock`: a statement that runs for hours keeps the server from vacuuming.
        let try_lock = "select pg_try_advisory_lock($1)";
        loop {
            let locked = sqlx::query_scalar::<_, bool>(try_lock).bind(lock_key).fetch_one(&mut connection);
            if with_timeout(locked).await? {
                break;
            }
            tokio::time::sleep(ACQUIRE_INTERVAL).await;
        }
        let locked = async {
            // A checkpoint that is lost in a server crash only repeats events: no flush is needed.
            sqlx::query(
                "select set_config('idle_session_timeout', $1, false), set_config('synchronous_commit', 'off', false)",
            )
            .bind(idle_timeout.as_millis().to_string())
            .execute(&mut connection)
            .await?;
            sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
                .bind(checkpoint)
                .execute(&mut connection)
                .await?;
            let mut lock = Self { connection, checkpoint, position: Position::ZERO, generation: 0 };
            (lock.position, lock.generation) = lock.stored().await?;
            Ok(lock)
        };
        Ok(with_timeout(locked).await?)
    }

    /// The checkpoint's position.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Advances the checkpoint by compare-and-set. With the current position, only verifies that it was not moved.
    pub(super) async fn advance(&mut self, to: Position) -> Result<(), RelayError> {
        let advanced = async {
            if to == self.position {
                return Ok(self.stored().await? == (to, self.generation));
            }
            let moved = sqlx::query(
                "update apex.checkpoints set position = $3, updated_at = now()
                 where name = $1 and position = $2 and generation = $4",
            )
            .bind(self.checkpoint)
            .bind(self.position.as_i64())
            .bind(to.as_i64())
            .bind(self.generation)
            .execute(&mut self.connection)
            .await?;
            Ok(moved.rows_affected() == 1)
        };
        if !with_timeout(advanced).await? {
            return Err(RelayError::CheckpointMoved);
        }
        self.position = to;
        Ok(())
    }

    async fn stored(&mut self) -> Result<(Position, i64), sqlx::Error> {
        let (position, generation): (i64, i64) =
            sqlx::query_as("select position, generation from apex.checkpoints where name = $1")
                .bind(self.checkpoint)
                .fetch_one(&mut self.connection)
                .await?;
        Ok((Position::from_i64(position), generation))
    }
}

/// A server that vanished without closing the connection must not block a relay for longer than its lock is valid.
async fn with_timeout<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(STATEMENT_TIMEOUT, statement).await.map_err(late)?
}
