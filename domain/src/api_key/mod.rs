//! API keys: credentials of service accounts. The secret part of a key, and its hash, are never in an event.

use crate::aggregate::Aggregate;
use crate::codec::{UpcastError, events};
use crate::ids::{AgentId, ApiKeyId, ServiceAccountId, TeamId};
use crate::permissions::{Permission, Scopes};
use crate::text::Body;
use crate::timestamp;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What an API key may be used for, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyTerms {
    /// The account whose credential the key is.
    pub service_account_id: ServiceAccountId,
    /// The permissions that the key is restricted to, which are permissions on the data of a tenant, or `all` for those that
    /// the account has.
    pub scopes: Scopes,
    /// The agent that the key is bound to: it reaches nothing that belongs to other agents. None if it is not bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The team whose agents the key is bound to: it reaches nothing that belongs to other agents. None if it is not bound to a
    /// team. A key is bound to an agent or to a team, not to both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// The time from which the key is refused; none if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "timestamp::deserialize_optional")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A command to an API key.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiKeyCommand {
    /// Creates the key. Its secret was stored before.
    Create {
        /// What the key may be used for, and until when.
        terms: KeyTerms,
        /// When the key was created.
        at: DateTime<Utc>,
    },
    /// Replaces the key by another one. Both are accepted until `expires_at`, or until the key expires if that is sooner.
    Rotate {
        /// The key that replaces this one.
        successor: ApiKeyId,
        /// The time from which this key is refused.
        expires_at: DateTime<Utc>,
        /// When the key was replaced.
        at: DateTime<Utc>,
    },
    /// Revokes the key: it is refused from now on.
    Revoke {
        /// Why the key is revoked.
        reason: Option<Body>,
        /// When the key was revoked.
        at: DateTime<Utc>,
    },
}

/// The payload of `api_key.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyCreated {
    /// What the key may be used for, and until when.
    #[serde(flatten)]
    pub terms: KeyTerms,
    /// When the key was created.
    pub at: DateTime<Utc>,
}

/// The payload of `api_key.created` version 1, in which no key was bound to a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyCreatedV1 {
    /// The account whose credential the key is.
    pub service_account_id: ServiceAccountId,
    /// The permissions that the key is restricted to, which are permissions on the data of a tenant, or `all` for those that
    /// the account has.
    pub scopes: Scopes,
    /// The agent that the key is bound to: it reaches nothing that belongs to other agents. None if it is not bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The time from which the key is refused; none if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "timestamp::deserialize_optional")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When the key was created.
    pub at: DateTime<Utc>,
}

#[allow(clippy::unnecessary_wraps, reason = "an upcast may fail")]
fn created_upcast_v1(old: ApiKeyCreatedV1) -> Result<ApiKeyCreated, UpcastError> {
    let ApiKeyCreatedV1 { service_account_id, scopes, agent_id, expires_at, at } = old;
    Ok(ApiKeyCreated { terms: KeyTerms { service_account_id, scopes, agent_id, team_id: None, expires_at }, at })
}

/// The payload of `api_key.rotated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyRotated {
    /// The key that replaces this one.
    pub successor: ApiKeyId,
    /// The time from which this key is refused.
    #[serde(deserialize_with = "timestamp::deserialize")]
    pub expires_at: DateTime<Utc>,
    /// When the key was replaced.
    pub at: DateTime<Utc>,
}

/// The payload of `api_key.revoked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyRevoked {
    /// Why the key was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the key was revoked.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of an API key.
    pub enum ApiKeyEvent {
        /// The key was created.
        "api_key.created" v 2 => Created(ApiKeyCreated), from v 1 (ApiKeyCreatedV1) by created_upcast_v1,
        /// The key was replaced by another one.
        "api_key.rotated" v 1 => Rotated(ApiKeyRotated),
        /// The key was revoked.
        "api_key.revoked" v 1 => Revoked(ApiKeyRevoked),
    }
}

/// Why a command to an API key is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiKeyError {
    /// No API key has this id.
    #[error("the API key does not exist")]
    NotCreated,
    /// An API key with other terms has this id.
    #[error("an API key with other terms has this id")]
    AlreadyCreated,
    /// The key would expire before it can be used.
    #[error("the API key would expire at {expires_at}, which is not after {at}: choose a later time")]
    ExpiresTooSoon {
        /// When the key would expire.
        expires_at: DateTime<Utc>,
        /// When it was to be created or replaced.
        at: DateTime<Utc>,
    },
    /// The key would have no permission.
    #[error("the API key has no scope: name at least one, or say that it has all permissions of its account")]
    NoScopes,
    /// A scope is not about the data of a tenant.
    #[error("the scope {0} is not about the data of a tenant")]
    ScopeOutsideTenant(Permission),
    /// The key would be bound to an agent and to a team.
    #[error("the API key would be bound to an agent and to a team: name one of them")]
    AgentAndTeam,
    /// The key was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// The key has expired.
    #[error("the API key expired at {0}")]
    Expired(DateTime<Utc>),
    /// The key was already replaced by another one.
    #[error("the API key was already replaced by the key {0}")]
    AlreadyRotated(ApiKeyId),
    /// The key was already revoked, for a different reason, which is kept.
    #[error("the API key was already revoked, for a different reason, which is kept")]
    AlreadyRevoked,
}

