//! Versions of a read model: built beside the live one, compared with it, and switched to in one transaction.
//!
//! A version under construction has tables and checkpoints of its own and is built in ordinary batches, so that it can
//! be interrupted and goes on. Nothing outside its tables happens: what reacts to events reads the live tables.

use crate::batch::{Incoming, apply_batch, decode};
use crate::compare::{Comparison, compare_slots};
use crate::projection::{ApplyError, Projection, Slot, Target};
use crate::runtime::{Lock, TURN, advance, begin, enter, lock_checkpoint, lock_checkpoints, publish_again_after};
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use streams::{Log, Position, ReadError, ReadFilter};
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
    Elsewhere(&'static str),
    /// There is no version under construction.
    #[error("no version of {0} is under construction: rebuild it first")]
    NotBuilt(&'static str),
    /// The version under construction is of other code.
    #[error("the version of {0} under construction is of other code: rebuild it first")]
    OtherBuilt(&'static str),
    /// The live tables are of other code, which alone can fold for a check.
    #[error("the live version of {projection} is {live}, this program's is {code}")]
    OtherVersion {
        /// Which read model.
        projection: &'static str,
        /// The version of the live tables.
        live: i32,
        /// The version of this program.
        code: i32,
    },
    /// The parts of the live version did not come to stand at one position.
    #[error("the parts of {0} do not stand at one position; try again when less is going on")]
    Uneven(&'static str),
    /// Queries held the tables all the time.
    #[error("queries hold the tables of {0} without a gap; try again when less is going on")]
    Busy(&'static str),
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
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    let mut targets = Vec::new();
    for &projection in projections {
        prepare(pool, projection).await?;
        for target in Target::all(projection, Slot::Next) {
            let position = position_of(pool, &target).await?;
            targets.push((target, position));
        }
    }
    let Some(first) = targets.iter().map(|(_, position)| *position).min() else { return Ok(Position::ZERO) };
    let wanted: BTreeSet<_> = projections.iter().flat_map(|projection| projection.categories()).copied().collect();
    let mut builders = JoinSet::new();
    let mut queues = Vec::new();
    for (target, position) in targets {
        let (queue, pages) = mpsc::channel(READ_AHEAD);
        queues.push(queue);
        builders.spawn(build_one(pool.clone(), target, position, pages));
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
async fn prepare(pool: &PgPool, projection: &'static dyn Projection) -> Result<(), RebuildError> {
    let mut transaction = pool.begin().await?;
    let targets = Target::all(projection, Slot::Next);
    if !lock_checkpoints(&mut transaction, &targets).await? {
        sqlx::query("select apex.drop_projection($1, $2)")
            .bind(projection.name())
            .bind(Slot::Next.schema())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("select apex.make_projection($1, $2)")
            .bind(projection.name())
            .bind(Slot::Next.schema())
            .execute(&mut *transaction)
            .await?;
        for target in &targets {
            lock_checkpoint(&mut transaction, target).await?;
        }
    }
    Ok(transaction.commit().await?)
}

async fn position_of(pool: &PgPool, target: &Target) -> Result<Position, RebuildError> {
    let position: Option<i64> = sqlx::query_scalar("select position from apex.checkpoints where name = $1")
        .bind(target.checkpoint())
        .fetch_optional(pool)
        .await?;
    Ok(Position::from_i64(position.ok_or(RebuildError::NotBuilt(target.projection.name()))?))
}

/// Applies pages to one part of a version, each in a transaction with its checkpoint.
async fn build_one(
    pool: PgPool,
    target: Target,
    mut position: Position,
    mut pages: mpsc::Receiver<Arc<Page>>,
) -> Result<(), RebuildError> {
    while let Some(page) = pages.recv().await {
        if page.through <= position {
            continue;
        }
        let wanted = |event: &&Incoming| event.recorded.position > position && target.wants(&event.recorded);
        let events: Vec<_> = page.events.iter().filter(wanted).cloned().collect();
        let mut transaction = begin(&pool, &target, None).await?;
        apply_batch(&target, &mut transaction, &events).await?;
        advance(&mut transaction, &target, position, page.through).await.map_err(|error| match error {
            ApplyError::Overtaken => RebuildError::Elsewhere(target.projection.name()),
            error => error.into(),
        })?;
        fail::fail_point!("projection_built");
        transaction.commit().await?;
        position = page.through;
    }
    Ok(())
}

/// Compares the version under construction with the live one at the same position. The live worker waits meanwhile;
/// queries do not.
///
/// # Errors
/// [`RebuildError`].
pub async fn compare(
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Comparison, RebuildError> {
    build(pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    for _ in 0..SWITCH_ATTEMPTS {
        let mut transaction = pool.begin().await?;
        let standing = meet(&mut transaction, log, projection).await?;
        if let Standing::Even(position) = standing {
            let comparison = compare_slots(&mut transaction, projection, Slot::Next, position).await?;
            transaction.commit().await?;
            return Ok(comparison);
        }
        // What was built further on than the live one is met when that has come there.
        transaction.commit().await?;
        tokio::time::sleep(SWITCH_PAUSE).await;
    }
    Err(RebuildError::Uneven(projection.name()))
}

/// How the live version and the one under construction stand to each other.
enum Standing {
    /// All parts of both stand here.
    Even(Position),
    /// They do not.
    Uneven,
}

/// Takes the checkpoints of both versions, and brings the one under construction to where the live one stands.
async fn meet(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Standing, RebuildError> {
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(TURN_PATIENCE).execute(&mut *connection).await?;
    let live: Vec<i64> =
        sqlx::query_scalar("select position from apex.checkpoints where follower = $1 order by name for update")
            .bind(projection.name())
            .fetch_all(&mut *connection)
            .await?;
    let targets = Target::all(projection, Slot::Next);
    if !lock_checkpoints(connection, &targets).await? {
        return Err(RebuildError::OtherBuilt(projection.name()));
    }
    let stands = Position::from_i64(live.iter().copied().max().unwrap_or(0));
    // Fed from Kafka, single partitions may be ahead.
    let ahead = "select exists (select from apex.partition_checkpoints where projection = $1 and position > $2)";
    let is_ahead: bool =
        sqlx::query_scalar(ahead).bind(projection.name()).bind(stands.as_i64()).fetch_one(&mut *connection).await?;
    let mut is_even = !is_ahead && live.iter().all(|position| *position == stands.as_i64());
    for target in &targets {
        is_even &= level(connection, log, target, stands).await? == stands;
    }
    Ok(if is_even { Standing::Even(stands) } else { Standing::Uneven })
}

/// Applies what a part lacks up to a position, on this transaction; returns where it stands then.
async fn level(
    connection: &mut PgConnection,
    log: &Log,
    target: &Target,
    to: Position,
) -> Result<Position, RebuildError> {
    enter(connection, target.slot, Some(TURN)).await?;
    let Lock::Taken(from) = lock_checkpoint(connection, target).await? else {
        return Err(RebuildError::Elsewhere(target.projection.name()));
    };
    let mut position = from;
    let mut pages = log.pages(from, ReadFilter::default(), REBUILD_BATCH_EVENTS);
    while position < to {
        let Some(mut page) = pages.next_page().await? else { break };
        page.retain(|event| event.position <= to);
        position = page.last().map_or(to, |event| event.position);
        let events: Vec<_> = page.into_iter().map(Arc::new).collect();
        apply_batch(target, connection, &decode(target, &events)).await?;
    }
    if position > from {
        advance(connection, target, from, position).await?;
    }
    Ok(position)
}

/// Puts the version under construction in the place of the live one, which is kept beside until the next switch or
/// until it is dropped. Queries wait for a moment and find the new tables; none fails. Returns the position of the
/// switch.
///
/// # Errors
/// [`RebuildError`]; then the live version is as it was.
pub async fn switch(pool: &PgPool, log: &Log, projection: &'static dyn Projection) -> Result<Position, RebuildError> {
    let name = projection.name();
    let target = Target { projection, slot: Slot::Next, part: 0 };
    position_of(pool, &target).await?;
    build(pool, log, &[projection], REBUILD_BATCH_EVENTS, |_| {}).await?;
    sqlx::query("select apex.analyze_projection($1)").bind(name).execute(pool).await?;
    for _ in 0..SWITCH_ATTEMPTS {
        let mut transaction = pool.begin().await?;
        match try_switch(&mut transaction, log, projection).await {
            Ok(position) => {
                transaction.commit().await?;
                return Ok(position);
            }
            Err(error) if is_contention(&error) => transaction.rollback().await?,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(SWITCH_PAUSE).await;
    }
    Err(RebuildError::Busy(name))
}

async fn try_switch(
    connection: &mut PgConnection,
    log: &Log,
    projection: &'static dyn Projection,
) -> Result<Position, RebuildError> {
    meet(connection, log, projection).await?;
    sqlx::query("select set_config('lock_timeout', $1, true)").bind(TABLE_PATIENCE).execute(&mut *connection).await?;
    sqlx::query("select apex.switch_projection($1)").bind(projection.name()).execute(&mut *connection).await?;
    // The topic has the rows as the version before had them.
    publish_again_after(connection, projection.name(), 0).await?;
    let position: i64 = sqlx::query_scalar("select min(position) from apex.checkpoints where follower = $1")
        .bind(projection.name())
        .fetch_one(connection)
        .await?;
    Ok(Position::from_i64(position))
}

/// Whether somebody held what was wanted: a lock was not available, or would have been a deadlock.
fn is_contention(error: &RebuildError) -> bool {
    let (RebuildError::Database(error) | RebuildError::Apply(ApplyError::Database(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

/// A version that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// The one under construction.
    Next,
    /// The one that was live before.
    Old,
}

/// Drops a version that is not live, if there is one.
///
/// # Errors
/// The database's.
pub async fn drop_version(pool: &PgPool, projection: &dyn Projection, spare: Spare) -> Result<(), sqlx::Error> {
    let schema = match spare {
        Spare::Next => "apex_next",
        Spare::Old => "apex_old",
    };
    sqlx::query("select apex.drop_projection($1, $2)").bind(projection.name()).bind(schema).execute(pool).await?;
    Ok(())
}
