//! Users: people, each in one tenant. Roles are granted to a user, who signs in and acts by a session. Names, addresses and
//! secrets are never in an event: they are stored beside the log, and can be erased.

mod event;

pub use event::{
    UserCreated, UserDeleted, UserDisabled, UserEnabled, UserEvent, UserIdentityLinked, UserPasswordSet,
    UserResetIssued, UserSource, UserTotpDisabled, UserTotpEnabled,
};

use crate::aggregate::Aggregate;
use crate::ids::InvitationId;
use crate::provider_id::ProviderId;
use crate::text::Body;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

/// The maximum number of identities of providers that are linked to one user.
pub const MAX_LINKED_IDENTITIES: usize = 16;

/// A command to a user.
#[derive(Debug, Clone, PartialEq)]
pub enum UserCommand {
    /// Creates the user. Name and address were stored before.
    Create {
        /// How the user came to exist.
        source: UserSource,
        /// The invitation that was accepted, if any.
        invitation_id: Option<InvitationId>,
        /// When the user was created.
        at: DateTime<Utc>,
    },
    /// Issues a link by which the password can be set once. The hash of its token was stored before, under the id.
    IssueReset {
        /// The id under which the hash of the token is stored.
        link_id: Uuid,
        /// The time from which the link is refused.
        expires_at: DateTime<Utc>,
        /// When the link was issued.
        at: DateTime<Utc>,
    },
    /// Sets the password. Its hash was stored before, under the id.
    SetPassword {
        /// The id under which the hash is stored.
        credential_id: Uuid,
        /// The link by which it is set, if it is set by one.
        link_id: Option<Uuid>,
        /// When the password was set.
        at: DateTime<Utc>,
    },
    /// Demands one-time codes (TOTP) at each sign-in. Their secret was stored before, under the id.
    EnableTotp {
        /// The id under which the secret is stored.
        credential_id: Uuid,
        /// When the codes were demanded.
        at: DateTime<Utc>,
    },
    /// Demands no one-time codes any more.
    DisableTotp {
        /// When that was so.
        at: DateTime<Utc>,
    },
    /// Links an identity of a provider, by which the user can sign in. Who that is there was stored before, under the id.
    LinkIdentity {
        /// The id under which the identity is stored.
        identity_id: Uuid,
        /// The provider that it is of.
        provider: ProviderId,
        /// When the identity was linked.
        at: DateTime<Utc>,
    },
    /// Disables the user: its sessions are refused, and it cannot sign in until it is enabled.
    Disable {
        /// Why the user is disabled.
        reason: Option<Body>,
        /// When the user was disabled.
        at: DateTime<Utc>,
    },
    /// Enables a disabled user.
    Enable {
        /// When the user was enabled.
        at: DateTime<Utc>,
    },
    /// Deletes the user for ever. What is stored about the person beside the log is erased.
    Delete {
        /// When the user was deleted.
        at: DateTime<Utc>,
    },
}

/// Why a command to a user is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserError {
    /// No user has this id.
    #[error("the user does not exist")]
    NotCreated,
    /// A user that came to exist otherwise has this id.
    #[error("another user has this id")]
    AlreadyCreated,
    /// The user was deleted.
    #[error("the user was deleted")]
    Deleted,
    /// The user is disabled.
    #[error("the user is disabled: enable it first")]
    Disabled,
    /// The link is not the last one that was issued, was used, or has expired.
    #[error("the link is not valid: ask an administrator for a new one")]
    LinkNotValid,
    /// The link would expire before it can be used.
    #[error("the link would expire at {expires_at}, which is not after {at}: choose a later time")]
    ExpiresTooSoon {
        /// When the link would expire.
        expires_at: DateTime<Utc>,
        /// When it was to be issued.
        at: DateTime<Utc>,
    },
    /// As many identities are linked to the user as may be.
    #[error(
        "{limit} identities of providers are linked to the user, and no more may be: erase the user, or use one of them"
    )]
    TooManyIdentities {
        /// The maximum number of linked identities.
        limit: usize,
    },
    /// The user is already disabled, for a different reason, which is kept.
    #[error("the user is already disabled, for a different reason, which is kept")]
    AlreadyDisabled,
}

/// The state of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// How the user came to exist, and by which invitation; none before it is created.
    pub origin: Option<(UserSource, Option<InvitationId>)>,
    /// When the user was created.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// Why the user is disabled, if it is and a reason was given.
    pub reason: Option<Body>,
    /// Whether the user was deleted.
    pub is_deleted: bool,
    /// The id under which the hash of the password is stored, if there is one.
    pub password: Option<Uuid>,
    /// The id under which the secret of one-time codes is stored, if they are demanded.
    pub totp: Option<Uuid>,
    /// The link by which the password can be set, and the time from which it is refused.
    pub reset: Option<(Uuid, DateTime<Utc>)>,
    /// The identities of providers by which the user can sign in: the ids under which they are stored.
    #[serde(default)]
    pub identities: BTreeMap<Uuid, ProviderId>,
}

