//! Role assignments: that a role is granted to a holder, in the tenant of the stream. A grant that is revoked can be granted
//! again: each triple of holder, role and extent has one stream, with the whole history.
//!
//! Every event has the whole assignment, so that the last one is enough to restore the state, however often a role was
//! granted and revoked.

mod extent;

pub use extent::{RoleExtent, RoleExtentV1, UnknownExtent};

use crate::aggregate::Aggregate;
use crate::codec::{UpcastError, events};
use crate::ids::{RoleId, ServiceAccountId, TeamId, UserId, derived_id};
use crate::permissions::Role;
use crate::team::Member;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// Who has a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Holder {
    /// A service account.
    ServiceAccount(ServiceAccountId),
    /// A user.
    User(UserId),
    /// A team: each of its members has the role.
    Team(TeamId),
}

impl Holder {
    /// The first of all holders in their order.
    pub const FIRST: Self = Self::ServiceAccount(ServiceAccountId(Uuid::nil()));
    /// The last of all holders in their order.
    pub const LAST: Self = Self::Team(TeamId(Uuid::max()));

    /// The kind of holder, as it is written.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ServiceAccount(_) => "service_account",
            Self::User(_) => "user",
            Self::Team(_) => "team",
        }
    }

    /// The id of the holder among those of its kind.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::ServiceAccount(ServiceAccountId(id)) | Self::User(UserId(id)) | Self::Team(TeamId(id)) => id,
        }
    }
}

impl From<Member> for Holder {
    fn from(member: Member) -> Self {
        match member {
            Member::ServiceAccount(id) => Self::ServiceAccount(id),
            Member::User(id) => Self::User(id),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().replace('_', " "), self.id())
    }
}

/// The role that a holder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum AssignedRole {
    /// A role of the permission table, one of a tenant.
    BuiltIn(Role),
    /// A role that the tenant defined.
    Custom(RoleId),
}

impl AssignedRole {
    /// The first of all roles in their order.
    pub const FIRST: Self = Self::BuiltIn(Role::Admin);
    /// The last of all roles in their order.
    pub const LAST: Self = Self::Custom(RoleId(Uuid::max()));
}

/// The name of a built-in role, or the UUID of a custom one.
impl fmt::Display for AssignedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => role.fmt(f),
            Self::Custom(id) => id.fmt(f),
        }
    }
}

/// The text is neither the name of a built-in role nor the UUID of a custom one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a role: use admin, operator, viewer, agent, billing or auditor, or the UUID of a custom role")]
pub struct UnknownAssignedRole(String);

impl FromStr for AssignedRole {
    type Err = UnknownAssignedRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Custom(RoleId(id)));
        }
        text.parse().map(Self::BuiltIn).map_err(|_| UnknownAssignedRole(text.to_owned()))
    }
}

/// What a role assignment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Who has the role.
    pub holder: Holder,
    /// The role.
    pub role: AssignedRole,
    /// What the role is granted on.
    pub extent: RoleExtent,
}

impl Assignment {
    /// The assignment of a role on the whole tenant.
    #[must_use]
    pub const fn on_tenant(holder: Holder, role: AssignedRole) -> Self {
        Self { holder, role, extent: RoleExtent::Tenant }
    }

    /// The id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> Uuid {
        let (holder, extent) = (self.holder.id().to_string(), self.extent.to_string());
        let (kind, role) = match self.role {
            AssignedRole::BuiltIn(role) => ("built_in", role.as_str().to_owned()),
            AssignedRole::Custom(id) => ("custom", id.to_string()),
        };
        derived_id(&["role_assignment", self.holder.kind(), &holder, kind, &role, &extent])
    }
}

/// A command to a role assignment.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleAssignmentCommand {
    /// Grants the role.
    Grant {
        /// Which role, to whom, and on what.
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
    /// Which role, to whom, and on what.
    #[serde(flatten)]
    pub assignment: Assignment,
    /// When the role was granted.
    pub at: DateTime<Utc>,
}

/// The payload of `role.revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRevoked {
    /// Which role, of whom, and on what.
    #[serde(flatten)]
    pub assignment: Assignment,
    /// Why the role was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the role was revoked.
    pub at: DateTime<Utc>,
}

/// What a role assignment was about in version 1 of its events, in which no role was granted on a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentV1 {
    /// Who has the role.
    pub holder: Holder,
    /// The role.
    pub role: AssignedRole,
    /// What the role is granted on.
    pub extent: RoleExtentV1,
}

