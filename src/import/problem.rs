//! What can be wrong with a record, and what with a whole file.

use super::Place;
use super::input::GzipError;
use chrono::{DateTime, Utc};
use domain::{MoneyError, TextError, TokensError};
use std::io;
use thiserror::Error;

/// One record that cannot be imported.
#[derive(Debug, Error)]
#[error("{place}: {reason}")]
pub struct Refusal {
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a record is refused. Quoted text is clipped, and is never the content of a conversation.
#[derive(Debug, Error)]
pub enum RefusalReason {
    /// Over [`MAX_LINE_BYTES`](super::MAX_LINE_BYTES).
    #[error("the line is longer than {limit_bytes} bytes")]
    LineTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// Bytes that are no text.
    #[error("the line is not UTF-8 after its first {valid_bytes} bytes")]
    NotUtf8 {
        /// How far it is.
        valid_bytes: usize,
    },
    /// Broken or cut off JSON, or a field of another type.
    #[error("not the JSON of this format: {0}")]
    Json(serde_json::Error),
    /// Another number of columns than the header has.
    #[error("{found} columns instead of {expected}")]
    Columns {
        /// How many there are.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// Traces were expected.
    #[error("the object holds {found:?} instead of resourceSpans or batches")]
    NotTraces {
        /// Its first key.
        found: String,
    },
    /// Something without which there is no call.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Not a whole number.
    #[error("{field} is {found:?}, which is not a whole number")]
    NotACount {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// Negative or too large.
    #[error("{field}: {cause}")]
    Tokens {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: TokensError,
    },
    /// Empty, too long or with control characters.
    #[error("{field}: {cause}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: TextError,
    },
    /// Not a time in the form that the field has in this format, or out of range.
    #[error("{field} is {found:?}, which is not a time of this format")]
    Time {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// Before 2000: no call of a model was made then.
    #[error("the call would have begun at {0}, before 2000: the time is in another unit, or the clock was wrong")]
    Implausible(DateTime<Utc>),
    /// A recorded cost that is no amount.
    #[error("{field}: {cause}")]
    Cost {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: MoneyError,
    },
    /// An id of a trace or span that is neither hex nor base64 of its length.
    #[error("{field} is {found:?}, which is not an id")]
    Id {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
}

/// What keeps the rest of a file from being imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The format names no model.
    #[error("azure-llm files name no model: say which one it was with --model")]
    ModelNeeded,
    /// Another CSV file.
    #[error("the header is {found:?} instead of {expected:?}")]
    Header {
        /// What was expected.
        expected: &'static str,
        /// What was found, clipped.
        found: String,
    },
    /// Not JSON, or broken so that nothing after it can be read.
    #[error("the file is not the JSON of this format")]
    Json(#[source] serde_json::Error),
    /// JSON, but no traces.
    #[error("the file holds {found:?} instead of resourceSpans or batches: it is no export of traces as OTLP JSON")]
    NotTraces {
        /// The first key of its first object.
        found: String,
    },
    /// The spans that must be held together are too many.
    #[error("at span {span} the file's spans take more than {limit_bytes} bytes: split it, keeping each trace whole")]
    TooManySpans {
        /// Where.
        span: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// One string inside a JSON document is too long.
    #[error("a string in the file is longer than {limit_bytes} bytes")]
    StringTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// A JSON document nests too deep.
    #[error("the file's JSON is nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The gzip stream is broken or cut off.
    #[error("the gzip stream is broken or cut off")]
    Gzip(#[source] io::Error),
    /// The input cannot be read on.
    #[error("the input cannot be read")]
    Read(#[source] io::Error),
}

impl From<io::Error> for ImportError {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<GzipError>()) {
            Self::Gzip(error)
        } else if error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            error.downcast::<Self>().unwrap_or_else(Self::Read)
        } else {
            Self::Read(error)
        }
    }
}

/// What may stand in the place of a record.
#[derive(Debug, Error)]
pub enum Problem {
    /// This record is left out; the next one may follow.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing follows.
    #[error(transparent)]
    Broken(#[from] ImportError),
}
