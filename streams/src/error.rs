//! Errors of the log.

use crate::archive::error::ArchiveError;
use crate::database_error::DatabaseError;
use crate::event::{Position, StreamKey, Version};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why an append failed.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// A stream is not at the expected version. Nothing was written.
    #[error("stream {stream} is at version {current}")]
    Conflict {
        /// The stream.
        stream: StreamKey,
        /// The stream's current version.
        current: Version,
    },
    /// The command id was used before with a different request. Nothing was written.
    #[error("the command id was already used by a different command: use a new command id")]
    CommandReused,
    /// The append queue is full. Nothing was written; retry after the given time.
    #[error("the log is busy: retry in {} ms", retry_after.as_millis())]
    Busy {
        /// When to retry.
        retry_after: Duration,
    },
    /// The append is not valid. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// The database could not be reached, or could not execute the append at the moment. Nothing was written.
    #[error("the log's database is not available at the moment")]
    Unavailable(#[source] DatabaseError),
    /// The database refused the append. Nothing was written.
    #[error("the log's database refused the append")]
    Refused(#[source] DatabaseError),
    /// The connection broke after the append was sent: the append may or may not have been written. A retry with the
    /// same command id finds out.
    #[error("it is not known whether the append was written: retry with the same command id")]
    Indeterminate(#[source] DatabaseError),
    /// An earlier append of the same [`crate::Chain`] was not written, so this one was not written either. Decide again.
    #[error("an append that this one builds on was not written")]
    ChainAborted,
    /// The log is shutting down. Nothing was written.
    #[error("the log is shutting down")]
    Closed,
}

impl AppendError {
    /// Whether the same append, under the same command id, may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Busy { .. } | Self::Unavailable(_) | Self::ChainAborted => true,
            Self::Indeterminate(error) => error.is_retryable(),
            Self::Invalid(_) | Self::Refused(_) | Self::CommandReused | Self::Closed => false,
        }
    }

    /// The error of a caller whose append was in flight when the task that would have replied ended.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::Indeterminate(DatabaseError::from(sqlx::Error::WorkerCrashed))
    }

    /// Classifies an error that occurred after the append was sent: unless the server reported a rollback, the outcome is
    /// not known.
    pub(crate) fn after_send(error: sqlx::Error) -> Self {
        let error = DatabaseError::from(error);
        if !error.is_rolled_back() {
            Self::Indeterminate(error)
        } else if error.is_transient_rollback() {
            Self::Unavailable(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// Why an append is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAppend {
    /// The append has no events.
    #[error("an append needs at least one event")]
    Empty,
    /// The append names a stream twice.
    #[error("stream {0} occurs twice in one append")]
    DuplicateStream(StreamKey),
    /// The append has too many events.
    #[error("the append has {found} events, the limit is {limit}")]
    TooManyEvents {
        /// The number of events.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The metadata names no actor.
    #[error("an append needs an actor")]
    MissingActor,
    /// The metadata is too large.
    #[error("the metadata has {bytes} bytes, the limit is {limit_bytes}")]
    MetadataTooLarge {
        /// The size of the metadata as JSON text.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// An event is larger than Kafka accepts.
    #[error("an event has {bytes} bytes, the limit is {limit_bytes}")]
    EventTooLarge {
        /// The size of payload and metadata together, in bytes.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The events are too large together.
    #[error("the append has {bytes} bytes, the limit is {limit_bytes}")]
    AppendTooLarge {
        /// The size of all payloads and metadata in bytes.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

/// Why reading the log failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database failed.
    #[error("the log cannot be read")]
    Database(#[from] DatabaseError),
    /// The process is shutting down.
    #[error("the log is shutting down")]
    Closed,
    /// The requested events are archived, and this process has no archive folder to read them from.
    #[error(
        "positions {from} to {to} are archived, starting with {}: name the folder that holds the archive files with \
         APEX_ARCHIVE or --archive",
        location.display()
    )]
    Archived {
        /// The first archived position of the request.
        from: Position,
        /// The last archived position of the request.
        to: Position,
        /// The path that the first of the archive files was written to.
        location: PathBuf,
    },
    /// The archive cannot be read, or is damaged.
    #[error("the archive cannot be read")]
    Archive(#[from] ArchiveError),
    /// Versions of a stream are neither in the database nor in the archives.
    #[error("versions of the stream {stream} are missing")]
    Gap {
        /// The stream.
        stream: StreamKey,
    },
}

impl ReadError {
    /// Whether the same read may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_retryable())
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
