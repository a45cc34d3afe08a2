//! Versions of a read model: built beside the live one, compared with it, and switched to in one transaction.
//!
//! A version under construction has tables and checkpoints of its own and is built in ordinary batches, so that it can
//! be interrupted and goes on. Nothing outside its tables happens: what reacts to events reads the live tables.

use crate::batch::{Incoming, apply_batch, apply_log};
use crate::compare::{Comparison, compare_slots};
use crate::progress::Progress;
use crate::projection::{ApplyError, Projection, Shard, Slot, Target};
use crate::runtime::{
    CheckpointLock, advance, begin, create_checkpoints, lock_checkpoint, lock_checkpoints, lock_feed_exclusive,
    rewind_state_topic,
};
use crate::transaction;
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use streams::{Log, Position, ReadError, ReadFilter, RecordedEvent};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Events applied at once, unless told otherwise.
pub const REBUILD_BATCH_EVENTS: usize = 4000;
/// Batches that are read ahead of the slowest of several read models.
const READ_AHEAD: usize = 2;
/// How long a switch waits for the live worker to finish its turn.
const TURN_PATIENCE: &str = "10s";
/// How long a switch makes a query wait for one table. With several tables it stays below PostgreSQL's
/// `deadlock_timeout` of one second.
const TABLE_PATIENCE: &str = "150ms";
/// How often a switch tries to get between queries, and the pause between two tries.
const SWITCH_ATTEMPTS: u32 = 200;
const SWITCH_PAUSE: Duration = Duration::from_millis(100);

