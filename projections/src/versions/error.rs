//! Why a version cannot be built, compared or switched to, and how far an operation has come.

use crate::projection::ApplyError;
use streams::{DatabaseError, Position, ReadError};
use thiserror::Error;

/// The default number of events in a batch of a rebuild.
pub const REBUILD_BATCH_EVENTS: usize = 4000;

/// Why a version was not built, compared, verified or switched to. The live version is unchanged.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The events could not be applied.
    #[error(transparent)]
    Apply(ApplyError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database failed.
    #[error("the read model cannot be rebuilt")]
    Database(#[from] DatabaseError),
    /// A task of this process panicked.
    #[error("the task that builds the read model panicked")]
    Panicked,
    /// Another process builds the same version.
    #[error("another process is building {0}; wait until it is done")]
    BuiltElsewhere(&'static str),
    /// No version is under construction.
    #[error("no version of {0} is under construction: rebuild it first")]
    NotBuilt(&'static str),
    /// The version under construction belongs to another version of the code, which alone can continue it.
    #[error("the version of {0} under construction belongs to another version of the code: rebuild it first")]
    BuiltByOtherVersion(&'static str),
    /// The live tables belong to another version of the code, which alone can verify them.
    #[error("the live tables of {projection} are of version {live}, this program's code is version {code}")]
    VersionMismatch {
        /// The name of the read model.
        projection: &'static str,
        /// The version of the live tables.
        live: i32,
        /// The version of this program's code.
        code: i32,
    },
    /// The live version did not reach the position of the version under construction.
    #[error(
        "the live version of {0} has not reached the position of the version under construction: check that its \
         worker runs, then retry"
    )]
    LiveBehind(&'static str),
    /// The tables were locked by queries at every attempt.
    #[error("the tables of {0} are locked by queries without a gap: retry when the load is lower")]
    TablesBusy(&'static str),
}

impl From<ApplyError> for RebuildError {
    fn from(error: ApplyError) -> Self {
        match error {
            // Of those that callers react to, so that it does not matter which statement failed.
            ApplyError::Database(error) => Self::Database(error.into()),
            error => Self::Apply(error),
        }
    }
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl RebuildError {
    /// Whether the operation conflicted with another one on the same read model, so that it may succeed later: another
    /// process builds or switches it, or queries hold its tables.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::BuiltElsewhere(_) | Self::LiveBehind(_) | Self::TablesBusy(_) => true,
            // A table that another switch has made or dropped.
            Self::Database(error) => {
                is_contention(error) || error.sqlstate().is_some_and(|code| matches!(&*code, "42P01" | "42P07"))
            }
            Self::Apply(_)
            | Self::Read(_)
            | Self::Panicked
            | Self::NotBuilt(_)
            | Self::BuiltByOtherVersion(_)
            | Self::VersionMismatch { .. } => false,
        }
    }
}

/// Whether another transaction was in the way: a lock was not available in time (55P03), a deadlock was broken (40P01),
/// or a row was changed concurrently (40001).
pub(super) fn is_contention(error: &DatabaseError) -> bool {
    error.sqlstate().is_some_and(|code| matches!(&*code, "55P03" | "40P01" | "40001"))
}

/// The progress of a rebuild or a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The position up to which the log has been applied.
    pub position: Position,
    /// The position to reach.
    pub head: Position,
}
