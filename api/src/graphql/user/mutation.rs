//! Commands to users and invitations, and ending sessions. They are those that the command line gives.

use super::query;
use super::types::{Invitation, User};
use crate::graphql::errors;
use crate::graphql::identity::{Executed, Role, Start};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::{authorise, requester, services};
use async_graphql::{ComplexObject, Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::TimeDelta;
use commands::{OutcomeKind, Subject};
use domain::permissions::{CommandIdentities, Role as DomainRole};
use domain::{InvitationId, SessionId, UserId};
use identity::{Email, IdentityError};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How long an invitation can be accepted by default, in seconds: a week.
const INVITATION_SECONDS: i32 = 7 * 86_400;
/// How long a link to set a password is accepted by default, in seconds: a day.
const RESET_SECONDS: i32 = 86_400;

/// Input of `createUser`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateUserInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// E-mail address of the user. It is stored beside the log, and can be erased.
    email: String,
    /// Name of the user: one line of at most 256 bytes. It is stored beside the log, and can be erased. Default: none.
    display_name: Option<String>,
    /// Roles of the user in the tenant. Default: none.
    roles: Option<Vec<Role>>,
}

/// Input of `inviteUser`.
#[derive(Debug, InputObject)]
pub(crate) struct InviteUserInput {
    /// Idempotency key of the command: a UUID. A retry creates no second invitation, and does not return the token again.
    /// Default: a new one.
    command_id: Option<Uid>,
    /// E-mail address of the person. It is stored beside the log, and can be erased. The invitation is mailed where the server
    /// sends mail.
    email: String,
    /// Roles that are granted to the user who accepts. Default: none.
    roles: Option<Vec<Role>>,
    /// How long the invitation can be accepted, in seconds. Default: 604800, which is a week.
    expires_in_seconds: Option<i32>,
}

/// Input of `revokeInvitation`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeInvitationInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the invitation.
    id: ID,
    /// Reason for revoking the invitation: text of at most 64 KiB, which is recorded for ever: not about a person.
    reason: Option<String>,
}

/// Input of `disableUser`.
#[derive(Debug, InputObject)]
pub(crate) struct DisableUserInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the user.
    id: ID,
    /// Reason for disabling the user: text of at most 64 KiB, which is recorded for ever: not about the person.
    reason: Option<String>,
}

/// Input of `enableUser` and of `eraseUser`.
#[derive(Debug, InputObject)]
pub(crate) struct UserInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the user.
    id: ID,
}

/// Input of `createPasswordResetLink`.
#[derive(Debug, InputObject)]
pub(crate) struct CreatePasswordResetLinkInput {
    /// Idempotency key of the command: a UUID. A retry creates no second link, and does not return the token again. Default: a
    /// new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the user.
    user_id: ID,
    /// How long the link is accepted, in seconds. Default: 86400, which is a day.
    expires_in_seconds: Option<i32>,
}

/// Input of `revokeSession`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeSessionInput {
    /// Global id or UUID of the session.
    id: ID,
}

/// Payload of the mutations of a user.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct UserPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    #[graphql(skip)]
    user: Option<Uuid>,
}

