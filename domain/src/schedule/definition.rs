//! What a schedule is defined by.

use super::calendar::Timing;
use super::content::{ContentKind, ScheduledContent};
use super::error::ScheduleError;
use super::file_name::FilePattern;
use crate::ids::{ApiKeyId, ServiceAccountId, SessionId, UserId};
use crate::text::Name;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a schedule exports, when, and under which name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleDefinition {
    /// The display name.
    pub name: Name,
    /// What its files contain.
    pub content: ScheduledContent,
    /// When it runs, and which period a run covers.
    pub timing: Timing,
    /// The names of its files.
    pub file: FilePattern,
}

impl ScheduleDefinition {
    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        self.content.check()?;
        self.timing.check()?;
        let zone = self.timing.time_zone;
        if self.content.kind == ContentKind::Focus && zone != Tz::UTC {
            return Err(ScheduleError::FocusNotInUtc(zone.name()));
        }
        Ok(())
    }
}

/// With whose permissions a schedule runs: who defined it, or changed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScheduleOwner {
    /// A user, with the roles that the user has at the time of the run.
    User {
        /// The user.
        user_id: UserId,
        /// The session in which the schedule was defined.
        session_id: SessionId,
    },
    /// A service account, with the roles that it has and the scopes of the key at the time of the run.
    ServiceAccount {
        /// The account.
        service_account_id: ServiceAccountId,
        /// The key with which the schedule was defined. Its end ends the schedule.
        api_key_id: ApiKeyId,
    },
    /// The operator at the command line of a machine that has the credentials of the database.
    CommandLine,
}

impl ScheduleOwner {
    /// Whether it is the same owner, with the same permissions: a user in another session is.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::User { user_id, .. }, Self::User { user_id: other, .. }) => user_id == other,
            (a, b) => a == b,
        }
    }
}
