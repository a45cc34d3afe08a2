//! The parked and the skipped events of a version, as the code that applies batches reads and writes them.

use crate::projection::ApplyError;
use crate::target::{Slot, Target};
use domain::TenantId;
use metrics::counter;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use std::collections::HashSet;
use streams::{Position, RecordedEvent, StreamKey};

/// The cause of an event that is parked because an earlier one is.
pub(crate) const PARKED_BEFORE: &str = "an earlier event of the stream is parked";

/// The events of a batch that are not to be applied.
#[derive(Debug, Default)]
pub(crate) struct Exclusions {
    /// The streams that have parked events.
    pub(crate) parked: HashSet<StreamKey>,
    /// The positions of the events that an operator decided to skip.
    pub(crate) skipped: HashSet<i64>,
}

impl Exclusions {
    /// Loads the parked streams and skipped positions among events in order of position.
    pub(crate) async fn load<'a>(
        target: &Target,
        connection: &mut PgConnection,
        events: impl Iterator<Item = &'a RecordedEvent> + Clone,
    ) -> Result<Self, ApplyError> {
        let ids: Vec<_> = events.clone().map(|event| event.stream.id).collect();
        let position = |event: Option<&RecordedEvent>| event.map_or(0, |event| event.position.as_i64());
        // One statement for both, because most batches have neither.
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
        .bind(position(events.clone().next()))
        .bind(position(events.last()))
        .fetch_all(connection)
        .await?;
        let mut exclusions = Self::default();
        for row in &rows {
            if let Some(position) = row.try_get("skipped")? {
                exclusions.skipped.insert(position);
            } else {
                exclusions.parked.insert(stream_of(row)?);
            }
        }
        Ok(exclusions)
    }

    /// Whether an operator decided to skip an event.
    pub(crate) fn is_skipped(&self, event: &RecordedEvent) -> bool {
        self.skipped.contains(&event.position.as_i64())
    }
}

/// Reads the stream from the columns `tenant_id`, `category` and `stream_id`.
pub(crate) fn stream_of(row: &PgRow) -> Result<StreamKey, sqlx::Error> {
    Ok(StreamKey {
        // Events with an invalid tenant are parked too.
        tenant: TenantId::from_stored(row.try_get("tenant_id")?),
        category: row.try_get::<&str, _>("category")?.into(),
        id: row.try_get("stream_id")?,
    })
}

/// Parks an event.
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

/// Removes an event from the parked events.
pub(crate) async fn unpark(
    connection: &mut PgConnection,
    follower: &str,
    position: Position,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from apex.parked_events where projection = $1 and position = $2")
        .bind(follower)
        .bind(position.as_i64())
        .execute(connection)
        .await?;
    Ok(())
}
