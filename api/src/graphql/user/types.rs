//! The object types.

use crate::graphql::identity::{Role, assigned, roles};
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Timestamp, Uid};
use async_graphql::{Enum, Error, ID, Result, SimpleObject};
use identity::{InvitationSummary, SessionSummary, UserSummary};

/// How a user came to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::user::UserSource")]
pub(crate) enum UserSource {
    /// An administrator created the user.
    Admin,
    /// The user accepted an invitation.
    Invitation,
    /// The user registered without an invitation.
    Registration,
    /// The user signed in by an identity provider that may create users.
    Provider,
}

/// A user: a person in a tenant. It signs in, and acts by a session.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct User {
    /// Global id of the user.
    pub(crate) id: ID,
    /// UUID of the user, as it occurs in events and exports.
    pub(crate) uuid: Uid,
    /// E-mail address of the user. Null if it cannot be found, or an identity provider names none that it verified.
    email: Option<String>,
    /// Name of the user. Null if the user chose none.
    display_name: Option<String>,
    /// How the user came to exist.
    source: UserSource,
    /// Time at which the user was created.
    created_at: Timestamp,
    /// Whether the user is disabled: it cannot sign in until it is enabled.
    disabled: bool,
    /// Whether the user has a password. Without one it sets one by a link.
    has_password: bool,
    /// Whether one-time codes are demanded of the user when it signs in.
    codes_required: bool,
    /// Identity providers by which the user signs in, as the settings of the server name them.
    sign_in_providers: Vec<String>,
    /// Built-in roles on the whole tenant that were granted to the user itself.
    roles: Vec<Role>,
    /// Global ids of the custom roles on the whole tenant that were granted to the user itself.
    custom_role_ids: Vec<ID>,
    /// Time at which a person last asked for a link to set the password anew. Null if that was done, or nobody asked.
    reset_requested_at: Option<Timestamp>,
}

impl TryFrom<UserSummary> for User {
    type Error = Error;

    fn try_from(user: UserSummary) -> Result<Self> {
        let (roles, custom_role_ids) = assigned(&user.roles);
        Ok(Self {
            id: Kind::User.id(user.id.0),
            uuid: user.id.0.into(),
            email: user.email,
            display_name: user.display_name,
            source: user.source.into(),
            created_at: user.created_at.into(),
            disabled: user.is_disabled,
            has_password: user.has_password,
            codes_required: user.has_totp,
            sign_in_providers: user.providers.iter().map(ToString::to_string).collect(),
            roles,
            custom_role_ids,
            reset_requested_at: user.reset_requested_at.map(Into::into),
        })
    }
}

/// An invitation: a person who accepts it becomes a user with its roles.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Invitation {
    /// Global id of the invitation.
    pub(crate) id: ID,
    /// UUID of the invitation, as it occurs in events and exports.
    uuid: Uid,
    /// E-mail address of the person. Null once the invitation was accepted or revoked, or has expired.
    email: Option<String>,
    /// Roles that are granted to the user who accepts.
    roles: Vec<Role>,
    /// Time at which the invitation was created.
    created_at: Timestamp,
    /// Time from which the invitation cannot be accepted.
    expires_at: Timestamp,
    /// Global id of the user who accepted. Null if the invitation was not accepted.
    accepted_by_id: Option<ID>,
    /// Whether the invitation was revoked.
    revoked: bool,
}

impl TryFrom<InvitationSummary> for Invitation {
    type Error = Error;

    fn try_from(invitation: InvitationSummary) -> Result<Self> {
        Ok(Self {
            id: Kind::Invitation.id(invitation.id.0),
            uuid: invitation.id.0.into(),
            email: invitation.email,
            roles: roles(&invitation.roles),
            created_at: invitation.created_at.into(),
            expires_at: invitation.expires_at.into(),
            accepted_by_id: invitation.accepted_by.map(|user| Kind::User.id(user.0)),
            revoked: invitation.is_revoked,
        })
    }
}

/// A session of a user, which begins when the user signs in.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Session {
    /// Global id of the session.
    id: ID,
    /// UUID of the session, as it occurs in the actor of events.
    uuid: Uid,
    /// Time at which the user signed in.
    created_at: Timestamp,
    /// Time at which the tokens of the session were last renewed, which is at least every 15 minutes while it is used.
    last_used_at: Timestamp,
    /// Time at which the session ends unless its tokens are renewed.
    expires_at: Timestamp,
    /// Name of the client's program, as it says. Null if it says none.
    user_agent: Option<String>,
    /// Network address that the client last signed in or renewed the session from. Null if it is not known.
    address: Option<String>,
}

impl From<SessionSummary> for Session {
    fn from(session: SessionSummary) -> Self {
        Self {
            id: Kind::Session.id(session.id.0),
            uuid: session.id.0.into(),
            created_at: session.created_at.into(),
            last_used_at: session.last_used_at.into(),
            expires_at: session.expires_at.into(),
            user_agent: session.user_agent,
            address: session.address,
        }
    }
}

/// Who sends the request.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Viewer {
    /// Name under which events are recorded.
    pub(super) actor: String,
    /// Id of the tenant.
    pub(super) tenant: String,
    /// Permissions in the tenant and in the installation, such as `read:agents`.
    pub(super) permissions: Vec<String>,
    /// Global id of the user. Null if the request is not sent by one.
    pub(super) user_id: Option<ID>,
    /// Global id of the session. Null if the request is not sent by a user.
    pub(super) session_id: Option<ID>,
    /// E-mail address of the user. Null if the request is not sent by one.
    pub(super) email: Option<String>,
    /// Name of the user. Null if the request is not sent by one, or the user chose none.
    pub(super) display_name: Option<String>,
}
