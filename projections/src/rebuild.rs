//! Building a read model again from the log, and telling whether two are the same.

use crate::runtime::{ApplyError, Projection, advance_checkpoint, apply_batch};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use streams::{Log, Position, ReadError, ReadFilter};
use thiserror::Error;

/// Events applied at once, unless told otherwise.
pub const REBUILD_BATCH_EVENTS: usize = 1000;

/// Why a rebuild was given up; the read model is as it was.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The events could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the read model cannot be rebuilt")]
    Database(#[from] sqlx::Error),
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The position reached.
    pub position: Position,
    /// The position to reach.
    pub head: Position,
}

/// What a table holds: as many rows, and a hash of all of them in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The table.
    pub table: &'static str,
    /// How many rows.
    pub rows: i64,
    /// MD5 over the rows as text, in the order of their keys; empty for an empty table.
    pub hash: String,
}

/// Empties the tables of a projection and folds the log again, in one transaction: readers see the old rows until
/// the new ones are complete, and the live worker waits for the checkpoint. Nothing outside the tables happens.
///
/// # Errors
/// [`RebuildError`]; nothing has changed then.
pub async fn rebuild(
    pool: &PgPool,
    log: &Log,
    projection: &dyn Projection,
    batch_events: usize,
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("insert into apex.checkpoints (name, position) values ($1, 0) on conflict do nothing")
        .bind(projection.name())
        .execute(&mut *transaction)
        .await?;
    let before: i64 = sqlx::query_scalar("select position from apex.checkpoints where name = $1 for update")
        .bind(projection.name())
        .fetch_one(&mut *transaction)
        .await?;
    for (table, _) in projection.tables() {
        sqlx::query(AssertSqlSafe(format!("delete from {table}"))).execute(&mut *transaction).await?;
    }
    sqlx::query("delete from apex.parked_events where projection = $1")
        .bind(projection.name())
        .execute(&mut *transaction)
        .await?;
    let head = log.head().await?;
    let mut position = Position::ZERO;
    let mut pages = log.pages(position, ReadFilter::default(), batch_events);
    while position < head {
        let events = pages.next_page().await?.unwrap_or_default();
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        let Some(last) = events.last().map(|event| event.position) else { break };
        apply_batch(projection, &mut transaction, &events).await?;
        position = last;
        progress(RebuildProgress { position, head: head.max(position) });
    }
    advance_checkpoint(&mut transaction, projection.name(), Position::from_i64(before), position).await?;
    transaction.commit().await?;
    Ok(position)
}

/// The fingerprints of a projection's tables, all of one moment, with the checkpoint that they stand at.
///
/// # Errors
/// The database's.
pub async fn fingerprint(
    pool: &PgPool,
    projection: &dyn Projection,
) -> Result<(Position, Vec<Fingerprint>), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *transaction).await?;
    // The text of a row depends on these.
    sqlx::query("set local timezone = 'UTC'").execute(&mut *transaction).await?;
    sqlx::query("set local datestyle = 'ISO'").execute(&mut *transaction).await?;
    let position: Option<i64> = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(projection.name())
        .fetch_optional(&mut *transaction)
        .await?;
    let mut fingerprints = Vec::new();
    for &(table, order) in projection.tables() {
        let sql =
            format!("select count(*), coalesce(md5(string_agg(md5(t::text), '' order by {order})), '') from {table} t");
        let (rows, hash) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
        fingerprints.push(Fingerprint { table, rows, hash });
    }
    transaction.commit().await?;
    Ok((Position::from_i64(position.unwrap_or(0)), fingerprints))
}
