//! The input and the result of an append.

use crate::error::InvalidAppend;
use crate::event::{Metadata, Position, StreamKey, Version};
use crate::limits::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS, MAX_EVENT_BYTES, MAX_METADATA_BYTES};
use domain::{EncodeError, EventCodec, TenantId};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// The version that a stream must have for an append to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any version: the append does not check it.
    Any,
    /// Exactly this version; [`Version::ZERO`] for a stream that does not exist yet.
    Exact(Version),
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type, such as `task.completed`.
    pub name: &'static str,
    /// The schema version of the payload.
    pub schema_version: u16,
    /// The payload as JSON text.
    pub payload: String,
}

impl NewEvent {
    /// Encodes a domain event under an id.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload cannot be serialized as JSON.
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

/// The part of an append that concerns one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The category of the stream's aggregate.
    pub category: Arc<str>,
    /// The id of the stream within its category.
    pub id: Uuid,
    /// The version that the stream must have.
    pub expected: Expected,
    /// The events to append. Empty to make the whole append depend on the stream's version without changing the stream:
    /// other appends may read the stream at the same time.
    pub events: Vec<NewEvent>,
}

/// A hash of what a client sent with a command, in 17 bytes: the version of the hash, then the first 16 bytes of a
/// SHA-256.
///
/// A command id that is reused with a different hash of the same version is refused, see
/// [`AppendError::CommandReused`](crate::AppendError::CommandReused). Hashes of different versions are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHash([u8; 17]);

impl RequestHash {
    /// Incremented when the hashed content or the hash function changes.
    const VERSION: u8 = 1;

    /// Hashes a request. The bytes must be canonical: the same for every transmission of the same request.
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

    /// Whether a stored hash is of a different request. Hashes of another version never differ.
    pub(crate) fn differs_from(&self, stored: &[u8]) -> bool {
        stored.first() == self.0.first() && stored != self.0
    }
}

/// The events of one command for one or more streams: all of them are written, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The tenant that owns the streams.
    pub tenant: TenantId,
    /// Who caused the events, and by which command. The command id makes a retry safe.
    pub metadata: Metadata,
    /// The hash of what the client sent with the command; none when it is not known.
    pub request: Option<RequestHash>,
    /// The streams, each at most once. The first one is the command's target, which every execution of the command names.
    pub streams: Vec<StreamAppend>,
    /// Whether the command may change other streams than its target. Then a retry finds the first execution by tenant and
    /// command id, whatever streams it rests on itself; else the target's row serves as the receipt of a command that
    /// creates it.
    pub may_change_others: bool,
}

/// Appends of one process to one stream that build on each other before the first of them is committed.
///
/// When one append of a chain is not written, for whatever reason, those submitted after it fail with
/// [`crate::AppendError::ChainAborted`], because the state that they were decided on never existed. An aborted chain
/// stays aborted; later appends start a new chain.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<AtomicBool>);

impl Chain {
    /// Whether one of the chain's appends was not written.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Marks the chain as aborted: an append of it was not written.
    pub fn abort(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The chains that an append is submitted with: one for each stream whose state was not committed when it was decided.
///
/// The append is not written if one of the chains is aborted. All appends of a chain name its stream, which keeps them in
/// order.
#[derive(Debug, Clone, Default)]
pub struct Chains {
    /// The chains of the streams that the append changes. They are aborted if the append is not written.
    pub changed: Vec<Chain>,
    /// The chains of the streams that the append only reads. They go on if the append is not written.
    pub read: Vec<Chain>,
}

impl Chains {
    /// Whether one of the chains is aborted.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.changed.iter().chain(&self.read).any(Chain::is_aborted)
    }
}

impl Append {
    pub(crate) fn key(&self, stream: &StreamAppend) -> StreamKey {
        StreamKey { tenant: self.tenant.clone(), category: stream.category.clone(), id: stream.id }
    }

    pub(crate) fn event_count(&self) -> usize {
        self.streams.iter().map(|stream| stream.events.len()).sum()
    }

    /// Whether creating its target is all that the command does and can do: then the target's row serves as its receipt.
    pub(crate) fn only_creates_its_target(&self) -> bool {
        let mut streams = self.streams.iter();
        !self.may_change_others
            && streams
                .next()
                .is_some_and(|target| target.expected == Expected::Exact(Version::ZERO) && !target.events.is_empty())
            && streams.all(|other| other.events.is_empty())
    }

    /// Checks the append against the limits, and returns its size in bytes.
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
        if let Some(duplicate) = self.streams.iter().find(|stream| !seen.insert((&stream.category, stream.id))) {
            return Err(InvalidAppend::DuplicateStream(self.key(duplicate)));
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

/// The result of a successful append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The events were written by this append.
    New {
        /// The position of the first event.
        first: Position,
        /// The position of the last event.
        last: Position,
    },
    /// The events were written earlier under the same command id; this append changed nothing.
    Duplicate {
        /// The position of the first event.
        first: Position,
        /// The position of the last event.
        last: Position,
    },
}

impl Appended {
    /// The position of the last event.
    #[must_use]
    pub fn last(self) -> Position {
        match self {
            Self::New { last, .. } | Self::Duplicate { last, .. } => last,
        }
    }
}
