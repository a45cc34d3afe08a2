//! Snapshots of aggregates, stored beside the log. They are derived from the log: losing them only costs time.

use crate::error::ReadError;
use crate::event::{Position, StreamKey, Version};
use chrono::{DateTime, Utc};
use domain::TenantId;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

/// The state of an aggregate at a version of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The aggregate's stream.
    pub stream: StreamKey,
    /// The version of the last event that is folded into the state.
    pub version: Version,
    /// The position of that event.
    pub position: Position,
    /// When that event was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The format of the state; only code with the same format can read it.
    pub format: String,
    /// The state as JSON text.
    pub state: String,
}

/// A snapshot to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The aggregate's stream.
    pub stream: StreamKey,
    /// The version of the last event that is folded into the state.
    pub version: Version,
    /// The position of that event.
    pub position: Position,
    /// The format of the state.
    pub format: String,
    /// The state as JSON text.
    pub state: String,
}

macro_rules! select {
    ($rest:expr) => {
        concat!(
            "select s.tenant_id, s.category, s.stream_id, s.version, s.position, s.recorded_at, s.format, ",
            "s.state::text as state from apex.snapshots s ",
            $rest
        )
    };
}

/// The snapshot of a stream, if there is one in the given format whose last event is in the log at its position. An event
/// that is no longer in the table was archived, because positions up to the head have no gaps.
pub(crate) async fn read(pool: &PgPool, key: &StreamKey, format: &str) -> Result<Option<Snapshot>, ReadError> {
    let row = sqlx::query(select!(
        "cross join apex.head h left join apex.events e on e.position = s.position
         where s.stream_id = $1 and s.category = $2 and s.tenant_id = $3 and s.format = $4
           and s.position <= h.position
           and (e.position is null
                or (e.stream_id = s.stream_id and e.version = s.version and e.event_id = s.event_id))"
    ))
    .bind(key.id)
    .bind(&*key.category)
    .bind(key.tenant.as_str())
    .bind(format)
    .fetch_optional(pool)
    .await?;
    Ok(row.as_ref().map(from_row).transpose()?)
}

/// Up to `limit` snapshots after that of a stream, in the order of their keys, of any format and history.
pub(crate) async fn page(pool: &PgPool, after: Option<&StreamKey>, limit: i64) -> Result<Vec<Snapshot>, ReadError> {
    let rows = sqlx::query(select!(
        "where $1::uuid is null or (s.stream_id, s.category, s.tenant_id) > ($1, $2, $3)
         order by s.stream_id, s.category, s.tenant_id limit $4"
    ))
    .bind(after.map(|key| key.id))
    .bind(after.map(|key| &*key.category))
    .bind(after.map(|key| key.tenant.as_str()))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.iter().map(from_row).collect::<Result<_, _>>()?)
}

/// Stores a snapshot if its last event is in the log. It replaces an earlier one, one of another format, and one whose last
/// event is not in the log. Returns whether it was stored.
///
/// The commit is not flushed: a snapshot that a crash loses is taken again, and appends do not wait behind its flush.
pub(crate) async fn write(pool: &PgPool, snapshot: &NewSnapshot) -> Result<bool, ReadError> {
    let stored = sqlx::query(
        "insert into apex.snapshots as s
             (tenant_id, category, stream_id, version, position, event_id, recorded_at, format, state)
         select e.tenant_id, e.category, e.stream_id, e.version, e.position, e.event_id, e.recorded_at, $6, $7::json
         from apex.events e, set_config('synchronous_commit', 'off', true)
         where e.position = $5 and e.stream_id = $1 and e.category = $2 and e.tenant_id = $3 and e.version = $4
         on conflict (stream_id, category, tenant_id) do update
         set version = excluded.version, position = excluded.position, event_id = excluded.event_id,
             recorded_at = excluded.recorded_at, format = excluded.format, state = excluded.state, taken_at = now()
         where s.version <= excluded.version or s.format <> excluded.format or not exists (
             select from apex.events e
             where e.position = s.position and e.stream_id = s.stream_id and e.version = s.version
               and e.event_id = s.event_id
         )",
    )
    .bind(snapshot.stream.id)
    .bind(&*snapshot.stream.category)
    .bind(snapshot.stream.tenant.as_str())
    .bind(snapshot.version.as_i64())
    .bind(snapshot.position.as_i64())
    .bind(&snapshot.format)
    .bind(&snapshot.state)
    .execute(pool)
    .await?;
    Ok(stored.rows_affected() == 1)
}

fn from_row(row: &PgRow) -> Result<Snapshot, sqlx::Error> {
    Ok(Snapshot {
        stream: StreamKey {
            tenant: TenantId::from_stored(row.try_get("tenant_id")?),
            category: row.try_get::<&str, _>("category")?.into(),
            id: row.try_get("stream_id")?,
        },
        version: Version::from_i64(row.try_get("version")?),
        position: Position::from_i64(row.try_get("position")?),
        recorded_at: row.try_get("recorded_at")?,
        format: row.try_get("format")?,
        state: row.try_get("state")?,
    })
}