impl From<AssignmentV1> for Assignment {
    fn from(AssignmentV1 { holder, role, extent }: AssignmentV1) -> Self {
        Self { holder, role, extent: extent.into() }
    }
}

/// The payload of `role.granted` version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleGrantedV1 {
    /// Which role, to whom, and on what.
    #[serde(flatten)]
    pub assignment: AssignmentV1,
    /// When the role was granted.
    pub at: DateTime<Utc>,
}

/// The payload of `role.revoked` version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRevokedV1 {
    /// Which role, of whom, and on what.
    #[serde(flatten)]
    pub assignment: AssignmentV1,
    /// Why the role was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the role was revoked.
    pub at: DateTime<Utc>,
}

#[allow(clippy::unnecessary_wraps, reason = "an upcast may fail")]
fn granted_upcast_v1(old: RoleGrantedV1) -> Result<RoleGranted, UpcastError> {
    Ok(RoleGranted { assignment: old.assignment.into(), at: old.at })
}

#[allow(clippy::unnecessary_wraps, reason = "an upcast may fail")]
fn revoked_upcast_v1(old: RoleRevokedV1) -> Result<RoleRevoked, UpcastError> {
    Ok(RoleRevoked { assignment: old.assignment.into(), reason: old.reason, at: old.at })
}

events! {
    /// An event of a role assignment.
    pub enum RoleAssignmentEvent {
        /// The role was granted.
        "role.granted" v 2 => Granted(RoleGranted), from v 1 (RoleGrantedV1) by granted_upcast_v1,
        /// The role was revoked.
        "role.revoked" v 2 => Revoked(RoleRevoked), from v 1 (RoleRevokedV1) by revoked_upcast_v1,
    }
}

/// Why a command to a role assignment is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleAssignmentError {
    /// The role was never granted to the holder.
    #[error("the role was never granted to the holder")]
    NeverGranted,
    /// The role is not one of a tenant.
    #[error("the role {0} cannot be granted in a tenant: use admin, operator, viewer, agent, billing or auditor")]
    NotOfTenant(Role),
    /// The stream is that of another holder, role or extent.
    #[error("the stream is that of another holder, role or extent")]
    OtherAssignment,
}

/// The state of a role assignment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleAssignment {
    /// Which role, to whom, and on what; none before it is granted.
    pub assignment: Option<Assignment>,
    /// Whether the holder has the role now.
    pub is_granted: bool,
}

impl RoleAssignment {
    fn after(event: &RoleAssignmentEvent) -> Self {
        match event {
            RoleAssignmentEvent::Granted(granted) => Self { assignment: Some(granted.assignment), is_granted: true },
            RoleAssignmentEvent::Revoked(revoked) => Self { assignment: Some(revoked.assignment), is_granted: false },
        }
    }
}

impl Aggregate for RoleAssignment {
    const CATEGORY: &'static str = "role_assignment";
    const RESTORE: Option<fn(&RoleAssignmentEvent) -> Self> = Some(Self::after);
    type Command = RoleAssignmentCommand;
    type Event = RoleAssignmentEvent;
    type Error = RoleAssignmentError;

    fn decide(&self, command: RoleAssignmentCommand) -> Result<Vec<RoleAssignmentEvent>, RoleAssignmentError> {
        match (command, self.assignment) {
            (RoleAssignmentCommand::Grant { assignment, at }, known) => {
                if let AssignedRole::BuiltIn(role) = assignment.role
                    && !role.is_of_tenant()
                {
                    return Err(RoleAssignmentError::NotOfTenant(role));
                }
                match known {
                    Some(known) if known != assignment => Err(RoleAssignmentError::OtherAssignment),
                    Some(_) if self.is_granted => Ok(Vec::new()),
                    Some(_) | None => Ok(vec![RoleAssignmentEvent::Granted(RoleGranted { assignment, at })]),
                }
            }
            (RoleAssignmentCommand::Revoke { .. }, None) => Err(RoleAssignmentError::NeverGranted),
            (RoleAssignmentCommand::Revoke { .. }, Some(_)) if !self.is_granted => Ok(Vec::new()),
            (RoleAssignmentCommand::Revoke { reason, at }, Some(assignment)) => {
                Ok(vec![RoleAssignmentEvent::Revoked(RoleRevoked { assignment, reason, at })])
            }
        }
    }

    fn evolve(self, event: &RoleAssignmentEvent) -> Self {
        Self::after(event)
    }
}

#[cfg(test)]
mod tests;
