//! Role assignments: that a role is granted to a service account, in the tenant of the stream. A grant that is revoked can
//! be granted again: each pair of account and role has one stream, with the whole history.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{ServiceAccountId, derived_id};
use crate::permissions::Role;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// What a role assignment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// The account that has the role.
    pub service_account_id: ServiceAccountId,
    /// The role, one of a tenant.
    pub role: Role,
}

impl Assignment {
    /// The id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        derived_id(&["role_assignment", &self.service_account_id.to_string(), self.role.as_str()])
    }
}

/// A command to a role assignment.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleAssignmentCommand {
    /// Grants the role.
    Grant {
        /// Which role, and to which account.
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
    /// Which role, and to which account.
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
    /// The role was never granted to the account.
    #[error("the role was never granted to the account")]
    NeverGranted,
    /// The role is not one of a tenant.
    #[error("the role {0} cannot be granted in a tenant: use admin, operator, viewer, agent, billing or auditor")]
    NotOfTenant(Role),
    /// The stream is that of another account or role.
    #[error("the stream is that of another account or role")]
    OtherAssignment,
}

/// The state of a role assignment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleAssignment {
    /// Which role, and to which account; none before it is granted.
    pub assignment: Option<Assignment>,
    /// Whether the account has the role now.
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