/// The state of an API key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What the key was created for; none before it is created.
    pub terms: Option<KeyTerms>,
    /// The key that replaces this one, and the time from which this one is refused.
    pub successor: Option<(ApiKeyId, DateTime<Utc>)>,
    /// Whether the key was revoked.
    pub is_revoked: bool,
    /// Why the key was revoked, if it was and a reason was given.
    pub reason: Option<Body>,
}

impl ApiKey {
    /// The time from which the key is refused, if any: that of its terms, or the end of the overlap with its successor.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        let of_terms = self.terms.as_ref().and_then(|terms| terms.expires_at);
        of_terms.into_iter().chain(self.successor.map(|(_, until)| until)).min()
    }

    /// The terms of the key, if it can be used at a time.
    ///
    /// # Errors
    /// [`ApiKeyError::NotCreated`], [`ApiKeyError::Revoked`] or [`ApiKeyError::Expired`].
    pub fn usable_at(&self, now: DateTime<Utc>) -> Result<&KeyTerms, ApiKeyError> {
        let terms = self.terms.as_ref().ok_or(ApiKeyError::NotCreated)?;
        match self.expires_at() {
            _ if self.is_revoked => Err(ApiKeyError::Revoked),
            Some(expired) if expired <= now => Err(ApiKeyError::Expired(expired)),
            Some(_) | None => Ok(terms),
        }
    }

    fn create(&self, created: ApiKeyCreated) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        let terms = &created.terms;
        terms.check_scopes()?;
        if terms.agent_id.is_some() && terms.team_id.is_some() {
            return Err(ApiKeyError::AgentAndTeam);
        }
        match (&self.terms, terms.expires_at) {
            (Some(known), _) if known == terms => Ok(Vec::new()),
            (Some(_), _) => Err(ApiKeyError::AlreadyCreated),
            (None, Some(expires_at)) if expires_at <= created.at => {
                Err(ApiKeyError::ExpiresTooSoon { expires_at, at: created.at })
            }
            (None, _) => Ok(vec![ApiKeyEvent::Created(created)]),
        }
    }

    fn rotate(&self, rotated: ApiKeyRotated) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        match self.successor {
            Some((known, _)) if known == rotated.successor => return Ok(Vec::new()),
            Some((known, _)) => return Err(ApiKeyError::AlreadyRotated(known)),
            None => {}
        }
        self.usable_at(rotated.at)?;
        if rotated.expires_at < rotated.at {
            return Err(ApiKeyError::ExpiresTooSoon { expires_at: rotated.expires_at, at: rotated.at });
        }
        Ok(vec![ApiKeyEvent::Rotated(rotated)])
    }

    fn revoke(&self, revoked: ApiKeyRevoked) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        if self.terms.is_none() {
            return Err(ApiKeyError::NotCreated);
        }
        if !self.is_revoked {
            return Ok(vec![ApiKeyEvent::Revoked(revoked)]);
        }
        if revoked.reason.is_some() && revoked.reason != self.reason {
            return Err(ApiKeyError::AlreadyRevoked);
        }
        Ok(Vec::new())
    }
}

impl KeyTerms {
    fn check_scopes(&self) -> Result<(), ApiKeyError> {
        match self.scopes {
            Scopes::All => Ok(()),
            Scopes::Only(permissions) if permissions.is_empty() => Err(ApiKeyError::NoScopes),
            Scopes::Only(permissions) => match permissions.iter().find(|scope| !scope.is_of_tenant()) {
                Some(scope) => Err(ApiKeyError::ScopeOutsideTenant(scope)),
                None => Ok(()),
            },
        }
    }
}

impl Aggregate for ApiKey {
    const CATEGORY: &'static str = "api_key";
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Error = ApiKeyError;

    fn decide(&self, command: ApiKeyCommand) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        match command {
            ApiKeyCommand::Create { terms, at } => self.create(ApiKeyCreated { terms, at }),
            ApiKeyCommand::Rotate { successor, expires_at, at } => {
                self.rotate(ApiKeyRotated { successor, expires_at, at })
            }
            ApiKeyCommand::Revoke { reason, at } => self.revoke(ApiKeyRevoked { reason, at }),
        }
    }

    fn evolve(mut self, event: &ApiKeyEvent) -> Self {
        match event {
            ApiKeyEvent::Created(created) => self.terms = Some(created.terms.clone()),
            ApiKeyEvent::Rotated(rotated) => self.successor = Some((rotated.successor, rotated.expires_at)),
            ApiKeyEvent::Revoked(revoked) => {
                self.is_revoked = true;
                self.reason.clone_from(&revoked.reason);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
