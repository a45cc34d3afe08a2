//! Custom roles: sets of permissions that a tenant names and grants as it grants the roles of the permission table. They
//! have permissions on the data of a tenant only, never those of the installation.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::permissions::{Permission, PermissionSet};
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a custom role is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleDefinition {
    /// What the role is called.
    pub name: Name,
    /// The permissions of the role, which are permissions on the data of a tenant.
    pub permissions: PermissionSet,
}

/// A command to a custom role.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomRoleCommand {
    /// Defines the role.
    Define {
        /// What the role is.
        definition: RoleDefinition,
        /// When the role was defined.
        at: DateTime<Utc>,
    },
    /// Changes the role: all who have it have the new permissions from now on.
    Change {
        /// What the role is from now on.
        definition: RoleDefinition,
        /// When the role was changed.
        at: DateTime<Utc>,
    },
    /// Withdraws the role for ever: it gives nothing any more, and cannot be granted.
    Withdraw {
        /// Why the role is withdrawn.
        reason: Option<Body>,
        /// When the role was withdrawn.
        at: DateTime<Utc>,
    },
}

/// The payload of `role.defined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleDefined {
    /// What the role is.
    #[serde(flatten)]
    pub definition: RoleDefinition,
    /// When the role was defined.
    pub at: DateTime<Utc>,
}

/// The payload of `role.changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleChanged {
    /// What the role is from then on.
    #[serde(flatten)]
    pub definition: RoleDefinition,
    /// When the role was changed.
    pub at: DateTime<Utc>,
}

/// The payload of `role.withdrawn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleWithdrawn {
    /// Why the role was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the role was withdrawn.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a custom role.
    pub enum CustomRoleEvent {
        /// The role was defined.
        "role.defined" v 1 => Defined(RoleDefined),
        /// The role was changed.
        "role.changed" v 1 => Changed(RoleChanged),
        /// The role was withdrawn.
        "role.withdrawn" v 1 => Withdrawn(RoleWithdrawn),
    }
}

/// Why a command to a custom role is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CustomRoleError {
    /// No custom role has this id.
    #[error("the custom role does not exist")]
    NotDefined,
    /// A custom role with another name or other permissions has this id.
    #[error("a custom role with another name or other permissions has this id")]
    AlreadyDefined,
    /// The role would have no permission.
    #[error("the role has no permission: name at least one, such as read:agents, or withdraw the role")]
    NoPermissions,
    /// A permission is not about the data of a tenant.
    #[error("the permission {0} is not about the data of a tenant: a custom role cannot have it")]
    OutsideTenant(Permission),
    /// The role was withdrawn, which is final.
    #[error("the custom role was withdrawn, which is final: define another role")]
    Withdrawn,
    /// The role was withdrawn before, for a different reason, which is kept.
    #[error("the custom role was withdrawn before, for a different reason, which is kept")]
    WithdrawnOtherwise,
    /// The role was changed as often as it may be.
    #[error("the custom role was changed {limit} times, and can only be withdrawn: define another role",
        limit = CustomRole::MAX_CHANGES)]
    TooManyChanges,
}

impl RoleDefinition {
    fn check(&self) -> Result<(), CustomRoleError> {
        if self.permissions.is_empty() {
            return Err(CustomRoleError::NoPermissions);
        }
        match self.permissions.iter().find(|permission| !permission.is_of_tenant()) {
            Some(outside) => Err(CustomRoleError::OutsideTenant(outside)),
            None => Ok(()),
        }
    }
}

/// The state of a custom role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomRole {
    /// What the role is; of a withdrawn role, what it was. None before it is defined.
    pub definition: Option<RoleDefinition>,
    /// Whether the role was withdrawn.
    pub is_withdrawn: bool,
    /// Why the role was withdrawn, if it was and a reason was given.
    pub reason: Option<Body>,
    /// How often the role was changed.
    changes: u32,
}

impl CustomRole {
    /// The maximum number of times that a role is changed. It bounds the number of its events, all of which every process
    /// folds.
    pub const MAX_CHANGES: u32 = 1000;

    /// The permissions that the role gives: none before it is defined and after it was withdrawn, and none that are not about
    /// the data of a tenant, whatever wrote its events.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        match &self.definition {
            Some(definition) if !self.is_withdrawn => {
                definition.permissions.iter().filter(|permission| permission.is_of_tenant()).collect()
            }
            Some(_) | None => PermissionSet::default(),
        }
    }

    /// Whether the role is defined and was not withdrawn.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.definition.is_some() && !self.is_withdrawn
    }
}

impl Aggregate for CustomRole {
    const CATEGORY: &'static str = "role";
    type Command = CustomRoleCommand;
    type Event = CustomRoleEvent;
    type Error = CustomRoleError;

    fn decide(&self, command: CustomRoleCommand) -> Result<Vec<CustomRoleEvent>, CustomRoleError> {
        use CustomRoleCommand::{Change, Define, Withdraw};
        match (command, &self.definition) {
            (Define { definition, at }, None) => {
                definition.check()?;
                Ok(vec![CustomRoleEvent::Defined(RoleDefined { definition, at })])
            }
            (Define { definition, .. }, Some(known)) if *known == definition => Ok(Vec::new()),
            (Define { .. }, Some(_)) => Err(CustomRoleError::AlreadyDefined),
            (Change { .. } | Withdraw { .. }, None) => Err(CustomRoleError::NotDefined),
            (Change { .. }, Some(_)) if self.is_withdrawn => Err(CustomRoleError::Withdrawn),
            (Change { definition, .. }, Some(known)) if *known == definition => Ok(Vec::new()),
            (Change { definition, at }, Some(_)) => {
                definition.check()?;
                if self.changes >= Self::MAX_CHANGES {
                    return Err(CustomRoleError::TooManyChanges);
                }
                Ok(vec![CustomRoleEvent::Changed(RoleChanged { definition, at })])
            }
            (Withdraw { reason, .. }, Some(_)) if self.is_withdrawn => {
                let is_same = reason.is_none() || reason == self.reason;
                if is_same { Ok(Vec::new()) } else { Err(CustomRoleError::WithdrawnOtherwise) }
            }
            (Withdraw { reason, at }, Some(_)) => Ok(vec![CustomRoleEvent::Withdrawn(RoleWithdrawn { reason, at })]),
        }
    }

    fn evolve(mut self, event: &CustomRoleEvent) -> Self {
        match event {
            CustomRoleEvent::Defined(defined) => self.definition = Some(defined.definition.clone()),
            CustomRoleEvent::Changed(changed) => {
                self.definition = Some(changed.definition.clone());
                self.changes = self.changes.saturating_add(1);
            }
            CustomRoleEvent::Withdrawn(withdrawn) => {
                self.is_withdrawn = true;
                self.reason.clone_from(&withdrawn.reason);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
