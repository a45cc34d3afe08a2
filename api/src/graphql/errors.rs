//! The one place where errors become GraphQL errors.
//!
//! There are two kinds. What a user can cause by asking for something that the rules refuse is an answer of a mutation:
//! a typed `error` in its payload, declared in the file of its aggregate with [`command_error!`]. Everything else is an
//! error of the GraphQL response with a code under `extensions.code`:
//!
//! | code | meaning | further extensions |
//! |---|---|---|
//! | `BAD_USER_INPUT` | an argument is not what it should be | `reason` |
//! | `FORBIDDEN` | it is for operators, and the token is not one of theirs | |
//! | `LATE` | the read models did not reach `minPosition` in time; try again | `reached`, `wanted` |
//! | `BUSY` | too many writes wait; try again | `retryAfterMs` |
//! | `CONTENDED` | others changed the same thing all the time; try again | |
//! | `INDETERMINATE` | it is not known whether it was written; retry with the same `commandId` | |
//! | `UNREADABLE` | an event of the aggregate cannot be read: a newer Apex wrote it, or it is damaged | |
//! | `UNAVAILABLE` | the database cannot be reached; try again | |
//! | `INTERNAL` | a fault of Apex; the details are in its log, never here | |
//!
//! Internal causes are logged here, once.

use super::scalars::number_value;
use async_graphql::{Error, ErrorExtensionValues, Value};
use projections::{DatabaseError, HistoryError, ReportError, WaitError};
use std::error::Error as StdError;
use std::sync::Arc;
use streams::{AppendError, ReadError};

/// An error with a code.
pub(crate) fn coded(code: &str, message: impl Into<String>) -> Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    Error { message: message.into(), source: None, extensions: Some(extensions) }
}

/// The same error with one more extension.
pub(crate) fn with(mut error: Error, name: &str, value: impl Into<Value>) -> Error {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set(name, value);
    error
}

/// The code of an error that was made here.
pub(crate) fn code(error: &Error) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// An argument that is not what it should be.
pub(crate) fn bad_input(reason: &str, message: impl Into<String>) -> Error {
    with(coded("BAD_USER_INPUT", message), "reason", reason)
}

