//! Why a command was not executed.

use crate::loader::LoadError;
use domain::permissions::Forbidden;
use streams::{AppendError, ReadError, Version};
use thiserror::Error;

/// Why a command was not executed. `E` is the aggregate's own rejection.
#[derive(Debug, Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The principal may not give the command, or may not read. Nothing was written.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The aggregate rejects the command. Nothing was written, and a retry will not help.
    #[error(transparent)]
    Rejected(E),
    /// The aggregate does not have the version that the command expects. Nothing was written.
    #[error(
        "the aggregate is at version {current}, the command expects version {expected}: read it again and decide anew"
    )]
    WrongVersion {
        /// The version that the command expects.
        expected: Version,
        /// The version of the aggregate.
        current: Version,
    },
    /// A different command was executed under this id. Nothing was written.
    #[error("another command was executed under this command id: give each command an id of its own")]
    CommandIdReused,
    /// Other writers changed the aggregates during every attempt until the deadline. Nothing was written; a retry may help.
    #[error("other commands kept changing the aggregates during every attempt; retry with the same command id")]
    Contended,
    /// The decision rests on more aggregates than one may. Nothing was written, and a retry will not help.
    #[error("the command depends on more than {limit} aggregates: split it into several commands")]
    TooManyAggregates {
        /// The most aggregates that one decision may rest on.
        limit: usize,
    },
    /// The log did not accept the events. Nothing was written unless it is [`AppendError::Indeterminate`].
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The aggregate could not be read from the log.
    #[error(transparent)]
    Load(#[from] ReadError),
    /// A stored event cannot be decoded: a newer version of Apex wrote it, or it is damaged.
    #[error("a stored event of the aggregate cannot be decoded")]
    Decode(#[from] domain::DecodeError),
    /// A new event cannot be written as JSON.
    #[error("an event cannot be encoded as JSON")]
    Encode(#[from] domain::EncodeError),
}

impl<E: std::error::Error + 'static> Error<E> {
    /// The error of a caller who waits no longer: whether something was written is not known.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::Append(AppendError::outcome_unknown())
    }

    /// Whether a retry under the same command id may succeed, for example because the database was busy or unreachable
    /// for a moment.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contended => true,
            Self::Append(error) => error.is_retryable(),
            Self::Load(error) => error.is_retryable(),
            Self::Forbidden(_)
            | Self::Rejected(_)
            | Self::WrongVersion { .. }
            | Self::TooManyAggregates { .. }
            | Self::CommandIdReused
            | Self::Decode(_)
            | Self::Encode(_) => false,
        }
    }

    /// Whether the command itself is what cannot be executed, such as one with too much content: a retry will not help.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::TooManyAggregates { .. } | Self::Append(AppendError::Invalid(_)))
    }

    /// The error with another type of rejection.
    pub fn map_rejected<F: std::error::Error + 'static>(self, map: impl FnOnce(E) -> F) -> Error<F> {
        match self {
            Self::Rejected(error) => Error::Rejected(map(error)),
            Self::Forbidden(error) => Error::Forbidden(error),
            Self::WrongVersion { expected, current } => Error::WrongVersion { expected, current },
            Self::CommandIdReused => Error::CommandIdReused,
            Self::Contended => Error::Contended,
            Self::TooManyAggregates { limit } => Error::TooManyAggregates { limit },
            Self::Append(error) => Error::Append(error),
            Self::Load(error) => Error::Load(error),
            Self::Decode(error) => Error::Decode(error),
            Self::Encode(error) => Error::Encode(error),
        }
    }
}

impl<E: std::error::Error + 'static> From<LoadError> for Error<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(error) => Self::Load(error),
            LoadError::Decode(error) => Self::Decode(error),
        }
    }
}

/// The rejection of any decision, without its type.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct Rejection(Box<dyn std::error::Error + Send + Sync>);

impl Rejection {
    pub(crate) fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl Error<Rejection> {
    /// The error with the type of the decision's rejection.
    ///
    /// # Panics
    /// If the rejection is of another type. That never happens, because the type comes from the decision function itself.
    pub(crate) fn typed<E: std::error::Error + 'static>(self) -> Error<E> {
        self.map_rejected(|Rejection(error)| match error.downcast() {
            Ok(error) => *error,
            Err(_) => unreachable!("a decision is rejected with its own type of rejection"),
        })
    }
}