/// Why a version was not built, compared or switched to; the live one is as it was.
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
    /// A task of this process panicked.
    #[error("building a read model panicked")]
    Panicked,
    /// Another process builds the same version at this moment.
    #[error("{0} is being built by another process")]
    BuiltElsewhere(&'static str),
    /// There is no version under construction.
    #[error("no version of {0} is under construction: rebuild it first")]
    NotBuilt(&'static str),
    /// The version under construction is of other code, which alone can go on with it.
    #[error("the version of {0} under construction is of other code: rebuild it first")]
    BuiltByOtherVersion(&'static str),
    /// The live tables are of other code, which alone can fold for a check.
    #[error("the live version of {projection} is {live}, this program's is {code}")]
    VersionMismatch {
        /// Which read model.
        projection: &'static str,
        /// The version of the live tables.
        live: i32,
        /// The version of this program.
        code: i32,
    },
    /// The live version did not come as far as the one that was built.
    #[error("the live version of {0} does not come as far as the one that is built: somebody must feed it")]
    LiveBehind(&'static str),
    /// Queries held the tables all the time.
    #[error("queries hold the tables of {0} without a gap; try again when less is going on")]
    TablesBusy(&'static str),
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The position reached.
    pub position: Position,
    /// The position to reach.
    pub head: Position,
}

/// Builds read models beside the live ones, up to the end of the log, from where an interrupted build of the same
/// version left off. The log is read once for all of them.
///
/// # Errors
/// [`RebuildError`]; what was built so far stays, and the next build goes on from it.
pub async fn build(
    pool: &PgPool,
    log: &Log,
    projections: &[&'static dyn Projection],
    batch_events: usize,
    progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    for &projection in projections {
        prepare(pool, &Target { projection, slot: Slot::Next }).await?;
    }
    resume_build(pool, log, projections, batch_events, progress).await
}

/// Builds on where a build of this version left off, up to the end of the log.
///
/// # Errors
/// [`RebuildError`], among them that nothing was begun, or by other code.
pub async fn resume_build(
    pool: &PgPool,
    log: &Log,
    projections: &[&'static dyn Projection],
    batch_events: usize,
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    let mut shards = Vec::new();
    for &projection in projections {
        let target = Target { projection, slot: Slot::Next };
        shards.extend(built(pool, &target).await?);
    }
    let Some(first) = shards.iter().map(|(_, position)| *position).min() else { return Ok(Position::ZERO) };
    let wanted: BTreeSet<_> = projections.iter().flat_map(|projection| projection.categories()).copied().collect();
    let mut builders = JoinSet::new();
    let mut queues = Vec::new();
    for (shard, position) in shards {
        let (queue, pages) = mpsc::channel(READ_AHEAD);
        queues.push(queue);
        builders.spawn(build_one(pool.clone(), shard, position, pages));
    }
    let head = log.head().await?;
    let mut pages = log.pages(first, ReadFilter::default(), batch_events);
    let mut reached = first;
    'pages: while let Some(page) = pages.next_page().await? {
        reached = page.last().map_or(reached, |event| event.position);
        let events = page.into_iter().filter(|event| wanted.contains(&*event.stream.category));
        let events = events.map(|event| Incoming::decode(Arc::new(event))).collect();
        let page = Arc::new(Page { events, through: reached });
        for queue in &queues {
            if queue.send(page.clone()).await.is_err() {
                break 'pages;
            }
        }
        progress(RebuildProgress { position: reached, head: head.max(reached) });
    }
    drop(queues);
    while let Some(built) = builders.join_next().await {
        built.map_err(|_| RebuildError::Panicked)??;
    }
    Ok(reached)
}

/// A piece of the log, decoded.
struct Page {
    events: Vec<Incoming>,
    through: Position,
}

/// Makes the tables and checkpoints, unless they are there already, of this version.
async fn prepare(pool: &PgPool, target: &Target) -> Result<(), RebuildError> {
    let mut transaction = transaction::begin(pool).await?;
    if !lock_checkpoints(&mut transaction, target).await? {
        for change in ["select apex.drop_projection($1, $2)", "select apex.make_projection($1, $2)"] {
            sqlx::query(change)
                .bind(target.projection.name())
                .bind(target.slot.schema())
                .execute(&mut *transaction)
                .await?;
        }
        create_checkpoints(&mut transaction, target).await?;
    }
    Ok(transaction::commit(transaction).await?)
}

/// The shards of what is under construction, all of this code, and where each stands.
async fn built(pool: &PgPool, target: &Target) -> Result<Vec<(Shard, Position)>, RebuildError> {
    let rows: Vec<(String, i64, Option<i32>)> =
        sqlx::query_as("select name, position, version from apex.checkpoints where follower = $1")
            .bind(target.follower())
            .fetch_all(pool)
            .await?;
    let (name, code) = (target.projection.name(), target.projection.version());
    if rows.is_empty() {
        return Err(RebuildError::NotBuilt(name));
    }
    let stands = |shard: Shard| {
        let row = rows.iter().find(|row| row.0 == shard.checkpoint() && row.2 == Some(code))?;
        Some((shard, Position::from_i64(row.1)))
    };
    let shards: Option<Vec<_>> = target.shards().into_iter().map(stands).collect();
    shards.filter(|shards| shards.len() == rows.len()).ok_or(RebuildError::BuiltByOtherVersion(name))
}

/// Applies pages to one shard of a version, each in a transaction with its checkpoint.
async fn build_one(
    pool: PgPool,
    shard: Shard,
    mut position: Position,
    mut pages: mpsc::Receiver<Arc<Page>>,
) -> Result<(), RebuildError> {
    while let Some(page) = pages.recv().await {
        if page.through <= position {
            continue;
        }
        let wanted = |event: &&Incoming| event.recorded.position > position && shard.wants(&event.recorded);
        let events: Vec<_> = page.events.iter().filter(wanted).cloned().collect();
        let mut transaction = begin(&pool, &shard.target, None).await?;
        check_part(&mut transaction, &shard).await?;
        apply_batch(&shard.target, &mut transaction, &events).await?;
        advance(&mut transaction, &shard, position, page.through).await.map_err(|error| match error {
            ApplyError::Overtaken => RebuildError::BuiltElsewhere(shard.target.projection.name()),
            error => error.into(),
        })?;
        fail::fail_point!("projection_built");
        transaction::commit(transaction).await?;
        position = page.through;
    }
    Ok(())
}

/// That a shard under construction is still of this code; waits for whoever compares it.
async fn check_part(connection: &mut PgConnection, shard: &Shard) -> Result<(), RebuildError> {
    let version: Option<Option<i32>> =
        sqlx::query_scalar("select version from apex.checkpoints where name = $1 for update")
            .bind(shard.checkpoint())
            .fetch_optional(connection)
            .await?;
    let projection = shard.target.projection;
    let is_own = version.flatten() == Some(projection.version());
    if is_own { Ok(()) } else { Err(RebuildError::BuiltByOtherVersion(projection.name())) }
}

/// Compares the version under construction with the live one at the same position. Neither workers nor queries wait
/// for it.
///
/// # Errors
/// [`RebuildError`].
pub async fn compare(
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Comparison, RebuildError> {
    resume_build(pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    for _ in 0..SWITCH_ATTEMPTS {
        let mut transaction = transaction::begin(pool).await?;
        match try_compare(&mut transaction, log, projection).await {
            Ok(Some(comparison)) => {
                transaction.rollback().await?;
                return Ok(comparison);
            }
            // What was built further on than the live one is met when that has come there.
            Ok(None) => transaction.rollback().await?,
            Err(error) if is_contention(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(SWITCH_PAUSE).await;
    }
    Err(RebuildError::LiveBehind(projection.name()))
}

/// Brings the version under construction to where the live one stands, as this transaction sees it, and compares; not
/// where it is further on. The caller rolls back.
async fn try_compare(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Option<Comparison>, RebuildError> {
    // One moment for the checkpoints and the tables of both.
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *connection).await?;
    let target = Target { projection, slot: Slot::Next };
    if !lock_checkpoints(connection, &target).await? {
        return Err(RebuildError::BuiltByOtherVersion(projection.name()));
    }
    let live = Progress::of(connection, projection.name()).await?;
    let built = Progress::of(connection, &target.follower()).await?;
    if built.high_watermark() > live.low_watermark() {
        return Ok(None);
    }
    let last = live.high_watermark();
    let pages = log.pages(built.low_watermark(), ReadFilter::default(), REBUILD_BATCH_EVENTS);
    let is_missing = |event: &RecordedEvent| live.has(event) && !built.has(event);
    apply_log::<RebuildError>(&target, connection, pages, (built.low_watermark(), last), is_missing, |_| {}).await?;
    Ok(Some(compare_slots(connection, projection, Slot::Next, last).await?))
}

/// Puts the version under construction in the place of the live one, which is kept beside until the next switch or
/// until it is dropped. Queries wait for a moment and find the new tables; none fails. Returns the position of the
/// switch.
///
/// # Errors
/// [`RebuildError`]; then the live version is as it was.
pub async fn switch(pool: &PgPool, log: &Log, projection: &'static dyn Projection) -> Result<Position, RebuildError> {
    let name = projection.name();
    resume_build(pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    sqlx::query("select apex.analyze_projection($1)").bind(name).execute(pool).await?;
    for _ in 0..SWITCH_ATTEMPTS {
        let mut transaction = transaction::begin(pool).await?;
        match try_switch(&mut transaction, log, projection).await {
            Ok(position) => {
                transaction::commit(transaction).await?;
                return Ok(position);
            }
            Err(error) if is_contention(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(SWITCH_PAUSE).await;
    }
    Err(RebuildError::TablesBusy(name))
}

async fn try_switch(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Position, RebuildError> {
    catch_up(connection, log, projection).await?;
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(TABLE_PATIENCE).execute(&mut *connection).await?;
    sqlx::query("select apex.switch_projection($1)").bind(projection.name()).execute(&mut *connection).await?;
    // The topic has the rows as the version before had them.
    rewind_state_topic(connection, projection.name(), 0).await?;
    let position: i64 = sqlx::query_scalar("select min(position) from apex.checkpoints where follower = $1")
        .bind(projection.name())
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(position))
}

/// Takes the checkpoints of both versions, and brings the one under construction to where the live one stands. Its own
/// first: whoever compares it has them for longer than a live worker can wait.
async fn catch_up(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<(), RebuildError> {
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(TURN_PATIENCE).execute(&mut *connection).await?;
    let target = Target { projection, slot: Slot::Next };
    if !lock_checkpoints(connection, &target).await? {
        return Err(RebuildError::BuiltByOtherVersion(projection.name()));
    }
    lock_feed_exclusive(connection, projection.name()).await?;
    let live: Vec<i64> =
        sqlx::query_scalar("select position from apex.checkpoints where follower = $1 order by name for update")
            .bind(projection.name())
            .fetch_all(&mut *connection)
            .await?;
    let stands = Position::from_i64(live.iter().copied().max().unwrap_or(0));
    for shard in target.shards() {
        level(connection, log, &shard, stands).await?;
    }
    Ok(())
}

/// Applies what a shard lacks up to a position, on this transaction.
async fn level(connection: &mut PgConnection, log: &Log, shard: &Shard, to: Position) -> Result<(), RebuildError> {
    let CheckpointLock::Acquired(from) = lock_checkpoint(connection, shard).await? else {
        return Err(RebuildError::BuiltElsewhere(shard.target.projection.name()));
    };
    let pages = log.pages(from, ReadFilter::default(), REBUILD_BATCH_EVENTS);
    let (range, is_own) = ((from, to), |event: &RecordedEvent| shard.wants(event));
    let position = apply_log::<RebuildError>(&shard.target, connection, pages, range, is_own, |_| {}).await?;
    if position > from {
        advance(connection, shard, from, position).await?;
    }
    Ok(())
}

/// Whether somebody held what was wanted: a lock was not available, or would have been a deadlock, or the row is another
/// one than this transaction may see.
fn is_contention(error: &RebuildError) -> bool {
    let (RebuildError::Database(error) | RebuildError::Apply(ApplyError::Database(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["55P03", "40P01", "40001"].contains(&&*code))
}

/// A version that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InactiveVersion {
    /// The one under construction.
    Next,
    /// The one that was live before.
    Previous,
}

/// Drops a version that is not live, if there is one.
///
/// # Errors
/// The database's.
pub async fn drop_version(
    pool: &PgPool,
    projection: &dyn Projection,
    spare: InactiveVersion,
) -> Result<(), sqlx::Error> {
    let schema = match spare {
        InactiveVersion::Next => "apex_next",
        InactiveVersion::Previous => "apex_old",
    };
    sqlx::query("select apex.drop_projection($1, $2)").bind(projection.name()).bind(schema).execute(pool).await?;
    Ok(())
}
