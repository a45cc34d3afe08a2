//! The place that one relay at a time has.
//!
//! A lock of the database session, and a time limit on the session's silence: the server itself takes the seat from a
//! relay that has stopped, hangs, or is on a machine that nobody reaches any more. Whoever is woken later finds its
//! session closed. The checkpoint is moved by that session alone.

use super::RelayError;
use crate::Position;
use sqlx::postgres::{PgConnection, PgPool};
use std::future::Future;
use std::time::Duration;

/// How often a relay that stands by looks whether the seat is free.
const TAKEOVER_INTERVAL: Duration = Duration::from_millis(500);
/// How long the database may take to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Seat {
    // Of its own, closed when this is dropped: that is what gives up the lock.
    connection: PgConnection,
    checkpoint: &'static str,
    position: Position,
    /// Changes with each order to publish again, which may leave the position what it was.
    generation: i64,
}

impl Seat {
    /// Waits until the seat is free. Whoever has it may be silent for so long.
    pub(super) async fn take(
        pool: &PgPool,
        lock: i64,
        checkpoint: &'static str,
        silence: Duration,
    ) -> Result<Self, RelayError> {
        let mut connection = pool.acquire().await?.detach();
        // Not by waiting for the lock: a statement that waits for hours keeps the server from cleaning up.
        let take = "select pg_try_advisory_lock($1)";
        while !patiently(sqlx::query_scalar::<_, bool>(take).bind(lock).fetch_one(&mut connection)).await? {
            tokio::time::sleep(TAKEOVER_INTERVAL).await;
        }
        let seated = async {
            // A checkpoint that is lost with the server's last moments is one that repeats: no flush is needed.
            sqlx::query(
                "select set_config('idle_session_timeout', $1, false), set_config('synchronous_commit', 'off', false)",
            )
            .bind(silence.as_millis().to_string())
            .execute(&mut connection)
            .await?;
            sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
                .bind(checkpoint)
                .execute(&mut connection)
                .await?;
            let mut seat = Self { connection, checkpoint, position: Position::ZERO, generation: 0 };
            (seat.position, seat.generation) = seat.stored().await?;
            Ok(seat)
        };
        Ok(patiently(seated).await?)
    }

    /// The checkpoint, as this relay knows it.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Moves the checkpoint; to where it is, to see that it still is there.
    pub(super) async fn advance(&mut self, to: Position) -> Result<(), RelayError> {
        let kept = async {
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
        if !patiently(kept).await? {
            return Err(RelayError::Moved);
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

/// A server that vanished without a word must not hold up a relay for longer than it holds the seat for it.
async fn patiently<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(DATABASE_PATIENCE, asked).await.map_err(late)?
}
