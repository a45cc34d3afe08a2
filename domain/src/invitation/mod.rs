//! Invitations: that a person may become a user of the tenant, with some roles, until a time. The address of the person and
//! the hash of the token are stored beside the log.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::UserId;
use crate::permissions::Role;
use crate::text::Body;
use crate::timestamp;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// What an invitation gives, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationTerms {
    /// The roles that are granted to the user who accepts.
    pub roles: BTreeSet<Role>,
    /// The time from which the invitation cannot be accepted.
    #[serde(deserialize_with = "timestamp::deserialize")]
    pub expires_at: DateTime<Utc>,
}

/// A command to an invitation.
#[derive(Debug, Clone, PartialEq)]
pub enum InvitationCommand {
    /// Creates the invitation. The hash of its token was stored before.
    Create {
        /// What it gives, and until when.
        terms: InvitationTerms,
        /// When it was created.
        at: DateTime<Utc>,
    },
    /// Accepts the invitation, once.
    Accept {
        /// The user who was created by it.
        user_id: UserId,
        /// When it was accepted.
        at: DateTime<Utc>,
    },
    /// Revokes the invitation: it cannot be accepted any more.
    Revoke {
        /// Why it is revoked.
        reason: Option<Body>,
        /// When it was revoked.
        at: DateTime<Utc>,
    },
}

/// The payload of `invitation.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationCreated {
    /// What the invitation gives, and until when.
    #[serde(flatten)]
    pub terms: InvitationTerms,
    /// When the invitation was created.
    pub at: DateTime<Utc>,
}

/// The payload of `invitation.accepted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationAccepted {
    /// The user who was created by it.
    pub user_id: UserId,
    /// When the invitation was accepted.
    pub at: DateTime<Utc>,
}

/// The payload of `invitation.revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationRevoked {
    /// Why the invitation was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the invitation was revoked.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of an invitation.
    pub enum InvitationEvent {
        /// The invitation was created.
        "invitation.created" v 1 => Created(InvitationCreated),
        /// The invitation was accepted.
        "invitation.accepted" v 1 => Accepted(InvitationAccepted),
        /// The invitation was revoked.
        "invitation.revoked" v 1 => Revoked(InvitationRevoked),
    }
}

/// Why a command to an invitation is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// No invitation has this id.
    #[error("the invitation does not exist")]
    NotCreated,
    /// An invitation with other terms has this id.
    #[error("an invitation with other terms has this id")]
    AlreadyCreated,
    /// The invitation would expire before it can be accepted.
    #[error("the invitation would expire at {expires_at}, which is not after {at}: choose a later time")]
    ExpiresTooSoon {
        /// When the invitation would expire.
        expires_at: DateTime<Utc>,
        /// When it was to be created.
        at: DateTime<Utc>,
    },
    /// A role is not one of a tenant.
    #[error("the role {0} cannot be granted in a tenant: use admin, operator, viewer, agent, billing or auditor")]
    NotOfTenant(Role),
    /// The invitation has expired.
    #[error("the invitation expired at {0}")]
    Expired(DateTime<Utc>),
    /// The invitation was revoked.
    #[error("the invitation was revoked")]
    Revoked,
    /// The invitation was accepted.
    #[error("the invitation was accepted by the user {0}")]
    Accepted(UserId),
    /// The invitation was already revoked, for a different reason, which is kept.
    #[error("the invitation was already revoked, for a different reason, which is kept")]
    AlreadyRevoked,
}

/// The state of an invitation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// What the invitation gives, and until when; none before it is created.
    pub terms: Option<InvitationTerms>,
    /// When the invitation was created.
    pub created_at: Option<DateTime<Utc>>,
    /// The user who accepted it, if it was accepted.
    pub accepted_by: Option<UserId>,
    /// Whether the invitation was revoked.
    pub is_revoked: bool,
    /// Why the invitation was revoked, if it was and a reason was given.
    pub reason: Option<Body>,
}

impl Invitation {
    /// What the invitation gives, if it can be accepted at a time.
    ///
    /// # Errors
    /// [`InvitationError`] that says why it cannot.
    pub fn acceptable_at(&self, now: DateTime<Utc>) -> Result<&InvitationTerms, InvitationError> {
        let terms = self.terms.as_ref().ok_or(InvitationError::NotCreated)?;
        match self.accepted_by {
            Some(user) => Err(InvitationError::Accepted(user)),
            None if self.is_revoked => Err(InvitationError::Revoked),
            None if terms.expires_at <= now => Err(InvitationError::Expired(terms.expires_at)),
            None => Ok(terms),
        }
    }

    fn create(&self, created: InvitationCreated) -> Result<Vec<InvitationEvent>, InvitationError> {
        let terms = &created.terms;
        if let Some(role) = terms.roles.iter().find(|role| !role.is_of_tenant()) {
            return Err(InvitationError::NotOfTenant(*role));
        }
        match &self.terms {
            Some(known) if known == terms => Ok(Vec::new()),
            Some(_) => Err(InvitationError::AlreadyCreated),
            None if terms.expires_at <= created.at => {
                Err(InvitationError::ExpiresTooSoon { expires_at: terms.expires_at, at: created.at })
            }
            None => Ok(vec![InvitationEvent::Created(created)]),
        }
    }

    fn revoke(&self, revoked: InvitationRevoked) -> Result<Vec<InvitationEvent>, InvitationError> {
        match (&self.terms, self.accepted_by) {
            (None, _) => Err(InvitationError::NotCreated),
            (Some(_), Some(user)) => Err(InvitationError::Accepted(user)),
            (Some(_), None) if !self.is_revoked => Ok(vec![InvitationEvent::Revoked(revoked)]),
            (Some(_), None) if revoked.reason.is_some() && revoked.reason != self.reason => {
                Err(InvitationError::AlreadyRevoked)
            }
            (Some(_), None) => Ok(Vec::new()),
        }
    }
}

impl Aggregate for Invitation {
    const CATEGORY: &'static str = "invitation";
    type Command = InvitationCommand;
    type Event = InvitationEvent;
    type Error = InvitationError;

    fn decide(&self, command: InvitationCommand) -> Result<Vec<InvitationEvent>, InvitationError> {
        match command {
            InvitationCommand::Create { terms, at } => self.create(InvitationCreated { terms, at }),
            InvitationCommand::Accept { user_id, .. } if self.accepted_by == Some(user_id) => Ok(Vec::new()),
            InvitationCommand::Accept { user_id, at } => {
                self.acceptable_at(at)?;
                Ok(vec![InvitationEvent::Accepted(InvitationAccepted { user_id, at })])
            }
            InvitationCommand::Revoke { reason, at } => self.revoke(InvitationRevoked { reason, at }),
        }
    }

    fn evolve(mut self, event: &InvitationEvent) -> Self {
        match event {
            InvitationEvent::Created(created) => {
                self.terms = Some(created.terms.clone());
                self.created_at = Some(created.at);
            }
            InvitationEvent::Accepted(accepted) => self.accepted_by = Some(accepted.user_id),
            InvitationEvent::Revoked(revoked) => {
                self.is_revoked = true;
                self.reason.clone_from(&revoked.reason);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
