//! Users and invitations at a server.

use super::grants::text;
use super::values::{BuiltIn, GlobalId, assigned, seconds};
use super::{OnServer, documents, role_names};
use crate::cli::backend::operations::{IssuedToken, Listed, UserOperations};
use crate::config::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::permissions::Role;
use domain::user::UserSource;
use domain::{Body, InvitationId, Name, ProviderId, UserId};
use identity::{Email, InvitationSummary, UserSummary};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Source {
    Admin,
    Invitation,
    Registration,
    Provider,
}

impl From<Source> for UserSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Admin => Self::Admin,
            Source::Invitation => Self::Invitation,
            Source::Registration => Self::Registration,
            Source::Provider => Self::Provider,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    uuid: Uuid,
    email: Option<String>,
    display_name: Option<String>,
    source: Source,
    created_at: DateTime<Utc>,
    disabled: bool,
    has_password: bool,
    codes_required: bool,
    sign_in_providers: Vec<ProviderId>,
    roles: Vec<BuiltIn>,
    custom_role_ids: Vec<GlobalId>,
    reset_requested_at: Option<DateTime<Utc>>,
}

impl From<User> for UserSummary {
    fn from(user: User) -> Self {
        Self {
            id: UserId(user.uuid),
            email: user.email,
            display_name: user.display_name,
            source: user.source.into(),
            created_at: user.created_at,
            is_disabled: user.disabled,
            has_password: user.has_password,
            has_totp: user.codes_required,
            providers: user.sign_in_providers,
            roles: assigned(user.roles, user.custom_role_ids),
            reset_requested_at: user.reset_requested_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    uuid: Uuid,
    email: Option<String>,
    roles: Vec<BuiltIn>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    accepted_by_id: Option<GlobalId>,
    revoked: bool,
}

impl From<Invitation> for InvitationSummary {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: InvitationId(invitation.uuid),
            roles: invitation.roles.into_iter().map(|role| role.0).collect(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            accepted_by: invitation.accepted_by_id.map(|id| UserId(id.0)),
            is_revoked: invitation.revoked,
            email: invitation.email,
        }
    }
}

impl UserOperations for OnServer {
    async fn users(&self) -> anyhow::Result<Listed<UserSummary>> {
        self.list::<User, _>(documents::USERS, json!({}), "/users").await
    }

    async fn invitations(&self) -> anyhow::Result<Listed<InvitationSummary>> {
        self.list::<Invitation, _>(documents::INVITATIONS, json!({}), "/invitations").await
    }

    async fn create_user(&self, email: &Email, name: Option<Name>, roles: &[Role]) -> anyhow::Result<UserId> {
        let name = name.as_ref().map(Name::as_str);
        let input = json!({ "email": email.as_str(), "displayName": name, "roles": role_names(roles) });
        Ok(UserId(self.created(documents::CREATE_USER, input, ("/createUser", "/user/uuid")).await?))
    }

    async fn invite_user(
        &self,
        email: &Email,
        roles: &[Role],
        lifetime: TimeDelta,
    ) -> anyhow::Result<IssuedToken<InvitationId>> {
        let (roles, lifetime) = (role_names(roles), seconds(lifetime));
        let input = json!({ "email": email.as_str(), "roles": roles, "expiresInSeconds": lifetime });
        let (_, mut payload) = self.command(documents::INVITE_USER, input, "/inviteUser").await?;
        Ok(IssuedToken {
            id: InvitationId(self.value(&mut payload, "/invitation/uuid")?),
            token: Secret::from(self.value::<String>(&mut payload, "/token")?),
            expires_at: self.value(&mut payload, "/invitation/expiresAt")?,
        })
    }

    async fn revoke_invitation(&self, id: InvitationId, reason: Option<Body>) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::REVOKE_INVITATION, input, "/revokeInvitation").await
    }

    async fn issue_reset_link(&self, id: UserId, lifetime: TimeDelta) -> anyhow::Result<IssuedToken<UserId>> {
        let input = json!({ "userId": id.0, "expiresInSeconds": seconds(lifetime) });
        let path = "/createPasswordResetLink";
        let (_, mut payload): (_, Value) = self.command(documents::RESET_LINK, input, path).await?;
        let token = Secret::from(self.value::<String>(&mut payload, "/token")?);
        Ok(IssuedToken { id, token, expires_at: self.value(&mut payload, "/expiresAt")? })
    }

    async fn disable_codes(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        self.done(documents::DISABLE_CODES, json!({ "id": id.0 }), "/disableOneTimeCodes").await
    }

    async fn disable_user(&self, id: UserId, reason: Option<Body>) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::DISABLE_USER, input, "/disableUser").await
    }

    async fn enable_user(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        self.done(documents::ENABLE_USER, json!({ "id": id.0 }), "/enableUser").await
    }

    async fn erase_user(&self, id: UserId) -> anyhow::Result<OutcomeKind> {
        self.done(documents::ERASE_USER, json!({ "id": id.0 }), "/eraseUser").await
    }
}
