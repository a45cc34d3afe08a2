//! Parked events, as operators see them: listing them, and retrying or skipping them.
//!
//! A decision to skip an event is permanent: a rebuild skips the same events, so that it results in the same rows.

use crate::batch::try_apply;
use crate::checkpoint::{lock_checkpoints, rewind_state_topic};
use crate::decode::DecodedEvent;
use crate::parked::{stream_of, unpark};
use crate::projection::{Applied, ApplyError, Projection};
use crate::target::Target;
use crate::transaction;
use chrono::{DateTime, Utc};
use domain::permissions::{Access, OperateProjections, ReadProjections};
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow, Postgres};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Row};
use streams::{DatabaseError, Log, Position, ReadError, ReadFilter, StreamKey, TenantReads};
use thiserror::Error;
use uuid::Uuid;

/// An event that a projection could not apply.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ParkedEvent {
    /// The name of the projection; `NAME@next` for the version under construction.
    pub projection: String,
    /// The position of the event.
    pub position: i64,
    /// The tenant of the stream.
    pub tenant_id: String,
    /// The category of the stream.
    pub category: String,
    /// The id of the stream. No later event of the stream is applied while the event is parked.
    pub stream_id: Uuid,
    /// Why the event could not be applied.
    pub cause: String,
    /// The number of attempts to apply the event.
    pub attempts: i32,
    /// When the event was parked.
    pub parked_at: DateTime<Utc>,
    /// When the last attempt was made.
    pub last_attempt_at: DateTime<Utc>,
}

/// Whose parked events are listed.
#[derive(Clone, Copy)]
pub enum TenantSelection<'a> {
    /// Those of the principal's tenant.
    Own(&'a TenantReads, &'a Access<ReadProjections>),
    /// Those of all tenants of the installation.
    All(&'a PgPool, &'a Access<OperateProjections>),
}

impl TenantSelection<'_> {
    /// Fetches the rows that a statement selects; the tenant, none for all, is its parameter after those that are bound.
    async fn fetch<'q, R>(
        self,
        query: QueryAs<'q, Postgres, R, PgArguments>,
        limit: i64,
    ) -> Result<Vec<R>, DatabaseError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(match self {
            Self::Own(reads, access) => {
                let query = query.bind(access.tenant().as_str().to_owned()).bind(limit);
                query.fetch_all(&mut *reads.acquire(access).await?).await?
            }
            Self::All(pool, _) => query.bind(None::<String>).bind(limit).fetch_all(pool).await?,
        })
    }
}

/// Lists parked events by projection and position, of one projection or all, and of one tenant or all.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn parked_events(
    tenants: TenantSelection<'_>,
    projection: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, DatabaseError> {
    let query = sqlx::query_as(
        "select projection, position, tenant_id, category, stream_id, cause, attempts, parked_at, last_attempt_at
         from apex.parked_events
         where ($1::text is null or projection = $1) and ($2::text is null or tenant_id = $2)
         order by projection, position limit $3",
    );
    tenants.fetch(query.bind(projection), limit).await
}

/// What to do with a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Apply the stream again from its first parked event on, because the cause was removed.
    Retry,
    /// Never apply this event, and apply the events after it on its stream.
    Skip,
}

impl Decision {
    /// Returns the name in the database and on the command line.
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
        known.ok_or_else(|| ApplyError::Row(format!("unknown decision {text:?}")))
    }
}

/// A request to retry or skip a parked event.
#[derive(Debug, Clone, Copy)]
pub struct ResumeRequest<'a> {
    /// What to do with the event.
    pub decision: Decision,
    /// The position of the parked event.
    pub position: Position,
    /// If given, the event must belong to this tenant.
    pub tenant: Option<&'a str>,
    /// The user who decided.
    pub actor: &'a str,
    /// The reason for the decision.
    pub reason: &'a str,
}

/// A decision about a parked event.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ParkingDecision {
    /// The name of the projection.
    pub projection: String,
    /// The position of the event.
    pub position: i64,
    /// What was decided.
    #[sqlx(try_from = "String")]
    pub decision: Decision,
    /// The user who decided.
    pub actor: String,
    /// The reason for the decision.
    pub reason: String,
    /// When the decision was made.
    pub decided_at: DateTime<Utc>,
}

/// Lists decisions about parked events, the latest first, of one projection or all, and of one tenant or all.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn parking_decisions(
    tenants: TenantSelection<'_>,
    projection: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkingDecision>, DatabaseError> {
    let query = sqlx::query_as(
        "select projection, position, decision, actor, reason, decided_at from apex.parking_decisions
         where ($1::text is null or projection = $1) and ($2::text is null or tenant_id = $2)
         order by id desc limit $3",
    );
    tenants.fetch(query.bind(projection), limit).await
}

/// The result of resuming a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeOutcome {
    /// The number of events of the stream that were applied.
    pub applied: u64,
    /// The number of events of the stream that are still parked.
    pub parked: u64,
}

