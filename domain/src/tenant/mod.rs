//! Tenants: the companies or teams that share an installation and see nothing of each other. Their streams are in the
//! reserved tenant of the installation, each under [`TenantId::stream_id`].

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::TenantId;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A command to a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum TenantCommand {
    /// Creates the tenant.
    Create {
        /// The id of the tenant, from which the id of its stream is derived.
        tenant_id: TenantId,
        /// When the tenant was created.
        at: DateTime<Utc>,
    },
    /// Suspends the tenant: its credentials are refused, and its data stays.
    Suspend {
        /// Why the tenant is suspended.
        reason: Option<Body>,
        /// When the tenant was suspended.
        at: DateTime<Utc>,
    },
    /// Resumes a suspended tenant.
    Resume {
        /// When the tenant was resumed.
        at: DateTime<Utc>,
    },
}

/// The payload of `tenant.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantCreated {
    /// The id of the tenant.
    pub tenant_id: TenantId,
    /// When the tenant was created.
    pub at: DateTime<Utc>,
}

/// The payload of `tenant.suspended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantSuspended {
    /// Why the tenant was suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the tenant was suspended.
    pub at: DateTime<Utc>,
}

/// The payload of `tenant.resumed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantResumed {
    /// When the tenant was resumed.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a tenant.
    pub enum TenantEvent {
        /// The tenant was created.
        "tenant.created" v 1 => Created(TenantCreated),
        /// The tenant was suspended.
        "tenant.suspended" v 1 => Suspended(TenantSuspended),
        /// The tenant was resumed.
        "tenant.resumed" v 1 => Resumed(TenantResumed),
    }
}

/// Why a command to a tenant is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TenantError {
    /// No tenant has this id.
    #[error("the tenant does not exist: create it first")]
    NotCreated,
    /// The id is reserved for the installation.
    #[error("the tenant id {0} is reserved for the installation: use another")]
    Reserved(TenantId),
    /// The stream is that of another tenant.
    #[error("the stream is that of the tenant {0}")]
    OtherTenant(TenantId),
    /// The tenant is already suspended, for a different reason, which is kept.
    #[error("the tenant is already suspended, for a different reason, which is kept")]
    AlreadySuspended,
}

/// The state of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// The id of the tenant; none before it is created.
    pub tenant_id: Option<TenantId>,
    /// Whether the tenant is suspended.
    pub is_suspended: bool,
    /// Why the tenant is suspended, if it is and a reason was given.
    pub reason: Option<Body>,
}

impl Tenant {
    fn create(&self, created: TenantCreated) -> Result<Vec<TenantEvent>, TenantError> {
        match &self.tenant_id {
            _ if created.tenant_id.is_reserved() => Err(TenantError::Reserved(created.tenant_id)),
            None => Ok(vec![TenantEvent::Created(created)]),
            Some(known) if *known == created.tenant_id => Ok(Vec::new()),
            Some(known) => Err(TenantError::OtherTenant(known.clone())),
        }
    }
}

impl Aggregate for Tenant {
    const CATEGORY: &'static str = "tenant";
    type Command = TenantCommand;
    type Event = TenantEvent;
    type Error = TenantError;

    fn decide(&self, command: TenantCommand) -> Result<Vec<TenantEvent>, TenantError> {
        let is_created = self.tenant_id.is_some();
        match command {
            TenantCommand::Create { tenant_id, at } => self.create(TenantCreated { tenant_id, at }),
            TenantCommand::Suspend { .. } | TenantCommand::Resume { .. } if !is_created => Err(TenantError::NotCreated),
            TenantCommand::Suspend { reason, .. } if self.is_suspended => {
                if reason.is_some() && reason != self.reason {
                    return Err(TenantError::AlreadySuspended);
                }
                Ok(Vec::new())
            }
            TenantCommand::Suspend { reason, at } => Ok(vec![TenantEvent::Suspended(TenantSuspended { reason, at })]),
            TenantCommand::Resume { at } if self.is_suspended => Ok(vec![TenantEvent::Resumed(TenantResumed { at })]),
            TenantCommand::Resume { .. } => Ok(Vec::new()),
        }
    }

    fn evolve(mut self, event: &TenantEvent) -> Self {
        match event {
            TenantEvent::Created(created) => self.tenant_id = Some(created.tenant_id.clone()),
            TenantEvent::Suspended(suspended) => {
                self.is_suspended = true;
                self.reason.clone_from(&suspended.reason);
            }
            TenantEvent::Resumed(_) => {
                self.is_suspended = false;
                self.reason = None;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
