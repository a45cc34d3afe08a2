//! Events as the log stores them, and the keys that order them.

use chrono::{DateTime, Utc};
use domain::{DecodeError, Event, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// Declares a newtype of `u64` that counts from 1.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first event.
            pub const ZERO: Self = Self(0);

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The number as PostgreSQL's `bigint`; saturates, since no stored number exceeds it.
            #[must_use]
            pub fn as_i64(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From PostgreSQL's `bigint`, where it is never negative.
            #[must_use]
            pub fn from_i64(number: i64) -> Self {
                Self(u64::try_from(number).unwrap_or(0))
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self { Self(number) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    };
}

counter! {
    /// The position of an event in the log, from 1 without gaps; 0 is before the first event.
    Position
}
counter! {
    /// The version of a stream: the number of its events. An event's version is its number within its stream, from 1
    /// without gaps; 0 is a stream without events.
    Version
}

/// The identity of a stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// The tenant that owns the stream.
    pub tenant: TenantId,
    /// The category of the aggregate, such as `task`.
    pub category: Arc<str>,
    /// The id of the aggregate.
    pub id: Uuid,
}

/// By the id alone, which few streams share: equal keys have equal ids.
impl Hash for StreamKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.id.hash(hasher);
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.id)
    }
}

/// Who caused an event, and by which command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The person, agent or policy that gave the command.
    pub actor: String,
    /// The id of the command; a retry has the same id.
    pub command_id: Uuid,
    /// The id that relates all commands and events of one operation.
    pub correlation_id: Uuid,
    /// The id of the event that the command reacted to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The trace context of the command, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as stored in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// The event's position in the log.
    pub position: Position,
    /// The event's stream.
    pub stream: StreamKey,
    /// The event's version in its stream.
    pub version: Version,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type, such as `task.completed`.
    pub name: String,
    /// The schema version of the payload.
    pub schema_version: u16,
    /// The payload as it was written, byte for byte.
    pub payload: String,
    /// The metadata as it was written, byte for byte.
    pub metadata: String,
    /// When the event was appended, by the database's clock. Never decreases as positions increase.
    pub recorded_at: DateTime<Utc>,
    /// The SHA-256 of the content; see [`content_hash`].
    pub content_hash: Vec<u8>,
}

impl RecordedEvent {
    /// Decodes the domain event.
    ///
    /// # Errors
    /// [`DecodeError`] when this version of Apex does not know the type, the payload does not match its schema, or the
    /// tenant id is not valid.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        self.stream.tenant.check()?;
        Event::decode(&self.stream.category, &self.name, self.schema_version, &self.payload)
    }

    /// Parses the metadata.
    ///
    /// # Errors
    /// The JSON error when the stored metadata does not have the expected fields.
    pub fn metadata(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_str(&self.metadata)
    }

    /// Whether the content still has the hash that was stored when the event was appended.
    #[must_use]
    pub fn content_is_intact(&self) -> bool {
        content_hash(&self.stream, self.event_id, &self.name, self.schema_version, &self.payload, &self.metadata)
            == self.content_hash.as_slice()
    }

    /// The size of payload and metadata in bytes.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + self.metadata.len()
    }

    /// Reads any row. A row that is no valid event fails in [`RecordedEvent::decode`] instead, so that a reader can skip
    /// it; an error here would stop every reader at it.
    pub(crate) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: Position::from_i64(row.try_get("position")?),
            stream: StreamKey {
                tenant: TenantId::from_stored(row.try_get("tenant_id")?),
                category: row.try_get::<&str, _>("category")?.into(),
                id: row.try_get("stream_id")?,
            },
            version: Version::from_i64(row.try_get("version")?),
            event_id: row.try_get("event_id")?,
            name: row.try_get("type")?,
            // Schema versions start at 1; 0 marks one that is not valid.
            schema_version: u16::try_from(row.try_get::<i16, _>("schema_version")?).unwrap_or(0),
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
            recorded_at: row.try_get("recorded_at")?,
            content_hash: row.try_get("content_hash")?,
        })
    }
}

/// The SHA-256 of an event's content: tenant, category, stream id, event id, type, schema version, payload and metadata,
/// each preceded by its length as eight big-endian bytes. Position, version and time are not hashed: the log assigns
/// them.
#[must_use]
pub fn content_hash(
    stream: &StreamKey,
    event_id: Uuid,
    name: &str,
    schema_version: u16,
    payload: &str,
    metadata: &str,
) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let parts: [&[u8]; 8] = [
        stream.tenant.as_str().as_bytes(),
        stream.category.as_bytes(),
        stream.id.as_bytes(),
        event_id.as_bytes(),
        name.as_bytes(),
        &schema_version.to_be_bytes(),
        payload.as_bytes(),
        metadata.as_bytes(),
    ];
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    #[test]
    fn an_unchanged_event_is_intact() {
        assert!(event(1).content_is_intact());
    }

    #[test]
    fn the_hash_covers_every_field_of_the_content() {
        let original = event(1);
        let stream = |key| RecordedEvent { stream: key, ..event(1) };
        let changed = [
            stream(StreamKey { tenant: TenantId::from_stored("other".to_owned()), ..original.stream.clone() }),
            stream(StreamKey { category: "memory".into(), ..original.stream.clone() }),
            stream(StreamKey { id: Uuid::from_u128(9), ..original.stream.clone() }),
            RecordedEvent { event_id: Uuid::from_u128(9), ..event(1) },
            RecordedEvent { name: "task.started".to_owned(), ..event(1) },
            RecordedEvent { schema_version: 2, ..event(1) },
            RecordedEvent { payload: "{}".to_owned(), ..event(1) },
            RecordedEvent { metadata: "{}".to_owned(), ..event(1) },
        ];
        assert!(changed.iter().all(|changed| !changed.content_is_intact()));
    }

    #[test]
    fn the_hash_separates_adjacent_fields() {
        let hash =
            |payload, metadata| content_hash(&event(1).stream, Uuid::nil(), "task.started", 1, payload, metadata);
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
    }

    #[test]
    fn the_hash_does_not_cover_what_the_log_assigns() {
        let moved =
            RecordedEvent { position: 2.into(), version: 5.into(), recorded_at: DateTime::UNIX_EPOCH, ..event(1) };
        assert!(moved.content_is_intact());
    }
}