/// Why a parked event was neither retried nor skipped; nothing was changed.
#[derive(Debug, Error)]
pub enum ParkingError {
    /// No event is parked at the position, or it belongs to another tenant.
    #[error("no event is parked at position {0}")]
    NotParked(Position),
    /// An earlier event of the stream is parked, and events of a stream are skipped in order.
    #[error("position {0} is behind parked position {1} of its stream: skip position {1} first")]
    NotFirst(Position, Position),
    /// The version under construction has applied the event that is to be skipped.
    #[error(
        "the version of {0} under construction has applied position {1}: switch to it or drop it, then skip the event"
    )]
    AppliedInNextVersion(&'static str, Position),
    /// The live tables belong to another version of the code.
    #[error("the live tables belong to another version of the code than this program's: nothing was changed")]
    VersionMismatch,
    /// The events could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the parked events cannot be changed")]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for ParkingError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Retries or skips a parked event of a live projection: records the decision and applies the rest of the stream, all
/// in one transaction.
///
/// # Errors
/// [`ParkingError`]; nothing is changed then.
pub async fn resume(
    _: &Access<OperateProjections>,
    pool: &PgPool,
    log: &Log,
    projection: &'static dyn Projection,
    request: &ResumeRequest<'_>,
) -> Result<ResumeOutcome, ParkingError> {
    let mut transaction = transaction::begin(pool).await?;
    let connection: &mut PgConnection = &mut transaction;
    let target = Target::live(projection);
    // The version under construction applies nothing until it is known which events are skipped.
    sqlx::query("select from apex.checkpoints where follower = $1 order by name for update")
        .bind(Target::next(projection).follower())
        .execute(&mut *connection)
        .await?;
    let is_same_version = lock_checkpoints(connection, &target).await?;
    let stream = parked_stream(connection, projection.name(), request).await?;
    if !is_same_version {
        return Err(ParkingError::VersionMismatch);
    }
    sqlx::query("select apex.record_parking_decision($1, $2, $3, $4, $5)")
        .bind(projection.name())
        .bind(request.position.as_i64())
        .bind(request.decision.as_str())
        .bind(request.actor)
        .bind(request.reason)
        .execute(&mut *connection)
        .await?;
    if request.decision == Decision::Skip {
        check_next_version(connection, projection.name(), request.position).await?;
        unpark(connection, projection.name(), request.position).await?;
    }
    let outcome = apply_parked(connection, log, &target, &stream).await?;
    rewind_state_topic(connection, projection.name(), request.position.as_i64() - 1).await?;
    transaction::commit(transaction).await?;
    Ok(outcome)
}

/// Checks that the version under construction, if there is one, has not applied an event that is to be skipped.
async fn check_next_version(
    connection: &mut PgConnection,
    projection: &'static str,
    position: Position,
) -> Result<(), ParkingError> {
    let is_applied: bool = sqlx::query_scalar(
        "select exists (select from apex.checkpoints where follower = $1 || '@next' and position >= $2)
             and not exists (select from apex.parked_events where projection = $1 || '@next' and position = $2)",
    )
    .bind(projection)
    .bind(position.as_i64())
    .fetch_one(connection)
    .await?;
    if is_applied { Err(ParkingError::AppliedInNextVersion(projection, position)) } else { Ok(()) }
}

/// Finds the stream of the parked event that a request names, and checks that the decision is possible.
async fn parked_stream(
    connection: &mut PgConnection,
    projection: &str,
    request: &ResumeRequest<'_>,
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
    .bind(request.position.as_i64())
    .bind(request.tenant)
    .fetch_optional(connection)
    .await?;
    let found = found.ok_or(ParkingError::NotParked(request.position))?;
    check_order(request.decision, request.position, Position::from_i64(found.try_get("first")?))?;
    Ok(stream_of(&found)?)
}

/// A retry begins at the first parked event of the stream anyway; only that event can be skipped.
fn check_order(decision: Decision, position: Position, first: Position) -> Result<(), ParkingError> {
    match decision {
        Decision::Skip if first != position => Err(ParkingError::NotFirst(position, first)),
        Decision::Skip | Decision::Retry => Ok(()),
    }
}

/// Applies the parked events of a stream in order, up to the first that cannot be applied.
async fn apply_parked(
    connection: &mut PgConnection,
    log: &Log,
    target: &Target,
    stream: &StreamKey,
) -> Result<ResumeOutcome, ParkingError> {
    let follower = target.follower();
    let positions: Vec<i64> = sqlx::query_scalar(
        "select position from apex.parked_events
         where projection = $1 and tenant_id = $2 and category = $3 and stream_id = $4 order by position",
    )
    .bind(&follower)
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
        let DecodedEvent { recorded, event } = DecodedEvent::decode(event.into());
        let result = match event {
            Ok(event) => try_apply(target, connection, &Applied { recorded, event }).await?,
            Err(cause) => Err(cause.to_string()),
        };
        if let Err(cause) = result {
            sqlx::query(
                "update apex.parked_events set cause = $3, attempts = attempts + 1, last_attempt_at = now()
                 where projection = $1 and position = $2",
            )
            .bind(&follower)
            .bind(position)
            .bind(cause)
            .execute(&mut *connection)
            .await?;
            break;
        }
        unpark(connection, &follower, Position::from_i64(position)).await?;
        applied += 1;
    }
    Ok(ResumeOutcome { applied, parked: total - applied })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decision: Decision, position: u64, first: u64) -> Result<(), String> {
        let (position, first) = (Position::from(position), Position::from(first));
        check_order(decision, position, first).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_first_parked_event_of_a_stream_can_be_skipped() {
        assert_eq!(check(Decision::Skip, 5, 5), Ok(()));
        let refused = check(Decision::Skip, 7, 5).unwrap_err();
        assert_eq!(refused, "position 7 is behind parked position 5 of its stream: skip position 5 first");
    }

    #[test]
    fn any_parked_event_of_a_stream_can_be_retried() {
        assert_eq!(check(Decision::Retry, 5, 5), Ok(()));
        assert_eq!(check(Decision::Retry, 7, 5), Ok(()));
    }

    #[test]
    fn decisions_are_stored_by_name() {
        for decision in [Decision::Retry, Decision::Skip] {
            assert_eq!(Decision::try_from(decision.as_str().to_owned()).unwrap(), decision);
        }
        assert!(Decision::try_from("forget".to_owned()).is_err());
    }
}
