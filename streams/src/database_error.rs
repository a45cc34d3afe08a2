//! Errors of the log's database, in a form that callers can react to without a database library of their own.

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// An error of the log's database. Cheap to clone: all appends of a failed batch share it.
#[derive(Debug, Clone, Error)]
#[error(transparent)]
pub struct DatabaseError(Arc<sqlx::Error>);

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

/// What a database error means to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseFault {
    /// The server cannot be reached, or the connection to it broke.
    Unreachable(io::ErrorKind),
    /// No pooled connection was free or could be opened in time.
    NoConnection,
    /// The server is starting or shutting down (SQLSTATE 57P01, 57P02, 57P03).
    Restarting,
    /// The server's disk is full (SQLSTATE 53100).
    DiskFull,
    /// The server has no connection slot left (SQLSTATE 53300).
    TooManyConnections,
    /// The server accepts no writes (SQLSTATE 25006).
    ReadOnly,
    /// The server answered with another SQLSTATE.
    Sqlstate(String),
    /// The driver failed: TLS, the wire protocol, or a value that it could not decode.
    Driver,
}

impl DatabaseError {
    /// Whether the same operation may succeed later; see [`is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        is_retryable(&self.0)
    }

    /// Whether the database could not be used at all: it cannot be reached, no connection was available, or the server
    /// is starting, stopping or out of resources (SQLSTATE classes 08, 53 and 57).
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match &*self.0 {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            error => has_class(error, &["08", "53", "57"]),
        }
    }

    /// Whether the database rejected a value that it was given, so that the same request would fail again: text with a
    /// NUL character, or a time out of its range (SQLSTATE class 22), or too many or too long words (54000).
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        const INVALID_INPUT: [&str; 7] = ["22021", "22P05", "22P02", "22P03", "22007", "22008", "54000"];
        self.sqlstate().is_some_and(|code| INVALID_INPUT.contains(&&*code))
    }

    /// The SQLSTATE that the server answered with, if it answered.
    #[must_use]
    pub fn sqlstate(&self) -> Option<Cow<'_, str>> {
        sqlstate(&self.0)
    }

    /// What the error means to an operator.
    #[must_use]
    pub fn fault(&self) -> DatabaseFault {
        DatabaseFault::of(&self.0)
    }

    /// Whether the transaction lost to a concurrent one: both created the same stream or command, or they locked in
    /// different orders.
    #[must_use]
    pub fn is_concurrency_conflict(&self) -> bool {
        self.sqlstate().is_some_and(|code| matches!(&*code, "23505" | "40001" | "40P01"))
    }

    /// Whether the server reported that it rolled the transaction back. A FATAL or PANIC error ends the session instead:
    /// a commit whose flush failed may still be there when the server is back.
    pub(crate) fn is_rolled_back(&self) -> bool {
        let Some(error) = self.0.as_database_error() else { return false };
        let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
        let session_ended = matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic));
        // Connection exception, operator intervention: the server went away, perhaps after the commit.
        !session_ended && self.sqlstate().is_some() && !has_class(&self.0, &["08", "57"])
    }

    /// Whether the server rolled the transaction back for a reason that may be gone at the next attempt: transaction
    /// rollback, insufficient resources, or a stream or command that another process created at the same moment.
    pub(crate) fn is_transient_rollback(&self) -> bool {
        has_class(&self.0, &["40", "53"]) || self.sqlstate().is_some_and(|code| code == "23505")
    }
}

impl DatabaseFault {
    /// What an error of the driver means to an operator.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        match (error, sqlstate(error).as_deref()) {
            (_, Some("57P01" | "57P02" | "57P03")) => Self::Restarting,
            (_, Some("53100")) => Self::DiskFull,
            (_, Some("53300")) => Self::TooManyConnections,
            (_, Some("25006")) => Self::ReadOnly,
            (_, Some(code)) => Self::Sqlstate(code.to_owned()),
            (sqlx::Error::Io(cause), None) => Self::Unreachable(cause.kind()),
            (sqlx::Error::PoolTimedOut, None) => Self::NoConnection,
            _ => Self::Driver,
        }
    }
}

/// Whether an error of the database driver is temporary: no connection was available in time, the connection broke, the
/// server is starting, stopping or out of resources, or another transaction was in the way (SQLSTATE classes 08, 40, 53
/// and 57).
#[must_use]
pub fn is_retryable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        error => has_class(error, &["08", "40", "53", "57"]),
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(|error| error.code())
}

fn has_class(error: &sqlx::Error, classes: &[&str]) -> bool {
    sqlstate(error).is_some_and(|code| code.get(..2).is_some_and(|class| classes.contains(&class)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: io::ErrorKind) -> DatabaseError {
        sqlx::Error::Io(kind.into()).into()
    }

    #[test]
    fn a_broken_connection_is_retryable_and_its_outcome_unknown() {
        let error = io(io::ErrorKind::ConnectionReset);
        assert!(error.is_retryable() && error.is_unavailable());
        assert!(!error.is_rolled_back() && !error.is_concurrency_conflict());
        assert_eq!(error.fault(), DatabaseFault::Unreachable(io::ErrorKind::ConnectionReset));
    }

    #[test]
    fn a_pool_without_a_free_connection_is_retryable() {
        let error = DatabaseError::from(sqlx::Error::PoolTimedOut);
        assert!(error.is_retryable() && error.is_unavailable());
        assert_eq!(error.fault(), DatabaseFault::NoConnection);
    }

    #[test]
    fn a_value_that_cannot_be_decoded_is_neither_retryable_nor_an_outage() {
        let error = DatabaseError::from(sqlx::Error::ColumnNotFound("position".to_owned()));
        assert!(!error.is_retryable() && !error.is_unavailable() && !error.is_invalid_input());
        assert_eq!(error.fault(), DatabaseFault::Driver);
    }

    #[test]
    fn the_text_of_an_error_is_that_of_the_driver() {
        assert_eq!(DatabaseError::from(sqlx::Error::PoolTimedOut).to_string(), sqlx::Error::PoolTimedOut.to_string());
    }
}
