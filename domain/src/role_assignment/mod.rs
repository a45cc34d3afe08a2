//! Role assignments: that a role is granted to a service account or a user, in the tenant of the stream. A grant that is
//! revoked can be granted again: each pair of holder and role has one stream, with the whole history.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{ServiceAccountId, UserId, derived_id};
use crate::permissions::Role;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Who has a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A service account.
    ServiceAccount(ServiceAccountId),
    /// A user.
    User(UserId),
}

/// What a role assignment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StoredAssignment", into = "StoredAssignment")]
#[schemars(with = "StoredAssignment")]
pub struct Assignment {
    /// Who has the role.
    pub holder: Holder,
    /// The role, one of a tenant.
    pub role: Role,
}

impl Assignment {
    /// The id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        match self.holder {
            Holder::ServiceAccount(id) => derived_id(&["role_assignment", &id.to_string(), self.role.as_str()]),
            Holder::User(id) => derived_id(&["role_assignment", "user", &id.to_string(), self.role.as_str()]),
        }
    }
}

/// As an assignment is written: with exactly one of the two ids.
#[derive(Serialize, Deserialize, JsonSchema)]
struct StoredAssignment {
    /// The service account that has the role. Absent if a user has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_account_id: Option<ServiceAccountId>,
    /// The user who has the role. Absent if a service account has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The role, one of a tenant.
    role: Role,
}

/// An assignment names no holder, or two.
#[derive(Debug, Error)]
#[error("an assignment names either a service account or a user")]
struct NotOneHolder;

impl TryFrom<StoredAssignment> for Assignment {
    type Error = NotOneHolder;

    fn try_from(stored: StoredAssignment) -> Result<Self, NotOneHolder> {
        let holder = match (stored.service_account_id, stored.user_id) {
            (Some(account), None) => Holder::ServiceAccount(account),
            (None, Some(user)) => Holder::User(user),
            (None, None) | (Some(_), Some(_)) => return Err(NotOneHolder),
        };
        Ok(Self { holder, role: stored.role })
    }
}

impl From<Assignment> for StoredAssignment {
    fn from(assignment: Assignment) -> Self {
        let (service_account_id, user_id) = match assignment.holder {
            Holder::ServiceAccount(account) => (Some(account), None),
            Holder::User(user) => (None, Some(user)),
        };
        Self { service_account_id, user_id, role: assignment.role }
    }
}

/// A command to a role assignment.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleAssignmentCommand {
    /// Grants the role.
    Grant {
        /// Which role, and to whom.
        assignment: Assignment,
        /// When the role was granted.
        at: DateTime<Utc>,
    },
    /// Revokes the role.
    Revoke {
        /// Why the role is revoked.
        reason: Option<Body>,
        /// When the role was revoked.
        at: DateTime<Utc>,
    },
}

/// The payload of `role.granted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleGranted {
    /// Which role, and to whom.
    #[serde(flatten)]
    pub assignment: Assignment,
    /// When the role was granted.
    pub at: DateTime<Utc>,
}

/// The payload of `role.revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRevoked {
    /// Why the role was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the role was revoked.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a role assignment.
    pub enum RoleAssignmentEvent {
        /// The role was granted.
        "role.granted" v 1 => Granted(RoleGranted),
        /// The role was revoked.
        "role.revoked" v 1 => Revoked(RoleRevoked),
    }
}

/// Why a command to a role assignment is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleAssignmentError {
    /// The role was never granted to the holder.
    #[error("the role was never granted")]
    NeverGranted,
    /// The role is not one of a tenant.
    #[error("the role {0} cannot be granted in a tenant: use admin, operator, viewer, agent, billing or auditor")]
    NotOfTenant(Role),
    /// The stream is that of another holder or role.
    #[error("the stream is that of another holder or role")]
    OtherAssignment,
}

/// The state of a role assignment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleAssignment {
    /// Which role, and to whom; none before it is granted.
    pub assignment: Option<Assignment>,
    /// Whether the holder has the role now.
    pub is_granted: bool,
}

impl Aggregate for RoleAssignment {
    const CATEGORY: &'static str = "role_assignment";
    type Command = RoleAssignmentCommand;
    type Event = RoleAssignmentEvent;
    type Error = RoleAssignmentError;

    fn decide(&self, command: RoleAssignmentCommand) -> Result<Vec<RoleAssignmentEvent>, RoleAssignmentError> {
        match (command, self.assignment) {
            (RoleAssignmentCommand::Grant { assignment, .. }, _) if !assignment.role.is_of_tenant() => {
                Err(RoleAssignmentError::NotOfTenant(assignment.role))
            }
            (RoleAssignmentCommand::Grant { assignment, .. }, Some(known)) if known != assignment => {
                Err(RoleAssignmentError::OtherAssignment)
            }
            (RoleAssignmentCommand::Grant { .. }, _) if self.is_granted => Ok(Vec::new()),
            (RoleAssignmentCommand::Grant { assignment, at }, _) => {
                Ok(vec![RoleAssignmentEvent::Granted(RoleGranted { assignment, at })])
            }
            (RoleAssignmentCommand::Revoke { .. }, None) => Err(RoleAssignmentError::NeverGranted),
            (RoleAssignmentCommand::Revoke { .. }, Some(_)) if !self.is_granted => Ok(Vec::new()),
            (RoleAssignmentCommand::Revoke { reason, at }, Some(_)) => {
                Ok(vec![RoleAssignmentEvent::Revoked(RoleRevoked { reason, at })])
            }
        }
    }

    fn evolve(mut self, event: &RoleAssignmentEvent) -> Self {
        match event {
            RoleAssignmentEvent::Granted(granted) => {
                self.assignment = Some(granted.assignment);
                self.is_granted = true;
            }
            RoleAssignmentEvent::Revoked(_) => self.is_granted = false,
        }
        self
    }
}

#[cfg(test)]
mod tests;
