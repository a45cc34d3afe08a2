//! Users and invitations, on the database.

use super::{OnDatabase, listed, now};
use crate::cli::backend::operations::{IssuedToken, Listed, UserOperations};
use crate::config::Secret;
use chrono::TimeDelta;
use commands::OutcomeKind;
use domain::permissions::Role;
use domain::{Body, InvitationId, Name, UserId};
use identity::{Email, InvitationSummary, MAX_LISTED, UserSummary};

impl UserOperations for OnDatabase<'_> {
    async fn users(&self) -> anyhow::Result<Listed<UserSummary>> {
        Ok(listed(self.identities.users(&self.rooms.principal.authorise()?, .., MAX_LISTED).await?))
    }

    async fn invitations(&self) -> anyhow::Result<Listed<InvitationSummary>> {
        Ok(listed(self.identities.invitations(&self.rooms.principal.authorise()?, .., MAX_LISTED).await?))
    }

    async fn create_user(&self, email: &Email, name: Option<Name>, roles: &[Role]) -> anyhow::Result<UserId> {
        Ok(self.identities.create_user(&self.context(), email, name.as_ref(), roles, now()).await?.id)
    }

    async fn invite_user(
        &self,
        email: &Email,
        roles: &[Role],
        lifetime: TimeDelta,
    ) -> anyhow::Result<IssuedToken<InvitationId>> {
        let new = self.identities.invite_user(&self.context(), email, roles, lifetime, now()).await?;
        let token = Secret::from(new.token.reveal().to_owned());
        Ok(IssuedToken { id: new.id, token, expires_at: new.expires_at })
    }

    async fn revoke_invitation(&self, id: InvitationId, reason: Option<Body>) -> anyhow::Result<OutcomeKind> {
        Ok(self.identities.revoke_invitation(&self.context(), id, reason, now()).await?.0)
    }

    async fn issue_reset_link(&self, id: UserId, lifetime: TimeDelta) -> anyhow::Result<IssuedToken<UserId>> {
        let link = self.identities.issue_reset_link(&self.context(), id, lifetime, now()).await?;
        Ok(IssuedToken { id, token: Secret::from(link.token.reveal().to_owned()), expires_at: link.expires_at })
    }

    async fn disable_codes(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        Ok(self.identities.disable_totp_of(&self.context(), id, now()).await?.0)
    }

    async fn disable_user(&self, id: UserId, reason: Option<Body>) -> anyhow::Result<OutcomeKind> {
        Ok(self.identities.disable_user(&self.context(), id, reason, now()).await?.0)
    }

    async fn enable_user(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        Ok(self.identities.enable_user(&self.context(), id, now()).await?.0)
    }

    async fn erase_user(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        Ok(self.identities.erase_user(&self.context(), id, now()).await?.0)
    }
}