#[ComplexObject]
impl UserPayload {
    /// The user as it is now. Null if the command was rejected, or the user was erased.
    #[graphql(complexity = "10 + child_complexity")]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.user {
            Some(id) => query::user(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Payload of the mutations of an invitation.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct InvitationPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    /// Token of the new invitation, which the person sends to `/auth/register`. It is returned only here and only once: it is
    /// not stored. Null if no invitation was created.
    token: Option<String>,
    #[graphql(skip)]
    invitation: Option<Uuid>,
}

#[ComplexObject]
impl InvitationPayload {
    /// The invitation as it is now. Null if the command was rejected.
    #[graphql(complexity = "10 + child_complexity")]
    async fn invitation(&self, ctx: &Context<'_>) -> Result<Option<Invitation>> {
        match self.invitation {
            Some(id) => query::invitation(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Payload of `createPasswordResetLink`.
#[derive(SimpleObject)]
pub(crate) struct PasswordResetLinkPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    /// Token of the new link, which the user sends to `/auth/password-reset`. It is returned only here and only once: it is not
    /// stored. Null if no link was created.
    token: Option<String>,
    /// Time from which the link is refused. Null if no link was created.
    expires_at: Option<Timestamp>,
}

/// Payload of `revokeSession`.
#[derive(SimpleObject)]
pub(crate) struct RevokeSessionPayload {
    /// Whether there is such a session. It has ended now, or had ended before.
    revoked: bool,
}

impl Start {
    fn user_payload(&self, executed: Executed, user: Option<Uuid>) -> UserPayload {
        UserPayload { command_id: self.command_id.into(), executed, user }
    }

    /// The payload of a command to a user that exists.
    fn of_user(
        &self,
        id: Uuid,
        executed: Result<(OutcomeKind, commands::Position), IdentityError>,
    ) -> Result<UserPayload> {
        Ok(match executed {
            Ok((kind, position)) => self.user_payload(Executed::done(kind, position), Some(id)),
            Err(error) => self.user_payload(Executed::failed(error)?, None),
        })
    }

    fn invitation_payload(
        &self,
        executed: Executed,
        invitation: Option<Uuid>,
        token: Option<String>,
    ) -> InvitationPayload {
        InvitationPayload { command_id: self.command_id.into(), executed, token, invitation }
    }
}

fn email(text: &str) -> Result<Email, Invalid> {
    Email::parse(text).map_err(|error| Invalid::new("email", error))
}

fn granted(given: Option<Vec<Role>>) -> Vec<DomainRole> {
    let roles: BTreeSet<_> = given.unwrap_or_default().into_iter().map(DomainRole::from).collect();
    roles.into_iter().collect()
}

fn lifetime(seconds: Option<i32>, default: i32) -> Result<TimeDelta, Invalid> {
    match seconds.unwrap_or(default) {
        seconds @ 1.. => Ok(TimeDelta::seconds(seconds.into())),
        other => Err(Invalid::new("expiresInSeconds", format!("{other} is not a positive number"))),
    }
}

/// Commands to users and invitations.
#[derive(Default)]
pub(crate) struct UserMutation;

#[Object]
impl UserMutation {
    /// Creates a user with roles. The user has no password until it sets one by a link of `createPasswordResetLink`.
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<UserPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let names = || Ok::<_, Invalid>((email(&input.email)?, input::name_opt("displayName", input.display_name)?));
        let (email, name) = match names() {
            Ok(names) => names,
            Err(invalid) => return Ok(start.user_payload(Executed::rejected(invalid), None)),
        };
        let (identities, roles) = (&services(ctx)?.identities, granted(input.roles));
        match identities.create_user(&context, &email, name.as_ref(), &roles, start.at).await {
            Ok(created) => Ok(start.user_payload(Executed::done(created.kind, created.position), Some(created.id.0))),
            Err(error) => Ok(start.user_payload(Executed::failed(error)?, None)),
        }
    }

    /// Invites a person to become a user, and returns the token of the invitation, once.
    async fn invite_user(&self, ctx: &Context<'_>, input: InviteUserInput) -> Result<InvitationPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let parsed =
            || Ok::<_, Invalid>((email(&input.email)?, lifetime(input.expires_in_seconds, INVITATION_SECONDS)?));
        let (email, lifetime) = match parsed() {
            Ok(parsed) => parsed,
            Err(invalid) => return Ok(start.invitation_payload(Executed::rejected(invalid), None, None)),
        };
        let (identities, roles) = (&services(ctx)?.identities, granted(input.roles));
        match identities.invite_user(&context, &email, &roles, lifetime, start.at).await {
            Ok(new) => {
                let (executed, token) =
                    (Executed::done(OutcomeKind::Done, new.position), new.token.reveal().to_owned());
                Ok(start.invitation_payload(executed, Some(new.id.0), Some(token)))
            }
            Err(error) => Ok(start.invitation_payload(Executed::failed(error)?, None, None)),
        }
    }

    /// Revokes an invitation: it cannot be accepted any more.
    async fn revoke_invitation(&self, ctx: &Context<'_>, input: RevokeInvitationInput) -> Result<InvitationPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::Invitation.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let reason = match input::body_opt("reason", input.reason) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(start.invitation_payload(Executed::rejected(invalid), None, None)),
        };
        match services(ctx)?.identities.revoke_invitation(&context, InvitationId(id), reason, start.at).await {
            Ok((kind, position)) => Ok(start.invitation_payload(Executed::done(kind, position), Some(id), None)),
            Err(error) => Ok(start.invitation_payload(Executed::failed(error)?, None, None)),
        }
    }

    /// Disables a user: it cannot sign in until it is enabled, and its sessions end. Refused as `LAST_ADMIN` if no other account
    /// or user could decide who may do what then.
    async fn disable_user(&self, ctx: &Context<'_>, input: DisableUserInput) -> Result<UserPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::User.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        match input::body_opt("reason", input.reason) {
            Ok(reason) => {
                let disabled = services(ctx)?.identities.disable_user(&context, UserId(id), reason, start.at).await;
                start.of_user(id, disabled)
            }
            Err(invalid) => Ok(start.user_payload(Executed::rejected(invalid), None)),
        }
    }

