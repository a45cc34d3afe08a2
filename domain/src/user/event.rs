//! The events of a user.

use crate::codec::events;
use crate::ids::InvitationId;
use crate::provider_id::ProviderId;
use crate::text::Body;
use crate::timestamp;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a user came to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserSource {
    /// An administrator created the user.
    Admin,
    /// The user accepted an invitation.
    Invitation,
    /// The user registered where the installation lets all people do so.
    Registration,
    /// The user signed in by an identity provider that may create users. The actor of the event names the provider.
    Provider,
}

/// The payload of `user.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserCreated {
    /// How the user came to exist.
    pub source: UserSource,
    /// The invitation that was accepted, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<InvitationId>,
    /// When the user was created.
    pub at: DateTime<Utc>,
}

/// The payload of `user.password_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserPasswordSet {
    /// The id under which the hash is stored beside the log. An earlier one is of no use any more.
    pub credential_id: Uuid,
    /// The link by which it was set, if it was set by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<Uuid>,
    /// When the password was set.
    pub at: DateTime<Utc>,
}

/// The payload of `user.reset_issued`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserResetIssued {
    /// The id under which the hash of the token is stored beside the log. An earlier link is of no use any more.
    pub link_id: Uuid,
    /// The time from which the link is refused.
    #[serde(deserialize_with = "timestamp::deserialize")]
    pub expires_at: DateTime<Utc>,
    /// When the link was issued.
    pub at: DateTime<Utc>,
}

/// The payload of `user.totp_enabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserTotpEnabled {
    /// The id under which the secret is stored beside the log. An earlier one is of no use any more.
    pub credential_id: Uuid,
    /// When one-time codes were demanded.
    pub at: DateTime<Utc>,
}

/// The payload of `user.totp_disabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserTotpDisabled {
    /// When one-time codes were no longer demanded.
    pub at: DateTime<Utc>,
}

/// The payload of `user.identity_linked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserIdentityLinked {
    /// The id under which the identity is stored beside the log.
    pub identity_id: Uuid,
    /// The provider that it is of.
    pub provider: ProviderId,
    /// When the identity was linked.
    pub at: DateTime<Utc>,
}

/// The payload of `user.disabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserDisabled {
    /// Why the user was disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the user was disabled.
    pub at: DateTime<Utc>,
}

/// The payload of `user.enabled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserEnabled {
    /// When the user was enabled.
    pub at: DateTime<Utc>,
}

/// The payload of `user.deleted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserDeleted {
    /// When the user was deleted.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a user.
    pub enum UserEvent {
        /// The user was created.
        "user.created" v 1 => Created(UserCreated),
        /// A link was issued by which the password can be set.
        "user.reset_issued" v 1 => ResetIssued(UserResetIssued),
        /// A password was set.
        "user.password_set" v 1 => PasswordSet(UserPasswordSet),
        /// One-time codes are demanded.
        "user.totp_enabled" v 1 => TotpEnabled(UserTotpEnabled),
        /// One-time codes are no longer demanded.
        "user.totp_disabled" v 1 => TotpDisabled(UserTotpDisabled),
        /// An identity of a provider was linked.
        "user.identity_linked" v 1 => IdentityLinked(UserIdentityLinked),
        /// The user was disabled.
        "user.disabled" v 1 => Disabled(UserDisabled),
        /// The user was enabled.
        "user.enabled" v 1 => Enabled(UserEnabled),
        /// The user was deleted.
        "user.deleted" v 1 => Deleted(UserDeleted),
    }
}