impl User {
    /// Whether the user exists and is neither disabled nor deleted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.origin.is_some() && !self.is_disabled && !self.is_deleted
    }

    fn create(&self, created: UserCreated) -> Result<Vec<UserEvent>, UserError> {
        match self.origin {
            None => Ok(vec![UserEvent::Created(created)]),
            Some(known) if known == (created.source, created.invitation_id) => Ok(Vec::new()),
            Some(_) => Err(UserError::AlreadyCreated),
        }
    }

    fn check_exists(&self) -> Result<(), UserError> {
        match (self.origin, self.is_deleted) {
            (None, _) => Err(UserError::NotCreated),
            (Some(_), true) => Err(UserError::Deleted),
            (Some(_), false) => Ok(()),
        }
    }

    fn check_active(&self) -> Result<(), UserError> {
        self.check_exists()?;
        if self.is_disabled { Err(UserError::Disabled) } else { Ok(()) }
    }

    fn issue_reset(&self, issued: UserResetIssued) -> Result<Vec<UserEvent>, UserError> {
        self.check_active()?;
        let (expires_at, at) = (issued.expires_at, issued.at);
        if self.reset == Some((issued.link_id, expires_at)) {
            return Ok(Vec::new());
        }
        if expires_at <= at {
            Err(UserError::ExpiresTooSoon { expires_at, at })
        } else {
            Ok(vec![UserEvent::ResetIssued(issued)])
        }
    }

    fn set_password(&self, set: UserPasswordSet) -> Result<Vec<UserEvent>, UserError> {
        self.check_active()?;
        if self.password == Some(set.credential_id) {
            return Ok(Vec::new());
        }
        let is_issued = |link| self.reset.is_some_and(|(issued, expires_at)| issued == link && set.at < expires_at);
        if set.link_id.is_none_or(is_issued) {
            Ok(vec![UserEvent::PasswordSet(set)])
        } else {
            Err(UserError::LinkNotValid)
        }
    }

    fn link(&self, linked: UserIdentityLinked) -> Result<Vec<UserEvent>, UserError> {
        self.check_active()?;
        if self.identities.contains_key(&linked.identity_id) {
            return Ok(Vec::new());
        }
        if self.identities.len() >= MAX_LINKED_IDENTITIES {
            return Err(UserError::TooManyIdentities { limit: MAX_LINKED_IDENTITIES });
        }
        Ok(vec![UserEvent::IdentityLinked(linked)])
    }

    fn disable(&self, disabled: UserDisabled) -> Result<Vec<UserEvent>, UserError> {
        self.check_exists()?;
        if !self.is_disabled {
            return Ok(vec![UserEvent::Disabled(disabled)]);
        }
        if disabled.reason.is_some() && disabled.reason != self.reason {
            return Err(UserError::AlreadyDisabled);
        }
        Ok(Vec::new())
    }
}

impl Aggregate for User {
    const CATEGORY: &'static str = "user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;

    fn decide(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::Create { source, invitation_id, at } => self.create(UserCreated { source, invitation_id, at }),
            UserCommand::IssueReset { link_id, expires_at, at } => {
                self.issue_reset(UserResetIssued { link_id, expires_at, at })
            }
            UserCommand::SetPassword { credential_id, link_id, at } => {
                self.set_password(UserPasswordSet { credential_id, link_id, at })
            }
            UserCommand::EnableTotp { credential_id, at } => {
                self.check_active()?;
                let is_new = self.totp != Some(credential_id);
                Ok(is_new
                    .then_some(UserEvent::TotpEnabled(UserTotpEnabled { credential_id, at }))
                    .into_iter()
                    .collect())
            }
            UserCommand::DisableTotp { at } => {
                self.check_exists()?;
                let is_on = self.totp.is_some();
                Ok(is_on.then_some(UserEvent::TotpDisabled(UserTotpDisabled { at })).into_iter().collect())
            }
            UserCommand::LinkIdentity { identity_id, provider, at } => {
                self.link(UserIdentityLinked { identity_id, provider, at })
            }
            UserCommand::Disable { reason, at } => self.disable(UserDisabled { reason, at }),
            UserCommand::Enable { at } => {
                self.check_exists()?;
                Ok(self.is_disabled.then_some(UserEvent::Enabled(UserEnabled { at })).into_iter().collect())
            }
            UserCommand::Delete { at } => match self.origin {
                None => Err(UserError::NotCreated),
                Some(_) if self.is_deleted => Ok(Vec::new()),
                Some(_) => Ok(vec![UserEvent::Deleted(UserDeleted { at })]),
            },
        }
    }

    fn evolve(mut self, event: &UserEvent) -> Self {
        match event {
            UserEvent::Created(created) => {
                self.origin = Some((created.source, created.invitation_id));
                self.created_at = Some(created.at);
            }
            UserEvent::ResetIssued(issued) => self.reset = Some((issued.link_id, issued.expires_at)),
            UserEvent::PasswordSet(set) => {
                self.password = Some(set.credential_id);
                // A link that was issued before does not replace the new password.
                self.reset = None;
            }
            UserEvent::TotpEnabled(enabled) => self.totp = Some(enabled.credential_id),
            UserEvent::TotpDisabled(_) => self.totp = None,
            UserEvent::IdentityLinked(linked) => {
                self.identities.insert(linked.identity_id, linked.provider);
            }
            UserEvent::Disabled(disabled) => {
                self.is_disabled = true;
                self.reason.clone_from(&disabled.reason);
            }
            UserEvent::Enabled(_) => {
                self.is_disabled = false;
                self.reason = None;
            }
            UserEvent::Deleted(_) => {
                self.is_deleted = true;
                (self.password, self.totp, self.reset) = (None, None, None);
                self.identities.clear();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
