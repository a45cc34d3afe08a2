//! The checkpoints of a projection's shards: locking them and advancing them.

use crate::projection::ApplyError;
use crate::target::{Shard, Target};
use crate::transaction::{IDLE_IN_TRANSACTION_TIMEOUT, set_search_path};
use sqlx::postgres::PgConnection;
use streams::Position;

/// The result of trying to lock a checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckpointLock {
    /// The transaction holds the checkpoint, which is at this position.
    Acquired(Position),
    /// Another transaction holds the checkpoint.
    HeldElsewhere,
    /// The tables belong to another version of the code.
    VersionMismatch,
}

/// Tries to lock the checkpoint of a shard for the transaction, without waiting. Creates the checkpoints of all shards
/// if the version has none.
pub(crate) async fn lock_checkpoint(
    connection: &mut PgConnection,
    shard: &Shard,
) -> Result<CheckpointLock, ApplyError> {
    let lock = "select position, version from apex.checkpoints where name = $1 for update skip locked";
    let found: Option<(i64, Option<i32>)> =
        sqlx::query_as(lock).bind(shard.checkpoint()).fetch_optional(&mut *connection).await?;
    let code_version = shard.target.projection.version();
    if let Some((position, version)) = found {
        let is_same = version.is_none_or(|version| version == code_version);
        return Ok(match is_same {
            true => CheckpointLock::Acquired(Position::from_i64(position)),
            false => CheckpointLock::VersionMismatch,
        });
    }
    if create_checkpoints(connection, &shard.target).await? {
        return Ok(CheckpointLock::Acquired(Position::ZERO));
    }
    // Another version of the code may have other shards, so that this shard has no checkpoint.
    let is_other: bool = sqlx::query_scalar(
        "select bool_or(version <> $2) or not bool_or(name = $3) from apex.checkpoints where follower = $1",
    )
    .bind(shard.target.follower())
    .bind(code_version)
    .bind(shard.checkpoint())
    .fetch_one(connection)
    .await?;
    Ok(if is_other { CheckpointLock::VersionMismatch } else { CheckpointLock::HeldElsewhere })
}

/// Creates the checkpoints of all shards of a version at position 0, unless it has a checkpoint. Returns whether it
/// did.
pub(crate) async fn create_checkpoints(connection: &mut PgConnection, target: &Target) -> Result<bool, sqlx::Error> {
    // All or none: the checkpoint of one shard shows that those of the others exist.
    let names: Vec<_> = target.shards().iter().map(Shard::checkpoint).collect();
    let created = sqlx::query(
        "insert into apex.checkpoints (name, position, version, partitioned_by)
         select n, 0, $2, $3 from unnest($1::text[]) as n
         where not exists (select from apex.checkpoints where follower = $4) on conflict do nothing",
    )
    .bind(&names)
    .bind(target.projection.version())
    .bind(target.projection.sharding().key())
    .bind(target.follower())
    .execute(connection)
    .await?;
    Ok(created.rows_affected() == names.len() as u64)
}

/// Locks the checkpoints of all shards of a version, waiting for other transactions. Returns whether they exist and
/// belong to this version of the code.
pub(crate) async fn lock_checkpoints(connection: &mut PgConnection, target: &Target) -> Result<bool, ApplyError> {
    set_search_path(connection, target.slot, Some(IDLE_IN_TRANSACTION_TIMEOUT)).await?;
    let names: Vec<_> = target.shards().iter().map(Shard::checkpoint).collect();
    let lock = "select version from apex.checkpoints where name = any ($1) order by name for update";
    let mut versions: Vec<Option<i32>> = sqlx::query_scalar(lock).bind(&names).fetch_all(&mut *connection).await?;
    if versions.is_empty() {
        // A switch that the statement waited for has replaced the checkpoints; only the next statement sees them.
        versions = sqlx::query_scalar(lock).bind(&names).fetch_all(connection).await?;
    }
    let is_same = |version: &Option<i32>| version.is_none_or(|version| version == target.projection.version());
    Ok(versions.len() == names.len() && versions.iter().all(is_same))
}

/// Advances the checkpoint of a shard if it is still at `from`.
///
/// # Errors
/// [`ApplyError::CheckpointMoved`] if it is not.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    shard: &Shard,
    from: Position,
    to: Position,
) -> Result<(), ApplyError> {
    let is_advanced = streams::advance_checkpoint(connection, &shard.checkpoint(), from, to).await?;
    if is_advanced { Ok(()) } else { Err(ApplyError::CheckpointMoved) }
}

/// Makes the relay publish the rows of a read model again that changed after a position, because rows have changed
/// behind the relay's checkpoint. Does nothing if the read model has no state topic.
pub(crate) async fn rewind_state_topic(
    connection: &mut PgConnection,
    projection: &str,
    position: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update apex.checkpoints set position = least(position, $2), generation = generation + 1
         where name = 'state:' || $1",
    )
    .bind(projection)
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}
