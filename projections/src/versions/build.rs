//! Building a version beside the live one.
//!
//! A version under construction has tables and checkpoints of its own and is built in ordinary batches, so that an
//! interrupted build can be resumed. It has no effect outside its tables: policies read the live tables.

use super::error::{RebuildError, RebuildProgress};
use crate::batch::apply_batch;
use crate::checkpoint::{advance, create_checkpoints, lock_checkpoints};
use crate::decode::{DecodedEvent, DecodedPage, DecodedPages};
use crate::projection::{ApplyError, Projection};
use crate::target::{Shard, Target};
use crate::transaction;
use domain::permissions::{Access, OperateProjections};
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use streams::{Log, Position, RecordedEvent};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The number of pages that are read ahead of the slowest shard.
const READ_AHEAD_PAGES: usize = 2;

/// Builds versions of read models beside the live ones up to the end of the log, starting where an interrupted build of
/// the same version of the code stopped. The log is read once for all of them. Returns the position reached.
///
/// # Errors
/// [`RebuildError`]; what was built so far is kept, and the next build resumes it.
pub async fn build(
    access: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projections: &[&'static dyn Projection],
    batch_events: usize,
    progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    for &projection in projections {
        prepare(pool, &Target::next(projection)).await?;
    }
    resume_build(access, pool, log, projections, batch_events, progress).await
}

/// Resumes builds that this version of the code has begun, up to the end of the log. Returns the position reached.
///
/// # Errors
/// [`RebuildError::NotBuilt`] if no build was begun, [`RebuildError::BuiltByOtherVersion`] if another version of the
/// code began it, and the other variants as [`build`].
pub async fn resume_build(
    _: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projections: &[&'static dyn Projection],
    batch_events: usize,
    mut progress: impl FnMut(RebuildProgress),
) -> Result<Position, RebuildError> {
    let mut shards = Vec::new();
    for &projection in projections {
        shards.extend(shards_of_build(pool, &Target::next(projection)).await?);
    }
    let Some(first) = shards.iter().map(|(_, position)| *position).min() else { return Ok(Position::ZERO) };
    let categories: BTreeSet<_> = projections.iter().flat_map(|projection| projection.categories()).copied().collect();
    let mut builders = JoinSet::new();
    let mut queues = Vec::new();
    for (shard, position) in shards {
        let (queue, pages) = mpsc::channel(READ_AHEAD_PAGES);
        queues.push(queue);
        builders.spawn(build_shard(pool.clone(), shard, position, pages));
    }
    let head = log.head().await?;
    let is_wanted = |event: &RecordedEvent| categories.contains(&*event.stream.category);
    let mut pages = DecodedPages::new(log, first, None, batch_events, is_wanted);
    'pages: while let Some(page) = pages.next_page().await? {
        let position = page.through;
        let page = Arc::new(page);
        for queue in &queues {
            if queue.send(page.clone()).await.is_err() {
                // The builder has failed; its error is returned below.
                break 'pages;
            }
        }
        progress(RebuildProgress { position, head: head.max(position) });
    }
    drop(queues);
    while let Some(built) = builders.join_next().await {
        built.map_err(|_| RebuildError::Panicked)??;
    }
    Ok(pages.through())
}

/// Creates the tables and checkpoints of a version, unless they exist and belong to this version of the code.
async fn prepare(pool: &PgPool, target: &Target) -> Result<(), RebuildError> {
    let mut transaction = transaction::begin(pool).await?;
    if !lock_checkpoints(&mut transaction, target).await? {
        for statement in ["select apex.drop_projection($1, $2)", "select apex.make_projection($1, $2)"] {
            sqlx::query(statement)
                .bind(target.projection.name())
                .bind(target.slot.schema())
                .execute(&mut *transaction)
                .await?;
        }
        create_checkpoints(&mut transaction, target).await?;
    }
    Ok(transaction::commit(transaction).await?)
}

/// The shards of a version under construction, each with its position.
async fn shards_of_build(pool: &PgPool, target: &Target) -> Result<Vec<(Shard, Position)>, RebuildError> {
    let rows: Vec<(String, i64, Option<i32>)> =
        sqlx::query_as("select name, position, version from apex.checkpoints where follower = $1")
            .bind(target.follower())
            .fetch_all(pool)
            .await?;
    let (name, code_version) = (target.projection.name(), target.projection.version());
    if rows.is_empty() {
        return Err(RebuildError::NotBuilt(name));
    }
    let with_position = |shard: Shard| {
        let row = rows.iter().find(|row| row.0 == shard.checkpoint() && row.2 == Some(code_version))?;
        Some((shard, Position::from_i64(row.1)))
    };
    let shards: Option<Vec<_>> = target.shards().into_iter().map(with_position).collect();
    shards.filter(|shards| shards.len() == rows.len()).ok_or(RebuildError::BuiltByOtherVersion(name))
}

/// Applies pages to one shard, each in a transaction with its checkpoint.
async fn build_shard(
    pool: PgPool,
    shard: Shard,
    mut position: Position,
    mut pages: mpsc::Receiver<Arc<DecodedPage>>,
) -> Result<(), RebuildError> {
    while let Some(page) = pages.recv().await {
        if page.through <= position {
            continue;
        }
        let is_wanted = |event: &&DecodedEvent| event.recorded.position > position && shard.wants(&event.recorded);
        let events: Vec<_> = page.events.iter().filter(is_wanted).cloned().collect();
        let mut transaction = transaction::begin_apply(&pool, &shard.target, None).await?;
        check_version(&mut transaction, &shard).await?;
        apply_batch(&shard.target, &mut transaction, &events).await?;
        advance(&mut transaction, &shard, position, page.through).await.map_err(|error| match error {
            ApplyError::CheckpointMoved => RebuildError::BuiltElsewhere(shard.target.projection.name()),
            error => error.into(),
        })?;
        fail::fail_point!("projection_built");
        transaction::commit(transaction).await?;
        position = page.through;
    }
    Ok(())
}

/// Checks that a shard under construction still belongs to this version of the code. Waits for a comparison that holds
/// the checkpoint.
async fn check_version(connection: &mut PgConnection, shard: &Shard) -> Result<(), RebuildError> {
    let version: Option<Option<i32>> =
        sqlx::query_scalar("select version from apex.checkpoints where name = $1 for update")
            .bind(shard.checkpoint())
            .fetch_optional(connection)
            .await?;
    let projection = shard.target.projection;
    let is_same = version.flatten() == Some(projection.version());
    if is_same { Ok(()) } else { Err(RebuildError::BuiltByOtherVersion(projection.name())) }
}
