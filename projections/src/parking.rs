//! Events that could not be applied: their streams wait until an operator has the events tried again or skipped.
//!
//! What was skipped stays skipped: a rebuild leaves the same events out, so that it comes to the same rows.

use crate::batch::{Incoming, try_one};
use crate::projection::{Applied, ApplyError, Projection, Slot, Target};
use crate::runtime::{lock_checkpoints, rewind_state_topic};
use crate::transaction;
use chrono::{DateTime, Utc};
use domain::TenantId;
use metrics::counter;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{FromRow, Row};
use std::collections::HashSet;
use streams::{Log, Position, ReadError, ReadFilter, RecordedEvent, StreamKey};
use thiserror::Error;
use uuid::Uuid;

/// The cause of what is parked because of an earlier event.
pub(crate) const PARKED_BEFORE: &str = "an earlier event of the stream is parked";

/// An event that a projection could not apply.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ParkedEvent {
    /// Which projection; `NAME@next` for a version under construction.
    pub projection: String,
    /// Which event.
    pub position: i64,
    /// The stream's tenant.
    pub tenant_id: String,
    /// The stream's category.
    pub category: String,
    /// The stream, all of which waits.
    pub stream_id: Uuid,
    /// Why.
    pub cause: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when.
    pub parked_at: DateTime<Utc>,
    /// When it was tried last.
    pub last_attempt_at: DateTime<Utc>,
}

/// The parked events of a projection, or of all.
///
/// # Errors
/// The database's.
pub async fn parked_events(
    pool: &PgPool,
    projection: Option<&str>,
    tenant: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(
        "select projection, position, tenant_id, category, stream_id, cause, attempts, parked_at, last_attempt_at
         from apex.parked_events
         where ($1::text is null or projection = $1) and ($2::text is null or tenant_id = $2)
         order by projection, position limit $3",
    )
    .bind(projection)
    .bind(tenant)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// What to do about a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Try the stream again from its first parked event on: the cause was removed.
    Retry,
    /// Leave this event out for good, and try what follows it on its stream.
    Skip,
}

impl Decision {
    /// As the database and the command line have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
}

impl TryFrom<String> for Decision {
    type Error = ApplyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = [Self::Retry, Self::Skip].into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| ApplyError::Row(format!("{text:?} is no decision")))
    }
}

/// A decision, and who answers for it.
#[derive(Debug, Clone, Copy)]
pub struct ResumeRequest<'a> {
    /// What to do.
    pub decision: Decision,
    /// The parked event.
    pub position: Position,
    /// Of this tenant's streams alone, if given.
    pub tenant: Option<&'a str>,
    /// Who decided.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A decision that was carried out.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ParkingDecision {
    /// Of which projection.
    pub projection: String,
    /// Which event.
    pub position: i64,
    /// What was decided.
    #[sqlx(try_from = "String")]
    pub decision: Decision,
    /// Who decided.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub decided_at: DateTime<Utc>,
}