    /// Enables a disabled user.
    async fn enable_user(&self, ctx: &Context<'_>, input: UserInput) -> Result<UserPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::User.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let enabled = services(ctx)?.identities.enable_user(&context, UserId(id), start.at).await;
        start.of_user(id, enabled)
    }

    /// Demands no one-time codes of a user any more, such as one whose device is lost.
    async fn disable_one_time_codes(&self, ctx: &Context<'_>, input: UserInput) -> Result<UserPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::User.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let disabled = services(ctx)?.identities.disable_totp_of(&context, UserId(id), start.at).await;
        start.of_user(id, disabled)
    }

    /// Deletes a user for ever, and erases its name, address, credentials and sessions. Events name the user by its id, and
    /// stay. Refused as `LAST_ADMIN` if no other account or user could decide who may do what then.
    async fn erase_user(&self, ctx: &Context<'_>, input: UserInput) -> Result<UserPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::User.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let erased = services(ctx)?.identities.erase_user(&context, UserId(id), start.at).await;
        start.of_user(id, erased)
    }

    /// Creates a link by which a user sets its password, once, and returns its token, once. An earlier link is refused from
    /// then on.
    async fn create_password_reset_link(
        &self,
        ctx: &Context<'_>,
        input: CreatePasswordResetLinkInput,
    ) -> Result<PasswordResetLinkPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::User.parse(&input.user_id)?;
        let context = start.context(ctx, Some(id))?;
        let (executed, link) = match lifetime(input.expires_in_seconds, RESET_SECONDS) {
            Err(invalid) => (Executed::rejected(invalid), None),
            Ok(lifetime) => {
                match services(ctx)?.identities.issue_reset_link(&context, UserId(id), lifetime, start.at).await {
                    Ok(link) => (Executed::done(OutcomeKind::Done, link.position), Some(link)),
                    Err(error) => (Executed::failed(error)?, None),
                }
            }
        };
        let expires_at = link.as_ref().map(|link| link.expires_at.into());
        let token = link.map(|link| link.token.reveal().to_owned());
        Ok(PasswordResetLinkPayload { command_id: start.command_id.into(), executed, token, expires_at })
    }

    /// Ends a session at once: one of the user who sends the request, or, for an administrator, of any user of the tenant.
    async fn revoke_session(&self, ctx: &Context<'_>, input: RevokeSessionInput) -> Result<RevokeSessionPayload> {
        let principal = &requester(ctx)?.principal;
        if !matches!(principal.subject(), Subject::User { .. }) {
            // Before the input is looked at.
            authorise::<CommandIdentities>(ctx)?;
        }
        let id = SessionId(Kind::Session.parse(&input.id)?);
        let revoked = services(ctx)?.identities.revoke_session(principal, id).await;
        Ok(RevokeSessionPayload { revoked: revoked.map_err(|error| errors::identities(&error))? })
    }
}
