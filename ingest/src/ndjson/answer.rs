//! The answer to a line.

use serde::Serialize;
use uuid::Uuid;

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    /// What it states was new.
    Created,
    /// It added to what was known.
    Updated,
    /// All that it states was known.
    Unchanged,
    /// It was refused. Nothing was written.
    Refused,
}

impl LineStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Created, Self::Updated, Self::Unchanged, Self::Refused];

    /// The status as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// The answer to a line. What it says was recorded is in the log.
#[derive(Debug, Serialize)]
pub struct LineAnswer {
    /// The number of the line, from 1, counting blank lines.
    pub line: u64,
    /// What happened to it.
    pub status: LineStatus,
    /// The id of the call, task or memory; none if the line was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The position of the last event of it; none if the line was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<LineRefusal>,
}

impl LineAnswer {
    /// The memory that it takes, in bytes, without that of its place in the queue.
    pub(super) fn bytes(&self) -> usize {
        let message = self.error.as_ref().map_or(0, |error| error.message.len());
        128 + self.position.as_ref().map_or(0, String::len) + message
    }
}

/// Why a line was refused.
#[derive(Debug, Serialize)]
pub struct LineRefusal {
    /// The code of the error.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}