/// A fault of Apex: logged here, and only admitted to outside.
pub(crate) fn internal(error: &(dyn StdError + 'static)) -> Error {
    tracing::error!(error, "a request failed");
    coded("INTERNAL", "something went wrong inside Apex; its log says what")
}

/// The database could not be asked.
fn unavailable(error: &(dyn StdError + 'static)) -> Error {
    tracing::warn!(error, "a request could not be served");
    coded("UNAVAILABLE", "the database cannot be reached; try again")
}

/// An argument that the database cannot hold.
fn not_storable(error: &(dyn StdError + 'static)) -> Error {
    tracing::debug!(error, "the database cannot hold an argument");
    let message = "an argument holds what the database cannot hold: text with a NUL character or far too many words, \
                   or a time that is too far away";
    bad_input("NOT_STORABLE", message)
}

/// An error of the database.
pub(crate) fn database(error: &DatabaseError) -> Error {
    match error {
        _ if error.is_invalid_input() => not_storable(error),
        _ if error.is_unavailable() => unavailable(error),
        _ => internal(error),
    }
}

/// The same, from a loader, whose errors are shared by all who wait for it.
pub(crate) fn loader(error: Arc<DatabaseError>) -> Error {
    database(&error)
}

/// The log could not be read.
pub(crate) fn read(error: &ReadError) -> Error {
    match error {
        ReadError::Database(error) => database(error),
        ReadError::Closed => coded("UNAVAILABLE", "Apex is shutting down; try again"),
        ReadError::Archived { from, to, .. } => {
            // Where the files are is the operator's business.
            tracing::warn!(error = error as &dyn StdError, "somebody asked for archived events");
            coded("ARCHIVED", format!("positions {from} to {to} are archived, and this server has no archive"))
        }
        ReadError::Archive(_) | ReadError::Gap { .. } => internal(error),
    }
}

/// A stored event is not one that this program knows.
fn unreadable(error: &(dyn StdError + 'static)) -> Error {
    tracing::error!(error, "a stored event cannot be read");
    coded("UNREADABLE", "an event of this object cannot be read: a newer Apex wrote it, or it is damaged")
}

/// The past could not be read.
pub(crate) fn history(error: &HistoryError) -> Error {
    match error {
        HistoryError::Read(error) => read(error),
        HistoryError::Decode(_) => unreadable(error),
        HistoryError::Apply(_) => internal(error),
    }
}

/// A projection was not there in time.
pub(crate) fn wait(error: &WaitError) -> Error {
    match error {
        WaitError::TimedOut { position, requested } => {
            let late = with(coded("LATE", error.to_string()), "reached", position.to_string());
            with(late, "wanted", requested.to_string())
        }
        WaitError::Database(error) => database(error),
    }
}

/// There is no report.
pub(crate) fn report(error: &ReportError) -> Error {
    match error {
        ReportError::NotAFullHour(_) => bad_input("NOT_A_FULL_HOUR", error.to_string()),
        ReportError::EmptyRange { .. } => bad_input("EMPTY_RANGE", error.to_string()),
        ReportError::DuplicateDimension(_) => bad_input("DIMENSION_TWICE", error.to_string()),
        ReportError::InvalidCursor => bad_input("BAD_CURSOR", error.to_string()),
        ReportError::Database(error) => database(error),
    }
}

/// A command that was neither executed nor refused.
pub(crate) enum Failure<R> {
    /// It was refused: an answer of the mutation.
    Refused(R),
    /// The aggregate is at another version: an answer of the mutation.
    WrongVersion {
        /// What was expected.
        expected: streams::Version,
        /// Where the aggregate is.
        current: streams::Version,
    },
    /// Another command was executed under the same id: an answer of the mutation.
    CommandIdReused,
    /// What it would write is too large: an answer of the mutation.
    Invalid(streams::InvalidAppend),
    /// Anything else.
    Failed(Error),
}

impl<R: StdError + 'static> From<commands::Error<R>> for Failure<R> {
    fn from(error: commands::Error<R>) -> Self {
        match error {
            commands::Error::Rejected(refusal) => Self::Refused(refusal),
            commands::Error::WrongVersion { expected, current } => Self::WrongVersion { expected, current },
            commands::Error::CommandIdReused => Self::CommandIdReused,
            commands::Error::Append(AppendError::Invalid(invalid)) => Self::Invalid(invalid),
            error => Self::Failed(failed(&error)),
        }
    }
}

/// An error of [`commands::Commands`] that is nobody's answer.
pub(crate) fn failed<R: StdError + 'static>(error: &commands::Error<R>) -> Error {
    match error {
        commands::Error::Contended => coded("CONTENDED", error.to_string()),
        commands::Error::Append(AppendError::Busy { retry_after }) => {
            let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            with(coded("BUSY", error.to_string()), "retryAfterMs", number_value(ms))
        }
        commands::Error::Append(AppendError::Indeterminate(cause)) => {
            tracing::warn!(error = cause as &(dyn StdError + 'static), "it is not known whether an append was written");
            coded("INDETERMINATE", error.to_string())
        }
        commands::Error::Append(AppendError::Unavailable(cause)) => unavailable(cause),
        commands::Error::Append(AppendError::Conflict { .. } | AppendError::ChainAborted) => {
            coded("CONTENDED", "others were faster; try again")
        }
        commands::Error::Append(AppendError::Closed) | commands::Error::Load(ReadError::Closed) => {
            coded("UNAVAILABLE", "Apex is shutting down; try again")
        }
        commands::Error::Load(error) => read(error),
        commands::Error::Decode(_) => unreadable(error),
        commands::Error::CommandIdReused
        | commands::Error::Append(AppendError::Refused(_) | AppendError::Invalid(_) | AppendError::CommandReused)
        | commands::Error::Encode(_)
        | commands::Error::Rejected(_)
        | commands::Error::WrongVersion { .. } => internal(error),
    }
}

/// Declares what a mutation of an aggregate answers when it is refused: an enum of codes and the object with one.
///
/// Every aggregate has `INVALID_INPUT` (a field of the input does not fit), `WRONG_VERSION` (see `expectedVersion`) and
/// `COMMAND_ID_REUSED` beside its own.
macro_rules! command_error {
    ($(#[$doc:meta])* $error:ident, $code:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        /// The reasons for a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
        pub(crate) enum $code {
            /// A field of the input does not fit; `field` names it.
            InvalidInput,
            /// It is not at the `expectedVersion`; `currentVersion` says where it is.
            WrongVersion,
            /// The `commandId` was given with another command before: with another mutation, object or input.
            CommandIdReused,
            $($(#[$variant_doc])* $variant),+
        }

        $(#[$doc])*
        #[derive(Debug, Clone, async_graphql::SimpleObject)]
        pub(crate) struct $error {
            /// The reason, for programs.
            pub(crate) code: $code,
            /// The reason, for people.
            pub(crate) message: String,
            /// The field of the input that does not fit, such as `name`.
            pub(crate) field: Option<String>,
            /// The version that it is at, for `WRONG_VERSION`.
            pub(crate) current_version: Option<$crate::graphql::scalars::Long>,
        }

        impl $error {
            fn new(code: $code, message: impl std::fmt::Display) -> Self {
                Self { code, message: message.to_string(), field: None, current_version: None }
            }
        }

        impl From<$crate::graphql::input::Invalid> for $error {
            fn from(invalid: $crate::graphql::input::Invalid) -> Self {
                Self { field: Some(invalid.field.to_owned()), ..Self::new($code::InvalidInput, invalid.message) }
            }
        }

        impl $crate::graphql::payload::Refusal for $error {
            fn wrong_version(expected: streams::Version, current: streams::Version) -> Self {
                let message = format!("it is at version {current}, not at {expected}");
                Self {
                    current_version: Some(current.as_i64().into()),
                    ..Self::new($code::WrongVersion, message)
                }
            }

            fn command_id_reused() -> Self {
                let message = "another command was executed under this commandId: give this one an id of its own";
                Self::new($code::CommandIdReused, message)
            }

            fn too_large(message: String) -> Self {
                Self::new($code::InvalidInput, message)
            }
        }
    };
}
pub(crate) use command_error;

#[cfg(test)]
mod tests {
    use super::*;
    use domain::agent::AgentError;
    use std::time::Duration;

    fn code(error: &Error) -> Value {
        error.extensions.as_ref().and_then(|extensions| extensions.get("code").cloned()).unwrap()
    }

    #[test]
    fn internals_are_not_shown() {
        let error = internal(&std::io::Error::other("password=tea"));
        assert_eq!(code(&error), Value::from("INTERNAL"));
        assert!(!error.message.contains("tea"));
    }

    #[test]
    fn a_lost_connection_is_an_unavailable_database() {
        let AppendError::Indeterminate(lost) = AppendError::outcome_unknown() else { panic!("another variant") };
        assert_eq!(code(&database(&lost)), Value::from("UNAVAILABLE"));
    }

    #[test]
    fn a_busy_log_says_when_to_come_back() {
        let busy: commands::Error<AgentError> = AppendError::Busy { retry_after: Duration::from_millis(50) }.into();
        let error = failed(&busy);
        assert_eq!(code(&error), Value::from("BUSY"));
        assert_eq!(error.extensions.unwrap().get("retryAfterMs"), Some(&number_value(50)));
    }
}
