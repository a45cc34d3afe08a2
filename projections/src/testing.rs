//! Events and folds for unit tests.

use crate::projection::{Applied, ApplyError};
use crate::rows::StreamRow;
use chrono::{DateTime, Utc};
use domain::TenantId;
use std::sync::Arc;
use streams::{Position, RecordedEvent, StreamKey, Version};
use uuid::Uuid;

/// An event as the log returns it. Its version is its position.
pub(crate) fn recorded(position: u64, category: &str, stream: u128, name: &str, payload: &str) -> Arc<RecordedEvent> {
    Arc::new(RecordedEvent {
        position: Position::from(position),
        stream: StreamKey {
            tenant: TenantId::from_stored("default".to_owned()),
            category: category.to_owned().into(),
            id: Uuid::from_u128(stream),
        },
        version: Version::from(position),
        event_id: Uuid::from_u128(position.into()),
        name: name.to_owned(),
        schema_version: 1,
        payload: payload.to_owned(),
        metadata: "{}".to_owned(),
        recorded_at: DateTime::<Utc>::UNIX_EPOCH,
        content_hash: Vec::new(),
    })
}

/// The row of a stream after the given event types and payloads.
pub(crate) fn fold<R: StreamRow>(events: &[(&str, &str)]) -> Result<Option<R>, ApplyError> {
    let recorded =
        (1..).zip(events).map(|(position, (name, payload))| recorded(position, R::CATEGORY, 1, name, payload));
    recorded.into_iter().try_fold(None, |row, recorded| {
        let event = Arc::new(recorded.decode().unwrap());
        R::fold(row, &Applied { recorded, event })
    })
}
