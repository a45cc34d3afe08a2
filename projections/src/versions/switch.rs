//! Comparing the version under construction with the live one, and switching to it.

use super::build::resume_build;
use super::error::{REBUILD_BATCH_EVENTS, RebuildError, is_contention};
use crate::batch::apply_log;
use crate::checkpoint::{CheckpointLock, advance, lock_checkpoint, lock_checkpoints, rewind_state_topic};
use crate::compare::{Comparison, compare_slots};
use crate::decode::DecodedPages;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::target::{Shard, Slot, Target};
use crate::transaction;
use domain::permissions::{Access, OperateProjections};
use sqlx::postgres::{PgConnection, PgPool};
use std::time::Duration;
use streams::{Log, Position, RecordedEvent};

/// How long a switch waits for the transaction of the live worker.
const CHECKPOINT_LOCK_TIMEOUT: &str = "10s";
/// The lock timeout of a switch for each table; later queries on the table wait as long. Even the sum over all tables of
/// a projection is below PostgreSQL's `deadlock_timeout` of one second.
const TABLE_LOCK_TIMEOUT: &str = "150ms";
/// The maximum number of attempts to lock what a comparison or a switch needs, and the pause between two attempts.
const MAX_ATTEMPTS: u32 = 200;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Compares the version under construction with the live one at the same position. Neither workers nor queries wait for
/// it.
///
/// # Errors
/// [`RebuildError::LiveBehind`] if the live version does not reach the position of the version under construction, and
/// the other variants as [`resume_build`].
pub async fn compare(
    access: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Comparison, RebuildError> {
    resume_build(access, pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    for _ in 0..MAX_ATTEMPTS {
        let mut transaction = transaction::begin(pool).await?;
        match try_compare(&mut transaction, log, projection).await {
            Ok(Some(comparison)) => {
                transaction.rollback().await?;
                return Ok(comparison);
            }
            // The live version has yet to reach the position of the other one.
            Ok(None) => transaction.rollback().await?,
            Err(RebuildError::Database(error)) if is_contention(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Err(RebuildError::LiveBehind(projection.name()))
}

/// Applies to the version under construction what the live one has applied, and compares them; returns none if the
/// version under construction is ahead. The caller rolls the transaction back.
async fn try_compare(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Option<Comparison>, RebuildError> {
    // One snapshot for the checkpoints and the tables of both versions.
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *connection).await?;
    let target = Target::next(projection);
    if !lock_checkpoints(connection, &target).await? {
        return Err(RebuildError::BuiltByOtherVersion(projection.name()));
    }
    let live = Progress::load(connection, projection.name()).await?;
    let built = Progress::load(connection, &target.follower()).await?;
    if built.high_watermark() > live.low_watermark() {
        return Ok(None);
    }
    let last = live.high_watermark();
    let is_missing = |event: &RecordedEvent| target.wants(event) && live.has(event) && !built.has(event);
    let pages = DecodedPages::new(log, built.low_watermark(), Some(last), REBUILD_BATCH_EVENTS, is_missing);
    apply_log::<RebuildError>(&target, connection, pages, |_| {}).await?;
    Ok(Some(compare_slots(connection, projection, Slot::Next, last).await?))
}

/// Makes the version under construction the live one. The version that was live is kept until the next switch or until
/// it is dropped. Queries wait for a moment and then find the new tables; none fails. Returns the position of the
/// switch.
///
/// # Errors
/// [`RebuildError::TablesBusy`] if the tables cannot be locked, and the other variants as [`resume_build`]; the live
/// version is unchanged then.
pub async fn switch(
    access: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Position, RebuildError> {
    let name = projection.name();
    resume_build(access, pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    sqlx::query("select apex.analyze_projection($1)").bind(name).execute(pool).await?;
    for _ in 0..MAX_ATTEMPTS {
        let mut transaction = transaction::begin(pool).await?;
        match try_switch(&mut transaction, log, projection).await {
            Ok(position) => {
                transaction::commit(transaction).await?;
                return Ok(position);
            }
            Err(RebuildError::Database(error)) if is_contention(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Err(RebuildError::TablesBusy(name))
}

async fn try_switch(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Position, RebuildError> {
    set_lock_timeout(connection, CHECKPOINT_LOCK_TIMEOUT).await?;
    catch_up(connection, log, projection).await?;
    set_lock_timeout(connection, TABLE_LOCK_TIMEOUT).await?;
    sqlx::query("select apex.switch_projection($1)").bind(projection.name()).execute(&mut *connection).await?;
    // The state topic has the rows of the version that was live.
    rewind_state_topic(connection, projection.name(), 0).await?;
    let position: i64 = sqlx::query_scalar("select min(position) from apex.checkpoints where follower = $1")
        .bind(projection.name())
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(position))
}

async fn set_lock_timeout(connection: &mut PgConnection, timeout: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(timeout).execute(connection).await?;
    Ok(())
}

/// Locks the checkpoints of both versions, and brings the version under construction to the position of the live one.
/// Its own checkpoints first: a comparison holds them for longer than a live worker can wait.
async fn catch_up(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<(), RebuildError> {
    let target = Target::next(projection);
    if !lock_checkpoints(connection, &target).await? {
        return Err(RebuildError::BuiltByOtherVersion(projection.name()));
    }
    let live: Vec<i64> =
        sqlx::query_scalar("select position from apex.checkpoints where follower = $1 order by name for update")
            .bind(projection.name())
            .fetch_all(&mut *connection)
            .await?;
    let live = Position::from_i64(live.iter().copied().max().unwrap_or(0));
    for shard in target.shards() {
        catch_up_shard(connection, log, &shard, live).await?;
    }
    Ok(())
}

/// Brings a shard of the version under construction to a position.
async fn catch_up_shard(
    connection: &mut PgConnection,
    log: &Log,
    shard: &Shard,
    to: Position,
) -> Result<(), RebuildError> {
    let CheckpointLock::Acquired(from) = lock_checkpoint(connection, shard).await? else {
        return Err(RebuildError::BuiltElsewhere(shard.target.projection.name()));
    };
    let is_wanted = |event: &RecordedEvent| shard.wants(event);
    let pages = DecodedPages::new(log, from, Some(to), REBUILD_BATCH_EVENTS, is_wanted);
    let position = apply_log::<RebuildError>(&shard.target, connection, pages, |_| {}).await?;
    if position > from {
        advance(connection, shard, from, position).await?;
    }
    Ok(())
}
