//! What can go wrong with the log.

use crate::{ArchiveError, DatabaseError, Position, StreamKey, Version};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why an append was not done.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// A stream is not at the version that was expected. Nothing was written.
    #[error("stream {stream} is at version {current}")]
    Conflict {
        /// Which stream.
        stream: StreamKey,
        /// Where it is.
        current: Version,
    },
    /// Another request was executed under the same command id. Nothing was written.
    #[error("the command id belongs to another command that was executed before: give this one an id of its own")]
    CommandReused,
    /// Too many appends wait already. Nothing was written; try again after the given time.
    #[error("the log is busy; try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The append itself is not acceptable. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// The database could not be reached, or could not do it at this moment. Nothing was written.
    #[error("the log's database is not available at the moment")]
    Unavailable(#[source] DatabaseError),
    /// The database refused the append. Nothing was written.
    #[error("the log's database refused the append")]
    Refused(#[source] DatabaseError),
    /// The connection broke after the append was sent: it may or may not be written. The retry with the same
    /// command id finds out.
    #[error("it is not known whether the append was written; retry with the same command id")]
    Indeterminate(#[source] DatabaseError),
    /// An earlier append of its [`crate::Chain`] was not written, so neither was this one. Decide again.
    #[error("an append that this one builds on was not written")]
    ChainAborted,
    /// The log is shutting down. Nothing was written.
    #[error("the log is shutting down")]
    Closed,
}

impl AppendError {
    /// Whether the same append, under the same command id, may go better later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Busy { .. } | Self::Unavailable(_) | Self::ChainAborted => true,
            Self::Indeterminate(error) => error.is_retryable(),
            Self::Invalid(_) | Self::Refused(_) | Self::CommandReused | Self::Closed => false,
        }
    }

    /// For who waited for an answer that nobody is left to give.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::Indeterminate(DatabaseError::from(sqlx::Error::WorkerCrashed))
    }
}

/// What is wrong with an append.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAppend {
    /// No events in any stream.
    #[error("an append needs at least one event")]
    Empty,
    /// One stream occurs twice.
    #[error("stream {0} occurs twice in one append")]
    DuplicateStream(StreamKey),
    /// Too many events.
    #[error("{found} events in one append, {limit} are allowed")]
    TooManyEvents {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Nobody who answers for it.
    #[error("an append needs an actor")]
    MissingActor,
    /// Actor and ids.
    #[error("the metadata has {bytes} bytes, {limit_bytes} are allowed")]
    MetadataTooLarge {
        /// As JSON.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// An event that Kafka would refuse later.
    #[error("an event has {bytes} bytes, {limit_bytes} are allowed")]
    EventTooLarge {
        /// Payload and metadata together.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// All events together.
    #[error("the events have {bytes} bytes together, {limit_bytes} are allowed")]
    AppendTooLarge {
        /// All payloads and metadata.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

impl ReadError {
    /// Whether the same may be read later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_retryable())
    }
}

/// Why the log could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database failed; reading again later may work.
    #[error("the log cannot be read")]
    Database(#[from] DatabaseError),
    /// The process is shutting down.
    #[error("the log is shutting down")]
    Closed,
    /// What was asked for is no longer in the database.
    #[error(
        "positions {from} to {to} are archived, from {} on: name the folder that holds the archive files with \
         APEX_ARCHIVE or --archive",
        location.display()
    )]
    Archived {
        /// The first position that would have been read.
        from: Position,
        /// The last one that may have been.
        to: Position,
        /// Where the first of the files was written to.
        location: PathBuf,
    },
    /// The archive is not what it should be.
    #[error("the archive cannot be read")]
    Archive(#[from] ArchiveError),
    /// Versions of a stream are neither in the database nor in the archives.
    #[error("versions of the stream {stream} are missing")]
    Gap {
        /// Which stream.
        stream: StreamKey,
    },
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
