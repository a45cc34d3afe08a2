//! The interface between a read model and the code that feeds it.

pub use crate::sharding::Sharding;

use crate::state::StateTopic;
use domain::Event;
use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;
use std::fmt::Display;
use std::sync::Arc;
use streams::RecordedEvent;
use thiserror::Error;
use uuid::Uuid;

/// An event to apply.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The event as the log stores it.
    pub recorded: Arc<RecordedEvent>,
    /// The decoded event.
    pub event: Arc<Event>,
}

impl Applied {
    /// Returns the tenant of the stream.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.recorded.stream.tenant.as_str()
    }

    /// Returns the id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        self.recorded.stream.id
    }

    /// Returns the position, as the type of the database column.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.recorded.position.as_i64()
    }

    /// Returns the version of the stream after the event, as the type of the database column.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.recorded.version.as_i64()
    }

    /// The error for an event that is not the first of its stream and whose stream has no row.
    pub(crate) fn missing_row(&self) -> ApplyError {
        ApplyError::Row(format!("{} {} has no row", self.recorded.stream.category, self.stream_id()))
    }
}

/// Why a batch could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The database failed or rejected a statement.
    #[error("the read model cannot be written")]
    Database(#[from] sqlx::Error),
    /// An amount of money is out of range.
    #[error(transparent)]
    Money(#[from] domain::MoneyError),
    /// A row is missing, or holds a value that this program cannot read or cannot store.
    #[error("a row of the read model is invalid: {0}")]
    Row(String),
    /// Another worker advanced the checkpoint concurrently; nothing was written.
    #[error("another worker advanced the checkpoint concurrently; nothing was written")]
    CheckpointMoved,
}

impl ApplyError {
    /// An [`ApplyError::Row`] with the text of another error.
    pub(crate) fn row(error: impl Display) -> Self {
        Self::Row(error.to_string())
    }

    /// Whether applying the same events again would fail again.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Money(_) | Self::Row(_) => true,
            // SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation).
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Database(_) | Self::CheckpointMoved => false,
        }
    }
}

/// A read model: the events that it consumes, and how they change its tables.
pub trait Projection: Send + Sync {
    /// The name of the read model and of its checkpoint.
    fn name(&self) -> &'static str;
    /// The version of the code. It is increased when the same events result in different rows, or when the sharding changes and
    /// no migration converts the checkpoints.
    fn version(&self) -> i32 {
        1
    }
    /// How the events are divided into shards.
    fn sharding(&self) -> Sharding {
        Sharding::Single
    }
    /// The categories of the events that it consumes.
    fn categories(&self) -> &'static [&'static str];
    /// The tables, without a schema, each with the columns of its key, separated by `, `.
    fn tables(&self) -> &'static [(&'static str, &'static str)];
    /// The topic to which the rows can be published; none by default.
    fn state_topic(&self) -> Option<StateTopic> {
        None
    }
    /// Applies events in order within a transaction. Statements name tables without a schema: the search path of the
    /// transaction selects the version. The result must not depend on how events are divided into batches.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}
