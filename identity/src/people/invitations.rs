//! Inviting people.

use super::email::Email;
use super::links::{self, Purpose};
use super::users::{expiry, log_failure, rejected};
use crate::directory::InvitationSummary;
use crate::error::{IdentityError, PeopleRejection};
use crate::grants::derived;
use crate::identities::{Identities, MAX_LISTED};
use crate::key_text::SecretText;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, Error, Outcome, OutcomeKind, Position, Subject};
use domain::invitation::{Invitation, InvitationCommand, InvitationTerms};
use domain::permissions::{Access, ReadIdentities, Role, SendCommand};
use domain::{Aggregate as _, Body, InvitationId};
use std::collections::HashMap;
use std::ops::RangeBounds;
use uuid::Uuid;

/// An invitation that was created.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The id of the invitation.
    pub id: InvitationId,
    /// The token of the invitation, which is shown once.
    pub token: SecretText,
    /// The time from which it cannot be accepted.
    pub expires_at: DateTime<Utc>,
    /// The position of the event.
    pub position: Position,
}

impl Identities {
    /// Invites the person with an address to become a user with some roles. The id of the invitation is derived from that of
    /// the command.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed;
    /// [`IdentityError::TooManyInvitations`] if as many invitations wait as the settings allow, and the command is not given at
    /// the command line; [`IdentityError::LinkAlreadyShown`] for a retry of a command that was.
    pub async fn invite_user(
        &self,
        context: &Context,
        email: &Email,
        roles: &[Role],
        lifetime: TimeDelta,
        at: DateTime<Utc>,
    ) -> Result<NewInvitation, IdentityError> {
        let tenant = context.principal.tenant();
        let id = InvitationId(derived(Invitation::CATEGORY, context));
        context.principal.authorise_on::<SendCommand>(Invitation::CATEGORY, id.0)?;
        let expires_at = expiry(at, lifetime)?;
        self.check_tenant(tenant).await?;
        let limit = self.sessions().config.max_pending_invitations;
        // The command line has the database.
        let is_limited = *context.principal.subject() != Subject::CommandLine;
        if is_limited && self.directory().count_pending_invitations(tenant, at) >= limit {
            return Err(IdentityError::TooManyInvitations { limit });
        }
        let token = links::insert(self.secrets(), tenant, id.0, Purpose::Invitation(email), expires_at).await?;
        let token = token.ok_or(IdentityError::LinkAlreadyShown(id.0))?;
        let terms = InvitationTerms { roles: roles.iter().copied().collect(), expires_at };
        let create = InvitationCommand::Create { terms, at };
        let created: Result<Outcome<Invitation>, Error<PeopleRejection>> = self
            .commands
            .decide_on(context, id.0, |invitation: &Invitation, _| invitation.decide(create.clone()).map_err(rejected))
            .await;
        let position = self.confirm_link(id.0, created).await?;
        self.mail_invitation(tenant, id, &token).await;
        Ok(NewInvitation { id, token, expires_at, position })
    }

    /// Revokes an invitation: it cannot be accepted any more, and the address of the person is erased.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, or the command is not executed.
    pub async fn revoke_invitation(
        &self,
        context: &Context,
        id: InvitationId,
        reason: Option<Body>,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let revoke = InvitationCommand::Revoke { reason, at };
        let revoked: Result<Outcome<Invitation>, Error<PeopleRejection>> = self
            .commands
            .decide_on(context, id.0, |invitation: &Invitation, _| invitation.decide(revoke.clone()).map_err(rejected))
            .await;
        let revoked = revoked?;
        self.follow_to(revoked.position).await;
        log_failure(links::delete(self.secrets(), id.0).await);
        Ok((revoked.kind, revoked.position))
    }

    /// The invitations of a tenant with ids in a range, by id; at most `limit`, and at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// [`IdentityError::Database`] if addresses cannot be read.
    pub async fn invitations(
        &self,
        access: &Access<ReadIdentities>,
        ids: impl RangeBounds<InvitationId>,
        limit: usize,
    ) -> Result<Vec<InvitationSummary>, IdentityError> {
        let mut found = self.directory().invitations(access, ids, limit.min(MAX_LISTED));
        if found.is_empty() {
            return Ok(found);
        }
        let ids: Vec<Uuid> = found.iter().map(|invitation| invitation.id.0).collect();
        let invited = links::invited(self.secrets(), access.tenant(), &ids).await?;
        let mut emails: HashMap<Uuid, String> = invited.into_iter().collect();
        found.iter_mut().for_each(|invitation| invitation.email = emails.remove(&invitation.id.0));
        Ok(found)
    }
}
