//! Recorded events for unit tests.

use crate::event::{Position, RecordedEvent, StreamKey, Version, content_hash};
use chrono::{DateTime, TimeDelta};
use domain::TenantId;
use uuid::Uuid;

pub(crate) fn key(id: u128) -> StreamKey {
    StreamKey { tenant: TenantId::from_stored("default".to_owned()), category: "task".into(), id: Uuid::from_u128(id) }
}

/// The event at a position: the first of its stream, recorded that many seconds after the epoch.
pub(crate) fn event(position: u64) -> RecordedEvent {
    let stream = key(u128::from(position));
    let event_id = Uuid::from_u128(u128::from(position) << 64);
    let payload = format!(r#"{{"n":{position}}}"#);
    let id = Uuid::from_u128(7);
    let metadata = format!(r#"{{"actor":"test","command_id":"{id}","correlation_id":"{id}"}}"#);
    let content_hash = content_hash(&stream, event_id, "task.submitted", 1, &payload, &metadata).to_vec();
    RecordedEvent {
        position: Position::from(position),
        stream,
        version: Version::from(1),
        event_id,
        name: "task.submitted".to_owned(),
        schema_version: 1,
        payload,
        metadata,
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::try_from(position).unwrap()),
        content_hash,
    }
}