/// The decisions about the parked events of a projection, or of all, the latest first.
///
/// # Errors
/// The database's.
pub async fn parking_decisions(
    pool: &PgPool,
    projection: Option<&str>,
    tenant: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkingDecision>, sqlx::Error> {
    sqlx::query_as(
        "select projection, position, decision, actor, reason, decided_at from apex.parking_decisions
         where ($1::text is null or projection = $1) and ($2::text is null or tenant_id = $2)
         order by id desc limit $3",
    )
    .bind(projection)
    .bind(tenant)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// What a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeOutcome {
    /// Events of the stream that were applied.
    pub applied: u64,
    /// Events of the stream that are still parked.
    pub parked: u64,
}

/// Why a decision was not carried out; nothing has changed.
#[derive(Debug, Error)]
pub enum ParkingError {
    /// There is no such event.
    #[error("no event is parked at position {0}")]
    NotParked(Position),
    /// A stream begins with its oldest parked event: skipping another would change the order.
    #[error("position {0} waits for position {1} of its stream: that one is to be skipped first")]
    NotFirst(Position, Position),
    /// The version under construction has applied what is to be left out.
    #[error("a version of {0} is under construction that has applied position {1}: switch to it or drop it first")]
    AppliedInNextVersion(&'static str, Position),
    /// Other code writes the tables.
    #[error("the tables are of another version than this program's code")]
    VersionMismatch,
    /// The events could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the parked events cannot be changed")]
    Database(#[from] sqlx::Error),
}

/// Carries out a decision about a parked event of a live projection: notes it, and tries the rest of the stream, all in
/// one transaction.
///
/// # Errors
/// [`ParkingError`]; nothing has changed then.
pub async fn resume(
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    order: &ResumeRequest<'_>,
) -> Result<ResumeOutcome, ParkingError> {
    let mut transaction = transaction::begin(pool).await?;
    let connection: &mut PgConnection = &mut transaction;
    let target = Target { projection, slot: Slot::Live };
    // What is under construction stands still, too, until it is known which events are left out.
    sqlx::query("select from apex.checkpoints where follower = $1 order by name for update")
        .bind(Target { projection, slot: Slot::Next }.follower())
        .execute(&mut *connection)
        .await?;
    let is_own = lock_checkpoints(connection, &target).await?;
    let stream = parked_stream(connection, projection.name(), order).await?;
    if !is_own {
        return Err(ParkingError::VersionMismatch);
    }
    sqlx::query("select apex.record_parking_decision($1, $2, $3, $4, $5)")
        .bind(projection.name())
        .bind(order.position.as_i64())
        .bind(order.decision.as_str())
        .bind(order.actor)
        .bind(order.reason)
        .execute(&mut *connection)
        .await?;
    if order.decision == Decision::Skip {
        check_built(connection, projection.name(), order.position).await?;
        unpark(connection, projection.name(), order.position).await?;
    }
    let resumed = try_stream(connection, log, &target, &stream).await?;
    rewind_state_topic(connection, projection.name(), order.position.as_i64() - 1).await?;
    transaction::commit(transaction).await?;
    Ok(resumed)
}

/// That no version is under construction which would go live with an event that every later one leaves out.
async fn check_built(
    connection: &mut PgConnection,
    projection: &'static str,
    position: Position,
) -> Result<(), ParkingError> {
    let is_built: bool = sqlx::query_scalar(
        "select exists (select from apex.checkpoints where follower = $1 || '@next' and position >= $2)
             and not exists (select from apex.parked_events where projection = $1 || '@next' and position = $2)",
    )
    .bind(projection)
    .bind(position.as_i64())
    .fetch_one(connection)
    .await?;
    if is_built { Err(ParkingError::AppliedInNextVersion(projection, position)) } else { Ok(()) }
}

/// The stream of a parked event; for skipping it must be the stream's first.
async fn parked_stream(
    connection: &mut PgConnection,
    projection: &str,
    order: &ResumeRequest<'_>,
) -> Result<StreamKey, ParkingError> {
    let found = sqlx::query(
        "select p.tenant_id, p.category, p.stream_id,
                (select min(f.position) from apex.parked_events f
                 where f.projection = p.projection and f.tenant_id = p.tenant_id and f.category = p.category
                     and f.stream_id = p.stream_id) as first
         from apex.parked_events p
         where p.projection = $1 and p.position = $2 and ($3::text is null or p.tenant_id = $3)",
    )
    .bind(projection)
    .bind(order.position.as_i64())
    .bind(order.tenant)
    .fetch_optional(connection)
    .await?;
    let found = found.ok_or(ParkingError::NotParked(order.position))?;
    let first = Position::from_i64(found.try_get("first")?);
    if order.decision == Decision::Skip && first != order.position {
        return Err(ParkingError::NotFirst(order.position, first));
    }
    Ok(stream_of(&found)?)
}

fn stream_of(row: &sqlx::postgres::PgRow) -> Result<StreamKey, ApplyError> {
    Ok(StreamKey {
        // An event of no valid tenant is parked as well.
        tenant: TenantId::as_stored(row.try_get("tenant_id")?),
        category: row.try_get::<&str, _>("category")?.into(),
        id: row.try_get("stream_id")?,
    })
}

/// Applies the parked events of a stream in order, up to the first that cannot be.
async fn try_stream(
    connection: &mut PgConnection,
    log: &Log,
    target: &Target,
    stream: &StreamKey,
) -> Result<ResumeOutcome, ParkingError> {
    let name = target.follower();
    let positions: Vec<i64> = sqlx::query_scalar(
        "select position from apex.parked_events
         where projection = $1 and tenant_id = $2 and category = $3 and stream_id = $4 order by position",
    )
    .bind(&name)
    .bind(stream.tenant.as_str())
    .bind(&*stream.category)
    .bind(stream.id)
    .fetch_all(&mut *connection)
    .await?;
    let total = positions.len() as u64;
    let mut applied = 0;
    for position in positions {
        let before = Position::from_i64(position - 1);
        let event = log.read_after(before, &ReadFilter::default(), 1).await?.pop();
        let event = event.ok_or_else(|| ApplyError::Row(format!("position {position} is not in the log")))?;
        let Incoming { recorded, event } = Incoming::decode(event.into());
        let tried = match event {
            Ok(event) => try_one(target, connection, &Applied { recorded, event }).await?,
            Err(cause) => Err(cause.to_string()),
        };
        if let Err(cause) = tried {
            sqlx::query(
                "update apex.parked_events set cause = $3, attempts = attempts + 1, last_attempt_at = now()
                 where projection = $1 and position = $2",
            )
            .bind(&name)
            .bind(position)
            .bind(cause)
            .execute(&mut *connection)
            .await?;
            break;
        }
        unpark(connection, &name, Position::from_i64(position)).await?;
        applied += 1;
    }
    Ok(ResumeOutcome { applied, parked: total - applied })
}

async fn unpark(connection: &mut PgConnection, projection: &str, position: Position) -> Result<(), sqlx::Error> {
    sqlx::query("delete from apex.parked_events where projection = $1 and position = $2")
        .bind(projection)
        .bind(position.as_i64())
        .execute(connection)
        .await?;
    Ok(())
}

/// What of a batch is not to be applied.
pub(crate) struct Held {
    /// Streams that wait.
    pub(crate) parked: HashSet<StreamKey>,
    skipped: HashSet<i64>,
}

impl Held {
    /// Whether an operator left the event out.
    pub(crate) fn is_skipped(&self, event: &RecordedEvent) -> bool {
        self.skipped.contains(&event.position.as_i64())
    }
}

/// The streams of a batch that wait, and the events of it that are skipped.
pub(crate) async fn held_streams(
    target: &Target,
    connection: &mut PgConnection,
    events: &[Incoming],
) -> Result<Held, ApplyError> {
    let ids: Vec<_> = events.iter().map(|event| event.recorded.stream.id).collect();
    let position = |event: Option<&Incoming>| event.map_or(0, |event| event.recorded.position.as_i64());
    // One statement for both: most batches have neither.
    let rows = sqlx::query(
        "select distinct tenant_id, category, stream_id, null::bigint as skipped from apex.parked_events
         where projection = $1 and stream_id = any ($2)
         union all
         select null, null, null, position from apex.parking_decisions
         where projection = $3 and decision = 'skip' and position between $4 and $5",
    )
    .bind(target.follower())
    .bind(ids)
    .bind(target.projection.name())
    .bind(position(events.first()))
    .bind(position(events.last()))
    .fetch_all(connection)
    .await?;
    let mut held = Held { parked: HashSet::new(), skipped: HashSet::new() };
    for row in &rows {
        if let Some(position) = row.try_get("skipped")? {
            held.skipped.insert(position);
        } else {
            held.parked.insert(stream_of(row)?);
        }
    }
    Ok(held)
}

pub(crate) async fn park(
    target: &Target,
    connection: &mut PgConnection,
    event: &RecordedEvent,
    cause: &str,
) -> Result<(), ApplyError> {
    let projection = target.projection.name();
    if target.slot == Slot::Live {
        tracing::error!(projection, position = %event.position, stream = %event.stream, cause, "an event is parked");
        counter!("apex_projection_parked_total", "projection" => projection).increment(1);
    }
    sqlx::query(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(target.follower())
    .bind(event.position.as_i64())
    .bind(event.stream.tenant.as_str())
    .bind(&*event.stream.category)
    .bind(event.stream.id)
    .bind(cause)
    .execute(connection)
    .await?;
    Ok(())
}
