//! Why a command was not executed.

use streams::{AppendError, ReadError, Version};
use thiserror::Error;

/// `E` is the aggregate's own refusal.
#[derive(Debug, Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The aggregate refuses. Nothing was written, and trying again will not help.
    #[error(transparent)]
    Rejected(E),
    /// The aggregate is not at the version that the command was given for. Nothing was written.
    #[error("the aggregate is at version {current}, not at {expected}")]
    WrongVersion {
        /// What the command expects.
        expected: Version,
        /// Where the aggregate is.
        current: Version,
    },
    /// Another command was executed under this id. Nothing was written.
    #[error("the command id belongs to another command that was executed before: give this one an id of its own")]
    CommandIdReused,
    /// Others were faster, every time. Nothing was written; trying again may help.
    #[error("the aggregate is changed by others all the time; try again")]
    Contended,
    /// The log did not take the events.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The aggregate could not be loaded.
    #[error(transparent)]
    Load(#[from] ReadError),
    /// A stored event is not one that this code knows: it was written by a newer Apex, or is damaged.
    #[error("a stored event of the aggregate cannot be read")]
    Decode(#[from] domain::DecodeError),
    /// An event cannot be written as JSON.
    #[error("an event cannot be written")]
    Encode(#[from] domain::EncodeError),
}

impl<E: std::error::Error + 'static> Error<E> {
    /// Whether the same command, under the same id, may go better later: the database was busy or away for a moment.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Contended => true,
            Self::Append(error) => error.is_retryable(),
            Self::Load(error) => error.is_retryable(),
            Self::Rejected(_)
            | Self::WrongVersion { .. }
            | Self::CommandIdReused
            | Self::Decode(_)
            | Self::Encode(_) => false,
        }
    }

    /// The same error with another refusal.
    pub fn map_rejected<F: std::error::Error + 'static>(self, map: impl FnOnce(E) -> F) -> Error<F> {
        match self {
            Self::Rejected(refusal) => Error::Rejected(map(refusal)),
            Self::WrongVersion { expected, current } => Error::WrongVersion { expected, current },
            Self::CommandIdReused => Error::CommandIdReused,
            Self::Contended => Error::Contended,
            Self::Append(error) => Error::Append(error),
            Self::Load(error) => Error::Load(error),
            Self::Decode(error) => Error::Decode(error),
            Self::Encode(error) => Error::Encode(error),
        }
    }
}
