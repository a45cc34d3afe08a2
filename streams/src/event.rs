//! What the log holds.

use chrono::{DateTime, Utc};
use domain::{DecodeError, Event, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// As PostgreSQL's bigint; numbers beyond it are beyond anything stored.
            #[must_use]
            pub fn as_i64(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From PostgreSQL's bigint, where it is never negative.
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
    /// A place in the log, from 1 without gaps; 0 is before the first event.
    Position
}
counter! {
    /// A place in a stream, from 1 without gaps; 0 is a stream without events.
    Version
}

/// The name of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Whose.
    pub tenant: TenantId,
    /// Of which aggregate.
    pub category: Arc<str>,
    /// Which one.
    pub id: Uuid,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.id)
    }
}

/// Who caused an event, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The person, agent or policy that gave the command.
    pub actor: String,
    /// The command; a retry has the same id.
    pub command_id: Uuid,
    /// What it all belongs to.
    pub correlation_id: Uuid,
    /// The event that the command reacted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The trace that the command was a part of (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamKey,
    /// Its place in the stream.
    pub version: Version,
    /// Its id.
    pub event_id: Uuid,
    /// Its type, such as `task.completed`.
    pub name: String,
    /// The schema version of the payload.
    pub schema_version: u16,
    /// The payload as it was written, byte for byte.
    pub payload: String,
    /// The metadata as it was written, byte for byte.
    pub metadata: String,
    /// When it was appended, by the database's clock; never falls as positions rise.
    pub recorded_at: DateTime<Utc>,
    /// SHA-256 of the content; see [`content_hash`].
    pub content_hash: Vec<u8>,
}

impl RecordedEvent {
    /// The event as its aggregate knows it.
    ///
    /// # Errors
    /// [`DecodeError`] when this code does not know the type, the payload does not fit, or the tenant is none.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        self.stream.tenant.check()?;
        Event::decode(&self.stream.category, &self.name, self.schema_version, &self.payload)
    }

    /// Who caused it, and by what.
    ///
    /// # Errors
    /// serde's error when the metadata does not fit.
    pub fn metadata(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_str(&self.metadata)
    }

    /// Whether the content is what was hashed when it was written.
    #[must_use]
    pub fn content_is_intact(&self) -> bool {
        content_hash(&self.stream, self.event_id, &self.name, self.schema_version, &self.payload, &self.metadata)
            == self.content_hash.as_slice()
    }

    /// Reads any row: one that says what no event can say is refused by [`RecordedEvent::decode`], so that a reader can
    /// pass over it. Were it refused here, no reader would ever get beyond it.
    pub(crate) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: Position::from_i64(row.try_get("position")?),
            stream: StreamKey {
                tenant: TenantId::as_stored(row.try_get("tenant_id")?),
                category: row.try_get::<&str, _>("category")?.into(),
                id: row.try_get("stream_id")?,
            },
            version: Version::from_i64(row.try_get("version")?),
            event_id: row.try_get("event_id")?,
            name: row.try_get("type")?,
            // No type has a version 0.
            schema_version: u16::try_from(row.try_get::<i16, _>("schema_version")?).unwrap_or(0),
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
            recorded_at: row.try_get("recorded_at")?,
            content_hash: row.try_get("content_hash")?,
        })
    }
}

/// SHA-256 over what an event says and whose it is: tenant, category, stream id, event id, type, schema version,
/// payload and metadata, each preceded by its length as eight big-endian bytes. Position, version and time are the
/// log's, not the content's.
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
