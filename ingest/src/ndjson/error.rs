//! Why a line is refused.

use crate::error::RefusalReason;
use crate::text::clip;
use domain::permissions::Forbidden;
use thiserror::Error;

/// The longest message about a line, in bytes; longer ones are clipped.
pub(super) const MAX_MESSAGE_BYTES: usize = 2048;

/// Why a line is refused. Quoted text is clipped.
#[derive(Debug, Error)]
pub enum LineError {
    /// It cannot be read: it is too long, not UTF-8, or not an object of JSON.
    #[error("{0}")]
    Unreadable(RefusalReason),
    /// It states another type of thing.
    #[error("the type is {found:?}; types are call, task and memory")]
    UnknownType {
        /// The type, clipped.
        found: String,
    },
    /// It has a field that lines of its type do not have.
    #[error("a {of} has no field {field:?}")]
    UnknownField {
        /// The type of the line.
        of: &'static str,
        /// The field, clipped.
        field: String,
    },
    /// A required field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has a value that is not valid.
    #[error("{field}: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with its value.
        message: String,
    },
    /// Nothing identifies the call.
    #[error(
        "nothing identifies the call, so that a repetition would be another one: send `id`, `span`, or a `response_id` of a \
         form that providers make unique"
    )]
    NotIdentified,
    /// The principal may not record it.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The id is that of a task or memory that is described otherwise.
    #[error("{0}")]
    Conflict(String),
    /// The call, task or memory rejects what the line states.
    #[error("{0}")]
    Rejected(String),
}

impl LineError {
    /// The code of the error, which clients can rely on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(RefusalReason::LineTooLong { .. }) => "LINE_TOO_LONG",
            Self::Unreadable(RefusalReason::NotUtf8 { .. }) => "NOT_UTF8",
            Self::Unreadable(_) => "NOT_JSON",
            Self::UnknownType { .. } => "UNKNOWN_TYPE",
            Self::UnknownField { .. } => "UNKNOWN_FIELD",
            Self::Missing(_) => "MISSING_FIELD",
            Self::Invalid { .. } => "INVALID_FIELD",
            Self::NotIdentified => "NOT_IDENTIFIED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::Conflict(_) => "CONFLICT",
            Self::Rejected(_) => "REJECTED",
        }
    }

    pub(super) fn invalid(field: &'static str, message: impl std::fmt::Display) -> Self {
        Self::Invalid { field, message: clip(&message.to_string(), MAX_MESSAGE_BYTES).to_owned() }
    }
}
