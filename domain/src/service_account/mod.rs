//! Service accounts: programs that act in a tenant, such as an agent or a pipeline. Roles are granted to an account, and
//! API keys are its credentials.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A command to a service account.
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceAccountCommand {
    /// Creates the account.
    Create {
        /// What the account is for, such as `nightly-import`. It must not be the name of a person.
        name: Name,
        /// When the account was created.
        at: DateTime<Utc>,
    },
    /// Disables the account: its keys are refused until it is enabled.
    Disable {
        /// Why the account is disabled.
        reason: Option<Body>,
        /// When the account was disabled.
        at: DateTime<Utc>,
    },
    /// Enables a disabled account.
    Enable {
        /// When the account was enabled.
        at: DateTime<Utc>,
    },
}

/// The payload of `service_account.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccountCreated {
    /// What the account is for.
    pub name: Name,
    /// When the account was created.
    pub at: DateTime<Utc>,
}

/// The payload of `service_account.disabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccountDisabled {
    /// Why the account was disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the account was disabled.
    pub at: DateTime<Utc>,
}

/// The payload of `service_account.enabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccountEnabled {
    /// When the account was enabled.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a service account.
    pub enum ServiceAccountEvent {
        /// The account was created.
        "service_account.created" v 1 => Created(ServiceAccountCreated),
        /// The account was disabled.
        "service_account.disabled" v 1 => Disabled(ServiceAccountDisabled),
        /// The account was enabled.
        "service_account.enabled" v 1 => Enabled(ServiceAccountEnabled),
    }
}

/// Why a command to a service account is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceAccountError {
    /// No service account has this id.
    #[error("the service account does not exist")]
    NotCreated,
    /// A service account with a different name has this id.
    #[error("a service account with a different name has this id")]
    AlreadyCreated,
    /// The account is already disabled, for a different reason, which is kept.
    #[error("the service account is already disabled, for a different reason, which is kept")]
    AlreadyDisabled,
}

/// The state of a service account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// What the account is for; none before it is created.
    pub name: Option<Name>,
    /// Whether the account is disabled.
    pub is_disabled: bool,
    /// Why the account is disabled, if it is and a reason was given.
    pub reason: Option<Body>,
}

impl ServiceAccount {
    /// Whether the account exists and is not disabled.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.name.is_some() && !self.is_disabled
    }
}

impl Aggregate for ServiceAccount {
    const CATEGORY: &'static str = "service_account";
    type Command = ServiceAccountCommand;
    type Event = ServiceAccountEvent;
    type Error = ServiceAccountError;

    fn decide(&self, command: ServiceAccountCommand) -> Result<Vec<ServiceAccountEvent>, ServiceAccountError> {
        use ServiceAccountCommand::{Create, Disable, Enable};
        match command {
            Create { name, at } => match &self.name {
                None => Ok(vec![ServiceAccountEvent::Created(ServiceAccountCreated { name, at })]),
                Some(known) if *known == name => Ok(Vec::new()),
                Some(_) => Err(ServiceAccountError::AlreadyCreated),
            },
            Disable { .. } | Enable { .. } if self.name.is_none() => Err(ServiceAccountError::NotCreated),
            Disable { reason, .. } if self.is_disabled => {
                if reason.is_some() && reason != self.reason {
                    return Err(ServiceAccountError::AlreadyDisabled);
                }
                Ok(Vec::new())
            }
            Disable { reason, at } => Ok(vec![ServiceAccountEvent::Disabled(ServiceAccountDisabled { reason, at })]),
            Enable { at } if self.is_disabled => Ok(vec![ServiceAccountEvent::Enabled(ServiceAccountEnabled { at })]),
            Enable { .. } => Ok(Vec::new()),
        }
    }

    fn evolve(mut self, event: &ServiceAccountEvent) -> Self {
        match event {
            ServiceAccountEvent::Created(created) => self.name = Some(created.name.clone()),
            ServiceAccountEvent::Disabled(disabled) => {
                self.is_disabled = true;
                self.reason.clone_from(&disabled.reason);
            }
            ServiceAccountEvent::Enabled(_) => {
                self.is_disabled = false;
                self.reason = None;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
