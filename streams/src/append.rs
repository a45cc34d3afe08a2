//! What is appended, and what became of it.

use crate::error::InvalidAppend;
use crate::{Metadata, Position, StreamKey, Version};
use domain::{EncodeError, EventCodec, TenantId};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// The most events in one append.
pub(crate) const MAX_APPEND_EVENTS: usize = 10_000;
/// The largest event, payload and metadata together: with headers it stays below Kafka's default of 1 MiB.
pub(crate) const MAX_EVENT_BYTES: usize = 900_000;
/// The largest metadata, as migrations/0010_log_checks.sql has it.
pub(crate) const MAX_METADATA_BYTES: usize = 4096;
/// The most bytes in one append.
pub(crate) const MAX_APPEND_BYTES: usize = 16 * 1024 * 1024;

/// Which version a stream must have for an append to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it has.
    Any,
    /// This one; [`Version::ZERO`] for a stream that does not exist yet.
    Exact(Version),
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub name: &'static str,
    /// The schema version of the payload.
    pub schema_version: u16,
    /// The payload as JSON text.
    pub payload: String,
}

impl NewEvent {
    /// Encodes an event under an id.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload cannot be written.
    pub fn encode<E: EventCodec>(event_id: Uuid, event: &E) -> Result<Self, EncodeError> {
        let event_type = event.event_type();
        Ok(Self {
            event_id,
            name: event_type.name,
            schema_version: event_type.schema_version,
            payload: event.encode()?,
        })
    }
}

/// What one append does to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The aggregate's category.
    pub category: Arc<str>,
    /// Which stream of it.
    pub id: Uuid,
    /// The version it must have.
    pub expected: Expected,
    /// Its new events; none to make the whole append depend on its version alone.
    pub events: Vec<NewEvent>,
}

/// What a client sent with a command, in 17 bytes: the number of the hash's version, and the first 16 bytes of a SHA-256.
///
/// A command id that comes again with another hash of the same version is another command, see
/// [`AppendError::CommandReused`](crate::AppendError::CommandReused). Hashes of different versions are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHash([u8; 17]);

impl RequestHash {
    /// Counted up when what is hashed, or how, changes.
    const VERSION: u8 = 1;

    /// The hash of a request in a form that is the same each time that the same is sent.
    #[must_use]
    pub fn of(request: &[u8]) -> Self {
        let digest = Sha256::digest(request);
        let mut hash = [Self::VERSION; 17];
        hash[1..].copy_from_slice(&digest[..16]);
        Self(hash)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a hash that was kept is of another request.
    pub(crate) fn differs_from(&self, kept: &[u8]) -> bool {
        kept.first() == self.0.first() && kept != self.0
    }
}

/// Events of one command for one or more streams: all are written or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Whose streams.
    pub tenant: TenantId,
    /// Who caused it, and by what. The command id makes a retry safe.
    pub metadata: Metadata,
    /// What was sent with the command; none where it is not known.
    pub request: Option<RequestHash>,
    /// The streams.
    pub streams: Vec<StreamAppend>,
}

/// Appends of one process that build on each other before the first of them is committed.
///
/// When one of them is not written, for whatever reason, those handed in after it are refused as
/// [`crate::AppendError::ChainAborted`]: what they were decided on did not come to be. A chain that was undone stays so; what
/// comes next begins another. All appends of a chain touch one stream in common, which keeps them in their order.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<AtomicBool>);

impl Chain {
    /// Whether an append of it was not written.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn abort(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Append {
    pub(crate) fn key(&self, stream: &StreamAppend) -> StreamKey {
        StreamKey { tenant: self.tenant.clone(), category: stream.category.clone(), id: stream.id }
    }

    pub(crate) fn event_count(&self) -> usize {
        self.streams.iter().map(|stream| stream.events.len()).sum()
    }

    /// Whether all it does is to create one stream: then the stream itself is its receipt.
    pub(crate) fn creates_one_stream(&self) -> bool {
        let mut written = self.streams.iter().filter(|stream| !stream.events.is_empty());
        let creates = written.next().is_some_and(|stream| stream.expected == Expected::Exact(Version::ZERO));
        creates && written.next().is_none()
    }

    pub(crate) fn check(&self, metadata_bytes: usize) -> Result<usize, InvalidAppend> {
        let found = self.event_count();
        if found == 0 {
            return Err(InvalidAppend::Empty);
        }
        if found > MAX_APPEND_EVENTS {
            return Err(InvalidAppend::TooManyEvents { found, limit: MAX_APPEND_EVENTS });
        }
        if metadata_bytes > MAX_METADATA_BYTES {
            return Err(InvalidAppend::MetadataTooLarge { bytes: metadata_bytes, limit_bytes: MAX_METADATA_BYTES });
        }
        if self.metadata.actor.is_empty() {
            return Err(InvalidAppend::MissingActor);
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.streams.iter().find(|stream| !seen.insert((&stream.category, stream.id))) {
            return Err(InvalidAppend::DuplicateStream(self.key(twice)));
        }
        let mut total = 0;
        for event in self.streams.iter().flat_map(|stream| &stream.events) {
            let bytes = event.payload.len() + metadata_bytes;
            if bytes > MAX_EVENT_BYTES {
                return Err(InvalidAppend::EventTooLarge { bytes, limit_bytes: MAX_EVENT_BYTES });
            }
            total += bytes;
        }
        if total > MAX_APPEND_BYTES {
            return Err(InvalidAppend::AppendTooLarge { bytes: total, limit_bytes: MAX_APPEND_BYTES });
        }
        Ok(total)
    }
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It was written now.
    New {
        /// Its first event.
        first: Position,
        /// Its last event.
        last: Position,
    },
    /// It was written before, under the same command id.
    Duplicate {
        /// Its first event.
        first: Position,
        /// Its last event.
        last: Position,
    },
}

impl Appended {
    /// Its last position.
    #[must_use]
    pub fn last(self) -> Position {
        match self {
            Self::New { last, .. } | Self::Duplicate { last, .. } => last,
        }
    }
}
